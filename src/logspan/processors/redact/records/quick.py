"""One look at everything that a record says: most records need no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import filterfalse
from operator import add

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.engine import Engine, RuleFailedError
from logspan.processors.redact.records.fields import VALUES, names_in
from logspan.processors.redact.records.known import KnownKey, Shape, shape_of
from logspan.processors.redact.records.sequences import names_command
from logspan.processors.redact.records.templates import names_arguments
from logspan.processors.redact.records.walk import LEAST_NUMBER, Key, Ready, Tools, number_text

_PLAIN = frozenset({bool, type(None)})
_SHORT = -LEAST_NUMBER
_SHORTEST_CARD = 12
_LEAST_CARD = 10 ** (_SHORTEST_CARD - 1)
"""A number without a word that says what it is may be a card and nothing else; no card begins with a 1."""
_MOST_KEYS, _MOST_VALUES, _MOST_SHAPES = 8_192, 8_192, 1_024
_JOINT = "\n"
"""What stands between two lines: fewer rules reach over it than over `: `, behind which a value is looked for."""
_PROBES = ("", "a/b", "a:b")
"""Values in which a rule finds something for the key in front of them alone: `user: kim/Hunter2X`."""

_MESSAGE = 0
"""Its place."""


class _ToBeRememberedError(Exception):
    """A value has not been there before, and is to be remembered."""


Place = int | str
"""Where a value stands: the number of a text, or the key of an attribute."""

Suspects = tuple[AbstractSet[Place], Ready]
"""The places of values that a walk has to look at, and what has been found in some of them."""
_NOTHING: Suspects = (frozenset(), {})


class QuickLook:
    """Tells which values of a record a walk has to look at; in all others it would find nothing.

    A plain value under a key that says nothing of it is looked at by a walk as one line, with its key in front. All
    these lines of a record go through the sieve at once, and one by one only when that names a rule. A value whose key
    or neighbours say what it is, and one that holds others, is for the walk in any case. Paths of code, routes and user
    agents come again and again: values that said nothing are remembered. Once the keys of a record are known, others
    with the same keys are looked at in a few steps.
    """

    def __init__(self, engine: Engine, tools: Tools) -> None:
        self._may_find, self._may_find_in = engine.may_find, engine.may_find_in
        self._own_may_find, self._has_own = engine.own_may_find, engine.has_own
        self._tools, self._max_length = tools, tools.max_length
        self._keys: dict[str, KnownKey | None] = {}
        """None: a key that says something of its value."""
        self._texts = KnownKey("")
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._clean: set[str] = set()
        """Values of keys whose values come again, of those that say nothing in front of them either."""
        self._kept = 0

    def suspects(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> Suspects:
        """The places where something may have to be redacted."""
        shape = self._shapes.get((*attributes,))
        if shape is None:
            return self._closely(texts, attributes)
        try:
            lines = self._lines(shape, texts, attributes)
            joined = _JOINT.join(lines)
        except (TypeError, _ToBeRememberedError):  # not all are of the kind that they have been so far
            return self._closely(texts, attributes)
        if len(joined) > self._max_length or self._may_find_in(joined, len(lines), shape.trial):
            return self._in_message(texts, lines, shape) or self._closely(texts, attributes, named=True)
        return (shape.walked, {}) if shape.walked else _NOTHING

    def _in_message(self, texts: Sequence[AnyValue], lines: Sequence[str], shape: Shape) -> Suspects | None:
        """What a walk has to look at where the sieve names a rule in the message alone, as it does most often.

        None where it may name one elsewhere.
        """
        if len(texts) != 1:
            return None
        others = ["", *lines[2:]]
        joined = _JOINT.join(others)
        if len(joined) > self._max_length or self._may_find_in(joined, len(others), shape.others):
            return None
        ready: Ready = {}
        if texts[0] in self._texts.values or not self._is_found(_MESSAGE, texts[0], ready):
            self._keep(self._texts, texts[0], is_named=True)
            return (shape.walked, {})
        return (shape.walked | {_MESSAGE}, ready)

    def _lines(self, shape: Shape, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> list[str]:
        """All that has to be looked at, between two empty lines.

        Raises `TypeError` where a value is of another kind than before.
        """
        values = shape.texts(attributes)
        lines = ["", *texts, *(map(add, shape.ahead, values) if shape.ahead else values)]
        if shape.recurring is not None:
            values = shape.recurring(attributes)
            if not self._clean.issuperset(values):
                if shape.has_room:
                    raise _ToBeRememberedError
                lines += filterfalse(self._clean.__contains__, values)
        if shape.numbers is not None:
            values = shape.numbers(attributes)
            if not sum(map(abs, values)) < _LEAST_CARD:  # one of them may be large, or is not to be compared
                lines += [text for number in values if _may_be_card(text := number_text(number))]
        if shape.rest:
            rest = [_line(known, attributes[key]) for key, known in shape.rest]
            lines += [line for line in rest if line is not None]
        lines.append("")
        return lines

    def _closely(
        self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue], *, named: bool = False
    ) -> Suspects:
        """The same, value by value; `named`: the sieve names a rule in all of them together."""
        lines: dict[Place, str] = {}
        places: set[Place] = set()
        for number, text in enumerate(texts):
            if type(text) is not str:
                places.add(number)
            elif text not in self._texts.values:
                lines[number] = text
        self._add_lines(lines, places, attributes)
        if self._has_own:
            places |= self._own(texts, attributes)
        ready: Ready = {}
        asked = self._named(lines) if named or self._may_be_named([*lines.values()]) else ()
        for place in asked:
            if self._is_found(place, texts[place] if isinstance(place, int) else attributes[place], ready):
                places.add(place)
        for place in asked:
            if place not in places:
                self._keep_named(place, texts, attributes)
        if not named:
            self._learn(attributes, lines.keys() - places)
        return (places, ready) if places else _NOTHING

    def _add_lines(self, lines: dict[Place, str], places: set[Place], attributes: Mapping[str, AnyValue]) -> None:
        """Add the lines of values that may be looked at together, and the places of all others."""
        keys = self._keys
        for key, value in attributes.items():
            try:
                known = keys[key]
            except KeyError:
                known = self._meet(key)
            line = None if known is None else _line(known, value)
            if type(line) is str:
                lines[key] = line
            elif known is None or line is not None:
                places.add(key)

    def _named(self, lines: Mapping[Place, str]) -> Sequence[Place]:
        """The places of lines in which the sieve may name a rule, as it does in all of them together."""
        if len(lines) == 1 or _MESSAGE not in lines:
            return self._named_of([*lines.items()])
        message, *others = lines  # a rule is named in the message most often, so it is asked for these at once
        return (message, *self._named_of([(place, lines[place]) for place in others]))

    def _named_of(self, lines: Sequence[tuple[Place, str]]) -> Sequence[Place]:
        """The same of some of them; of most halves it names none."""
        if not self._may_be_named([line for _, line in lines]):
            return ()
        if len(lines) == 1:
            return (lines[0][0],)
        half = len(lines) // 2
        return (*self._named_of(lines[:half]), *self._named_of(lines[half:]))

    def _may_be_named(self, lines: Sequence[str]) -> bool:
        joined = _JOINT.join(("", *lines))
        return len(joined) > self._max_length or self._may_find(joined)

    def _is_found(self, place: Place, value: AnyValue, ready: Ready) -> bool:
        """Whether a rule finds anything in a value; what it is, or that it fails, is put by for the walk."""
        if isinstance(value, list | dict):
            return True
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

    def _keep_named(self, place: Place, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> None:
        """Remember that there was nothing in a value for which a rule was named."""
        if isinstance(place, int):
            self._keep(self._texts, texts[place], is_named=True)
        elif (known := self._keys.get(place)) is not None:
            self._keep(known, attributes[place], is_named=True)

    def _learn(self, attributes: Mapping[str, AnyValue], clean: AbstractSet[Place]) -> None:
        """Remember values in which there was nothing, and look whether enough is known of their keys."""
        for key, value in attributes.items():
            known = self._keys.get(key)
            if known is not None:
                self._saw(known, value, is_fresh=key in clean)
                if key in clean:
                    self._keep(known, value, is_named=False)
        keys = (*attributes,)
        if keys not in self._shapes and not self._has_own and self._keys.keys() >= attributes.keys():
            self._add_shape(keys)

    def _saw(self, known: KnownKey, value: AnyValue, *, is_fresh: bool) -> None:
        if known.met(type(value)):
            self._shapes.clear()
        if known.saw(fresh=is_fresh):
            if known.recurs and not known.ahead:
                self._clean |= known.values
            elif not known.recurs:
                self._kept -= len(known.values)
                known.values.clear()

    def _keep(self, known: KnownKey, value: AnyValue, *, is_named: bool) -> None:
        if type(value) is not str or self._kept >= _MOST_VALUES:
            return
        before = len(known.values)
        known.keep(value, named=is_named)
        self._kept += len(known.values) - before
        if known.recurs and not known.ahead and value in known.values:
            self._clean.add(value)
        if self._kept >= _MOST_VALUES or (known.recurs and not known.has_room):
            self._shapes.clear()

    def _add_shape(self, keys: tuple[str, ...]) -> None:
        shape = shape_of({key: self._keys[key] for key in keys}, has_room=self._kept < _MOST_VALUES)
        if shape is not None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            self._shapes[keys] = shape

    def _own(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> set[Place]:
        """The places where an expression of the user's own may find something: it is asked about each value alone."""
        values: list[tuple[Place, AnyValue]] = [*enumerate(texts), *attributes.items()]
        return {place for place, value in values if type(value) not in _PLAIN and self._is_own(value)}

    def _is_own(self, value: AnyValue) -> bool:
        text = number_text(value) if isinstance(value, int | float) else value
        return not isinstance(text, str) or len(text) > self._max_length or self._own_may_find(text)

    def _meet(self, key: str) -> KnownKey | None:
        """What is known of a key from now on, as far as there is room; None where it says something of its value."""
        known = None
        if self._tools.look(key) == Key() and key.lower() not in VALUES:
            is_silent = not any(self._may_find(f"{key}: {value}") for value in _PROBES)
            is_read = is_silent and not (names_command(key) or names_arguments(key))
            known = KnownKey("" if is_silent else f"{key}: ", path=key if is_read else "")
        if len(self._keys) < _MOST_KEYS:
            self._keys[key] = known
        return known


