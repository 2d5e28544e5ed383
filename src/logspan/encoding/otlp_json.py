"""OTLP/JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.

Ids in hex, enums as numbers, 64-bit integers as strings, bytes in base64, keys in lowerCamelCase.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.encoding.groups import MAX_DEPTH, EncodedLines, encode_each, grouped, valid_text
from logspan.printable import escape_in_json
from logspan.values import CUT, safe_str

MAX_LINE_BYTES = 524_288
"""The Collector's file receivers cut a line at `max_log_size`, 1 MiB by default: half of it, to be well inside."""

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode

Json = dict[str, Any]
Piece = tuple[str, str, str]


def encode_logs_json(batch: Sequence[ReadableLogRecord], max_line_bytes: int = MAX_LINE_BYTES) -> EncodedLines:
    """A batch as lines of OTLP/JSON, each a complete request and at most `max_line_bytes` long; never raises.

    Only a single record that is longer by itself makes a longer line.
    """
    pieces, failed, error = encode_each(batch, _record, _resource, _scope)
    lines = tuple(_line(chunk) for chunk in _chunks(pieces, max_line_bytes))
    return EncodedLines(lines, len(pieces), failed, error)


def _chunks(pieces: Sequence[Piece], max_bytes: int) -> Iterator[list[Piece]]:
    """Runs of records whose request stays within the bound."""
    chunk: list[Piece] = []
    length = 0
    for piece in pieces:
        cost = len(piece[2].encode()) + 1
        if (
            not chunk or piece[:2] != chunk[-1][:2]
        ):  # counts a head again when two alternate: too much, never too little
            cost += _head_cost(piece)
        if chunk and length + cost > max_bytes:
            yield chunk
            chunk, length = [], 0
            cost = len(piece[2].encode()) + 1 + _head_cost(piece)
        chunk.append(piece)
        length += cost
    if chunk:
        yield chunk


def _head_cost(piece: Piece) -> int:
    return len(piece[0].encode()) + len(piece[1].encode()) + 80  # the braces and names around them


def _line(pieces: Sequence[Piece]) -> bytes:
    """A request that starts with its first record's time.

    The Collector's file receivers know a file by its first 1,000 bytes. Were these the resource, a new file after a
    rotation would pass for the old one, and would not be read.
    """
    resources = []
    for resource, scopes in grouped(pieces).items():
        inner = ",".join(f'{{"logRecords":[{",".join(records)}]{scope}}}' for scope, records in scopes.items())
        resources.append(f'{{"scopeLogs":[{inner}]{resource}}}')
    return f'{{"resourceLogs":[{",".join(resources)}]}}\n'.encode()


def _json(value: Json) -> str:
    return escape_in_json(_dumps(value))


def _members(value: Json) -> str:
    """The members of an object, to follow another member."""
    return "," + _json(value)[1:-1]


def _text(value: Any) -> str:
    text = value if type(value) is str else safe_str(value)
    return text if text.isascii() else valid_text(text)


def _value(value: Any, depth: int) -> Json:
    """An `AnyValue`; None is an empty one."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"stringValue": _text(value)}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return _int(int(value))
    if isinstance(value, float):
        return {"doubleValue": _double(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytesValue": base64.b64encode(value).decode()}
    return _container(value, depth)


def _container(value: Any, depth: int) -> Json:
    if isinstance(value, Mapping | list | tuple) and depth >= MAX_DEPTH:
        return {"stringValue": CUT}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": _key_values(value, depth + 1)}}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [_value(item, depth + 1) for item in value]}}
    return {"stringValue": _text(value)}


def _int(value: int) -> Json:
    if _INT_MIN <= value <= _INT_MAX:
        return {"intValue": str(value)}
    try:
        return {"stringValue": str(value)}
    except ValueError:  # more digits than Python converts
        return {"stringValue": hex(value)}


def _double(value: float) -> float | str:
    """JSON has no words for these three; the mapping of protobuf gives them names."""
    if math.isfinite(value):
        return float(value)
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _key_values(attributes: Mapping[Any, Any] | None, depth: int = 0) -> list[Json]:
    return [{"key": _text(key), "value": _value(value, depth)} for key, value in (attributes or {}).items()]


def _record(item: ReadableLogRecord) -> str:
    log = item.log_record
    fields: Json = {
        "timeUnixNano": _nanoseconds(log.timestamp),
        "observedTimeUnixNano": _nanoseconds(log.observed_timestamp),
        "severityNumber": log.severity_number.value if log.severity_number is not None else 0,
        "severityText": _text(log.severity_text or ""),
        "body": _value(log.body, 0),
        "attributes": _key_values(log.attributes),
        "droppedAttributesCount": item.dropped_attributes,
        "flags": int(log.trace_flags or 0),
        "traceId": log.trace_id.to_bytes(16, "big").hex() if log.trace_id else "",
        "spanId": log.span_id.to_bytes(8, "big").hex() if log.span_id else "",
        "eventName": _text(log.event_name or ""),
    }
    return _json({name: value for name, value in fields.items() if value or name == "body"})


def _nanoseconds(value: Any) -> str:
    return str(value) if type(value) is int and 0 < value < 2**64 else ""


def _resource(resource: Resource | None) -> str:
    if resource is None:
        return ""
    fields: Json = {"resource": {"attributes": _key_values(resource.attributes)}}
    if resource.schema_url:
        fields["schemaUrl"] = _text(resource.schema_url)
    return _members(fields)


def _scope(scope: InstrumentationScope | None) -> str:
    if scope is None:
        return ""
    inner: Json = {"name": _text(scope.name)}
    if scope.version:
        inner["version"] = _text(scope.version)
    if scope.attributes:
        inner["attributes"] = _key_values(scope.attributes)
    fields: Json = {"scope": inner}
    if scope.schema_url:
        fields["schemaUrl"] = _text(scope.schema_url)
    return _members(fields)
