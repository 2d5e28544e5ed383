"""What stands in place of a secret."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

from logspan.processors.redact.rule import Keep, Rule, marker
from logspan.processors.redact.tokenizer import Tokenizer

HASH_FUNCTIONS = ("hmac-sha256", "hmac-sha512", "sha3", "sha1", "md5")
_DIGESTS = {"hmac-sha256": "sha256", "hmac-sha512": "sha512", "sha3": "sha3_256", "sha1": "sha1", "md5": "md5"}
_SHOWN = 16
"""Hexadecimal digits of a hash that are shown: 64 bits, enough to tell values apart."""


class Actions:
    """Makes replacements. Every hash is keyed (HMAC, RFC 2104): cards and such could be found by trying all of them.

    Without a key there is one for this process alone, made at random: equal values have equal hashes until it ends.
    """

    def __init__(self, key: bytes = b"", function: str = "hmac-sha256", tokenize: Tokenizer | None = None) -> None:
        self.has_own_key = not key
        self._key = key or secrets.token_bytes(32)
        self._digest = _DIGESTS[function]
        self._tokenize = tokenize

    def replacement(self, rule: Rule, secret: str, tenant: str = "") -> str:
        """What stands in place of `secret`; raises what the user's callable raises."""
        if rule.action == "hash":
            return f"[REDACTED:{rule.id}#{self.hashed(_canonical(rule, secret), tenant)}]"
        if rule.action == "partial":
            return _partial(rule, secret)
        if rule.action == "mask":
            return "****"
        if rule.action == "tokenize" and self._tokenize is not None:
            return self._tokenize(rule.id, secret)
        return marker(rule.id)

    def hashed(self, secret: str, tenant: str = "") -> str:
        """The first hexadecimal digits of the HMAC; each tenant has a key of its own, derived from the one."""
        key = self._key if not tenant else hmac.digest(self._key, b"tenant:" + _bytes(tenant), "sha256")
        return hmac.new(key, _bytes(secret), self._digest).hexdigest()[:_SHOWN]


def _canonical(rule: Rule, secret: str) -> str:
    """One form for all ways to write the same number or address, so that equal ones have equal hashes."""
    if rule.keep in _NUMBERS:
        return "".join(filter(str.isalnum, secret)).upper()
    return secret.lower() if rule.keep == "domain" else secret


_NUMBERS = frozenset({"last4", "last2", "country"})


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _partial(rule: Rule, secret: str) -> str:
    return _KEPT[rule.keep](marker(rule.id), secret)


# Nothing stays of a secret that does not look as it should: it may be written in some encoding.


def _last(number: int) -> Callable[[str, str], str]:
    def kept(mark: str, secret: str) -> str:
        plain = "".join(filter(str.isalnum, secret))
        return mark + plain[-number:] if len(plain) >= 3 * number and plain[-number:].isdigit() else mark

    return kept


def _domain(mark: str, secret: str) -> str:
    _, at, domain = secret.rpartition("@")
    return mark + at + domain if at else mark


def _country(mark: str, secret: str) -> str:
    plain = "".join(filter(str.isalnum, secret))
    return plain[:2] + mark + plain[-4:] if plain[:2].isalpha() and plain[2:4].isdigit() else mark


def _network(mark: str, secret: str) -> str:
    """The first three parts of an address of version 4, the first three groups of one of version 6."""
    joint = ":" if ":" in secret else "."
    parts = secret.split(joint)
    return joint.join(parts[:3]) + joint + mark if len(parts) > 3 else mark


_KEPT: dict[Keep, Callable[[str, str], str]] = {
    "": lambda mark, _: mark,
    "last4": _last(4),
    "last2": _last(2),
    "domain": _domain,
    "country": _country,
    "network": _network,
}
