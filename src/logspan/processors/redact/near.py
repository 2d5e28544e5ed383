"""Words that have to stand near a match, for it to count."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHORT = 2
"""Letters of a word that no digit may touch: `cf` and `dl` stand in ids."""


def near_expression(words: Iterable[str]) -> re.Pattern[str]:
    """Words as they stand in prose, in keys and in `camelCase`."""
    forms = (_alone(word) if len(word) <= _SHORT else _spelled(word) for word in words)
    spelled = "|".join(sorted(forms, reverse=True))
    return re.compile(rf"(?:(?<![A-Za-z0-9])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]))(?i:{spelled})s?(?![a-z])")


def _alone(word: str) -> str:
    """No part of an id, of a path (`/dl?file=`) or of a unit (`mg/dL`)."""
    return rf"(?<!/){_spelled(word)}(?![0-9])"


def near_hint(words: Iterable[str]) -> str:
    """The same for the sieve, which has no look-around: a little more than these."""
    words = sorted(words)
    short = "|".join(_spelled(word) for word in words if len(word) <= _SHORT)
    long = "|".join(_spelled(word) for word in words if len(word) > _SHORT)
    ends = [rf"(?i:{long})s?(?:$|[^a-z])"] * bool(long) + [rf"(?i:{short})s?(?:$|[^a-z0-9])"] * bool(short)
    joined = {word.replace(" ", "") for word in words}
    capitals, titles = _either(map(str.upper, joined)), _either(word.title().replace(" ", "") for word in words)
    return rf"(?:^|[^A-Za-z0-9])(?:{'|'.join(ends)})|[a-z](?:{capitals})|[A-Za-z](?:{titles})"


def _spelled(word: str) -> str:
    return r"[\s_.'-]{0,2}".join(map(re.escape, word.split(" ")))


def _either(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words)))
