"""The redactor: one object that knows the rules and walks a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from opentelemetry.util.types import AnyValue

from logspan.ledger import TallyMap
from logspan.processors.redact.finding import Finding
from logspan.processors.redact.keys import KeyRules, secret_names
from logspan.processors.redact.patterns import TEXT_RULES, marker_of
from logspan.record import Record
from logspan.values import clean_attributes, clean_value

if TYPE_CHECKING:
    from logspan.settings import RedactionSettings

_BY_HINT = tuple((rule.hint, rule.name, rule.apply) for rule in TEXT_RULES)
_PLAIN = frozenset({int, float, bool, type(None)})
_MOST_KEYS = 8_192


class Redactor:
    """Takes secrets out of texts, attributes and whole records.

    By key (passwords, tokens, cookies, keys: the whole value goes) and by shape anywhere in a text (JSON web tokens,
    bearer and basic credentials, passwords in URLs: only the matched part goes). A marker names the rule.
    """

    def __init__(self, keys: KeyRules | None = None) -> None:
        self._keys = keys or KeyRules()
        self._known: dict[str, tuple[str, str | None]] = {}
        self._hits = TallyMap()

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that are in force, sorted."""
        return tuple(sorted({*secret_names(), "blocked-key", *(rule.name for rule in TEXT_RULES)}))

    @property
    def hits(self) -> Mapping[str, int]:
        """How often each rule has found something so far; a rule that never fired is not in it."""
        return self._hits.values()

    def explain(self, value: object) -> list[Finding]:
        """What would be redacted in a text, a mapping of attributes or any value; nothing is changed or counted."""
        return list(_explained(self, clean_value(value), ""))

    @classmethod
    def from_settings(cls, settings: RedactionSettings) -> Redactor:
        """The redactor of a `redaction` section; `enabled` is for the pipeline to look at."""
        return cls(KeyRules(settings.blocked_keys, settings.allowed_keys, settings.blocked_key_patterns))

    def text(self, text: str) -> str:
        """The text without the secrets that are recognised by their shape."""
        lowered = text.lower()
        for hint, name, apply in _BY_HINT:
            if hint in lowered:
                redacted = apply(text)
                if redacted != text:
                    self._hits.add(name)
                text = redacted
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
        redacted: dict[str, AnyValue] = {}
        for key, value in mapping.items():
            name, marker = self._known.get(key) or self._look_at(key)
            if marker is None or value is None or value == "" or value is True or value is False:
                redacted[name] = value if type(value) in _PLAIN else self._value(value)
            else:
                redacted[name] = marker
                self._hits.add(marker[10:-1])
        return redacted

    def _look_at(self, key: str) -> tuple[str, str | None]:
        """The key without secrets of its own, and what stands in place of its value if that is one."""
        rule = self._keys.rule(key)
        found = self.text(key), None if rule is None else marker_of(rule)
        if len(self._known) < _MOST_KEYS:
            self._known[key] = found
        return found

    def explained_key(self, key: str) -> str | None:
        """The rule that a key falls under."""
        return self._keys.rule(key)

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


def _explained(redactor: Redactor, value: AnyValue, path: str) -> Iterator[Finding]:
    if isinstance(value, str):
        for rule in TEXT_RULES:
            for match in rule.pattern.finditer(value):
                start = match.end(1) if rule.pattern.groups else match.start()
                yield Finding(rule.name, path, start, match.end(), "remove")
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else key
            by_key = redactor.explained_key(key)
            if by_key is not None and item not in (None, "", True, False):
                yield Finding(by_key, inner, 0, len(str(item)), "remove")
            else:
                yield from _explained(redactor, item, inner)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _explained(redactor, item, f"{path}[{number}]")
