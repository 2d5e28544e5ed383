"""The redactor: one object that knows the rules and walks a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.keys import KeyRules
from logspan.processors.redact.patterns import TEXT_RULES, marker_of
from logspan.record import Record
from logspan.values import clean_attributes, clean_value

if TYPE_CHECKING:
    from logspan.settings import RedactionSettings


class Redactor:
    """Takes secrets out of texts, attributes and whole records.

    By key (passwords, tokens, cookies, keys: the whole value goes) and by shape anywhere in a text (JSON web tokens,
    bearer and basic credentials, passwords in URLs: only the matched part goes). A marker names the rule.
    """

    def __init__(self, keys: KeyRules | None = None) -> None:
        self._keys = keys or KeyRules()

    @classmethod
    def from_settings(cls, settings: RedactionSettings) -> Redactor:
        """The redactor of a `redaction` section; `enabled` is for the pipeline to look at."""
        return cls(KeyRules(settings.blocked_keys, settings.allowed_keys, settings.blocked_key_patterns))

    def text(self, text: str) -> str:
        """The text without the secrets that are recognised by their shape."""
        lowered = text.lower()
        for rule in TEXT_RULES:
            if rule.hint in lowered:
                text = rule.apply(text)
        return text

    def attributes(self, attributes: Mapping[str, object]) -> dict[str, AnyValue]:
        """A new dict without secrets, at any depth; values that are no OTel values become some."""
        return self._mapping(clean_attributes(attributes))

    def __call__(self, record: Record) -> None:
        """Redact one record in place: body, event name, attribute keys and values."""
        record.body = self._value(record.body)
        record.attributes = self._mapping(record.attributes)
        if record.event_name:
            record.event_name = self.text(record.event_name)

    def _mapping(self, mapping: Mapping[str, AnyValue]) -> dict[str, AnyValue]:
        return {self.text(key): self._item(key, value) for key, value in mapping.items()}

    def _item(self, key: str, value: AnyValue) -> AnyValue:
        rule = self._keys.rule(key)
        if rule is None or value is None or value == "" or isinstance(value, bool):
            return self._value(value)
        return marker_of(rule)

    def _value(self, value: AnyValue) -> AnyValue:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, bytes):
            return self._bytes(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._value(clean_value(value))  # put there after the capture

    def _bytes(self, value: bytes) -> bytes:
        text = value.decode("latin-1")
        redacted = self.text(text)
        return value if redacted is text else redacted.encode("latin-1")
