"""What an enricher is given: the record, to read, and what is known of where it was made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.util.types import AnyValue

from logspan.binding import bound
from logspan.context import RequestInfo, current_request
from logspan.record import Record


class RecordView:
    """A record, to read: https://opentelemetry.io/docs/specs/otel/logs/data-model/. Of use during the call only."""

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record

    @property
    def body(self) -> AnyValue:
        """What was logged: as a rule a string."""
        return self._record.body

    @property
    def attributes(self) -> Mapping[str, AnyValue]:
        """The attributes so far: those of the call, those that were bound, and those of the enrichers before."""
        return MappingProxyType(self._record.attributes)

    @property
    def severity_number(self) -> int:
        """From 1 (TRACE) to 24 (FATAL4); ERROR is 17; 0: not known."""
        return self._record.severity_number.value

    @property
    def severity_text(self) -> str:
        """The level's name: `INFO`, `WARN`."""
        return self._record.severity_text

    @property
    def event_name(self) -> str | None:
        """The name of the event, for records that are one."""
        return self._record.event_name

    @property
    def scope(self) -> str:
        """The instrumentation scope's name: the logger's."""
        scope = self._record.instrumentation_scope
        return "" if scope is None else scope.name

    @property
    def timestamp(self) -> int:
        """When it happened, in nanoseconds since the epoch."""
        return self._record.timestamp or 0

    @property
    def trace_id(self) -> int:
        """The trace that it belongs to; 0: none."""
        return self._record.trace_id or 0

    @property
    def span_id(self) -> int:
        """The span that it belongs to; 0: none."""
        return self._record.span_id or 0


class EnrichContext:
    """Where a record is made. Each part is looked up when it is asked for, and costs nothing when it is not."""

    __slots__ = ()

    @property
    def bound(self) -> Mapping[str, AnyValue]:
        """What `bind` has put into this context, to read."""
        return bound()

    @property
    def request(self) -> RequestInfo | None:
        """The request that is being handled; None outside of one, and where no web framework is instrumented."""
        return current_request()

    @property
    def span_context(self) -> SpanContext:
        """The current span's ids and flags; `is_valid` is False when there is none."""
        return get_current_span().get_span_context()
