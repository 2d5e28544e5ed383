"""Stage 1, filter: what is not wanted at all.

Severity and scope (the logger's name) are looked at on the caller's thread, before any work is spent. What has to read
a record is done on the delivery worker, before redaction: `RecordFilter` by body and attributes, `AttributeFilter` for
attributes one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from opentelemetry._logs import SeverityNumber
from opentelemetry.util.types import AnyValue

from logspan.encoding.groups import valid_text
from logspan.record import Record
from logspan.values import safe_str

Matches = Callable[[str], object]
"""Whether a pattern, or one of several, is found in a text: true or false by its truth."""

_NEVER = 25
_MOST_SCOPES = 4_096
_MOST_KEYS = 8_192


class SeverityFilter:
    """Keeps the records of at least a severity, which may differ by scope; drops excluded scopes altogether.

    A scope prefix matches the logger of that name and those below it: `urllib3` matches `urllib3.connectionpool`. The
    longest matching prefix decides. With `included_scopes` all others are dropped, whatever their level. A level of
    `excluded_levels` stands for its four severity numbers: INFO for INFO to INFO4.
    """

    def __init__(
        self,
        least: SeverityNumber,
        excluded_scopes: Iterable[str] = (),
        scope_levels: Mapping[str, SeverityNumber] | None = None,
        *,
        included_scopes: Iterable[str] = (),
        excluded_levels: Iterable[SeverityNumber] = (),
    ) -> None:
        self._least = least.value
        levels = {prefix: level.value for prefix, level in (scope_levels or {}).items()}
        levels |= dict.fromkeys(excluded_scopes, _NEVER)
        self._levels = sorted(levels.items(), key=lambda item: -len(item[0]))
        self._included = tuple(included_scopes)
        self._by_scope = bool(self._levels or self._included)
        self._excluded = frozenset(
            number + more for level in excluded_levels for number in [level.value] for more in range(4)
        )
        self._special = self._by_scope or bool(self._excluded)
        self._known: dict[str, int] = {}

    def __call__(self, record: Record) -> bool:
        """Whether to keep the record. Records of no known severity are kept unless their scope is excluded."""
        number = record.severity_number._value_  # without the two calls that `.value` takes
        if number >= self._least and not self._special:
            return True
        scope = record.instrumentation_scope
        return self.enabled(None if scope is None else scope.name, number)

    def enabled(self, scope: str | None, number: int) -> bool:
        """Whether a record of this scope and severity number (0: unknown) would be kept."""
        least = self.least_of(scope or "") if self._by_scope else self._least
        return number not in self._excluded and (number >= least or (number == 0 and least != _NEVER))

    def least_of(self, scope: str) -> int:
        """The least severity number of a scope; 25, above them all, when it is excluded."""
        least = self._known.get(scope)
        if least is None:
            least = self._least_of(scope)
            if len(self._known) < _MOST_SCOPES:
                self._known[scope] = least
        return least

    def _least_of(self, scope: str) -> int:
        if self._included and not any(_below(scope, prefix) for prefix in self._included):
            return _NEVER
        return next((level for prefix, level in self._levels if _below(scope, prefix)), self._least)


@dataclass(frozen=True, slots=True)
class Lists:
    """What one text has to have in it, and what it must not; None asks for nothing. What is excluded wins."""

    included: Matches | None = None
    excluded: Matches | None = None

    def keep(self, text: str | None) -> bool:
        """Whether a text is wanted; None is one that is not there."""
        if text is None:
            return self.included is None
        if self.included is not None and not self.included(text):
            return False
        return self.excluded is None or not self.excluded(text)


class RecordFilter:
    """Keeps a record by its body and by the values of some attributes: text as it is, anything else as JSON."""

    def __init__(self, body: Lists | None = None, attributes: Mapping[str, Lists] | None = None) -> None:
        self._body = body
        self._attributes = tuple((attributes or {}).items())

    def __call__(self, record: Record) -> bool:
        """Whether to keep the record."""
        if self._body is not None and not self._body.keep(_text(record.body)):
            return False
        for key, lists in self._attributes:
            if not lists.keep(_text(record.attributes[key]) if key in record.attributes else None):
                return False
        return True


class AttributeFilter:
    """Takes away the attributes that are not wanted, by name; a `*` at the end of a name stands for any rest."""

    def __init__(self, included: Collection[str] = (), excluded: Collection[str] = ()) -> None:
        self._included, self._excluded = _Names(included), _Names(excluded)
        self._all = not included
        self._known: dict[str, bool] = {}

    def __call__(self, record: Record) -> None:
        """Leave only what is wanted in one record, in place."""
        record.attributes = {key: value for key, value in record.attributes.items() if self._keeps(key)}

    def _keeps(self, key: str) -> bool:
        kept = self._known.get(key)
        if kept is None:
            kept = (self._all or key in self._included) and key not in self._excluded
            if len(self._known) < _MOST_KEYS:
                self._known[key] = kept
        return kept


class _Names:
    def __init__(self, names: Iterable[str]) -> None:
        self._exact = frozenset(name for name in names if not name.endswith("*"))
        self._starts = tuple(name[:-1] for name in names if name.endswith("*"))

    def __contains__(self, key: str) -> bool:
        return key in self._exact or key.startswith(self._starts)


def _text(value: AnyValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=safe_str)
    return text if text.isascii() else valid_text(text)


def _below(scope: str, prefix: str) -> bool:
    return scope == prefix or scope.startswith(prefix + ".")
