"""What the redactor says it found, without saying what that was."""

from __future__ import annotations

from typing import NamedTuple

FAILED = "failed"
"""The action of a finding that is none: its rule raised or ran out of time, and the whole value was replaced."""


class Finding(NamedTuple):
    """One secret, or a rule that failed: its id, the path of the value (`user.tokens[0]`), where, what is done.

    The path of a text by itself is `""`; keys in it have no secrets either.
    `start` and `end` are characters of the value's text. The text itself is nowhere in it.
    """

    rule: str
    path: str
    start: int
    end: int
    action: str

    @property
    def failed(self) -> bool:
        """Whether nothing is known of the value but that a rule failed on it."""
        return self.action == FAILED
