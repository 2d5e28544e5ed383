"""One look at everything that a record says: most records need no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.engine import Engine, RuleFailedError
from logspan.processors.redact.walk import LEAST_NUMBER, VALUES, Key, Ready, Tools, number_text

_PLAIN = frozenset({bool, type(None)})
_SIMPLE = frozenset({str, int, float, *_PLAIN})
_SHORT = -LEAST_NUMBER
_MOST_KEYS = 8_192
_MOST_VALUES, _MOST_OF_KEY, _LONGEST_VALUE = 8_192, 128, 256
"""Values that are remembered, of all keys and of one, and their characters."""
_JOINT = "\n"
"""What stands between two lines: fewer rules reach over it than over `: `, behind which a value is looked for."""
_PROBES = ("", "a/b", "a:b")
"""Values in which a rule finds something for the key in front of them alone: `user: kim/Hunter2X`."""

_MESSAGE = 0
"""The place that is asked about alone first: a rule is named there most often."""

Place = int | str
"""Where a value stands: the number of a text, or the key of an attribute."""


class _Plain(NamedTuple):
    """What is known of a key that says nothing of its value."""

    ahead: str
    """What of it has to be in front of a value when that is looked at: it may hold words that tell more."""
    clean: set[str]
    """Some of its values in which there was nothing."""


Suspects = tuple[AbstractSet[Place], Ready]
"""The places of values that a walk has to look at, and what has been found in some of them."""
_NOTHING: Suspects = (frozenset(), {})


class QuickLook:
    """Tells which values of a record a walk has to look at; in all others it would find nothing.

    A plain value under a key that says nothing of it is looked at by a walk as one line, with its key in front. All
    these lines of a record go through the sieve at once, and one by one only when that names a rule. A value whose key
    or neighbours say what it is, and one that holds others, is for the walk in any case. Paths of code, routes and user
    agents come again and again: the first values of each key that say nothing are remembered.
    """

    def __init__(self, engine: Engine, tools: Tools) -> None:
        self._may_find, self._own_may_find, self._has_own = engine.may_find, engine.own_may_find, engine.has_own
        self._tools, self._max_length = tools, tools.max_length
        self._keys: dict[str, _Plain | None] = {}
        self._remembered = 0

    def suspects(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> Suspects:
        """The places where something may have to be redacted."""
        lines: list[str] = []
        whose: list[Place] = []
        places: set[Place] = set()
        for number, text in enumerate(texts):
            if type(text) is str:
                lines.append(text)
                whose.append(number)
            elif text is not None:
                places.add(number)
        is_new = self._add_lines(lines, whose, places, attributes)
        if self._has_own:
            places |= self._own(texts, attributes)
        ready: Ready = {}
        for place in self._named(lines, whose) if lines else ():
            if self._is_found(place, texts[place] if isinstance(place, int) else attributes[place], ready):
                places.add(place)
        if is_new:
            self._remember(attributes, [place for place in whose if place not in places])
        return (places, ready) if places else _NOTHING

    def _add_lines(
        self, lines: list[str], whose: list[Place], places: set[Place], attributes: Mapping[str, AnyValue]
    ) -> bool:
        """Add the lines of values that may be looked at together, and the places of all others.

        Returns whether there is room for one of the values among those that are remembered.
        """
        keys, is_new = self._keys, False
        for key, value in attributes.items():
            kind = type(value)
            plain = keys[key] if key in keys else self._meet(key)
            if plain is None:
                places.add(key)
            elif kind is str:
                if value not in plain[1]:
                    lines.append(plain[0] + value)  # type: ignore[operator]
                    whose.append(key)
                    is_new = is_new or len(plain[1]) < _MOST_OF_KEY
            elif kind not in _SIMPLE:
                places.add(key)
            elif kind not in _PLAIN and not _SHORT < value < LEAST_NUMBER:  # type: ignore[operator]
                lines.append(plain.ahead + number_text(value))  # type: ignore[arg-type]
                whose.append(key)
        return is_new

    def _named(self, lines: Sequence[str], whose: Sequence[Place]) -> Iterable[Place]:
        """The places of lines in which the sieve names a rule: of most halves it names none."""
        joined = _JOINT.join(lines)
        if len(joined) <= self._max_length and not self._may_find(joined):
            return ()
        if len(lines) == 1:
            return whose
        half = 1 if whose[0] == _MESSAGE else len(lines) // 2
        return (*self._named(lines[:half], whose[:half]), *self._named(lines[half:], whose[half:]))

    def _is_found(self, place: Place, value: AnyValue, ready: Ready) -> bool:
        """Whether a rule finds anything in a value; what it is, or that it fails, is put by for the walk."""
        text = value if isinstance(value, str) else number_text(value)  # type: ignore[arg-type]
        if len(text) > self._max_length:
            return True
        context = place if isinstance(place, str) else ""
        try:
            found = ready[text, context] = self._tools.find(text, context)
        except RuleFailedError as failure:
            ready[text, context] = failure
            return True
        return bool(found)

    def _remember(self, attributes: Mapping[str, AnyValue], places: Iterable[Place]) -> None:
        """Remember values in which there was nothing."""
        for key in places:
            value, plain = (attributes[key], self._keys.get(key)) if isinstance(key, str) else (None, None)
            if plain is None or not isinstance(value, str) or len(value) > _LONGEST_VALUE:
                continue
            if len(plain.clean) < _MOST_OF_KEY and self._remembered < _MOST_VALUES:
                plain.clean.add(value)
                self._remembered += 1

    def _own(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> set[Place]:
        """The places where an expression of the user's own may find something: it is asked about each value alone."""
        values: list[tuple[Place, AnyValue]] = [*enumerate(texts), *attributes.items()]
        return {place for place, value in values if type(value) not in _PLAIN and self._is_own(value)}

    def _is_own(self, value: AnyValue) -> bool:
        text = number_text(value) if isinstance(value, int | float) else value
        return not isinstance(text, str) or len(text) > self._max_length or self._own_may_find(text)

    def _meet(self, key: str) -> _Plain | None:
        """What is known of a key from now on, as far as there is room; None where it says something of its value."""
        plain = None
        if self._tools.look(key) == Key() and key.lower() not in VALUES:
            is_silent = not any(self._may_find(f"{key}: {value}") for value in _PROBES)
            plain = _Plain("" if is_silent else f"{key}: ", set())
        if len(self._keys) < _MOST_KEYS:
            self._keys[key] = plain
        return plain
