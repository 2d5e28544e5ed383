"""structlog, in its usual configurations: every event once, whole, and the configuration as it was afterwards."""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry._logs import SeverityNumber

from logspan.sources.structlog import StructlogProcessor
from tests.sources.conftest import Install, Ran, Sink


@pytest.fixture(autouse=True)
def structlog_is_put_back() -> Iterator[None]:
    """Each test begins with no configuration."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.processors.StackInfoRenderer(),
]


def to_stdlib(*last: Any) -> None:
    """A configuration that goes on through `logging`."""
    structlog.configure(
        processors=[*SHARED, *last],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def to_print(*last: Any, cache: bool = False) -> None:
    """A configuration that prints."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.TimeStamper(fmt="iso"),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=cache,
    )


def defaults() -> None:
    """What structlog does by itself."""


JSON = structlog.processors.JSONRenderer(default=str)
CONFIGURATIONS: dict[str, Callable[[], None]] = {
    "defaults": defaults,
    "print, console": lambda: to_print(structlog.dev.ConsoleRenderer()),
    "print, json": lambda: to_print(structlog.processors.format_exc_info, JSON),
    "print, dict tracebacks": lambda: to_print(structlog.processors.dict_tracebacks, JSON),
    "print, cached": lambda: to_print(structlog.processors.format_exc_info, JSON, cache=True),
    "stdlib, json": lambda: to_stdlib(structlog.processors.format_exc_info, JSON),
    "stdlib, key value": lambda: to_stdlib(
        structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()
    ),
    "stdlib, formatter": lambda: to_stdlib(structlog.stdlib.ProcessorFormatter.wrap_for_formatter),
    "stdlib, kwargs": lambda: to_stdlib(structlog.stdlib.render_to_log_kwargs),
    "stdlib, args and kwargs": lambda: to_stdlib(structlog.stdlib.render_to_log_args_and_kwargs),
}


def _own(attributes: Any) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if not key.startswith(("code.", "exception."))}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration(install: Install, routed: Sink, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """R1.4: an event comes once, with its message, level, bound values, context and exception, and is not printed."""
    CONFIGURATIONS[name]()
    install(console=True)
    structlog.contextvars.bind_contextvars(request=1)
    log = structlog.get_logger("shop").bind(user="ann")
    log.info("paid %s", "now", order={"id": 7})
    try:
        raise ValueError("x")
    except ValueError:
        log.exception("failed", stack_info=True)
    paid, failed = routed.records
    assert (paid.body, paid.severity_number) == ("paid now", SeverityNumber.INFO)
    assert _own(paid.attributes) == {"request": 1, "user": "ann", "order": {"id": 7}}
    assert paid.attributes["code.file.path"] == __file__
    assert (failed.body, failed.severity_number) == ("failed", SeverityNumber.ERROR)
    assert failed.attributes["exception.type"] == "ValueError"
    assert "test_every_configuration" in str(failed.attributes["exception.stacktrace"])
    assert "test_every_configuration" in str(failed.attributes["code.stacktrace"])
    assert _own(failed.attributes) == {"request": 1, "user": "ann"}
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration_comes_back(
    install: Install, routed: Sink, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Uninstalling restores the configuration exactly, and whether there was one at all."""
    CONFIGURATIONS[name]()
    before = (structlog.get_config(), list(structlog.get_config()["processors"]), structlog.is_configured())
    sources = install(console=True)
    structlog.get_logger("shop").info("m")
    sources.release(sources.holders[0])
    assert (structlog.get_config(), list(structlog.get_config()["processors"]), structlog.is_configured()) == before
    capsys.readouterr()
    structlog.get_logger("shop").warning("n")
    if "stdlib" not in name:
        assert "n" in capsys.readouterr().out
    assert routed.bodies == ["m"]


def test_scope(install: Install, routed: Sink) -> None:
    """The scope is the logger's name where there is one, else the caller's module."""
    install()
    structlog.get_logger().info("by a print logger")
    to_stdlib(JSON)
    install()
    structlog.get_logger("shop.orders").warning("by stdlib")
    assert routed.scopes() == [__name__, "shop.orders"]


def test_without_our_console_it_prints(install: Install, routed: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    """While none of our exporters writes to the console, structlog prints what it printed before."""
    to_print(structlog.processors.KeyValueRenderer(key_order=["event"]))
    install(console=False)
    structlog.get_logger().info("m")
    assert capsys.readouterr().out.startswith("event='m'")
    assert routed.bodies == ["m"]


def test_other_outputs_stay(install: Install, routed: Sink, tmp_path: Any) -> None:
    """A print logger on a file of the application's own keeps writing there."""
    with (tmp_path / "out").open("w") as file:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file))
        install(console=True)
        structlog.get_logger().info("m")
    assert "m" in (tmp_path / "out").read_text()
    assert routed.bodies == ["m"]


@pytest.mark.parametrize("factory", [structlog.PrintLoggerFactory, structlog.WriteLoggerFactory])
def test_loggers_on_standard_error(
    install: Install, routed: Sink, capsys: pytest.CaptureFixture[str], factory: Any
) -> None:
    """A logger that structlog was told to put on standard error is not doubled either."""
    structlog.configure(logger_factory=factory(sys.stderr))
    install(console=True)
    structlog.get_logger().info("m")
    assert routed.bodies == ["m"]
    assert capsys.readouterr() == ("", "")


