"""Ids are new in each record and say nothing: to the sieve, UUIDs and long hexadecimal words are one and the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

from logspan.processors.redact.sieve.encoded import HEX_OF_TEXT

_MARKS = bytes(
    104 if chr(byte) in "0123456789abcdef" else 45 if byte == 45 else 120 if byte > 127 or chr(byte).isalnum() else 32
    for byte in range(256)
)
"""For `bytes.translate`: `h` for a digit of a hexadecimal number, `x` for what else is in words, and dashes stay."""
_UUID_OR_WORD = re.compile(rb" (?:h{8}-h{4}-h{4}-h{4}-h{12}|(h{16,}))(?= )")
"""In marks."""
_LEAST = 8 * b"h"
"""What each of these has."""
_OTHER_WORD = re.compile(rb"%b|(?:[a-f]{2})?[0-9]{10}" % HEX_OF_TEXT.encode())
"""How a word begins that is text in hexadecimal, a number, or what may be an IBAN in small letters."""
_MOST_FORMS, _LONGEST = 2_048, 2_048
"""Forms that are remembered, and their characters."""
ID = b"1f1f1f1f1f1f1f1"
"""What stands for an id: more digits than an expression asks for, fewer than a word has that may be encoded."""

Span = tuple[int, int]


class Form(NamedTuple):
    """Texts in which the same signs stand at the same places, but for digits and letters."""

    parts: Callable[[bytes], Sequence[bytes]] | None
    """What is around the ids of such a text; None: it has none."""
    words: tuple[int, ...]
    """Where words begin that may be no ids."""


class Forms:
    """Makes ids alike: puts the same one in the place of each that stands alone.

    An expression for which any digits may stand there matches as before, as `waka_[a-f0-9-]{6}` does. One that asks for
    certain digits or letters does not: no card, no phone number and no word is a part of an id.

    It is faster in texts that have the form of others: `job 17 of <UUID>` has its id where `job 42 of <UUID>` has it.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Form] = {}

    def ids_alike(self, data: bytes) -> bytes:
        """A text (in UTF-8) with its ids alike."""
        return self.ids_alike_in_lines(b"\n%b\n" % data)[1:-1]

    def ids_alike_in_lines(self, lines: bytes) -> bytes:
        """The same of one that begins and ends with an empty line."""
        marks = lines.translate(_MARKS)
        if _LEAST not in marks:
            return lines
        form = self._known.get(marks)
        if form is None:
            form = self._meet(marks)
        if form.parts is None:
            return lines
        for start in form.words:
            if _OTHER_WORD.match(lines, start):
                return self._with_other_words(lines, marks)
        return ID.join(form.parts(lines))

    def _meet(self, marks: bytes) -> Form:
        ids = [*_UUID_OR_WORD.finditer(marks)]
        around = _around([(found.start() + 1, found.end()) for found in ids])
        form = Form(itemgetter(*around) if ids else None, tuple(found.start(1) for found in ids if found[1]))
        if len(marks) <= _LONGEST:
            if len(self._known) >= _MOST_FORMS:
                self._known.clear()
            self._known[marks] = form
        return form

    @staticmethod
    def _with_other_words(lines: bytes, marks: bytes) -> bytes:
        ids = [
            (found.start() + 1, found.end())
            for found in _UUID_OR_WORD.finditer(marks)
            if not (found[1] and _OTHER_WORD.match(lines, found.start(1)))
        ]
        return ID.join([lines[part] for part in _around(ids)])


def _around(spans: Sequence[Span]) -> list[slice]:
    ends, starts = [0, *(end for _, end in spans)], [*(start for start, _ in spans), None]
    return [slice(end, start) for end, start in zip(ends, starts, strict=True)]
