"""The one class that captures a record.

`Record` is the OTel SDK's read-write record and its inner log record in a single object, so that `Logger.emit()` takes
it as it is, `BatchLogRecordProcessor` queues it without a copy, and any exporter finds the fields where it expects
them. Values are cleaned once, at the call; nothing after it has to guard against them.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from time import time_ns
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordLimits, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags, get_current_span
from opentelemetry.util.types import AnyValue

from logspan.values import MAX_TEXT, clean_attributes, clean_value, cut_text, safe_str, type_name

_NO_LIMITS = LogRecordLimits(
    max_attributes=LogRecordLimits.UNSET,
    max_attribute_length=LogRecordLimits.UNSET,
    max_log_record_attributes=LogRecordLimits.UNSET,
    max_log_record_attribute_length=LogRecordLimits.UNSET,
)


class Record(LogRecord, ReadWriteLogRecord):
    """One OTel log record: https://opentelemetry.io/docs/specs/otel/logs/data-model/.

    `timestamp` and `observed_timestamp` are in nanoseconds since the epoch. Trace id, span id and flags are taken from
    the current OTel context unless a `span_context` is given. `attributes` may hold any Python values. The resource is
    put on by the pipeline.
    """

    __slots__ = (
        "attributes",
        "body",
        "dropped",
        "event_name",
        "exception",
        "instrumentation_scope",
        "limits",
        "observed_timestamp",
        "resource",
        "severity_number",
        "severity_text",
        "span_id",
        "timestamp",
        "trace_flags",
        "trace_id",
        "weight",
    )

    def __init__(
        self,
        scope: InstrumentationScope | None,
        severity_number: SeverityNumber,
        severity_text: str,
        body: Any,
        attributes: Mapping[Any, Any],
        *,
        timestamp: int | None = None,
        event_name: str | None = None,
        span_context: SpanContext | None = None,
    ) -> None:
        now = time_ns()
        current = span_context or get_current_span().get_span_context()
        self.timestamp = timestamp or now
        self.observed_timestamp = now
        self.trace_id = current.trace_id
        self.span_id = current.span_id
        self.trace_flags: TraceFlags = current.trace_flags
        self.severity_number: SeverityNumber = severity_number
        self.severity_text: str = severity_text
        self.body: AnyValue = clean_value(body)
        self.attributes: dict[str, AnyValue] = clean_attributes(attributes)
        self.event_name = event_name
        self.exception = None
        self.instrumentation_scope = scope
        self.resource: Resource | None = None
        self.limits: LogRecordLimits = _NO_LIMITS
        self.dropped = 0
        self.weight = 0

    @property
    def log_record(self) -> Record:  # type: ignore[override]
        """The inner record of the SDK's pair: this object itself."""
        return self

    @property
    def dropped_attributes(self) -> int:
        """How many attributes were left out: `dropped_attributes_count` of the data model."""
        return self.dropped

    @property
    def context(self) -> Context:
        """Empty: a context holds whatever the application put there, and must not wait in a queue."""
        return Context()

    @context.setter
    def context(self, value: Context | None) -> None:
        """The batch processor puts an empty context on each record; there is nothing to keep."""

    def __copy__(self) -> Record:
        """The batch processor copies in order to drop the context; this record has none."""
        return self

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def add(self, attributes: Mapping[str, AnyValue]) -> None:
        """Add clean attributes; what the record has already is kept."""
        own = self.attributes
        for key, value in attributes.items():
            if key not in own:
                own[key] = value

    @classmethod
    def from_sdk(cls, source: ReadWriteLogRecord) -> Record:
        """A record that somebody emitted through the OTel API, cleaned like our own."""
        inner = source.log_record
        flags = TraceFlags(_within(inner.trace_flags, 8))
        record = cls(
            source.instrumentation_scope,
            _known_severity(inner.severity_number),
            safe_str(inner.severity_text) if inner.severity_text is not None else "",
            inner.body,
            inner.attributes if inner.attributes is not None else {},
            timestamp=_within(inner.timestamp, 64) or _within(inner.observed_timestamp, 64),
            event_name=safe_str(inner.event_name) if inner.event_name is not None else None,
            span_context=SpanContext(
                _within(inner.trace_id, 128), _within(inner.span_id, 64), is_remote=False, trace_flags=flags
            ),
        )
        record.observed_timestamp = _within(inner.observed_timestamp, 64) or record.observed_timestamp
        record.dropped = source.dropped_attributes
        return record


class LateRecord(Record):
    """A record that may have been made later than others that tell of a later time."""

    __slots__ = ()


def _within(number: object, bits: int) -> int:
    """A number of the wire format as it is, or 0 (not set) for what could not be written there."""
    return number if isinstance(number, int) and 0 <= number < 1 << bits else 0


def _known_severity(number: object) -> SeverityNumber:
    try:
        return SeverityNumber(number)
    except ValueError:
        return SeverityNumber.UNSPECIFIED


_STANDARD = {
    10: (SeverityNumber.DEBUG, "DEBUG"),
    20: (SeverityNumber.INFO, "INFO"),
    30: (SeverityNumber.WARN, "WARN"),
    40: (SeverityNumber.ERROR, "ERROR"),
    50: (SeverityNumber.FATAL, "FATAL"),
}
_OTEL_NAMES = {"WARNING": "WARN", "CRITICAL": "FATAL"}


def severity(level: int, name: str = "") -> tuple[SeverityNumber, str]:
    """A `logging` level as an OTel severity: its number, and the text (`WARN`, `FATAL`; a level's own name is kept).

    Levels between two standard ones get the numbers between: 25 is INFO4, 5 is TRACE.
    """
    if level in _STANDARD and name in ("", _STANDARD[level][1]):
        return _STANDARD[level]
    number = severity_number(level)
    return number, _OTEL_NAMES.get(name, name) or number.name


def severity_number(level: int) -> SeverityNumber:
    """The OTel severity number (1 to 24) of a `logging` level; four numbers for each ten levels."""
    if level <= 0:
        return SeverityNumber.UNSPECIFIED
    if level < 10:
        return SeverityNumber.TRACE
    return SeverityNumber(min(level // 10 * 4 + 1 + min(level % 10, 3), 24))


def severity_named(name: str) -> SeverityNumber:
    """The severity of a level's name, `logging`'s or OTel's: `WARNING` and `WARN`, `CRITICAL` and `FATAL`, `TRACE`."""
    return SeverityNumber[_OTEL_NAMES.get(name.upper(), name.upper())]


def exception_attributes(error: BaseException) -> dict[str, AnyValue]:
    """`exception.type` (qualified), `.message` and `.stacktrace` (with causes and notes), by the semantic conventions.

    Formatted at once: frameworks clear the traceback of an exception that they have handled.
    """
    kind = type(error)
    qualified = kind.__qualname__ if kind.__module__ in ("builtins", "") else f"{kind.__module__}.{kind.__qualname__}"
    return {
        "exception.type": qualified,
        "exception.message": cut_text(safe_str(error), MAX_TEXT),
        "exception.stacktrace": _stacktrace(error),
    }


def _stacktrace(error: BaseException) -> str:
    try:
        return cut_text("".join(traceback.format_exception(error)), MAX_TEXT)
    except Exception as failure:  # a __str__ or a note that raises
        frames = "".join(traceback.format_tb(error.__traceback__))
        text = f"Traceback (most recent call last):\n{frames}{type_name(error)}: <unprintable: {type_name(failure)}>"
        return cut_text(text, MAX_TEXT)
