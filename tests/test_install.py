"""`configure_logging` and its handle: what touches the process, and that it is undone."""

import atexit
import logging
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter

from logspan.context import ROUTING
from logspan.install import Handle, configure_logging, process_sources, writes_console
from logspan.settings import MetricsSettings, Settings, SourceSettings, TracingSettings
from logspan.sources.facade import get_logger
from logspan.sources.stdlib import LogspanHandler

ROOT = logging.getLogger()


class Memory(InMemoryLogRecordExporter):
    """The SDK's, with types."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]


class ConsoleLike(Memory):
    """By its name a console."""


@pytest.fixture
def exporter() -> Memory:
    """Keeps what it gets."""
    return Memory()


@pytest.fixture
def handle(exporter: Memory) -> Iterator[Handle]:
    """What `configure_logging` returns, undone at the end."""
    settings = Settings(tracing=TracingSettings(instrumentation="off"), metrics=MetricsSettings(enabled=False))
    with configure_logging(settings, exporters={"memory": exporter}) as made:
        yield made


def bodies(exporter: Memory) -> list[object]:
    """The bodies of what was exported, in order."""
    return [readable.log_record.body for readable in exporter.get_finished_logs()]


def ours() -> list[logging.Handler]:
    """The handlers of ours on the root logger."""
    return [handler for handler in ROOT.handlers if isinstance(handler, LogspanHandler)]


def test_all_sources_arrive(handle: Handle, exporter: Memory) -> None:
    """R1.2: after one line, what is logged in any way leaves through the exporter when `flush` returns True."""
    from loguru import logger
    from structlog import get_logger as get_structlog

    logging.getLogger("shop").info("stdlib")
    get_logger("shop").info("facade")
    logger.info("loguru")
    get_structlog().info("structlog")
    warnings.showwarning(UserWarning("warning"), UserWarning, "f.py", 1)
    assert handle.flush(10)
    assert bodies(exporter) == ["stdlib", "facade", "loguru", "structlog", "warning"]


def test_uninstrument_restores(exporter: Memory) -> None:
    """`uninstrument` puts back all that was there, shuts the pipeline down, and can be called again."""
    before = (
        (ROOT.handlers, list(ROOT.handlers), ROOT.level),
        (sys.excepthook, sys.unraisablehook, warnings.showwarning),
    )
    handle = configure_logging(Settings(), exporters={"memory": exporter})
    assert len(ours()) == 1
    handle.uninstrument()
    handle.uninstrument()
    after = (
        (ROOT.handlers, list(ROOT.handlers), ROOT.level),
        (sys.excepthook, sys.unraisablehook, warnings.showwarning),
    )
    assert after == before
    assert after[0][0] is before[0][0]
    assert ROUTING.target() is None
    assert process_sources().holders == ()
    handle.pipeline.logger_provider.get_logger("x").emit(body="late")
    assert handle.pipeline.ledger.snapshot().dropped == {"after_shutdown": 1}


def test_undo_runs_in_reverse(handle: Handle, capsys: pytest.CaptureFixture[str]) -> None:
    """What was added last is undone first, and a step that fails keeps no other from being taken."""
    steps: list[str] = []

    def broken() -> None:
        steps.append("broken")
        raise RuntimeError("no")

    for step in (lambda: steps.append("first"), broken, lambda: steps.append("last")):
        handle.add_undo(step)
    handle.uninstrument()
    assert steps == ["last", "broken", "first"]
    assert not ours()
    assert capsys.readouterr().out == ""


def test_companions(handle: Handle) -> None:
    """The OTel providers are flushed, shut down and undone along with the pipeline, within the same time.

    They begin before the pipeline is waited for, and get what is left of the time after it.
    """
    called: list[str] = []

    class Companion:
        def flush(self, timeout: float) -> bool:
            called.append(f"flush {timeout:g}")
            return False

        def shutdown(self, timeout: float) -> bool:
            called.append(f"shutdown {timeout:g}")
            return True

        def __call__(self) -> None:
            called.append("undo")

    handle.add_companion(Companion())
    assert not handle.flush(3)
    handle.shutdown(2)
    handle.uninstrument()
    steps = [step.partition(" ")[0] for step in called]
    assert steps == ["flush", "flush", "shutdown", "shutdown", "undo", "shutdown", "shutdown"]
    assert (called[0], called[2]) == ("flush 0", "shutdown 0")
    assert 0 < float(called[1].split()[1]) <= 3


def test_two_pipelines(exporter: Memory, handle: Handle) -> None:
    """R13.1: a second pipeline does not double records; when the first goes, the second takes over."""
    second = Memory()
    with configure_logging(
        Settings(tracing=TracingSettings(instrumentation="off")), exporters={"memory": second}
    ) as other:
        logging.getLogger("shop").info("one")
        assert len(ours()) == 1
        handle.uninstrument()
        logging.getLogger("shop").info("two")
        assert other.flush(10)
    assert (bodies(exporter), bodies(second)) == (["one"], ["two"])
    assert not ours()


def test_sources_by_settings(exporter: Memory) -> None:
    """Each source can be left out."""
    off = dict.fromkeys(("stdlib", "structlog", "loguru", "warnings", "uncaught_exceptions", "servers"), False)
    before = (sys.excepthook, warnings.showwarning, ROOT.handlers)
    with configure_logging(Settings(sources=SourceSettings(**off)), exporters={"memory": exporter}) as handle:
        assert (sys.excepthook, warnings.showwarning, ROOT.handlers) == before
        get_logger("shop").info("m")
        assert handle.flush(10)
    assert bodies(exporter) == ["m"]


def test_reassert(handle: Handle, exporter: Memory) -> None:
    """`reassert` takes up what was configured away; after `uninstrument` it does nothing."""
    before = list(ROOT.handlers)
    ROOT.handlers = []
    handle.reassert()
    logging.getLogger("shop").info("m")
    assert handle.flush(10)
    handle.uninstrument()
    handle.reassert()
    assert not ours()
    ROOT.handlers = [handler for handler in before if not isinstance(handler, LogspanHandler)]
    assert bodies(exporter) == ["m"]


def test_providers(exporter: Memory) -> None:
    """A record made inside a span has its ids, with nothing else set up."""
    with configure_logging(Settings(), exporters={"memory": exporter}) as handle:
        with trace.get_tracer("shop").start_as_current_span("work") as span:
            logging.getLogger("shop").info("m")
        assert handle.flush(10)
    (readable,) = exporter.get_finished_logs()
    assert readable.log_record.trace_id == span.get_span_context().trace_id != 0


@pytest.mark.parametrize(
    ("settings", "exporters", "expected"),
    [
        ({}, None, True),
        ({"exporters": ["otlp"]}, None, False),
        ({"exporters": ["otlp", "console"]}, None, True),
        ({}, {"memory": Memory()}, False),
        ({}, {"console": Memory()}, True),
        ({}, [Memory()], False),
        ({}, [ConsoleLike()], True),
    ],
)
def test_who_has_the_console(settings: dict[str, list[str]], exporters: object, *, expected: bool) -> None:
    """Whether the application's console handlers are set aside depends on whether one of our exporters writes there."""
    assert writes_console(Settings(**settings), exporters) is expected  # type: ignore[arg-type]


