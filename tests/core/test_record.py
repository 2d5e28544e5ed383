"""The record: what it captures, severities, exceptions, and what comes through the plain OTel API (R1.1, R1.4)."""

from __future__ import annotations

import copy
import logging
import types
from collections.abc import Sequence
from typing import Any, NoReturn, cast

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from logspan.record import Record, exception_attributes, severity, severity_named, severity_number
from logspan.values import MAX_TEXT
from tests.core.support import SCOPE, record

SPAN = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(1))


def ids(made: Record) -> tuple[int, int, int]:
    """Trace id, span id, flags."""
    return made.trace_id, made.span_id, made.trace_flags


def test_ids_come_from_the_current_span() -> None:
    """A record belongs to the span in which it was made; outside of any, to none."""
    with use_span(NonRecordingSpan(SPAN)):
        inside = record()
    assert ids(inside) == (SPAN.trace_id, SPAN.span_id, 1)
    assert ids(record()) == (0, 0, 0)


def test_a_given_span_context_wins() -> None:
    """A source that knows better, as for a request that has ended, says so."""
    made = Record(SCOPE, *severity(20), "x", {}, span_context=SPAN)
    assert ids(made) == (SPAN.trace_id, SPAN.span_id, 1)


def test_a_given_timestamp_is_kept_and_observed_is_now() -> None:
    """`timestamp` is when it happened, `observed_timestamp` when we saw it."""
    made = Record(SCOPE, *severity(20), "x", {}, timestamp=5)
    assert made.timestamp == 5
    assert made.observed_timestamp > 10**18


def test_two_equal_records_are_two() -> None:
    """Records are compared by identity, and can stand in sets."""
    one, other = record(), record()
    assert one != other
    assert len({one, other, one}) == 2


def test_it_is_its_own_log_record_and_copy() -> None:
    """The SDK's batch processor takes it apart and copies it; both give the record itself, without a context."""
    made = record()
    assert made.log_record is made
    assert copy.copy(made) is made
    made.context = Context({"secret": "x"})
    assert made.context == {}


def test_the_stock_encoder_reads_it() -> None:
    """Any exporter of the SDK finds the fields where it expects them."""
    made = Record(SCOPE, *severity(40), {"a": [1]}, {"k": 2}, event_name="e", span_context=SPAN)
    made.resource = Resource({"service.name": "s"})
    made.dropped = 3
    request = encode_logs(cast("Sequence[ReadableLogRecord]", [made]))
    log = request.resource_logs[0].scope_logs[0].log_records[0]
    assert (log.severity_number, log.severity_text, log.event_name) == (17, "ERROR", "e")
    assert log.dropped_attributes_count == 3
    assert log.trace_id.hex() == f"{SPAN.trace_id:032x}"
    assert request.resource_logs[0].scope_logs[0].scope.name == "app"


# ---------------------------------------------------------------------------------- severities


@pytest.mark.parametrize(
    ("level", "name", "expected"),
    [
        (logging.DEBUG, "DEBUG", (5, "DEBUG")),
        (logging.INFO, "INFO", (9, "INFO")),
        (logging.WARNING, "WARNING", (13, "WARN")),
        (logging.ERROR, "ERROR", (17, "ERROR")),
        (logging.CRITICAL, "CRITICAL", (21, "FATAL")),
        (logging.INFO, "", (9, "INFO")),
        (25, "NOTICE", (12, "NOTICE")),
        (25, "", (12, "INFO4")),
        (11, "", (6, "DEBUG2")),
        (5, "TRACE", (1, "TRACE")),
        (1, "", (1, "TRACE")),
        (0, "", (0, "UNSPECIFIED")),
        (-5, "", (0, "UNSPECIFIED")),
        (60, "", (24, "FATAL4")),
        (10**9, "LOUD", (24, "LOUD")),
    ],
)
def test_levels_become_severities(level: int, name: str, expected: tuple[int, str]) -> None:
    """`logging`'s levels by the data model's table; those between get the numbers between, a level's own name stays."""
    number, text = severity(level, name)
    assert (number.value, text) == expected


def test_severities_never_fall_as_levels_rise() -> None:
    """So a filter by severity keeps what a filter by level would."""
    numbers = [severity_number(level).value for level in range(-10, 120)]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("name", "number"), [("info", 9), ("WARNING", 13), ("warn", 13), ("Critical", 21), ("FATAL", 21), ("trace", 1)]
)
def test_severities_are_found_by_either_name(name: str, number: int) -> None:
    """`logging`'s names and OTel's, in any case."""
    assert severity_named(name).value == number


# ---------------------------------------------------------------------------------- exceptions


class AppError(Exception):
    """One of an application."""


class UnprintableError(Exception):
    """One that cannot be printed in any way."""

    def __str__(self) -> NoReturn:
        raise UnprintableError

    __repr__ = __str__


