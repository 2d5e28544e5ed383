"""From the bytes of a frame back to records, for exporters that take records and not bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import TraceFlags

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope as WireScope
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as WireRecord


class StoredLogRecord(LogRecord):
    """The SDK's record with all that the wire format says of it; `dropped` is its `dropped_attributes_count`."""

    dropped = 0


class StoredReadableLogRecord(ReadableLogRecord):
    """What an exporter is given; knows how many attributes were left out before it was stored."""

    @property
    def dropped_attributes(self) -> int:
        """Attributes that were left out when the record was made."""
        return self.log_record.dropped if isinstance(self.log_record, StoredLogRecord) else 0


def decode_logs_request(payload: bytes) -> list[ReadableLogRecord]:
    """The records of a serialised `ExportLogsServiceRequest`, in order. Raises `ValueError` when it is none."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    try:
        request.ParseFromString(payload)
    except DecodeError as error:
        raise ValueError(f"not an ExportLogsServiceRequest: {error}") from None
    found: list[ReadableLogRecord] = []
    for group in request.resource_logs:
        resource = Resource(_attributes(group.resource.attributes), group.schema_url)
        for inner in group.scope_logs:
            scope = _scope(inner.scope, inner.schema_url) if inner.HasField("scope") else None
            found.extend(StoredReadableLogRecord(_record(wire), resource, scope) for wire in inner.log_records)
    return found


def _scope(wire: WireScope, schema_url: str) -> InstrumentationScope:
    return InstrumentationScope(wire.name, wire.version or None, schema_url or None, _attributes(wire.attributes))


def _record(wire: WireRecord) -> StoredLogRecord:
    record = StoredLogRecord(
        timestamp=wire.time_unix_nano or None,
        observed_timestamp=wire.observed_time_unix_nano,
        context=Context(),
        severity_text=wire.severity_text or None,
        severity_number=_severity(wire.severity_number),
        body=_value(wire.body),
        attributes=_attributes(wire.attributes),
        event_name=wire.event_name or None,
    )
    # not by the constructor: it takes the current span's for what is not set
    record.trace_id = int.from_bytes(wire.trace_id, "big")
    record.span_id = int.from_bytes(wire.span_id, "big")
    record.trace_flags = TraceFlags(wire.flags)
    record.dropped = wire.dropped_attributes_count
    return record


def _severity(number: int) -> SeverityNumber | None:
    try:
        return SeverityNumber(number) if number else None
    except ValueError:
        return None


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(wire: AnyValue) -> Any:
    kind = wire.WhichOneof("value")
    if kind == "kvlist_value":
        return _attributes(wire.kvlist_value.values)
    if kind == "array_value":
        return [_value(item) for item in wire.array_value.values]
    return getattr(wire, kind) if kind is not None else None
