"""Any Python value as an OTel attribute value, as it was at the time of the call, without ever raising.

OTLP's `AnyValue` holds strings, booleans, 64-bit integers, doubles, bytes, arrays and maps with string keys
(opentelemetry-proto `common.proto`). Everything else gets the nearest of these; containers are copied, so what the
caller changes afterwards is not seen in the record.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import operator
from collections import UserList, deque
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from opentelemetry.util.types import AnyValue

MAX_TEXT = 131_072
"""Characters (or bytes) of one value that are captured; more is cut off at the call, before it is queued."""
MAX_KEY = 1_024
MAX_DEPTH = 32
MAX_NODES = 4_096
"""Values inside one nested value, and attributes of one record, that are captured."""
CUT = "…[cut]"

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_TOKEN_END = 1_024
_MAX_ARRAY = 32_768
_CONTAINERS = (list, tuple, Mapping, AbstractSet, deque, UserList)
_STRINGS = frozenset({str})


def clean_value(value: Any) -> AnyValue:
    """One value; plain ones come back as they are."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= MAX_TEXT else cut_text(value, MAX_TEXT)
    if kind is int:
        return value if _INT_MIN <= value <= _INT_MAX else _big_int(value)
    if value is None or kind is bool or kind is float:
        return value  # type: ignore[no-any-return]
    return _Cleaner().clean(value, 0)


def clean_attributes(attributes: Mapping[Any, Any]) -> dict[str, AnyValue]:
    """A new dict with string keys and clean values; of a mapping that cannot be read, what could be."""
    if type(attributes) is dict and _are_clean(copy := attributes.copy()):
        return copy
    clean: dict[str, AnyValue] = {}
    try:
        for key, value in islice(attributes.items(), MAX_NODES):
            clean[key if type(key) is str and 0 < len(key) <= MAX_KEY else _key(key)] = clean_value(value)
    except Exception as error:  # a hostile mapping; what was read stays
        clean["logspan.capture.error"] = type_name(error)
    if len(clean) >= MAX_NODES:
        clean["logspan.capture.error"] = "too many attributes"
    return clean


def _are_clean(attributes: dict[Any, Any]) -> bool:
    """Whether all are plain and short, as nearly all are: the keys are looked at without a step of Python for each."""
    if len(attributes) >= MAX_NODES or not _are_keys(attributes):
        return False
    for value in attributes.values():
        kind = type(value)
        if kind is str:
            if len(value) > MAX_TEXT:
                return False
        elif kind is int:
            if not _INT_MIN <= value <= _INT_MAX:
                return False
        elif kind is not float and kind is not bool and value is not None:
            return False
    return True


def _are_keys(keys: Collection[Any]) -> bool:
    try:
        if not _STRINGS.issuperset(map(type, keys)):
            return False
    except Exception:  # a metaclass that has no hash
        return False
    return "" not in keys and max(map(len, keys), default=0) <= MAX_KEY


