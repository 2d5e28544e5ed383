"""One JSON object a line, flat enough to be read by whatever collects a container's output.

`timestamp` (RFC 3339, UTC), `level`, `body`, `logger`, `trace_id`, `span_id`, `service.name`, `attributes`: the names
that log collectors look for. It is not OTLP; for records without a loss there is the file exporter.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.printable import escape_in_json
from logspan.values import CUT, safe_str

_MAX_DEPTH = 32
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode


def format_json(item: ReadableLogRecord) -> str:
    """The line of one record, with its line feed; what is unset is left out."""
    log = item.log_record
    fields = {
        "timestamp": rfc3339(log.timestamp or log.observed_timestamp or 0),
        "level": log.severity_text or (log.severity_number.name if log.severity_number else ""),
        "body": jsonable(log.body),
        "logger": item.instrumentation_scope.name if item.instrumentation_scope else "",
        "event_name": log.event_name,
        "trace_id": f"{log.trace_id:032x}" if log.trace_id else "",
        "span_id": f"{log.span_id:016x}" if log.span_id else "",
        "service.name": _service(item),
        "attributes": jsonable(log.attributes or {}),
    }
    return dump({name: value for name, value in fields.items() if value or name == "body"}) + "\n"


def _service(item: ReadableLogRecord) -> Any:
    resource: Any = item.resource  # None in a record that the SDK has not completed
    return "" if resource is None else jsonable(resource.attributes.get("service.name"))


def dump(value: Any) -> str:
    """Compact JSON of what `jsonable` made, without any control character."""
    return escape_in_json(_dumps(value))


def rfc3339(nanoseconds: int) -> str:
    """UTC with nanoseconds; "" for what is no time."""
    try:
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"
    except (ValueError, OverflowError, OSError, TypeError):
        return ""


def jsonable(value: Any, depth: int = 0) -> Any:
    """The value with what JSON has no words for as text: bytes in base64, NaN and the infinities by name."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping | list | tuple) and depth >= _MAX_DEPTH:
        return CUT
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else safe_str(key): jsonable(v, depth + 1) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item, depth + 1) for item in value]
    return safe_str(value)
