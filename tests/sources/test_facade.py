"""`get_logger()`: keyword attributes, and nothing between it and the pipeline."""

import logging
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber

from logspan.sources.facade import StructuredLogger, get_logger
from tests.sources.conftest import Install, Sink


@pytest.fixture
def log(sink: Sink) -> StructuredLogger:
    """A logger straight into the sink."""
    return StructuredLogger("shop", sink.provider)


def _own(attributes: Any) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if not key.startswith("code.")}


@pytest.mark.parametrize(
    ("method", "number", "text"),
    [
        ("debug", SeverityNumber.DEBUG, "DEBUG"),
        ("info", SeverityNumber.INFO, "INFO"),
        ("warning", SeverityNumber.WARN, "WARN"),
        ("error", SeverityNumber.ERROR, "ERROR"),
        ("exception", SeverityNumber.ERROR, "ERROR"),
        ("critical", SeverityNumber.FATAL, "FATAL"),
    ],
)
def test_methods(sink: Sink, log: StructuredLogger, method: str, number: SeverityNumber, text: str) -> None:
    """R1.2: each method has its severity; keyword arguments are attributes."""
    getattr(log, method)("m", order_id=42)
    record = sink.only
    assert (record.body, record.severity_number, record.severity_text) == ("m", number, text)
    assert _own(record.attributes) == {"order_id": 42}
    assert sink.scopes() == ["shop"]


@pytest.mark.parametrize(
    ("level", "number", "text"),
    [
        (20, SeverityNumber.INFO, "INFO"),
        (22, SeverityNumber.INFO3, "INFO3"),
        ("trace", SeverityNumber.TRACE, "TRACE"),
        ("WARNING", SeverityNumber.WARN, "WARN"),
        ("fatal", SeverityNumber.FATAL, "FATAL"),
        ("unheard of", SeverityNumber.UNSPECIFIED, "UNHEARD OF"),
    ],
)
def test_log(sink: Sink, log: StructuredLogger, level: int | str, number: SeverityNumber, text: str) -> None:
    """`log` takes a number of `logging` or a name; a name that nobody knows is kept as the text."""
    log.log(level, "m")
    assert (sink.only.severity_number, sink.only.severity_text) == (number, text)


def test_any_attribute_name(sink: Sink, log: StructuredLogger) -> None:
    """Attributes may have the names of the methods' own parameters."""
    names = {"self": 1, "message": 2, "level": 3, "name": 4, "msg": 5, "args": 6, "extra": 7, "attributes": 8}
    log.log(20, "m", **names)
    assert _own(sink.only.attributes) == names


def test_bind(sink: Sink, log: StructuredLogger) -> None:
    """`bind` returns a logger with more attributes and leaves the first one as it was; a call's own win."""
    bound = log.bind(a=1, b=2)
    bound.info("m", b=3)
    log.info("n")
    assert [_own(record.attributes) for record in sink.records] == [{"a": 1, "b": 3}, {}]


def test_exceptions(sink: Sink, log: StructuredLogger) -> None:
    """`exception` takes the current exception, `exc_info` any."""
    try:
        raise ValueError("x")
    except ValueError as error:
        log.exception("one")
        kept = error
    log.info("two", exc_info=kept)
    assert [record.attributes["exception.type"] for record in sink.records] == ["ValueError", "ValueError"]


def test_event_name(sink: Sink, log: StructuredLogger) -> None:
    """`event_name` is the record's event name."""
    log.info("m", event_name="order.paid")
    assert sink.only.event_name == "order.paid"
    assert _own(sink.only.attributes) == {}


def test_code_location(sink: Sink, log: StructuredLogger) -> None:
    """The place is that of the call, with the qualified name; `stacklevel` moves it outwards."""

    def helper() -> None:
        log.info("m", stacklevel=2)

    log.info("m")
    helper()
    for record in sink.records:
        assert record.attributes["code.file.path"] == __file__
        assert record.attributes["code.function.name"] == f"{__name__}.test_code_location"


def test_percent_arguments(sink: Sink, log: StructuredLogger) -> None:
    """%-style arguments work, as people are used to; those that do not fit do not raise."""
    log.info("%s is %d", "x", 3)
    log.info("%d", "x")
    assert sink.bodies[0] == "x is 3"
    assert "logspan.format.error" in sink.records[1].attributes


def test_nothing_raises(sink: Sink, log: StructuredLogger, capsys: pytest.CaptureFixture[str]) -> None:
    """No call raises or prints, whatever it is given."""

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    log.info(Hostile(), a=Hostile())
    log.info("%s", Hostile())
    log.info("m", exc_info="nonsense", stacklevel="nonsense")
    assert len(sink.records) >= 2
    assert capsys.readouterr() == ("", "")


def test_module_name_by_default(routed: Sink) -> None:
    """Without a name a logger has that of the module that asks for it."""
    get_logger().info("m")
    assert routed.scopes() == [__name__]


def test_made_before_anything_is_installed(install: Install, sink: Sink) -> None:
    """A logger from import time follows what is installed later, and is not doubled by `logging`."""
    log = get_logger("shop")
    install()
    log.info("m")
    assert sink.bodies == ["m"]


def test_falls_back_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    """Before anything is installed a call goes to `logging`, with its attributes, exception and place."""
    log = get_logger("shop").bind(bound=1)
    try:
        raise ValueError("x")
    except ValueError:
        log.exception("m %s", "a", name="reserved", event_name="e")
    (record,) = caplog.records
    assert (record.getMessage(), record.name, record.levelno) == ("m a", "shop", logging.ERROR)
    extra = vars(record)
    assert (extra["bound"], extra["name_"], extra["otel.event.name"]) == (1, "reserved", "e")
    assert record.exc_info is not None
    assert (record.pathname, record.funcName) == (__file__, "test_falls_back_to_logging")


def test_is_enabled_for(log: StructuredLogger, sink: Sink) -> None:
    """`is_enabled_for` says what the provider says; before anything is installed, what `logging` says."""
    assert log.is_enabled_for("info")
    logging.getLogger("shop").setLevel(logging.ERROR)
    assert not get_logger("shop").is_enabled_for(logging.INFO)
    assert get_logger("shop").is_enabled_for("critical")
    logging.getLogger("shop").setLevel(logging.NOTSET)