def _may_be_card(number: str) -> bool:
    return len(number) >= _SHORTEST_CARD and number.lstrip("-")[0] != "1"


def _line(known: KnownKey, value: AnyValue) -> AnyValue:
    """What is to be looked at of a value: None where there is nothing; itself if it is neither a text nor a number."""
    kind = type(value)
    if kind is str:
        return None if value in known.values else known.ahead + value  # type: ignore[operator]
    if kind is int or kind is float:
        if _SHORT < value < LEAST_NUMBER:  # type: ignore[operator]
            return None
        text = number_text(value)  # type: ignore[arg-type]
        return known.ahead + text if known.ahead or _may_be_card(text) else None
    if kind in _PLAIN:
        return None
    return (_lines_in(known.path, value) if known.path else None) or value


def _lines_in(path: str, value: AnyValue) -> str | None:
    """A list of texts, or a mapping of plain values, line by line; None where more than each line tells what it is.

    Options of a command, keys of JSON (RFC 7517).
    """
    if isinstance(value, list):
        is_plain = all(type(item) is str and item[:1] != "-" for item in value)
        return _JOINT.join(value) if is_plain else None
    if not isinstance(value, dict) or "kty" in value or not all(map(str.isidentifier, value)):
        return None
    if not VALUES.isdisjoint(map(str.lower, value)) and any(names_in(value)):
        return None
    if not _IN_MAPPING.issuperset(map(type, value.values())):
        return None
    return _JOINT.join([f"{path}.{key}: {item}" for key, item in value.items()])


_IN_MAPPING = frozenset({str, int, float, bool, type(None)})