def test_cached_loggers_follow(install: Install, routed: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    """A logger that was cached or bound before us comes to us, and goes back."""
    to_print(JSON, cache=True)
    cached = structlog.get_logger()
    bound = cached.bind(a=1)
    cached.info("before")
    sources = install(console=True)
    cached.info("one")
    bound.info("two")
    sources.release(sources.holders[0])
    cached.info("after")
    assert routed.bodies == ["one", "two"]
    assert [("before" in line, "after" in line) for line in capsys.readouterr().out.splitlines()] == [
        (True, False),
        (False, True),
    ]


def test_configured_after_us(install: Install, routed: Sink) -> None:
    """A configuration that is made after us is taken up at once, and only once; afterwards nothing is hooked."""
    original = structlog.configure, structlog.configure_once, structlog.reset_defaults
    sources = install(console=True)
    to_print(JSON)
    sources.reassert()
    structlog.get_logger().info("m")
    structlog.reset_defaults()
    structlog.get_logger().info("defaults")
    assert routed.bodies == ["m", "defaults"]
    sources.release(sources.holders[0])
    assert original == (structlog.configure, structlog.configure_once, structlog.reset_defaults)


def test_tuple_of_processors(install: Install, routed: Sink) -> None:
    """Processors that cannot be changed in place are replaced and put back."""
    processors: Any = (structlog.processors.add_log_level, JSON)
    structlog.configure(processors=processors)
    sources = install(console=True)
    structlog.get_logger().info("m")
    sources.release(sources.holders[0])
    assert structlog.get_config()["processors"] is processors
    assert routed.bodies == ["m"]


def test_capture_logs_works(install: Install, routed: Sink) -> None:
    """The test helper of structlog captures as before, and we are back after it."""
    install(console=True)
    with structlog.testing.capture_logs() as captured:
        structlog.get_logger().info("m")
    structlog.get_logger().info("n")
    assert captured == [{"event": "m", "log_level": "info"}]
    assert routed.bodies == ["n"]


def test_capture_before_us(install: Install, routed: Sink) -> None:
    """A capture that a test configured before us sees every event, although its loggers would print."""
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture])
    install(console=True)
    structlog.get_logger().info("m")
    assert [entry["event"] for entry in capture.entries] == ["m"]
    assert routed.bodies == ["m"]


def test_level_of_its_own(sink: Sink) -> None:
    """A level that structlog does not know keeps its name; its number comes from `logging`, if it knows it."""
    logging.addLevelName(25, "NOTICE")
    processor = StructlogProcessor(sink.provider)
    processor(None, "notice", {"event": "m", "level": "notice"})
    processor(None, "whisper", {"event": "m"})
    assert [(record.severity_number, record.severity_text) for record in sink.records] == [
        (SeverityNumber.INFO4, "NOTICE"),
        (SeverityNumber.UNSPECIFIED, "WHISPER"),
    ]


def test_processor_by_hand(sink: Sink) -> None:
    """`StructlogProcessor` can stand in an application's own list of processors; the event goes on unchanged."""
    processor = StructlogProcessor(sink.provider)
    structlog.configure(processors=[structlog.processors.add_log_level, processor, structlog.testing.LogCapture()])
    structlog.get_logger().warning("m", a=1)
    assert (sink.only.body, sink.only.attributes["a"], sink.only.severity_text) == ("m", 1, "WARN")


def test_foreign_records_of_a_processor_formatter(install: Install, routed: Sink, tmp_path: Any) -> None:
    """An application's file that is formatted by structlog gets what it got before."""
    to_stdlib(structlog.stdlib.ProcessorFormatter.wrap_for_formatter)
    handler = logging.FileHandler(tmp_path / "app.log")
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.processors.KeyValueRenderer()))
    logging.getLogger().addHandler(handler)
    install(console=True)
    structlog.get_logger("shop").warning("m", a=1)
    logging.getLogger().removeHandler(handler)
    handler.close()
    assert "'m'" in (tmp_path / "app.log").read_text()
    assert "capture" not in (tmp_path / "app.log").read_text()
    assert (routed.bodies, _own(routed.only.attributes)) == (["m"], {"a": 1})


async def test_async_methods(install: Install, routed: Sink) -> None:
    """The asynchronous methods, which log from a thread, keep context and place."""
    install(console=True)
    structlog.contextvars.bind_contextvars(request=1)
    await structlog.get_logger().ainfo("m")
    assert (routed.bodies, routed.only.attributes["request"]) == (["m"], 1)


def test_without_our_handler_it_emits_itself(install: Install, routed: Sink) -> None:
    """With `sources.stdlib` off, structlog's events come although they go on through `logging`."""
    to_stdlib(JSON)
    install("structlog", servers=False)
    structlog.get_logger("shop").warning("m")
    assert (routed.bodies, routed.scopes()) == (["m"], ["shop"])


def test_missing_structlog(run: Callable[[str], Ran]) -> None:
    """Where structlog and loguru are not installed, the other sources work."""
    ran = run("""
        sys.modules["structlog"] = sys.modules["loguru"] = None
        start()
        logging.getLogger("shop").warning("m")
        report()
        """)
    assert ran.bodies == ["m"]
