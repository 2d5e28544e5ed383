"""The `logging` handler: what becomes of a LogRecord."""

import logging
import pickle
import queue
import sys
import threading
from logging.handlers import QueueHandler
from typing import Any

import pydantic
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.instrumentation.utils import suppress_instrumentation

from logspan.context import Routing
from logspan.sources.stdlib import LogspanHandler
from tests.sources.conftest import Sink


@pytest.fixture
def handler(sink: Sink, logger: logging.Logger) -> LogspanHandler:
    """The handler, on a logger of its own."""
    made = LogspanHandler(sink.provider)
    logger.addHandler(made)
    return made


pytestmark = pytest.mark.usefixtures("handler")


def test_message_severity_scope_time(sink: Sink, logger: logging.Logger) -> None:
    """A record has the formatted message, the OTel severity, the logger's name and the time of the call."""
    logger.warning("%s is %d", "x", 3)
    record = sink.only
    assert record.body == "x is 3"
    assert (record.severity_number, record.severity_text) == (SeverityNumber.WARN, "WARN")
    assert record.instrumentation_scope is not None
    assert record.instrumentation_scope.name == logger.name
    assert record.observed_timestamp is not None
    assert record.timestamp is not None
    assert 0 <= record.observed_timestamp - record.timestamp < 5e9


def test_extra_becomes_attributes(sink: Sink, logger: logging.Logger) -> None:
    """`extra` becomes attributes, of any type; nothing that belongs to LogRecord does."""
    logger.info("m", extra={"order_id": 42, "nested": {"a": [1, 2]}})
    assert sink.only.attributes.keys() == {
        *("order_id", "nested", "code.file.path", "code.line.number", "code.function.name")
    }
    assert sink.only.attributes["nested"] == {"a": [1, 2]}


@pytest.mark.parametrize(
    "name", ["color_message", "_record", "_logger", "_name", "_from_structlog", "otelTraceID", "otelSpanID"]
)
def test_internals_never_leak(sink: Sink, logger: logging.Logger, name: str) -> None:
    """What servers, bridges and the stock instrumentation put on a LogRecord does not become an attribute."""
    logger.info("m", extra={name: "internal", "mine": 1})
    assert name not in sink.only.attributes
    assert sink.only.attributes["mine"] == 1


def test_code_location(sink: Sink, logger: logging.Logger, handler: LogspanHandler) -> None:
    """The place of the call is in the attributes of the semantic conventions, and can be left out."""
    logger.info("m")
    assert sink.only.attributes["code.file.path"] == __file__
    assert sink.only.attributes["code.function.name"] == "test_code_location"
    assert isinstance(sink.only.attributes["code.line.number"], int)
    handler.code_location = False
    logger.info("m")
    assert sink.records[1].attributes == {}


def test_own_level_keeps_its_name(sink: Sink, logger: logging.Logger) -> None:
    """A level of the application's own has its number between the standard ones, and its name as the text."""
    logging.addLevelName(25, "NOTICE")
    logger.log(25, "m")
    assert (sink.only.severity_number, sink.only.severity_text) == (SeverityNumber.INFO4, "NOTICE")


@pytest.mark.parametrize(
    ("message", "args", "body"),
    [
        ("%d", ("x",), "x"),
        ("user=%s password=%s %%", ("ann",), "user=ann password=%s %"),
        ("no placeholder", (1, 2), "no placeholder (1, 2)"),
        ("%(a)s", ({"b": 1},), "%(a)s {'b': 1}"),
        ("at %s, %*d", ("noon", 7), "at noon, %*d (7,)"),
    ],
)
def test_bad_arguments(
    sink: Sink,
    logger: logging.Logger,
    capsys: pytest.CaptureFixture[str],
    message: str,
    args: tuple[Any, ...],
    body: str,
) -> None:
    """Arguments that do not fit neither raise nor print: each stands in its place, and an attribute says so."""
    logger.info(message, *args)
    assert sink.only.body == body
    assert "logspan.format.error" in sink.only.attributes
    assert capsys.readouterr() == ("", "")


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize(("message", "args"), [(Hostile(), ()), ("%s", (Hostile(),)), ({"event": Hostile()}, ())])
def test_hostile_values(
    sink: Sink, logger: logging.Logger, capsys: pytest.CaptureFixture[str], message: Any, args: Any
) -> None:
    """A value whose `__str__` raises still leaves a record, and nothing reaches the caller or the console."""
    logger.info(message, *args)
    assert len(sink.records) == 1
    assert capsys.readouterr() == ("", "")