def cut_text(text: str, limit: int) -> str:
    """At most `limit` characters and a mark, cut back to the last token boundary near the limit.

    Redaction looks for whole tokens: half a secret at the end of a cut would no longer be recognised.
    """
    if len(text) <= limit:
        return text
    start = max(limit - _TOKEN_END, limit // 2)
    for position in range(limit, start, -1):
        if text[position].isspace():
            return text[:position] + CUT
    return text[:start] + CUT


def safe_str(value: object) -> str:
    """`str(value)` as an exact `str`, or a description when it raises; a subclass of `str` is read as what it holds."""
    try:
        text = value if issubclass(type(value), str) else str(value)
        return text if type(text) is str else str.__str__(text)
    except Exception as error:
        return f"<unprintable {type_name(value)}: {type_name(error)}>"


def type_name(value: object) -> str:
    """The name of a value's class as Python keeps it; a metaclass may say something else, or raise."""
    return _name_of(type(value))


_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__


def _big_int(value: int) -> str:
    """Decimal where Python allows it (4,300 digits by default), else hexadecimal."""
    try:
        return cut_text(str(value), MAX_TEXT)
    except ValueError:
        return cut_text(hex(value), MAX_TEXT)


def _key(key: object) -> str:
    """A key as OTel has them: a string, and not an empty one (receivers refuse a whole batch for it)."""
    return cut_text(safe_str(key), MAX_KEY) or "_"


class _Cleaner:
    """One nested value: keeps the path (for cycles) and the number of nodes (for sizes) of this walk.

    What a value is, is asked of its type alone: a proxy or a mock may claim to be of any class, and is read as text.
    """

    __slots__ = ("_left", "_path")

    def __init__(self) -> None:
        self._left = MAX_NODES
        self._path: set[int] = set()

    def clean(self, value: Any, depth: int) -> AnyValue:
        kind = type(value)
        if value is None or kind is str or kind is int or kind is bool or kind is float:
            return clean_value(value)
        try:
            if depth >= MAX_DEPTH:
                return CUT
            if kind is dict or kind is list:
                return self._container(value, value, depth)
            return self._object(kind, value, depth)
        except Exception as error:
            return f"<unreadable {type_name(value)}: {type_name(error)}>"

    def _object(self, kind: type, value: Any, depth: int) -> AnyValue:
        if kind is bytes and len(value) <= MAX_TEXT:
            return value  # type: ignore[no-any-return]
        for types, simplify in _SIMPLER:
            if issubclass(kind, types):
                return self.clean(simplify(value), depth + 1)
        if hasattr(kind, "dtype") and hasattr(kind, "tolist") and value.nbytes <= _MAX_ARRAY:  # numpy and its like
            return self.clean(value.tolist(), depth + 1)
        items = _items(kind, value)
        if items is None:
            return cut_text(safe_str(value), MAX_TEXT)
        return self._container(value, items, depth)

    def _container(self, value: Any, items: Any, depth: int) -> AnyValue:
        if id(value) in self._path:
            return "<cycle>"
        self._path.add(id(value))
        try:
            if type(items) is dict or issubclass(type(items), Mapping):
                return self._mapping(items, depth)
            return self._sequence(items, depth)
        finally:
            self._path.discard(id(value))

    def _mapping(self, items: Mapping[Any, Any], depth: int) -> AnyValue:
        clean: dict[str, AnyValue] = {}
        for key, value in list(islice(items.items(), self._left + 1)):
            if self._spent():
                clean["…"] = CUT
                break
            clean[key if type(key) is str and 0 < len(key) <= MAX_KEY else _key(key)] = self.clean(value, depth + 1)
        return clean

    def _sequence(self, items: Any, depth: int) -> AnyValue:
        clean: list[AnyValue] = []
        for value in list(islice(items, self._left + 1)):
            if self._spent():
                clean.append(CUT)
                break
            clean.append(self.clean(value, depth + 1))
        return clean

    def _spent(self) -> bool:
        self._left -= 1
        return self._left < 0


def _bytes_of_view(value: memoryview) -> bytes:
    return value.tobytes() if value.nbytes <= MAX_TEXT else value.cast("B")[:MAX_TEXT].tobytes()


def _exception(value: BaseException) -> str:
    return f"{type_name(value)}: {safe_str(value)}"


_HEAD = slice(MAX_TEXT)
_SIMPLER: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (enum.Enum, operator.attrgetter("value")),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes.__getitem__(value, _HEAD)),
    (bytearray, lambda value: bytes(bytearray.__getitem__(value, _HEAD))),
    (memoryview, _bytes_of_view),
    ((datetime.date, datetime.time), operator.methodcaller("isoformat")),
    (datetime.timedelta, datetime.timedelta.total_seconds),
    (BaseException, _exception),
)
"""A simpler form of a value, by its class, the first that fits; of subclasses only what the base class holds."""


def _items(kind: type, value: Any) -> Any:
    """The mapping or sequence inside a structured value, or None for one that is best read as text."""
    if issubclass(kind, _CONTAINERS):
        return value._asdict() if issubclass(kind, tuple) and hasattr(kind, "_asdict") else value
    if issubclass(kind, type):
        return None
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(kind) if field.repr}
    if hasattr(kind, "model_dump"):  # pydantic, without importing it; it would warn of values of the wrong type
        return value.model_dump(warnings=False) if hasattr(kind, "__pydantic_serializer__") else value.model_dump()
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name, None) for field in kind.__attrs_attrs__ if field.repr}
    return None
