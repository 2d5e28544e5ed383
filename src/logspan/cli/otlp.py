"""OTLP/JSON as the values that it stands for: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

_SIGNALS = ("resourceLogs", "resourceSpans", "resourceMetrics")
_SCALARS = ("stringValue", "boolValue", "intValue", "doubleValue")


def plain(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request with its attributes as mappings and its values as they are; any other document stays as it is."""
    return _plain(document) if any(signal in document for signal in _SIGNALS) else document


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        if value and all(isinstance(item, dict) and set(item) <= {"key", "value"} and "key" in item for item in value):
            return {str(item["key"]): _plain(item.get("value")) for item in value}
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((kind, inner),) = value.items()
        if kind in _SCALARS:
            return inner
        if kind in ("kvlistValue", "arrayValue") and isinstance(inner, dict):
            return _plain(inner.get("values", []))
        if kind == "bytesValue":
            return _bytes(inner)
    return {key: _plain(item) for key, item in value.items()}


def _bytes(text: Any) -> Any:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return text
