"""Any Python value as an OTel attribute value, as it was at the time of the call, without ever raising.

OTLP's `AnyValue` holds strings, booleans, 64-bit integers, doubles, bytes, arrays and maps with string keys
(opentelemetry-proto `common.proto`). Everything else gets the nearest of these; containers are copied, so what the
caller changes afterwards is not seen in the record.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from opentelemetry.util.types import AnyValue

MAX_TEXT = 131_072
"""Characters (or bytes) of one value that are captured; more is cut off at the call, before it is queued."""
MAX_DEPTH = 32
MAX_NODES = 4_096
CUT = "…[cut]"

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_TOKEN_END = 1_024
_PLAIN = frozenset({bool, float, type(None)})


def clean_value(value: Any) -> AnyValue:
    """One value; plain ones come back as they are."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= MAX_TEXT else cut_text(value, MAX_TEXT)
    if kind is int:
        return value if _INT_MIN <= value <= _INT_MAX else _big_int(value)
    if kind in _PLAIN:
        return value  # type: ignore[no-any-return]
    return _Cleaner().clean(value, 0)


def clean_attributes(attributes: Mapping[Any, Any]) -> dict[str, AnyValue]:
    """A new dict with string keys and clean values; of a mapping that cannot be read, what could be."""
    clean: dict[str, AnyValue] = {}
    try:
        for key, value in attributes.items():
            clean[key if type(key) is str else _key(key)] = clean_value(value)
    except Exception as error:  # a hostile mapping; what was read stays
        clean["logspan.capture.error"] = type(error).__name__
    return clean


def cut_text(text: str, limit: int) -> str:
    """At most `limit` characters and a mark, cut back to the last token boundary near the limit.

    Redaction looks for whole tokens: half a secret at the end of a cut would no longer be recognised.
    """
    if len(text) <= limit:
        return text
    start = max(limit - _TOKEN_END, 0)
    for position in range(limit, start, -1):
        if text[position].isspace():
            return text[:position] + CUT
    return text[:start] + CUT


def safe_str(value: object) -> str:
    """`str(value)` as an exact `str`, or a description when it raises."""
    try:
        text = str(value)
        return text if type(text) is str else str.__str__(text)
    except Exception as error:
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def _big_int(value: int) -> str:
    """Decimal where Python allows it (4,300 digits by default), else hexadecimal."""
    try:
        return cut_text(str(value), MAX_TEXT)
    except ValueError:
        return cut_text(hex(value), MAX_TEXT)


def _key(key: object) -> str:
    return cut_text(safe_str(key), 1_024)


class _Cleaner:
    """One nested value: keeps the path (for cycles) and the number of nodes (for sizes) of this walk."""

    __slots__ = ("_left", "_path")

    def __init__(self) -> None:
        self._left = MAX_NODES
        self._path: set[int] = set()

    def clean(self, value: Any, depth: int) -> AnyValue:
        kind = type(value)
        if kind is str or kind is int or kind in _PLAIN:
            return clean_value(value)
        try:
            return self._object(value, depth)
        except Exception as error:
            return f"<unreadable {kind.__name__}: {type(error).__name__}>"

    def _object(self, value: Any, depth: int) -> AnyValue:
        if isinstance(value, enum.Enum):
            return self.clean(value.value, depth + 1)
        if isinstance(value, str):
            return clean_value(str.__str__(value))
        if isinstance(value, bool | int | float):
            return clean_value(int(value) if isinstance(value, int) else float(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return _bytes(value)
        if isinstance(value, datetime.date | datetime.time):
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return value.total_seconds()
        if isinstance(value, BaseException):
            return cut_text(f"{type(value).__name__}: {safe_str(value)}", MAX_TEXT)
        return self._container(value, depth)

    def _container(self, value: Any, depth: int) -> AnyValue:
        items = _items(value)
        if items is None:
            return cut_text(safe_str(value), MAX_TEXT)
        if id(value) in self._path:
            return "<cycle>"
        if depth >= MAX_DEPTH:
            return CUT
        self._path.add(id(value))
        try:
            if isinstance(items, Mapping):
                return self._mapping(items, depth)
            return self._sequence(items, depth)
        finally:
            self._path.discard(id(value))

    def _mapping(self, items: Mapping[Any, Any], depth: int) -> AnyValue:
        clean: dict[str, AnyValue] = {}
        for key, value in list(items.items()):
            if self._spent():
                clean["…"] = CUT
                break
            clean[key if type(key) is str else _key(key)] = self.clean(value, depth + 1)
        return clean

    def _sequence(self, items: Any, depth: int) -> AnyValue:
        clean: list[AnyValue] = []
        for value in list(items):
            if self._spent():
                clean.append(CUT)
                break
            clean.append(self.clean(value, depth + 1))
        return clean

    def _spent(self) -> bool:
        self._left -= 1
        return self._left < 0


def _bytes(value: bytes | bytearray | memoryview) -> bytes:
    return bytes(value[:MAX_TEXT]) if len(value) > MAX_TEXT else bytes(value)


def _items(value: Any) -> Any:
    """The mapping or sequence inside a structured value, or None for one that is best read as text."""
    if isinstance(value, Mapping | list | tuple | AbstractSet):
        return value._asdict() if isinstance(value, tuple) and hasattr(value, "_asdict") else value
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.repr}
    if hasattr(type(value), "model_dump"):  # pydantic, without importing it
        return value.model_dump()
    if hasattr(type(value), "__attrs_attrs__"):
        return {field.name: getattr(value, field.name, None) for field in type(value).__attrs_attrs__ if field.repr}
    if type(value).__module__ == "collections" and hasattr(value, "__iter__"):  # deque
        return list(value)
    return None
