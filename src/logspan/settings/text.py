"""Values that are written as text: lists, mappings, tables. Raises ValueError, never with the text in its message."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from logspan.settings.schema import Kind


def parse(kind: Kind, text: str) -> Any:
    """The value of a variable; that of a scalar is left to the model."""
    text = text.strip()
    if kind == "list":
        return _json(text, list, "array") if text.startswith("[") and text.endswith("]") else items(text)
    if kind == "mapping":
        return _json(text, dict, "object") if text.startswith("{") else pairs(text)
    return _json(text, dict, "object") if kind == "section" else text


def items(text: str) -> list[str]:
    """`a, b` as a list; empty items are left out."""
    return [item.strip() for item in text.split(",") if item.strip()]


def pairs(text: str) -> dict[str, str]:
    """`a=1,b=2` as a mapping, percent-decoded, as `OTEL_RESOURCE_ATTRIBUTES` has it (W3C baggage, no properties).

    https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
    """
    found: dict[str, str] = {}
    for item in items(text):
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise ValueError("must be name=value pairs separated by commas (a comma in a value is written %2C)")
        found[unquote(name.strip())] = _decoded(value.strip())
    return found


def _decoded(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("has a percent-encoding that is not UTF-8") from None


def _json(text: str, kind: type, name: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        position = getattr(error, "pos", 0)
        reason = getattr(error, "msg", "not JSON")
        raise ValueError(f"must be a JSON {name}: {reason} at character {position + 1}") from None
    if not isinstance(value, kind):
        raise ValueError(f"must be a JSON {name}")  # noqa: TRY004 - the report shows ValueErrors
    return value
