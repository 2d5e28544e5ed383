"""What a record weighs: an estimate of its memory, close enough to bound a queue and a record by."""

from __future__ import annotations

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.util.types import AnyValue

from logspan.record import Record

UNIT = 1_024
"""Bytes; weights are in whole units of this size."""

_RECORD, _ATTRIBUTE, _ITEM = 700, 70, 60
_TEXTS = frozenset({str, bytes})
_CONTAINERS = frozenset({list, dict})


def size(record: Record) -> int:
    """The memory that a record takes, in bytes, by estimate."""
    values = record.attributes.values()
    total = _RECORD + _size(record.body) + _ATTRIBUTE * len(values)
    total += sum([len(value) for value in values if type(value) in _TEXTS])  # type: ignore[arg-type, misc]
    if not _CONTAINERS.isdisjoint(map(type, values)):
        total += sum([_size(value) for value in values if type(value) in _CONTAINERS])
    return total


def weight(record: Record) -> int:
    """The same in units, at least 1."""
    return (size(record) + UNIT - 1) // UNIT


def weight_of(readable: ReadableLogRecord) -> int:
    """The weight that admission has found."""
    return getattr(readable.log_record, "weight", 0) or 1


def _size(value: AnyValue) -> int:
    """Of a clean value, which has neither cycles nor endless depth."""
    if isinstance(value, str):
        return len(value) if value.isascii() else 4 * len(value)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_ITEM + len(key) + _size(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(_ITEM + _size(item) for item in value)
    return 0
