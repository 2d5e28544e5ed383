"""What is known of keys that say nothing of their values, and of records that have the same keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.sieve.sifted import Trial

LOOKS = 128
"""After so many, it is known whether the values of a key come again."""
MOST_OF_KEY, _LONGEST_VALUE = 128, 256
"""Values of one key that are remembered, and their characters."""

_NUMBERS = frozenset({int, float, bool})

Getter = Callable[[Mapping[str, AnyValue]], tuple[Any, ...]]


class KnownKey:
    """A key that says nothing of its value, and values of it in which there was nothing."""

    __slots__ = ("_fresh", "_looks", "ahead", "is_number", "is_text", "path", "values")

    def __init__(self, ahead: str, *, path: str = "") -> None:
        self.ahead = ahead
        """What has to be in front of a value when that is looked at, as the key may hold words that tell more."""
        self.path = path
        """The key, if what is in a list or a mapping under it is looked at line by line."""
        self.is_text = self.is_number = True
        """Whether all its values have been texts; or numbers."""
        self.values: set[str] = set()
        self._looks = self._fresh = 0

    @property
    def is_new(self) -> bool:
        """Whether it is not known yet if its values come again."""
        return self._looks < LOOKS

    @property
    def recurs(self) -> bool:
        """Whether most of its values have been there before: paths of code, routes, user agents."""
        return not self.is_new and 2 * self._fresh <= self._looks

    @property
    def has_room(self) -> bool:
        """Whether values in which there is nothing are to be remembered."""
        return (self.is_new or self.recurs) and len(self.values) < MOST_OF_KEY

    def met(self, kind: type) -> bool:
        """A value of a kind; whether there has been none of it so far."""
        before = (self.is_text, self.is_number)
        self.is_text &= kind is str
        self.is_number &= kind in _NUMBERS
        return before != (self.is_text, self.is_number)

    def saw(self, *, fresh: bool) -> bool:
        """One more value; whether it is known from now on if they come again."""
        if not self.is_new:
            return False
        self._looks += 1
        self._fresh += fresh
        return not self.is_new

    def keep(self, value: str, *, named: bool) -> None:
        """Remember a value in which there was nothing; of a key of ever new ones, only what a rule was `named` for."""
        if len(value) > _LONGEST_VALUE or not (named or self.has_room):
            return
        if len(self.values) >= MOST_OF_KEY:
            if self.recurs:
                return
            self.values.clear()
        self.values.add(value)


class Shape(NamedTuple):
    """How records with the same keys are looked at in a few steps: each field gives values of them."""

    texts: Getter
    """Texts that are new each time."""
    ahead: tuple[str, ...]
    """What has to be in front of each of them; empty where that is nothing for all."""
    recurring: Getter | None
    """Texts that mostly come again."""
    numbers: Getter | None
    rest: tuple[tuple[str, KnownKey], ...]
    """The keys of all others that may be looked at as lines."""
    walked: frozenset[str]
    """Keys whose values are for the walk in any case."""
    has_room: bool
    """Whether new ones among the recurring are to be remembered."""
    trial: Trial
    others: Trial
    """The same of all but the message."""


def shape_of(keys: Mapping[str, KnownKey | None], *, has_room: bool) -> Shape | None:
    """The shape of records with these keys, once enough is known of each."""
    known = {key: found for key, found in keys.items() if found is not None}
    if any(found.is_new for found in known.values()):
        return None
    texts = {key: found for key, found in known.items() if found.is_text and not found.recurs}
    recurring = {key: found for key, found in known.items() if found.is_text and found.recurs and not found.ahead}
    numbers = [key for key, found in known.items() if found.is_number and not found.ahead]
    rest = known.keys() - texts.keys() - recurring.keys() - {*numbers}
    return Shape(
        _getter(texts),
        tuple(found.ahead for found in texts.values()) if any(found.ahead for found in texts.values()) else (),
        _getter(recurring) if recurring else None,
        _getter(numbers) if numbers else None,
        tuple((key, found) for key, found in known.items() if key in rest),
        frozenset(keys.keys() - known.keys()),
        has_room and any(found.has_room for found in recurring.values()),
        Trial(),
        Trial(),
    )


def _getter(keys: Iterable[str]) -> Getter:
    """What gives the values of keys in one step."""
    chosen = tuple(keys)
    if len(chosen) > 1:
        return itemgetter(*chosen)
    if not chosen:
        return lambda _: ()
    key = chosen[0]
    return lambda values: (values[key],)
