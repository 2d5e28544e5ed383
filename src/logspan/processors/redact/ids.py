"""Ids are new in each record and say nothing: to the sieve, UUIDs and long hexadecimal words are one and the same."""

from __future__ import annotations

import re
from collections.abc import Iterable

from logspan.processors.redact.encoded import HEX_OF_TEXT

_MARKS = bytes(
    104 if chr(byte) in "0123456789abcdef" else 45 if byte == 45 else 120 if byte > 127 or chr(byte).isalnum() else 32
    for byte in range(256)
)
"""For `bytes.translate`: `h` for a digit of a hexadecimal number, `x` for what else is in words, and dashes stay."""
_UUID = b" hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh "
_WORD = b" " + 16 * b"h"
_HEX = re.compile(rb"(?!%b|(?:[a-f]{2})?[0-9]{10})[0-9a-f]{16,}(?![0-9A-Za-z-])" % HEX_OF_TEXT.encode())
"""Neither text in hexadecimal nor a number, nor what may be an IBAN in small letters."""
ID = b"1f1f1f1f1f1f1f1"
"""What stands for them: more digits than an expression asks for, fewer than a word has that may be encoded."""

_ID_MARKS = b" %b " % (len(ID) * b"h")


def ids_alike(data: bytes) -> bytes:
    """A text (in UTF-8) with the same id in the place of each that stands alone.

    An expression for which any digits may stand there matches as before, as `waka_[a-f0-9-]{6}` does. One that asks for
    certain digits or letters does not: no card, no phone number and no word is a part of an id.
    """
    data = b"\n%b\n" % data
    marks = data.translate(_MARKS)
    pieces = marks.split(_UUID)
    if len(pieces) > 1:
        data = _uuids_alike(data, pieces)
        marks = _ID_MARKS.join(pieces)
    return (_words_alike(data, marks) if _WORD in marks else data)[1:-1]


def _uuids_alike(data: bytes, pieces: Iterable[bytes]) -> bytes:
    """`pieces`: the marks of what is between them."""
    parts: list[bytes] = []
    start = 0
    for piece in pieces:
        end = start + len(piece)
        parts.append(data[start - 1 if start else 0 : end + 1])
        start = end + len(_UUID)
    return ID.join(parts)


def _words_alike(data: bytes, marks: bytes) -> bytes:
    parts: list[bytes] = []
    done, start = 0, marks.find(_WORD) + 1
    while start > 0:
        word = _HEX.match(data, start)
        end = start + 16 if word is None else word.end()
        if word is not None:
            parts += (data[done:start], ID)
            done = end
        start = marks.find(_WORD, end) + 1
    return b"".join((*parts, data[done:]))
