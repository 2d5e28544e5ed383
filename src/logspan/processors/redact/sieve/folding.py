"""What a text means to a reader, for matching: look-alike letters, invisible characters, escapes and encodings undone.

One pass makes a plainer text and remembers where each part of it came from, so that what is found in the plain text
is taken out of the original.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from bisect import bisect_right
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_SPECIAL = re.compile(
    r"(?P<ansi>\x1b\[[0-9;:?]{0,32}[A-Za-z]?|\x1b)"
    r"|(?P<percent>(?:%(?:25){0,4}[0-9A-Fa-f]{2})+)"
    r"|(?P<escape>\\+(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrtfbv0/\"'\\]?))"
    r"|(?P<entity>&(?:quot|apos|amp|lt|gt|nbsp|#[0-9]{1,6}|#x[0-9A-Fa-f]{1,5});)"
    r"|(?P<other>[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]+|[^\x00-\x7f]+)"
)
_BYTE = re.compile(r"%(?:25){0,4}([0-9A-Fa-f]{2})")
"""Of what is encoded several times, each `%` is a `%25` again."""
_ENTITIES = {"quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">", "nbsp": " "}
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "f": " ", "b": " ", "v": " ", "0": " "}
WRITTEN_OTHERWISE = r"%[0-9A-Fa-f]{2}|\\|&[a-z#][a-z0-9]{1,7};|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
"""An expression (of RE2 too) for what reads otherwise than it is written. So does all that is not ASCII."""
HARD_TO_READ = r"\\[ux][0-9A-Fa-f]|&[a-z#][a-z0-9]{1,7};|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
"""The same for what `Folding` does not read."""
_SEVERAL_TIMES = re.compile(rb"%(?:25){1,4}(?=[0-9A-Fa-f]{2})")
_ESCAPED = (
    (re.compile(rb"\\+n"), b"\n"),
    (re.compile(rb"\\+r"), b"\r"),
    (re.compile(rb"\\+t"), b"\t"),
    (re.compile(rb"\\+[fbv0]"), b" "),
    (re.compile(rb"\\+"), b""),
)
LOOKALIKES = {
    ord(letter): plain
    for letters, plain_letters in (
        ("АВЕЅІЈКМНОРСТУХЬаеіјоѕрсухԁһԛԝӏ", "ABESIJKMHOPCTYXbaeijospcyxdhqwl"),
        ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαοενριτυκχɡɩ", "ABEZHIKMNOPTYXaoevpitukxgi"),
        ("‐‑‒–—―−⁄∕：；，＝「」“”„‘’‚«»ʼ", '-------//:;,="""""\'\'\'""\''),
        ("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789"),
    )
    for letter, plain in zip(letters, plain_letters, strict=True)
}
"""Letters of other alphabets, signs and digits that look like one of ASCII; for matching only."""