def caught(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """The same with a traceback."""
    try:
        raise error from cause
    except BaseException as raised:
        return raised


def test_an_exception_is_named_in_full() -> None:
    """`exception.type` is qualified, but for builtins; nested classes included."""
    assert exception_attributes(ValueError("x"))["exception.type"] == "ValueError"
    assert exception_attributes(AppError("x"))["exception.type"] == f"{__name__}.AppError"

    class LocalError(Exception):
        pass

    assert str(exception_attributes(LocalError())["exception.type"]).endswith("named_in_full.<locals>.LocalError")


def test_message_causes_and_notes_are_told() -> None:
    """The message is `str(exc)`; the stack trace has frames, causes and notes, as Python prints them."""
    error = caught(AppError("outer"), caught(KeyError("inner")))
    error.add_note("a note")
    attributes = exception_attributes(error)
    assert attributes["exception.message"] == "outer"
    trace = str(attributes["exception.stacktrace"])
    assert trace.startswith("Traceback (most recent call last):")
    for part in ("KeyError: 'inner'", "direct cause", "AppError: outer", "a note", "in caught"):
        assert part in trace


def test_groups_are_told_with_their_members() -> None:
    """An ExceptionGroup shows each member."""
    trace = str(
        exception_attributes(ExceptionGroup("many", [ValueError("one"), AppError("two")]))["exception.stacktrace"]
    )
    assert "many (2 sub-exceptions)" in trace
    assert "ValueError: one" in trace
    assert "AppError: two" in trace


def long_chain(length: int) -> BaseException:
    """Causes of causes of causes."""
    error: BaseException = ValueError("first")
    for number in range(length):
        error = caught(ValueError(number), error)
    return error


def circle() -> BaseException:
    """Two that are each other's cause."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def bad_notes() -> BaseException:
    """Notes that are none."""
    error = ValueError("x")
    error.__notes__ = UnprintableError()  # type: ignore[assignment]
    return error


class BadModuleError(Exception):
    __module__ = None  # type: ignore[assignment]


def deep_recursion() -> BaseException:
    """A traceback of a thousand frames."""

    def fall() -> None:
        fall()

    try:
        fall()
    except RecursionError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        UnprintableError(),
        caught(UnprintableError(), UnprintableError()),
        caught(ValueError(UnprintableError())),
        long_chain(2_000),
        circle(),
        bad_notes(),
        BadModuleError(),
        deep_recursion(),
        ExceptionGroup("g", [UnprintableError(), ValueError()]),
        KeyboardInterrupt(),
        SystemExit(UnprintableError()),
        ValueError("x" * 1_000_000),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"),
        SyntaxError("bad", ("file", None, None, None)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_exception_is_too_strange_to_be_told(error: BaseException) -> None:
    """Never raises; three texts of bounded length, whatever the exception's own methods do."""
    attributes = exception_attributes(error)
    assert set(attributes) == {"exception.type", "exception.message", "exception.stacktrace"}
    assert all(type(value) is str and len(value) <= MAX_TEXT + 10 for value in attributes.values())
    assert type(error).__name__ in str(attributes["exception.type"])


def test_an_exception_that_cannot_be_printed_still_shows_where() -> None:
    """The frames are worth more than the message."""
    trace = str(exception_attributes(caught(UnprintableError()))["exception.stacktrace"])
    assert "in caught" in trace
    assert "UnprintableError" in trace


# ---------------------------------------------------------------------------------- the plain API


def sdk_record(**fields: Any) -> ReadWriteLogRecord:
    """A record as the SDK makes it of what an application emits; fields as they come."""
    inner = LogRecord(body="x")
    for name, value in fields.items():
        setattr(inner, name, value)
    return ReadWriteLogRecord(inner, Resource({}), SCOPE)


def test_a_record_of_the_api_is_read_in_full() -> None:
    """What an application says through the OTel API arrives as it was said."""
    made = Record.from_sdk(
        sdk_record(
            timestamp=5,
            observed_timestamp=6,
            severity_number=SeverityNumber.WARN,
            severity_text="warn!",
            body={"a": (1,)},
            attributes={"k": [1]},
            event_name="e",
            trace_id=SPAN.trace_id,
            span_id=SPAN.span_id,
            trace_flags=TraceFlags(1),
        )
    )
    assert (made.timestamp, made.observed_timestamp, made.event_name) == (5, 6, "e")
    assert (made.severity_number, made.severity_text) == (SeverityNumber.WARN, "warn!")
    assert made.body == {"a": [1]}
    assert made.attributes == {"k": [1]}
    assert ids(made) == (SPAN.trace_id, SPAN.span_id, 1)
    assert made.instrumentation_scope is SCOPE


def test_a_record_of_the_api_outside_of_a_span_stays_outside() -> None:
    """Converted inside of another span, it does not get that span's ids."""
    source = sdk_record(trace_id=0, span_id=0)
    with use_span(NonRecordingSpan(SPAN)):
        assert ids(Record.from_sdk(source)) == (0, 0, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "yesterday", "observed_timestamp": -1},
        {"timestamp": 2**64},
        {"severity_number": 9, "severity_text": 5},
        {"severity_number": 99},
        {"severity_number": []},
        {"event_name": 5},
        {"trace_id": "abc", "span_id": -1, "trace_flags": "01"},
        {"trace_id": 2**128, "span_id": 2**64, "trace_flags": 256},
        {"attributes": None, "body": object()},
    ],
    ids="-".join,
)
def test_a_record_of_the_api_with_wrong_fields_is_put_right(fields: dict[str, Any]) -> None:
    """Nothing in it can stop it, or its neighbours, later on."""
    made = Record.from_sdk(sdk_record(**fields))
    made.resource = Resource({})
    encode_logs(cast("Sequence[ReadableLogRecord]", [made]))
    assert type(made.severity_text) is str
    assert made.event_name is None or type(made.event_name) is str
    if fields.get("severity_number") == 9:
        assert made.severity_number is SeverityNumber.INFO


def test_hostile_attributes_do_not_stop_a_record() -> None:
    """A mapping that raises, or is none, costs the attributes only."""
    hostile: list[Any] = [types.SimpleNamespace(), [], 5]
    for attributes in hostile:
        made = Record(SCOPE, *severity(20), "x", attributes)
        assert made.body == "x"
        assert made.attributes == {"logspan.capture.error": "AttributeError"}