def test_model_with_values_of_another_type(sink: Sink, logger: logging.Logger) -> None:
    """A pydantic model is read as it is; what pydantic would warn of is nothing that logging it should say."""

    class Stock(pydantic.BaseModel):
        left: int = 0

    logger.info("m", extra={"stock": Stock.model_construct(left="few")})  # warnings are errors here
    assert sink.only.attributes["stock"] == {"left": "few"}


def test_exception(sink: Sink, logger: logging.Logger) -> None:
    """An exception has its qualified type, message and stack trace with the cause."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError:
        logger.exception("failed")
    attributes = sink.only.attributes
    assert (attributes["exception.type"], attributes["exception.message"]) == ("ValueError", "outer")
    assert "KeyError: 'inner'" in str(attributes["exception.stacktrace"])


def _tuple_of(error: BaseException) -> Any:
    return (type(error), error, error.__traceback__)


@pytest.mark.parametrize("form", [lambda error: error, _tuple_of, lambda _: True])
def test_forms_of_exc_info(sink: Sink, logger: logging.Logger, form: Any) -> None:
    """An exception is found in every form of `exc_info`, on records made by hand too."""
    try:
        raise ValueError("x")
    except ValueError as error:
        record = logger.makeRecord(logger.name, 40, "f.py", 1, "m", (), None)
        record.exc_info = form(error)
        logger.handle(record)
    assert sink.only.attributes["exception.type"] == "ValueError"


@pytest.mark.parametrize("exc_info", [(None, None, None), True, False, None])
def test_no_exception(sink: Sink, logger: logging.Logger, exc_info: Any) -> None:
    """Without an exception there are no exception attributes."""
    logger.error("m", exc_info=exc_info)
    assert not [key for key in sink.only.attributes if key.startswith("exception")]


def test_cleared_traceback(sink: Sink, logger: logging.Logger) -> None:
    """A traceback that the exception has lost is taken from the tuple."""
    try:
        raise ValueError("x")
    except ValueError as error:
        exc_info = (ValueError, error, error.__traceback__)
        error.__traceback__ = None
    logger.error("m", exc_info=exc_info)
    assert "test_cleared_traceback" in str(sink.only.attributes["exception.stacktrace"])


def test_exception_as_message(sink: Sink, logger: logging.Logger) -> None:
    """`logger.error(error)` has the exception's attributes."""
    logger.error(ValueError("x"))
    assert sink.only.body == "x"
    assert sink.only.attributes["exception.type"] == "ValueError"


def test_stack_info(sink: Sink, logger: logging.Logger) -> None:
    """`stack_info` becomes `code.stacktrace`."""
    logger.info("m", stack_info=True)
    assert "test_stack_info" in str(sink.only.attributes["code.stacktrace"])


def test_structlog_dict(sink: Sink, logger: logging.Logger) -> None:
    """A dict with an `event`, which structlog passes, becomes body and attributes, its exception included."""
    logger.info({"event": "paid", "order": 7, "level": "info", "exc_info": ValueError("x"), "_record": 1})
    attributes = sink.only.attributes
    assert sink.only.body == "paid"
    assert (attributes["order"], attributes["exception.type"]) == (7, "ValueError")
    assert not {"level", "exc_info", "_record", "event"} & attributes.keys()


def test_plain_dict(sink: Sink, logger: logging.Logger) -> None:
    """Any other dict is a structured body."""
    logger.info({"a": 1})
    assert sink.only.body == {"a": 1}


def test_event_name(sink: Sink, logger: logging.Logger) -> None:
    """`otel.event.name` in `extra` is the record's event name, not an attribute."""
    logger.info("m", extra={"otel.event.name": "order.paid"})
    assert sink.only.event_name == "order.paid"
    assert "otel.event.name" not in sink.only.attributes


def test_record_class_of_the_application(sink: Sink, logger: logging.Logger) -> None:
    """A record of the application's own class formats itself, and what it sets first is an attribute like the rest."""

    class Braces(logging.LogRecord):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.first = "set before the rest"
            super().__init__(*args, **kwargs)

        def getMessage(self) -> str:  # noqa: N802 - logging's name
            return str(self.msg).format(*(self.args or ()))

    logger.handle(Braces(logger.name, 20, "f.py", 1, "{} and {}", ("a", "b"), None))
    assert sink.only.body == "a and b"
    assert sink.only.attributes["first"] == "set before the rest"


