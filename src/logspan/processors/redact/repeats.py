"""A secret that stands in a text more than once: where nothing announces it, too.

A statement with its values and their list behind it, a command and its echo: what its key has told in the one place is
the same secret in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from logspan.processors.redact.checks import looks

_LENGTHS = range(8, 257)
"""Characters: what is shorter stands in other words by chance."""
_MOST = 16
"""Places that are looked at: the work grows with the text, and not with what is found in it as well."""


def repeats(text: str, secrets: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Start and end of each place of these secrets, and the number of the secret."""
    known: dict[str, int] = {}
    for number, (start, end) in enumerate(islice(secrets, _MOST)):
        secret = text[start:end]
        if len(secret) in _LENGTHS and text.count(secret) > 1 and looks.is_secretive(secret):
            known.setdefault(secret, number)
    for secret, number in known.items():
        for start, end in _places(text, secret):
            yield start, end, number


def _places(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Where it stands as a word of its own."""
    start = text.find(secret)
    while start >= 0:
        end = start + len(secret)
        if not text[start - 1 : start].isalnum() and not text[end : end + 1].isalnum():
            yield start, end
        start = text.find(secret, end)
