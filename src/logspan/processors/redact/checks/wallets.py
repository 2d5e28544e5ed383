"""Wallets and their keys: base58check, bech32 (BIP 173) and bech32m (BIP 350)."""

from __future__ import annotations

import hashlib
import re

from logspan.processors.redact.checks.places import Place

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

_RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"


def base58check(text: str, start: int, end: int) -> Place | None:
    """Base58 with the four bytes of a double SHA-256 at its end."""
    return (start, end) if _base58check(text[start:end]) else None


def _base58check(value: str) -> bool:
    number = 0
    for letter in value:
        place = _BASE58.find(letter)
        if place < 0:
            return False
        number = number * 58 + place
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    data = bytes(len(value) - len(value.lstrip("1"))) + data
    return len(data) > 4 and hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def ethereum(text: str, start: int, end: int) -> Place | None:
    """An account's address; that of a contract is everybody's."""
    return None if _CONTRACT.search(text, max(0, start - 32), start) else (start, end)


_CONTRACT = re.compile(r"(?i)(?:contract|verifying_?contract|token)(?: address)?[\"']?[ :=]{1,3}[\"']?\Z")


def wallet(text: str, start: int, end: int) -> Place | None:
    """Base58check, bech32 (BIP 173) and bech32m (BIP 350)."""
    value = text[start:end]
    prefix, one, rest = value.lower().rpartition("1")
    if one and prefix in ("bc", "tb", "bcrt", "ltc", "addr", "cosmos"):
        return (start, end) if _bech32(prefix, rest) else None
    if value[0] == "r":
        return (start, end) if _base58check("".join(_BASE58[_RIPPLE.find(letter)] for letter in value)) else None
    if len(value) >= 90:
        return start, end
    return base58check(text, start, end)


def _bech32(prefix: str, rest: str) -> bool:
    values = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    check = 1
    for value in values + [_BECH32.find(letter) for letter in rest]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> place & 1 else 0
    return check in (1, 0x2BC830A3)
