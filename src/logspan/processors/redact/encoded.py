"""Base64 and hex inside of texts, one level deep: only what decodes to readable text is looked at."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

_CANDIDATE = re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")
"""What 16 bytes and more are in base64; ids of 20 characters (xid) and 21 (nanoid) are shorter."""
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{2}){11,}")


def long_runs(text: str) -> Iterator[str]:
    """The runs in which something may be encoded: so many letters and digits without a break.

    Not a matter for the sieve: counting characters would multiply the states of its automaton.
    """
    data = text.encode()
    marked = data.translate(_RUNNING)
    start = marked.find(_LONG_RUN)
    while start >= 0:
        end = marked.find(b" ", start)
        yield data[start : None if end < 0 else end].decode("ascii")
        start = marked.find(_LONG_RUN, end) if end >= 0 else -1


def has_long_word(run: str) -> bool:
    """Whether there are so many letters and digits without any sign between them, and more than hexadecimal ones."""
    return _LONG_WORD.search(run) is not None and run.strip(_HEX_DIGITS) != ""


_LONG_WORD = re.compile("[A-Za-z0-9]{22}")
_HEX_DIGITS = "0123456789abcdef"


def is_readable(run: str) -> bool:
    """Whether a run is readable text, encoded: paths and ids are runs, too, and far more of them."""
    return bool(_readable(run))


_RUNNING = bytes(120 if chr(byte).isalnum() or chr(byte) in "+/_-" else 32 for byte in range(128)) + b" " * 128
"""`x` for what is encoded in, else a space."""
_LONG_RUN = b"x" * 22


def decoded_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and the readable text inside of each run that looks encoded."""
    for match in _CANDIDATE.finditer(text):
        inner = _readable(match[0])
        if inner:
            yield match.start(), match.end(), inner


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
