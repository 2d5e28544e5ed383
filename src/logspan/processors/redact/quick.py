"""One look at everything that a record says: most records need no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.engine import Engine, RuleFailedError
from logspan.processors.redact.walk import LEAST_NUMBER, VALUES, Key, Ready, Tools, number_text

_PLAIN = frozenset({bool, type(None)})
_SHORT = -LEAST_NUMBER
_MOST_KEYS = 8_192
_MOST_VALUES, _MOST_OF_KEY, _LONGEST_VALUE = 8_192, 128, 256
"""Values that are remembered, of all keys and of one, and their characters."""
_JOINT = "\n"
"""What stands between two lines: fewer rules reach over it than over `: `, behind which a value is looked for."""
_PROBES = ("", "a/b", "a:b")
"""Values in which a rule finds something for the key in front of them alone: `user: kim/Hunter2X`."""

_MESSAGE = 0
"""Its place."""

Place = int | str
"""Where a value stands: the number of a text, or the key of an attribute."""


Plain = tuple[str, set[str]]
"""What is known of a key that says nothing of its value.

What of it has to be in front of a value when that is looked at, as it may hold words that tell more; and values of
its own in which there was nothing.
"""
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
        self._keys: dict[str, Plain | None] = {}
        self._open: set[str] = set()
        """Keys of which there is room for more values."""
        self._remembered = 0

    def suspects(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> Suspects:
        """The places where something may have to be redacted."""
        lines: dict[Place, str] = {}
        places: set[Place] = set()
        for number, text in enumerate(texts):
            if type(text) is str:
                lines[number] = text
            elif text is not None:
                places.add(number)
        self._add_lines(lines, places, attributes)
        if self._has_own:
            places |= self._own(texts, attributes)
        ready: Ready = {}
        joined = _JOINT.join(lines.values())
        if self._may_find(joined) or len(joined) > self._max_length:
            for place in self._named(lines):
                if self._is_found(place, texts[place] if isinstance(place, int) else attributes[place], ready):
                    places.add(place)
        if not self._open.isdisjoint(lines):
            self._remember(attributes, lines.keys() - places)
        return (places, ready) if places else _NOTHING

    def _add_lines(self, lines: dict[Place, str], places: set[Place], attributes: Mapping[str, AnyValue]) -> None:
        """Add the lines of values that may be looked at together, and the places of all others."""
        keys = self._keys
        for key, value in attributes.items():
            try:
                plain = keys[key]
            except KeyError:
                plain = self._meet(key)
            kind = type(value)
            if plain is None:
                places.add(key)
            elif kind is str:
                if value not in plain[1]:
                    lines[key] = plain[0] + value  # type: ignore[operator]
            elif kind is int or kind is float:
                if not _SHORT < value < LEAST_NUMBER:  # type: ignore[operator]
                    lines[key] = plain[0] + number_text(value)  # type: ignore[arg-type]
            elif kind not in _PLAIN:
                places.add(key)

    def _named(self, lines: Mapping[Place, str]) -> Sequence[Place]:
        """The places of lines in which the sieve names a rule, as it does in all of them together."""
        if len(lines) == 1:
            return [*lines]
        if _MESSAGE not in lines:
            return self._named_of([*lines.items()])
        message, *others = lines.items()  # a rule is named in the message most often
        return (*self._named_of([message]), *self._named_of(others))

    def _named_of(self, lines: Sequence[tuple[Place, str]]) -> Sequence[Place]:
        """The same of some of them; of most halves it names none."""
        joined = _JOINT.join([line for _, line in lines])
        if len(joined) <= self._max_length and not self._may_find(joined):
            return ()
        if len(lines) == 1:
            return (lines[0][0],)
        half = len(lines) // 2
        return (*self._named_of(lines[:half]), *self._named_of(lines[half:]))

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
        for key in self._open.intersection(places):
            value, plain = attributes[key], self._keys[key]
            if plain is not None and isinstance(value, str) and len(value) <= _LONGEST_VALUE:
                plain[1].add(value)
                self._remembered += 1
                if len(plain[1]) >= _MOST_OF_KEY:
                    self._open.discard(key)
        if self._remembered >= _MOST_VALUES:
            self._open = set()

    def _own(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> set[Place]:
        """The places where an expression of the user's own may find something: it is asked about each value alone."""
        values: list[tuple[Place, AnyValue]] = [*enumerate(texts), *attributes.items()]
        return {place for place, value in values if type(value) not in _PLAIN and self._is_own(value)}

    def _is_own(self, value: AnyValue) -> bool:
        text = number_text(value) if isinstance(value, int | float) else value
        return not isinstance(text, str) or len(text) > self._max_length or self._own_may_find(text)

    def _meet(self, key: str) -> Plain | None:
        """What is known of a key from now on, as far as there is room; None where it says something of its value."""
        plain = None
        if self._tools.look(key) == Key() and key.lower() not in VALUES:
            is_silent = not any(self._may_find(f"{key}: {value}") for value in _PROBES)
            plain = ("" if is_silent else f"{key}: ", set[str]())
        if len(self._keys) < _MOST_KEYS:
            self._keys[key] = plain
            if plain is not None and self._remembered < _MOST_VALUES:
                self._open.add(key)
        return plain
