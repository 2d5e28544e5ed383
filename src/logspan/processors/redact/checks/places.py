"""Whether a place in a text stands on its own."""

from __future__ import annotations

from collections.abc import Callable

Place = tuple[int, int]

Validator = Callable[[str, int, int], Place | None]

_JOINTS = "-._"

ALONE = r"(?:^[.-]?|[^A-Za-z0-9.-]|[^A-Za-z0-9][.-])"
"""For the sieve: what is in front of a number that stands alone, and a little more.

Hints that begin so keep its automaton small: one that began anywhere would make it grow with each number and each id.
"""


def alone(text: str, start: int, end: int) -> bool:
    """Whether a number stands on its own, and is no part of a longer number, word, version or UUID."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before.isalnum() or after.isalnum() or after == "_":
        return False
    if before in _JOINTS and before and text[start - 2 : start - 1].isalnum():
        return before == "_" and not text[start - 2 : start - 1].isdigit()
    return not (after in _JOINTS and after and text[end + 1 : end + 2].isalnum())
