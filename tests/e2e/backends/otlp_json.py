"""Read the OTLP JSON lines that the Collector's file exporter writes, as plain flat dictionaries.

A record in OTLP JSON sits three lists deep and its values are wrapped in type names; a test wants to say
`record["attributes"]["order_id"] == 42`. The reader stands on its own, so that it cannot share a mistake with the
encoders that are under test.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

Json: TypeAlias = dict[str, Any]
Value: TypeAlias = Any
"""An attribute's or a body's value: None, bool, int, float, str, bytes, or lists and dictionaries of these."""


class Scope(TypedDict):
    """The instrumentation scope of a record or span."""

    name: str
    version: str
    attributes: dict[str, Value]


class LogRecord(TypedDict):
    """One log record. Times are in ns since the epoch, ids in hex; what was not set is "", 0 or None (body)."""

    body: Value
    attributes: dict[str, Value]
    severity_number: int
    severity_text: str
    trace_id: str
    span_id: str
    flags: int
    event_name: str
    time: int
    observed_time: int
    dropped_attributes_count: int
    resource: dict[str, Value]
    scope: Scope


class Span(TypedDict):
    """One span. Times are in ns since the epoch, ids in hex; status is 0 unset, 1 ok, 2 error."""

    name: str
    kind: int
    attributes: dict[str, Value]
    trace_id: str
    span_id: str
    parent_span_id: str
    start_time: int
    end_time: int
    status_code: int
    status_message: str
    events: list[Json]
    resource: dict[str, Value]
    scope: Scope


class Metric(TypedDict):
    """One metric with its points as they are in the JSON; `kind` is gauge, sum, histogram or another OTLP name."""

    name: str
    unit: str
    kind: str
    points: list[Json]
    resource: dict[str, Value]
    scope: Scope


def log_records(file: Path) -> list[LogRecord]:
    """Every log record in a file and its rotated predecessors, oldest first."""
    groups = _groups(file, "resourceLogs", "scopeLogs", "logRecords")
    return [_log_record(item, resource, scope) for item, resource, scope in groups]


def spans(file: Path) -> list[Span]:
    """Every span in a file and its rotated predecessors, oldest first."""
    return [
        _span(item, resource, scope) for item, resource, scope in _groups(file, "resourceSpans", "scopeSpans", "spans")
    ]


def metrics(file: Path) -> list[Metric]:
    """Every metric in a file and its rotated predecessors, oldest first."""
    groups = _groups(file, "resourceMetrics", "scopeMetrics", "metrics")
    return [_metric(item, resource, scope) for item, resource, scope in groups]


def value(wrapped: Json) -> Value:
    """Unwrap one OTLP JSON value: `{"intValue": "42"}` is 42."""
    for kind, content in wrapped.items():
        if kind == "intValue":
            return int(content)
        if kind == "doubleValue":
            return float(content)
        if kind == "bytesValue":
            return base64.b64decode(content)
        if kind == "arrayValue":
            return [value(item) for item in content.get("values", [])]
        if kind == "kvlistValue":
            return attributes(content.get("values", []))
        return content
    return None


def attributes(pairs: list[Json]) -> dict[str, Value]:
    """Unwrap a list of keys and values."""
    return {pair["key"]: value(pair.get("value", {})) for pair in pairs}


def _log_record(item: Json, resource: dict[str, Value], scope: Scope) -> LogRecord:
    return {
        "body": value(item.get("body", {})),
        "attributes": attributes(item.get("attributes", [])),
        "severity_number": int(item.get("severityNumber", 0)),
        "severity_text": item.get("severityText", ""),
        "trace_id": item.get("traceId", ""),
        "span_id": item.get("spanId", ""),
        "flags": int(item.get("flags", 0)),
        "event_name": item.get("eventName", ""),
        "time": int(item.get("timeUnixNano", 0)),
        "observed_time": int(item.get("observedTimeUnixNano", 0)),
        "dropped_attributes_count": int(item.get("droppedAttributesCount", 0)),
        "resource": resource,
        "scope": scope,
    }


def _span(item: Json, resource: dict[str, Value], scope: Scope) -> Span:
    status = item.get("status", {})
    return {
        "name": item.get("name", ""),
        "kind": int(item.get("kind", 0)),
        "attributes": attributes(item.get("attributes", [])),
        "trace_id": item.get("traceId", ""),
        "span_id": item.get("spanId", ""),
        "parent_span_id": item.get("parentSpanId", ""),
        "start_time": int(item.get("startTimeUnixNano", 0)),
        "end_time": int(item.get("endTimeUnixNano", 0)),
        "status_code": int(status.get("code", 0)),
        "status_message": status.get("message", ""),
        "events": [_event(event) for event in item.get("events", [])],
        "resource": resource,
        "scope": scope,
    }


def _event(event: Json) -> Json:
    return {
        "name": event.get("name", ""),
        "time": int(event.get("timeUnixNano", 0)),
        "attributes": attributes(event.get("attributes", [])),
    }


def _metric(item: Json, resource: dict[str, Value], scope: Scope) -> Metric:
    kinds = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
    kind = next((kind for kind in kinds if kind in item), "")
    return {
        "name": item.get("name", ""),
        "unit": item.get("unit", ""),
        "kind": kind,
        "points": item.get(kind, {}).get("dataPoints", []),
        "resource": resource,
        "scope": scope,
    }


def _groups(file: Path, by_resource: str, by_scope: str, items: str) -> Iterator[tuple[Json, dict[str, Value], Scope]]:
    """Walk all three levels; yield each item with its resource and its scope."""
    for document in _documents(file, by_resource):
        for per_resource in document.get(by_resource, []):
            resource = attributes(per_resource.get("resource", {}).get("attributes", []))
            for per_scope in per_resource.get(by_scope, []):
                scope = _scope(per_scope.get("scope", {}))
                for item in per_scope.get(items, []):
                    yield item, resource, scope


def _scope(said: Json) -> Scope:
    return {
        "name": said.get("name", ""),
        "version": said.get("version", ""),
        "attributes": attributes(said.get("attributes", [])),
    }


def _documents(file: Path, key: str) -> Iterator[Json]:
    """The JSON documents of a file and of those it was rotated into (whose names sort by time, and before its own)."""
    for part in sorted(file.parent.glob(f"{file.stem}*{file.suffix}")):
        for line in part.read_text(encoding="utf-8").splitlines():
            yield from _parse(line, '{"' + key + '"')


def _parse(line: str, start: str) -> Iterator[Json]:
    """Yield the whole documents of a line.

    Usually there is one. A Collector that was killed while it wrote leaves a torn document, and the next one follows it
    on the same line: what is torn was never acknowledged, so it is left out.
    """
    decoder = json.JSONDecoder()
    at = line.find(start)
    while at >= 0:
        try:
            document, at = decoder.raw_decode(line, at)
        except json.JSONDecodeError:
            at += 1
        else:
            yield document
        at = line.find(start, at)
