"""Stage 6, limit: the size of what is delivered. After redaction, so that a cut never hides half a secret from it."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.util.types import AnyValue

from logspan.record import Record
from logspan.size import size
from logspan.values import CUT

_PLAIN = frozenset({str, int, float, bool, type(None)})
_OVERHEAD = 70
"""Bytes for each attribute, and ten times that for the record, as in `logspan.size`."""
_SHORTEST = 256
"""Characters: values are not cut below this for the sake of the whole record; attributes are left out instead."""


class Limiter:
    """Cuts long texts, deep values, surplus attributes and records that are too large.

    `max_value_length` is in characters (bytes for `bytes`), for the body and each attribute value at any depth;
    `max_record_size` is in bytes, estimated: the longest values of a larger record are cut further. A cut is marked,
    and `cut` is called once for each record that has one; `dropped_attributes_count` of the record counts the
    attributes that were left out, as in the OTel data model.
    """

    def __init__(
        self,
        max_attributes: int = 128,
        max_value_length: int = 32_768,
        max_depth: int = 8,
        max_record_size: int = 262_144,
        *,
        cut: Callable[[], object] = lambda: None,
    ) -> None:
        self._max_attributes = max_attributes
        self._max_length = max_value_length
        self._max_depth = max_depth
        self._max_size = max_record_size
        self._cut = cut

    def __call__(self, record: Record) -> None:
        """Bring one record within the limits, in place."""
        if self._is_small_and_plain(record):
            return
        cuts = self._limit(record, self._max_attributes, self._max_length)
        length = self._max_length
        while size(record) > self._max_size and length > _SHORTEST:
            length //= 2
            cuts += self._limit(record, self._max_attributes, length)
        number = len(record.attributes)
        while size(record) > self._max_size and number:
            number //= 2
            cuts += self._limit(record, number, length)
        if cuts:
            self._cut()

    def _is_small_and_plain(self, record: Record) -> bool:
        """Whether a look is enough: nothing nested, nothing long, nothing that UTF-8 might refuse."""
        attributes = record.attributes
        values = (record.body, record.event_name, *attributes.values())
        if len(attributes) > self._max_attributes or not _PLAIN.issuperset(map(type, values)):
            return False
        texts = [value for value in values if type(value) is str]
        if max(map(len, texts), default=0) > self._max_length:
            return False
        text = "".join((*attributes, *texts))
        return text.isascii() and _OVERHEAD * (len(attributes) + 10) + len(text) <= self._max_size

    def _limit(self, record: Record, max_attributes: int, length: int) -> int:
        """Apply the limits once; how many cuts that took."""
        walk = _Walk(length, self._max_depth)
        record.body = walk.value(record.body, 0)
        attributes = record.attributes
        surplus = max(len(attributes) - max_attributes, 0)
        if surplus:
            record.dropped += surplus
            attributes = dict(list(attributes.items())[:max_attributes])
        record.attributes = {
            key if key.isascii() else well_formed(key): walk.value(value, 0) for key, value in attributes.items()
        }
        if record.event_name:
            record.event_name = walk.text(record.event_name)
        return walk.cuts + surplus


class _Walk:
    """Through the values of one record; counts its cuts."""

    __slots__ = ("_length", "_max_depth", "cuts")

    def __init__(self, length: int, max_depth: int) -> None:
        self._length = length
        self._max_depth = max_depth
        self.cuts = 0

    def value(self, value: AnyValue, depth: int) -> AnyValue:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            self.cuts += len(value) > self._length
            return value[: self._length]
        if isinstance(value, dict | list):
            if depth >= self._max_depth:
                self.cuts += 1
                return CUT
            if isinstance(value, dict):
                return {well_formed(key): self.value(item, depth + 1) for key, item in value.items()}
            return [self.value(item, depth + 1) for item in value]
        return value

    def text(self, text: str) -> str:
        over = len(text) - self._length
        if over > 0 and not (over <= len(CUT) and text.endswith(CUT)):  # what is cut already stays as it is
            self.cuts += 1
            text = text[: self._length] + CUT
        return text if text.isascii() else well_formed(text)


def well_formed(text: str) -> str:
    """Text that has a UTF-8 form: lone surrogates, which Python strings may hold, are replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
