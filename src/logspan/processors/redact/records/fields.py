"""Mappings that hold a name and a value: `{"name": "password", "value": "..."}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opentelemetry.util.types import AnyValue

_NAMES = frozenset(
    {
        *("name", "key", "field", "header", "param", "parameter", "variable", "property", "attribute", "column", "k"),
        *("id", "loc", "path"),
    }
)
VALUES = frozenset(
    {
        *("value", "val", "v", "content", "data", "old", "new", "before", "after", "old_value", "new_value"),
        *("oldvalue", "newvalue", "input"),
    }
)
"""Keys of names, and of values."""


_OF_COOKIE = frozenset(
    {
        *("name", "value", "path", "domain", "expires", "expirationdate", "max-age", "maxage", "httponly", "secure"),
        *("samesite", "hostonly", "session", "size", "priority", "partitioned", "sameparty", "sourcescheme"),
        "sourceport",
    }
)
"""What browsers and their tools say of a cookie (RFC 6265, HAR, WebDriver)."""


def is_cookie(item: AnyValue) -> bool:
    """Whether it is a mapping of one cookie's name, its value, and what is said of cookies."""
    if not isinstance(item, dict) or not _OF_COOKIE.issuperset(map(str.lower, item)):
        return False
    return all(isinstance(item.get(field), str) and item[field] for field in ("name", "value"))


def names_in(mapping: Mapping[str, AnyValue]) -> Iterator[str]:
    """The names in a mapping; of an error of pydantic's, the last part of its `loc`."""
    for key, value in mapping.items():
        named = _last_text(value) if key == "loc" and isinstance(value, list) else value
        if isinstance(named, str) and len(named) <= 100 and key.lower() in _NAMES:
            yield named


def _last_text(parts: list[AnyValue]) -> str:
    return next((part for part in reversed(parts) if isinstance(part, str)), "")
