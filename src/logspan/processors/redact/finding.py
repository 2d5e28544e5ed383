"""What the redactor says it found, without saying what that was."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One secret: the rule's id, the path of the value (`user.tokens[0]`; `""`: the text itself), where, what is done.

    `start` and `end` are characters of the value's text. The text itself is nowhere in it.
    """

    rule: str
    path: str
    start: int
    end: int
    action: str
