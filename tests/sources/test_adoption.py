"""Our handler comes to the loggers that matter and stays, whatever the application configures, before or after."""

import io
import logging
import logging.config
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvicorn

from logspan.sources import ProcessSources
from logspan.sources.stdlib import SERVER_LOGGERS, LogspanHandler
from tests.sources.conftest import Install, Ran, Sink, wishes

ROOT = logging.getLogger()


def ours(logger: logging.Logger = ROOT) -> int:
    """How many handlers of ours a logger has."""
    return sum(isinstance(handler, LogspanHandler) for handler in logger.handlers)


@pytest.fixture(autouse=True)
def logging_is_put_back() -> Iterator[None]:
    """What a test configures for itself: the level, the application's handlers, the servers' loggers."""
    loggers = [ROOT, *map(logging.getLogger, (*SERVER_LOGGERS, "shop"))]
    before = [(logger, list(logger.handlers), logger.level, logger.propagate, logger.disabled) for logger in loggers]
    yield
    for logger, handlers, level, propagate, disabled in before:
        logger.handlers = handlers
        logger.level, logger.propagate, logger.disabled = level, propagate, disabled


DICT_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"level": "DEBUG", "handlers": ["console"]},
}
FILE_CONFIG = """
[loggers]
keys=root
[handlers]
keys=console
[formatters]
keys=
[logger_root]
level=DEBUG
handlers=console
[handler_console]
class=StreamHandler
args=(sys.stderr,)
"""


def by_dict_config(folder: Path) -> None:
    """As most applications."""
    logging.config.dictConfig(DICT_CONFIG)


def by_file_config(folder: Path) -> None:
    """As alembic."""
    (folder / "logging.ini").write_text(FILE_CONFIG)
    logging.config.fileConfig(folder / "logging.ini", disable_existing_loggers=False)


def by_basic_config(folder: Path) -> None:
    """As scripts."""
    logging.basicConfig(level=logging.DEBUG, force=True)


CONFIGURATIONS = pytest.mark.parametrize("configure", [by_dict_config, by_file_config, by_basic_config])


@CONFIGURATIONS
def test_configured_after(
    install: Install,
    routed: Sink,
    configure: Callable[[Path], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The application's configuration after us neither removes nor doubles our handler, and its level counts."""
    install(console=True)
    for _ in range(3):
        configure(tmp_path)
    assert ours() == 1
    logging.getLogger("shop").debug("m")
    assert routed.bodies == ["m"]
    assert capsys.readouterr() == ("", "")


OWN_CONSOLE = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"configured.apart": {"handlers": ["console"], "propagate": False, "level": "INFO"}},
}
OWN_CONSOLE_FILE = """
[loggers]
keys=root,apart
[handlers]
keys=console
[formatters]
keys=
[logger_root]
handlers=
[logger_apart]
qualname=configured.apart
handlers=console
propagate=0
level=INFO
[handler_console]
class=StreamHandler
args=(sys.stderr,)
"""