def test_disabled(exporter: Memory, caplog: pytest.LogCaptureFixture) -> None:
    """With `OTEL_SDK_DISABLED` nothing is touched, one line says so, and the handle does nothing."""
    before = (sys.excepthook, warnings.showwarning, ROOT.handlers, ROOT.level)
    handle = configure_logging(Settings(sdk_disabled=True), exporters={"memory": exporter})
    assert (sys.excepthook, warnings.showwarning, ROOT.handlers, ROOT.level) == before
    assert ROUTING.target() is None
    assert ["OTEL_SDK_DISABLED" in message for message in caplog.messages] == [True]
    assert handle.flush()
    handle.reassert()
    assert handle.shutdown().complete
    handle.uninstrument()
    assert bodies(exporter) == []


def run(program: str, *, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == status, done.stderr
    return done


def test_delivers_at_exit() -> None:
    """What was logged a moment before the end is delivered, also from `atexit` functions and threads."""
    done = run("""
        import atexit, logging, threading
        from logspan import configure_logging
        from logspan.settings import Settings
        configure_logging(Settings(exporters=["console"], console={"format": "json"}))
        atexit.register(logging.getLogger("shop").info, "at exit")
        thread = threading.Thread(target=lambda: logging.getLogger("shop").info("thread"))
        thread.start()
        logging.getLogger("shop").info("last")
    """)
    assert [done.stdout.count(text) for text in ('"at exit"', '"thread"', '"last"')] == [1, 1, 1]
    assert done.stderr == ""


def test_says_what_was_left() -> None:
    """Records that could not be delivered in time are told on standard error, and not on standard output."""
    done = run("""
        import logging, threading
        from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
        from logspan import configure_logging
        from logspan.settings import Settings
        class Stuck(InMemoryLogRecordExporter):
            def export(self, batch):
                threading.Event().wait()
        configure_logging(Settings(shutdown_timeout=0.3), exporters={"stuck": Stuck()})
        logging.getLogger("shop").info("m")
    """)
    assert done.stdout == ""
    assert "shutdown_timeout" in done.stderr


FORK = """
    import logging, os, sys
    from logspan import configure_logging
    from logspan.settings import Settings
    handle = configure_logging(Settings(exporters=["console"], console={{"format": "json"}}))
    logging.getLogger("shop").info("parent before")
    {fork}
    logging.getLogger("shop").info("parent after")
"""
OS_FORK = """
    pid = os.fork()
    if not pid:
        logging.getLogger("shop").info("child")
        sys.exit(0)
    os.waitpid(pid, 0)
"""
MULTIPROCESSING = """
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=logging.getLogger("shop").info, args=("child",))
    child.start()
    child.join()
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="the platform has no fork")
@pytest.mark.parametrize("fork", [OS_FORK, MULTIPROCESSING])
def test_forked_children_deliver(fork: str) -> None:
    """A forked child delivers its own records at its end, and none of its parent's."""
    done = run(textwrap.dedent(FORK).format(fork=textwrap.dedent(fork)))
    assert [done.stdout.count(f'"{text}"') for text in ("parent before", "child", "parent after")] == [1, 1, 1]


def test_exit_function_goes(handle: Handle) -> None:
    """After `uninstrument` nothing is left to run at exit."""
    handle.uninstrument()
    registered = atexit._ncallbacks()
    atexit.unregister(handle.at_exit)
    assert atexit._ncallbacks() == registered
