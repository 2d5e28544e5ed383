"""One look at everything that a record says: most records need no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.engine import Engine, RuleFailedError
from logspan.processors.redact.walk import LEAST_NUMBER, VALUES, Key, Ready, Tools, is_long, number_text

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

Place = int | str
"""Where a value stands: the number of a text, or the key of an attribute."""


class Line(NamedTuple):
    """A value that is looked at."""

    place: Place
    value: AnyValue
    text: str
    """The value, with its key in front where that may matter."""


class _Plain(NamedTuple):
    """What is known of a key that says nothing of its value."""

    ahead: str
    """What of it has to be in front of a value when that is looked at: it may hold words that tell more."""
    clean: set[str]
    """Some of its values in which there was nothing."""


class Suspects(NamedTuple):
    """Which values of a record a walk has to look at, and what has been found in some of them."""

    places: AbstractSet[Place]
    ready: Ready


_NOTHING = Suspects(frozenset(), {})


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
        self._keys: dict[str, _Plain] = {}
        self._met: set[str] = set()
        """The keys of `_keys`: a set tells more quickly whether it has all of others."""
        self._remembered = 0

    def suspects(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> Suspects:
        """The places where something may have to be redacted."""
        if self._says_nothing(texts, attributes):
            return _NOTHING
        places: set[Place] = {number for number, text in enumerate(texts) if not isinstance(text, str | None)}
        lines = [Line(number, text, text) for number, text in enumerate(texts) if isinstance(text, str)]
        for key, value in attributes.items():
            plain = self._keys.get(key) or self._meet(key)
            if plain is None or type(value) not in _SIMPLE:
                places.add(key)
            else:
                lines += _lines(key, value, plain)
        ready: Ready = {}
        places.update(line.place for line in self._named(lines) if self._is_found(line, ready))
        self._remember(line for line in lines if line.place not in places)
        if self._has_own:
            places |= self._own(texts, attributes)
        return Suspects(places, ready)

    def _says_nothing(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> bool:
        """Whether the sieve names no rule in anything, as far as that can be told at once: it can for most records."""
        if self._has_own or not self._met.issuperset(attributes):
            return False
        lines = [*texts]
        is_new = self._add_lines(lines, attributes)
        if is_new is None:
            return False
        try:
            joined = _JOINT.join(lines)  # type: ignore[arg-type]
        except TypeError:  # a text that is none
            return False
        if len(joined) > self._max_length or self._may_find(joined):
            return False
        if is_new:
            self._remember(line for key, value in attributes.items() for line in _lines(key, value, self._keys[key]))
        return True

    def _add_lines(self, lines: list[AnyValue], attributes: Mapping[str, AnyValue]) -> bool | None:
        """Add the lines of values under keys that are known; whether there is room for one of them in the memory.

        None: there are other values as well.
        """
        keys, is_new = self._keys, False
        for key, value in attributes.items():
            kind = type(value)
            if kind is str:
                ahead, clean = keys[key]
                if value not in clean:
                    lines.append(ahead + value)  # type: ignore[operator]
                    is_new = is_new or len(clean) < _MOST_OF_KEY
            elif kind is int or kind is float:
                if not _SHORT < value < LEAST_NUMBER:  # type: ignore[operator]
                    lines.append(keys[key][0] + number_text(value))  # type: ignore[arg-type]
            elif kind not in _PLAIN:
                return None
        return is_new

    def _named(self, lines: Sequence[Line]) -> Iterator[Line]:
        """The lines in which the sieve names a rule: of most halves it names none."""
        joined = _JOINT.join([line.text for line in lines])
        if len(joined) <= self._max_length and not self._may_find(joined):
            return
        if len(lines) == 1:
            yield lines[0]
            return
        yield from self._named(lines[: len(lines) // 2])
        yield from self._named(lines[len(lines) // 2 :])

    def _is_found(self, line: Line, ready: Ready) -> bool:
        """Whether a rule finds anything in a value; what it is, or that it fails, is put by for the walk."""
        text = line.value if isinstance(line.value, str) else number_text(line.value)  # type: ignore[arg-type]
        context = line.place if isinstance(line.place, str) else ""
        if len(text) > self._max_length:
            return True
        try:
            found = ready[text, context] = self._tools.find(text, context)
        except RuleFailedError as failure:
            ready[text, context] = failure
            return True
        return bool(found)

    def _remember(self, lines: Iterable[Line]) -> None:
        for key, value, _ in lines:
            plain = self._keys.get(key) if isinstance(key, str) else None
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
        if self._tools.look(key) != Key() or key.lower() in VALUES:
            return None
        is_silent = not any(self._may_find(f"{key}: {value}") for value in _PROBES)
        plain = _Plain("" if is_silent else f"{key}: ", set())
        if len(self._keys) < _MOST_KEYS:
            self._keys[key] = plain
            self._met.add(key)
        return plain


def _lines(key: str, value: AnyValue, plain: _Plain) -> Iterator[Line]:
    """The line of a value, if there may be something in it."""
    if isinstance(value, str):
        if value not in plain.clean:
            yield Line(key, value, plain.ahead + value)
    elif type(value) not in _PLAIN and is_long(value):  # type: ignore[arg-type]
        yield Line(key, value, plain.ahead + number_text(value))  # type: ignore[arg-type]
