"""Looking for a secret in bytes, in every form that an encoding on the way may have given it."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

from tests.canary.canaries import Canary

PIECE = 12
"""Characters: as much of a secret in one piece is a leak. What a mask keeps (a prefix, the last four) is shorter."""


def pieces(secret: str) -> Iterator[str]:
    """Every run of `PIECE` characters; of a shorter secret the whole."""
    yield from (secret[at : at + PIECE] for at in range(max(len(secret) - PIECE, 0) + 1))


def forms(secret: str) -> set[bytes]:
    """Raw, percent-encoded, JSON-escaped, in hex, in base64 at each of three offsets; a number as protobuf has it."""
    found: set[bytes] = set()
    for piece in pieces(secret):
        raw = piece.encode()
        found |= {raw, urllib.parse.quote(piece, safe="").encode(), "".join(f"%{byte:02X}" for byte in raw).encode()}
        found |= {json.dumps(piece)[1:-1].encode(), json.dumps(json.dumps(piece)[1:-1])[1:-1].encode()}
        found |= {raw.hex().encode(), raw.hex().upper().encode(), repr(piece)[1:-1].encode()}
    found |= set(in_base64(secret.encode()))
    if " " in secret:
        found |= forms(secret.replace(" ", ""))
    if secret.isdecimal():
        found.add(varint(int(secret)))
    return found


def varint(number: int) -> bytes:
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def in_base64(raw: bytes) -> Iterator[bytes]:
    """What is there of a text somewhere inside a longer one: its ends depend on the neighbours, and are left out."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            text = encode(b"\0" * offset + raw)
            yield text[(0, 2, 3)[offset] : len(text) - 4]


def leaks(outputs: Mapping[str, bytes], canaries: Iterable[Canary]) -> list[str]:
    """`canary in output` for each that is found, sorted."""
    return sorted(
        f"{canary.name} in {name}"
        for canary in canaries
        for name, data in outputs.items()
        if any(form in data for form in forms(canary.secret))
    )


def missing(data: bytes, canaries: Iterable[Canary]) -> list[str]:
    """The names that are not there: their secrets would not be either, and prove nothing."""
    return [canary.name for canary in canaries if canary.name.encode() not in data]
