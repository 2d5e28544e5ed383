"""Stage 6, limit: the size of what is delivered. After redaction, so that a cut never hides half a secret from it."""

from __future__ import annotations

from opentelemetry.util.types import AnyValue

from logspan.record import Record
from logspan.values import CUT


class Limiter:
    """Cuts long texts, deep values and surplus attributes; a cut is marked, a dropped attribute is counted.

    `max_value_length` is in characters (bytes for `bytes`), for the body and each attribute value at any depth;
    `dropped_attributes_count` of the record counts what was left out, as in the OTel data model.
    """

    def __init__(self, max_attributes: int = 128, max_value_length: int = 32_768, max_depth: int = 8) -> None:
        self._max_attributes = max_attributes
        self._max_length = max_value_length
        self._max_depth = max_depth

    def __call__(self, record: Record) -> None:
        """Bring one record within the limits, in place."""
        record.body = self._value(record.body, 0)
        attributes = record.attributes
        if len(attributes) > self._max_attributes:
            record.dropped += len(attributes) - self._max_attributes
            attributes = dict(list(attributes.items())[: self._max_attributes])
        record.attributes = {
            key if key.isascii() else well_formed(key): self._value(value, 0) for key, value in attributes.items()
        }
        if record.event_name:
            record.event_name = well_formed(record.event_name[: self._max_length])

    def _value(self, value: AnyValue, depth: int) -> AnyValue:
        if isinstance(value, str):
            text = value if len(value) <= self._max_length else value[: self._max_length] + CUT
            return text if text.isascii() else well_formed(text)
        if isinstance(value, bytes):
            return value[: self._max_length]
        if isinstance(value, dict):
            return CUT if depth >= self._max_depth else self._mapping(value, depth)
        if isinstance(value, list):
            return CUT if depth >= self._max_depth else [self._value(item, depth + 1) for item in value]
        return value

    def _mapping(self, value: dict[str, AnyValue], depth: int) -> AnyValue:
        return {well_formed(key): self._value(item, depth + 1) for key, item in value.items()}


def well_formed(text: str) -> str:
    """Text that has a UTF-8 form: lone surrogates, which Python strings may hold, are replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