class Plain(NamedTuple):
    """The plain text; `starts` are positions in it, `origins` the places in the original where these parts begin."""

    text: str
    starts: list[int]
    origins: list[int]
    ends: list[int]
    copied: list[bool]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of a place in the plain text; parts that were encoded go as a whole."""
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, end - 1) - 1
        begin = self.origins[first] + (start - self.starts[first] if self.copied[first] else 0)
        if self.copied[last]:
            return begin, self.origins[last] + end - self.starts[last]
        return begin, self.ends[last]


def fold(text: str) -> Plain:
    """The plain form of a text."""
    parts: list[str] = []
    plain = Plain("", [], [], [], [])
    length = position = 0
    for match in _SPECIAL.finditer(text):
        if match.start() > position:
            length = _add(plain, parts, text[position : match.start()], position, match.start(), length, copied=True)
        for piece, start, end in _decoded(match):
            length = _add(plain, parts, piece, start, end, length, copied=False)
        position = match.end()
    _add(plain, parts, text[position:], position, len(text), length, copied=True)
    return plain._replace(text="".join(parts))


class Folding(dict[int, bytes]):
    """The plain form of texts, in UTF-8: fast, and without the places. What is hard to read stays as it is.

    It remembers what letters are folded to.
    """

    def __missing__(self, letter: int) -> bytes:
        plain = _folded(chr(letter)).encode(errors="replace")
        if len(self) < _MOST_LETTERS:
            self[letter] = plain
        return plain

    @staticmethod
    def differs(data: bytes) -> bool:
        """Whether a text (in UTF-8) may read otherwise than it is written."""
        return not data.isascii() or b"\\" in data or b"%" in data

    def of_lines(self, data: bytes, count: int) -> bytes | None:
        """How the texts that are `count` lines together read, as far as they read otherwise; all if these are more."""
        if count > 1 and len(lines := data.split(b"\n")) == count:
            data = b"\n".join([line for line in lines if self.differs(line)])
        return self(data)

    def __call__(self, data: bytes) -> bytes | None:
        """How such a text reads; None where that takes a closer look."""
        if b"\\" in data:
            if b"%" in data:
                return None
            for escaped, plain in _ESCAPED:
                data = escaped.sub(plain, data)
        elif b"%" in data:
            data = unquote_to_bytes(_SEVERAL_TIMES.sub(b"%", data))
        try:
            return data if data.isascii() else codecs.charmap_encode(data.decode(), "strict", self)[0]
        except UnicodeDecodeError:  # what was percent-encoded is none of UTF-8
            return None


_MOST_LETTERS = 8_192


def _add(plain: Plain, parts: list[str], piece: str, start: int, end: int, length: int, *, copied: bool) -> int:
    if not piece:
        return length
    parts.append(piece)
    plain.starts.append(length)
    plain.origins.append(start)
    plain.ends.append(end)
    plain.copied.append(copied)
    return length + len(piece)


def _decoded(match: re.Match[str]) -> list[tuple[str, int, int]]:
    kind, found, start = match.lastgroup, match[0], match.start()
    if kind == "percent":
        return _percent(found, start)
    if kind == "escape":
        return [(_escape(found.lstrip("\\")), start, match.end())]
    if kind == "entity":
        return [(_entity(found[1:-1]), start, match.end())]
    if kind == "other":
        return [(_folded(letter), start + place, start + place + 1) for place, letter in enumerate(found)]
    return []


def _percent(found: str, start: int) -> list[tuple[str, int, int]]:
    signs = list(_BYTE.finditer(found))
    data = bytes(int(sign[1], 16) for sign in signs)
    if data.isascii():
        return [(chr(byte), start + sign.start(), start + sign.end()) for sign, byte in zip(signs, data, strict=True)]
    try:
        text = data.decode()
    except UnicodeDecodeError:  # no encoding, but a variable of Windows, a share of something
        return [(found, start, start + len(found))]
    return [("".join(map(_folded, text)), start, start + len(found))]


def _escape(found: str) -> str:
    if found[:1] in ("u", "x") and len(found) > 1:
        return _folded(chr(int(found[1:], 16)))
    return _CONTROL.get(found, found)


def _entity(name: str) -> str:
    if name.startswith("#x"):
        return _folded(chr(int("0" + name[1:], 0)))
    if name.startswith("#"):
        return _folded(chr(min(int(name[1:]), 0x10FFFF)))
    return _ENTITIES[name]


def _folded(letter: str) -> str:
    """The plain letter; nothing for those that are not seen."""
    if letter < "\x7f":
        return letter if letter >= " " or letter in "\n\r\t" else ""
    plain = letter.translate(LOOKALIKES)
    if plain != letter:
        return plain
    category = unicodedata.category(letter)
    if category in ("Cf", "Mn", "Me", "Cc", "Cs"):
        return ""
    return " " if category == "Zs" else unicodedata.normalize("NFKD", letter)[:1]