def test_record_from_elsewhere(sink: Sink, logger: logging.Logger) -> None:
    """A record that went through a queue or a pickle keeps its message, its attributes and its stack trace."""
    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    try:
        raise ValueError("x")
    except ValueError:
        record = logger.makeRecord(logger.name, 40, "f.py", 1, "m %s", ("a",), sys.exc_info(), extra={"mine": 1})
    QueueHandler(waiting).handle(record)
    logger.handle(pickle.loads(pickle.dumps(waiting.get())))
    assert str(sink.only.body).startswith("m a")
    assert sink.only.attributes["mine"] == 1
    assert "ValueError: x" in str((sink.only.body, sink.only.attributes.get("exception.stacktrace")))


def test_uvicorn_access_line(sink: Sink, handler: LogspanHandler) -> None:
    """The access line of uvicorn has a readable body and conventional attributes, without the query."""
    logger = logging.getLogger("uvicorn.access")
    record = logger.makeRecord(
        logger.name, 20, "f.py", 1, '%s - "%s %s HTTP/%s" %d', ("::1:5000", "GET", "/a?token=b", "1.1", 200), None
    )
    handler.handle(record)
    assert sink.only.body == '::1:5000 - "GET /a?token=b HTTP/1.1" 200'
    assert {key: value for key, value in sink.only.attributes.items() if not key.startswith("code.")} == {
        "http.request.method": "GET",
        "url.path": "/a",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "client.address": "::1",
        "client.port": 5000,
    }


def test_gunicorn_access_line(sink: Sink, handler: LogspanHandler) -> None:
    """The access line of gunicorn has conventional attributes, and none of its atoms (headers among them) leaks."""
    logger = logging.getLogger("gunicorn.access")
    atoms = {"h": "10.0.0.9", "m": "POST", "U": "/pay", "q": "token=b", "s": "201", "{authorization}i": "secret"}
    handler.handle(logger.makeRecord(logger.name, 20, "f.py", 1, "%(h)s %(m)s %(U)s %(s)s", (atoms,), None))
    assert sink.only.body == "10.0.0.9 POST /pay 201"
    assert {key: value for key, value in sink.only.attributes.items() if not key.startswith("code.")} == {
        "http.request.method": "POST",
        "url.path": "/pay",
        "http.response.status_code": 201,
        "client.address": "10.0.0.9",
    }


@pytest.mark.parametrize(
    "name", ["urllib3.connectionpool", "requests", "httpx", "httpcore.http11", "grpc._channel", "opentelemetry.sdk.x"]
)
def test_suppressed_clients_are_not_heard(sink: Sink, handler: LogspanHandler, name: str) -> None:
    """HTTP clients and OpenTelemetry are not recorded while an exporter is at work, and are at other times."""
    record = logging.getLogger(name).makeRecord(name, 30, "f.py", 1, "m", (), None)
    with suppress_instrumentation():
        handler.handle(record)
    assert sink.records == []
    handler.handle(record)
    assert sink.bodies == ["m"]


def test_others_are_heard_while_suppressed(sink: Sink, logger: logging.Logger) -> None:
    """The application's own records are taken wherever they are made."""
    with suppress_instrumentation():
        logger.info("m")
    assert sink.bodies == ["m"]


def test_close_stops_nothing(sink: Sink, logger: logging.Logger, handler: LogspanHandler) -> None:
    """`close()` and `flush()`, which `dictConfig` and `logging.shutdown` call, change nothing."""
    handler.flush()
    handler.close()
    logger.info("after")
    assert sink.bodies == ["after"]


def test_filters_are_respected(sink: Sink, logger: logging.Logger, handler: LogspanHandler) -> None:
    """Filters that somebody put on the handler decide and may change the record."""

    def only_first(record: logging.LogRecord) -> bool:
        record.seen = True
        return record.msg == "first"

    handler.addFilter(only_first)
    logger.info("first")
    logger.info("second")
    assert sink.only.attributes["seen"] is True


def test_nothing_installed(capsys: pytest.CaptureFixture[str]) -> None:
    """With no pipeline installed the handler does nothing."""
    LogspanHandler(Routing()).handle(logging.makeLogRecord({"msg": "m"}))
    assert capsys.readouterr() == ("", "")


def test_handles_without_the_lock(sink: Sink, logger: logging.Logger, handler: LogspanHandler) -> None:
    """A thread that holds the handler's lock holds nobody up, and the lock is there for who wants it."""
    done = threading.Event()

    def log() -> None:
        logger.info("m")
        done.set()

    handler.acquire()
    try:
        threading.Thread(target=log).start()
        assert done.wait(10)
    finally:
        handler.release()
    assert sink.bodies == ["m"]