@pytest.mark.parametrize("by", ["dictConfig", "fileConfig"])
def test_logger_apart_configured_after(
    install: Install, routed: Sink, by: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A logger that is configured after us to stand apart is adopted at once, and given back."""
    hooks = logging.config.dictConfigClass, logging.config.fileConfig
    sources = install("logging", console=True)
    if by == "dictConfig":
        logging.config.dictConfig(OWN_CONSOLE)
    else:
        (tmp_path / "logging.ini").write_text(OWN_CONSOLE_FILE)
        logging.config.fileConfig(tmp_path / "logging.ini", disable_existing_loggers=False)
    apart = logging.getLogger("configured.apart")
    apart.info("m")
    assert routed.bodies == ["m"]
    assert capsys.readouterr() == ("", "")
    sources.release(sources.holders[0])
    assert hooks == (logging.config.dictConfigClass, logging.config.fileConfig)
    apart.info("m")
    assert capsys.readouterr().err == "m\n"
    apart.handlers, apart.propagate = [], True


@CONFIGURATIONS
def test_configured_before(
    install: Install,
    routed: Sink,
    configure: Callable[[Path], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """So does its configuration before us."""
    configure(tmp_path)
    install(console=True)
    logging.getLogger("shop").debug("m")
    assert routed.bodies == ["m"]
    assert capsys.readouterr() == ("", "")


@CONFIGURATIONS
def test_console_comes_back(
    install: Install,
    routed: Sink,
    configure: Callable[[Path], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Uninstalling gives the application the console that it configured while we were there, once."""
    sources = install(console=True)
    for _ in range(2):
        configure(tmp_path)
    _release(sources)
    assert type(ROOT.handlers) is list
    logging.getLogger("shop").warning("m")
    assert ours() == 0
    assert capsys.readouterr().err.count("m") == 1
    assert routed.bodies == []


def _release(sources: ProcessSources) -> None:
    for holder in list(sources.holders):
        sources.release(holder)


def test_without_our_console_theirs_stays(
    install: Install, routed: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The application's console handlers write as before while none of our exporters does."""
    by_basic_config(tmp_path)
    install(console=False)
    logging.getLogger("shop").warning("m")
    assert routed.bodies == ["m"]
    assert capsys.readouterr().err.count("m") == 1


def test_basic_config_still_configures(install: Install, routed: Sink, tmp_path: Path) -> None:
    """`basicConfig` is no no-op because of us: its file handler and its level are set."""
    handlers = list(ROOT.handlers)
    ROOT.handlers = []
    install(console=True)
    logging.basicConfig(filename=tmp_path / "app.log", level=logging.DEBUG)
    logging.getLogger("shop").debug("m")
    added = [handler for handler in ROOT.handlers if isinstance(handler, logging.FileHandler)]
    for handler in added:
        handler.close()
    assert routed.bodies == ["m"]
    assert (tmp_path / "app.log").read_text() == "DEBUG:shop:m\n"
    ROOT.handlers = handlers


def test_other_handlers_stay(install: Install, routed: Sink, tmp_path: Path) -> None:
    """Handlers that are more than a plain console handler are called as before, in their order."""

    class Own(logging.StreamHandler[Any]):
        pass

    text = io.StringIO()
    others = [logging.StreamHandler(text), Own(sys.stderr), logging.FileHandler(tmp_path / "app.log", delay=True)]
    for handler in others:
        ROOT.addHandler(handler)
    install(console=True)
    assert [handler for handler in ROOT.handlers if handler in others] == others
    logging.getLogger("shop").warning("m")
    assert text.getvalue() == "m\n"
    for handler in others:
        ROOT.removeHandler(handler)
        handler.close()
    assert not set(others) & set(ROOT.handlers)


def test_caplog_works(install: Install, routed: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """The caplog of pytest sees what it saw before."""
    install(console=True)
    with caplog.at_level(logging.INFO):
        logging.getLogger("shop").info("m")
    assert caplog.messages == ["m"]
    assert routed.bodies == ["m"]


def test_sentry_stays(install: Install, routed: Sink) -> None:
    """Sentry's own handler, and its integration with `logging`, get their records, and ours is not doubled."""
    pytest.importorskip("sentry_sdk")
    from sentry_sdk.integrations.logging import EventHandler

    class Kept(EventHandler):
        seen: ClassVar[list[str]] = []

        def emit(self, record: logging.LogRecord) -> Any:
            self.seen.append(record.getMessage())
            return super().emit(record)

    handler = Kept()
    ROOT.addHandler(handler)
    install(console=True)
    logging.getLogger("shop").error("m")
    ROOT.removeHandler(handler)
    assert (handler.seen, routed.bodies) == (["m"], ["m"])


def test_sentry_sdk(run: Callable[[str], Ran]) -> None:
    """An application with the real Sentry SDK reports to Sentry what it did, and to us once."""
    pytest.importorskip("sentry_sdk")
    ran = run("""
        import sentry_sdk
        events = []
        keep = lambda event, hint: events.append(event["logentry"]["message"])
        sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", before_send=keep)
        start()
        logging.getLogger("shop").error("m")
        sentry_sdk.flush(0)
        print(events)
        report()
        """)
    assert ran.stdout.strip() == "['m']"
    assert ran.bodies == ["m"]


def test_python_list_interface(install: Install, routed: Sink) -> None:
    """`root.handlers` is to the application what it was: its own handlers, in its order, and ours cannot be removed."""
    install(console=True)
    before = len(ROOT.handlers)
    mine = logging.StreamHandler(sys.stderr)
    ROOT.handlers.append(mine)
    assert (ROOT.handlers[-1], len(ROOT.handlers), mine in ROOT.handlers) == (mine, before + 1, True)
    assert mine not in list(ROOT.handlers)  # what `logging` calls
    assert ROOT.handlers.pop() is mine
    ROOT.handlers.insert(0, mine)
    assert ROOT.handlers.index(mine) == 0
    del ROOT.handlers[0]
    ROOT.handlers += [mine]
    assert ROOT.handlers.copy()[-1] is mine
    ROOT.handlers[-1:] = []
    assert len(ROOT.handlers) == before
    kept = ROOT.handlers[:]
    ROOT.handlers.clear()
    for handler in list(ROOT.handlers):
        ROOT.removeHandler(handler)
    assert (len(ROOT.handlers), bool(ROOT.handlers), ours()) == (0, True, 1)
    ROOT.handlers.extend(kept)


def test_assignment_is_taken_up_again(install: Install, routed: Sink) -> None:
    """A list that was assigned to `logger.handlers` is adopted by `reassert`, once."""
    sources = install(console=True)
    handlers = list(ROOT.handlers)
    ROOT.handlers = [*handlers, logging.StreamHandler(sys.stderr)]
    sources.reassert()
    sources.reassert()
    assert ours() == 1
    logging.getLogger("shop").warning("m")
    assert routed.bodies == ["m"]


def test_level(install: Install) -> None:
    """The stdlib's default level gives way to ours and comes back."""
    ROOT.setLevel(logging.WARNING)
    sources = install(level=logging.DEBUG)
    assert ROOT.level == logging.DEBUG
    _release(sources)
    assert ROOT.level == logging.WARNING


@pytest.mark.parametrize("before", [True, False])
def test_level_of_the_application_stays(install: Install, *, before: bool) -> None:
    """A level that the application has set, before or after us, stays, also when we go."""
    if before:
        ROOT.setLevel(logging.ERROR)
    sources = install(level=logging.DEBUG)
    ROOT.setLevel(logging.ERROR)
    sources.reassert()
    assert ROOT.level == logging.ERROR
    _release(sources)
    assert ROOT.level == logging.ERROR


def test_disabled_loggers_stay_disabled(install: Install, routed: Sink) -> None:
    """A logger that the application has disabled is not heard."""
    logger = logging.getLogger("shop")
    logger.disabled = True
    install()
    logger.error("m")
    assert routed.bodies == []


SERVERS = {"uvicorn": 1, "uvicorn.error": 1, "uvicorn.access": 1, "uvicorn.asgi": 1}


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Never called."""


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("console", [True, False])
def test_uvicorn(
    install: Install, routed: Sink, capsys: pytest.CaptureFixture[str], *, before: bool, console: bool
) -> None:
    """The loggers of uvicorn, configured before or after us by the real thing, are recorded and printed once."""
    if before:
        uvicorn.Config(_app)
    sources = install(console=console)
    if not before:
        uvicorn.Config(_app)
        uvicorn.Config(_app)
    sources.reassert()
    for name in SERVERS:
        logging.getLogger(name).info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", f"/{name}", "1.1", 200)
    assert sorted(routed.scopes()) == sorted(SERVERS)
    printed = "".join(capsys.readouterr())
    assert printed.count("127.0.0.1:1") == (0 if console else len(SERVERS))


@pytest.mark.parametrize("console", [True, False])
def test_uvicorn_serves(run: Callable[[str], Ran], *, console: bool) -> None:
    """A real server's start, access line and end are recorded once each, whoever writes the console."""
    ran = run(f"""
        import socket, threading, urllib.request, uvicorn
        async def app(scope, receive, send):
            await send({{"type": "http.response.start", "status": 200, "headers": []}})
            await send({{"type": "http.response.body", "body": b""}})
        start(console={console})
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off"))
        def ask():
            url = "http://127.0.0.1:%d/a?token=b" % listener.getsockname()[1]
            urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(url).read()
            server.should_exit = True
        threading.Thread(target=ask).start()
        server.run(sockets=[listener])
        report()
        """)
    scopes = [record["scope"] for record in ran.records]
    assert scopes.count("uvicorn.access") == 1
    assert scopes.count("uvicorn.error") == len(scopes) - 1 == len(set(ran.bodies)) - 1
    (access,) = [record["attributes"] for record in ran.records if record["scope"] == "uvicorn.access"]
    assert (access["url.path"], access["http.response.status_code"]) == ("/a", 200)
    assert (ran.stdout + ran.stderr).count("GET /a") == (0 if console else 1)


def test_uvicorn_access_off_stays_off(install: Install, routed: Sink) -> None:
    """`--no-access-log` means no access records: uvicorn asks the logger whether it has handlers."""
    sources = install(console=True)
    uvicorn.Config(_app, access_log=False)
    sources.reassert()
    access = logging.getLogger("uvicorn.access")
    assert not access.hasHandlers()
    access.info("m")
    assert routed.bodies == []


def test_uvicorn_console_comes_back(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """After us uvicorn prints as it would have."""
    sources = install(console=True)
    uvicorn.Config(_app)
    _release(sources)
    logging.getLogger("uvicorn.error").info("m")
    assert capsys.readouterr().err.count("m") == 1
    assert type(logging.getLogger("uvicorn").handlers) is list


def test_gunicorn(run: Callable[[str], Ran]) -> None:
    """The real logger of gunicorn, set up before or after us, is recorded once and printed by us only."""
    pytest.importorskip("gunicorn")
    ran = run("""
        from gunicorn.config import Config
        from gunicorn.glogging import Logger
        config = Config()
        config.set("accesslog", "-")
        first = Logger(config)
        start()
        first.info("one")
        second = Logger(config)
        second.info("two")
        sources.reassert()
        second.info("three")
        report()
        """)
    assert ran.bodies == ["one", "two", "three"]
    assert (ran.stdout, ran.stderr) == ("", "")


def test_silenced_server_logger_stays_silent(install: Install, routed: Sink) -> None:
    """A server's logger that the application has left without handlers, or with a NullHandler, says nothing."""
    sources = install(console=True)
    logger = logging.getLogger("uvicorn.access")
    logger.handlers = [logging.NullHandler()]
    logger.propagate = False
    sources.reassert()
    logger.info("m")
    assert routed.bodies == []


def test_logger_with_its_own_console(install: Install, routed: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    """What a logger writes to the console by itself, passing nothing on, is recorded and not printed twice."""
    logger = logging.getLogger("shop")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.propagate = False
    install(console=True)
    logger.warning("m")
    logging.getLogger("shop.orders").warning("n")
    assert routed.bodies == ["m", "n"]
    assert capsys.readouterr() == ("", "")


def test_shared_list_of_handlers(install: Install, routed: Sink) -> None:
    """`logger.handlers = other.handlers`, the gunicorn recipe, records once."""
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.addHandler(logging.StreamHandler(sys.stderr))
    gunicorn.propagate = False
    sources = install(console=True)
    logging.getLogger("shop").handlers = gunicorn.handlers
    logging.getLogger("shop").warning("propagates")
    logging.getLogger("shop").propagate = False
    logging.getLogger("shop").warning("does not")
    gunicorn.warning("itself")
    sources.reassert()
    assert routed.bodies == ["propagates", "does not", "itself"]


def test_two_pipelines_share_one_handler(install: Install, routed: Sink) -> None:
    """However many are installed, the root logger has one handler of ours; the last to go takes it away."""
    sources = install()
    second = object()
    sources.retain(second, wishes(level=logging.DEBUG))
    assert (ours(), ROOT.level) == (1, logging.DEBUG)
    logging.getLogger("shop").warning("m")
    assert routed.bodies == ["m"]
    sources.release(second)
    assert ours() == 1
    _release(sources)
    assert ours() == 0


def test_servers_can_be_left_alone(install: Install, routed: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    """With `sources.servers` off uvicorn prints for itself and is not recorded."""
    install(console=True, servers=False)
    uvicorn.Config(_app)
    logging.getLogger("uvicorn.error").info("m")
    assert routed.bodies == []
    assert capsys.readouterr().err.count("m") == 1


STOCK = """
import os
from opentelemetry._logs import set_logger_provider
stock = InMemoryLogRecordExporter()
stock_provider = LoggerProvider(shutdown_on_exit=False)
stock_provider.add_log_record_processor(SimpleLogRecordProcessor(stock))
set_logger_provider(stock_provider)
count = lambda: [r.log_record.body for r in stock.get_finished_logs()]
from opentelemetry.instrumentation.logging import LoggingInstrumentor
"""


@pytest.mark.parametrize(
    "order", ["LoggingInstrumentor().instrument(); start()", "start(); LoggingInstrumentor().instrument()"]
)
def test_stock_instrumentation(run: Callable[[str], Ran], order: str) -> None:
    """The stock handler is set aside while we are there, and works again afterwards; its own undoing works too."""
    pytest.importorskip("opentelemetry.instrumentation.logging")
    ran = run(f"""{STOCK}
{order}
logging.getLogger("shop").warning("ours")
logging.basicConfig(force=True)
logging.getLogger("shop").warning("ours again")
stop()
logging.getLogger("shop").warning("theirs")
print(count())
LoggingInstrumentor().uninstrument()
logging.getLogger("shop").warning("nobody's")
print(count())
report()
""")
    assert ran.bodies == ["ours", "ours again"]
    assert ran.stdout.split() == ["['theirs']", "['theirs']"]


def test_deprecated_stock_handler(run: Callable[[str], Ran]) -> None:
    """So is the SDK's own deprecated handler."""
    ran = run("""
        import warnings
        warnings.simplefilter("ignore")
        from opentelemetry.sdk._logs import LoggingHandler
        stock = InMemoryLogRecordExporter()
        other = LoggerProvider(shutdown_on_exit=False)
        other.add_log_record_processor(SimpleLogRecordProcessor(stock))
        logging.getLogger().addHandler(LoggingHandler(logger_provider=other))
        start()
        logging.getLogger("shop").warning("ours")
        stop()
        logging.getLogger("shop").warning("theirs")
        print([r.log_record.body for r in stock.get_finished_logs()])
        report()
        """)
    assert ran.bodies == ["ours"]
    assert ran.stdout.strip() == "['theirs']"
