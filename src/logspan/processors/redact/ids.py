"""Ids are new in each record and say nothing: to the sieve, UUIDs and long hexadecimal words are one and the same."""

from __future__ import annotations

from logspan.processors.redact.encoded import is_plain_word

_MARKS = bytes(
    104 if chr(byte) in "0123456789abcdef" else 45 if byte == 45 else 120 if byte > 127 or chr(byte).isalnum() else 32
    for byte in range(256)
)
"""For `bytes.translate`: `h` for a digit of a hexadecimal number, `x` for what else is in words, and dashes stay."""
_UUID = b" hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh "
_WORD = b" " + 16 * b"h"
ID = b"1f1f1f1f1f1f1f1"
"""What stands for them: more digits than an expression asks for, fewer than a word has that may be encoded."""


def ids_alike(data: bytes) -> bytes:
    """A text (in UTF-8) with the same id in the place of each that stands alone.

    An expression for which any digits may stand there matches as before, as `waka_[a-f0-9-]{6}` does. One that asks for
    certain digits or letters does not: no card, no phone number and no word is a part of an id. Digits alone are none,
    nor is text in hexadecimal, nor what may be an IBAN in small letters.
    """
    data = b"\n%b\n" % data
    marks = data.translate(_MARKS)
    if _UUID in marks:
        data = _uuids_alike(data, marks)
        marks = data.translate(_MARKS)
    if _WORD in marks:
        data = _words_alike(data, marks)
    return data[1:-1]


def _uuids_alike(data: bytes, marks: bytes) -> bytes:
    parts: list[bytes] = []
    start = 0
    for piece in marks.split(_UUID):
        end = start + len(piece)
        parts.append(data[max(start - 1, 0) : end + 1])
        start = end + len(_UUID)
    return ID.join(parts)


def _words_alike(data: bytes, marks: bytes) -> bytes:
    parts: list[bytes] = []
    done, start = 0, marks.find(_WORD) + 1
    while start > 0:
        end = marks.find(b" ", start)
        word = data[start:end]
        if marks.count(b"h", start, end) == len(word) and not word[2:12].isdigit() and is_plain_word(word):
            parts += (data[done:start], ID)
            done = end
        start = marks.find(_WORD, end) + 1
    return b"".join((*parts, data[done:]))
