"""Base64 and hex inside of texts, one level deep: only what decodes to readable text is looked at."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

_CANDIDATE = re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")
"""What 16 bytes and more are in base64; ids of 20 characters (xid) and 21 (nanoid) are shorter."""
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{2}){11,}")
HEX_OF_TEXT = "(?:0?x)?(?:[2-7][0-9a-f]|0[9ad]){8}"
"""How text in hexadecimal begins, behind `0x`, or `\\x` of PostgreSQL without its backslash: an expression."""
_PLAIN_WORD = re.compile(rb"(?!%b)[0-9a-z]+(?![0-9A-Za-z])" % HEX_OF_TEXT.encode())
"""Small letters and digits that do not read as text when they are decoded."""


def may_hold_encoded(data: bytes) -> bool:
    """Whether there is a run in a text (in UTF-8) that reads as text when it is decoded.

    Not a matter for the sieve: counting characters would multiply the states of its automaton. It is asked of nearly
    every record, so it begins with words of letters and digits alone, which few runs have but these: text in base64
    has one of the other signs in 50 characters, and capitals in any 16 but for one in 10,000. Words in small letters
    and numbers may be hexadecimal.
    """
    words = data.translate(_WORDS)
    start = words.find(_LONG)
    return start >= 0 and _is_encoded(data, words, start)


def has_long_word(data: bytes) -> bool:
    """Whether a text has a word that may be encoded, whatever its digits are."""
    return _LONG in data.translate(_WORDS)


def _is_encoded(data: bytes, words: bytes, start: int) -> bool:
    """The same, from the first long word on."""
    while start >= 0:
        plain = _PLAIN_WORD.match(data, start)
        if plain is not None:
            end = plain.end()
        else:
            end = words.find(b" ", start)
            end = len(data) if end < 0 else end
            word = data[start:end]
            if word.islower() or word.isdigit() or _readable(_run(data, start, end)):
                return True
        start = words.find(_LONG, end)
    return False


def _run(data: bytes, start: int, end: int) -> str:
    """The whole run that a word is in."""
    runs = data.translate(_RUNS)
    last = runs.find(b" ", end)
    return data[runs.rfind(b" ", 0, start) + 1 : len(data) if last < 0 else last].decode("ascii")


def _marked(signs: str) -> bytes:
    """For `bytes.translate`: `x` for letters, digits and these signs, else a space."""
    return bytes(120 if chr(byte).isalnum() or chr(byte) in signs else 32 for byte in range(128)) + b" " * 128


_WORDS, _RUNS = _marked(""), _marked("+/_-")
_LONG = b"x" * 16


def decoded_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and the readable text inside of each run that looks encoded."""
    for match in _CANDIDATE.finditer(text):
        start = match.start() + (text[match.start() - 1 : match.start() + 1] == "\\x")
        inner = _readable(text[start : match.end()])
        if inner:
            yield start, match.end(), inner


def _readable(run: str) -> str:
    data = _hex(run) if _HEX.fullmatch(run) else _base64(run)
    if len(data) < 8:
        return ""
    head = data[:64]
    if len(head.translate(None, _PRINTED)) > 0.05 * len(head):
        return ""
    return data.decode("utf-8", "replace")


_PRINTED = bytes((9, 10, 13, *range(32, 127)))


def _hex(run: str) -> bytes:
    return bytes.fromhex(run.removeprefix("0x"))


def _base64(run: str) -> bytes:
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    body = body[: len(body) - (len(body) % 4 == 1)]
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return b""
