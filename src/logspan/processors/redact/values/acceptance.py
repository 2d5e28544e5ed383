"""Whether a value may be the secret that its key announces."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

from logspan.processors.redact.checks import looks
from logspan.processors.redact.rule import is_marker
from logspan.processors.redact.rules import RULES

_MADE = 12
"""Characters that a machine's secret has at least."""
_NAMED = re.compile(r"[A-Za-z]{0,32}[0-9]{0,9}(?:[-_.:/#@][A-Za-z]{0,32}[0-9]{0,9}){1,16}")
"""What people name things: words with a number behind them, joined by signs."""
_ADDRESS = re.compile(r"arn:|[a-z][a-z0-9+.-]{1,20}://")
"""Where a secret is kept."""
_KEY_ID = re.compile(r"(?:0x)?(?:[0-9A-F]{8}){1,2}|[0-9A-F]{40}")
"""How OpenPGP calls a key: its id, its fingerprint."""
_LOCALE = re.compile(r"[a-z]{2}[-_][A-Z]{2}")
_OBJECT = re.compile(r"[a-z]+(?:-[a-z0-9]{1,20}){0,8}/[a-z]+(?:[.-][a-z0-9]{1,20}){0,8}")
"""`namespace/name`, as Kubernetes calls a secret."""
_MEASURED = re.compile(
    r"[0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,6}(?:\.[0-9]{1,9})?(?:[mun\u00b5]?s|sec|min|[hd]|[kKMG]i?B?|bytes|%|x)"
)
"""How long it took, how much it was: `/oauth/token 200 in 45ms`."""
_SOURCE = re.compile(r"[\w.-]{1,60}(?:/[\w.-]{1,60}){1,12}\.[a-z]{1,8}(?::[0-9]{1,6}){0,2}")
"""Where it stands in a program: `password in tests/conftest.py:14`."""
_PATH = re.compile(r"(?:~?/|[A-Z]:\\)[\w.\-/\\]*")
"""PWD, the working directory; a file that holds the password."""


class Judged(NamedTuple):
    """What a key says of its value."""

    rule: str
    """The id of the rule that it falls under."""
    weak: int = 0
    """1: the value has to look like a secret, 2: and like no word, for the key means other things as well."""
    own: bool = False
    """Whether the user said so: then the value goes, whatever it looks like."""


Judge = Callable[[str], Judged | None]
"""What a key says of its value; None: nothing."""


def accepts(value: str, found: Judged, *, strict: bool) -> bool:
    """Whether it may be; `found` is what the judge of keys says, `strict`: nothing but the place speaks for it."""
    rule, weak, own = found
    if own and not strict:
        return bool(value.strip()) and not is_marker(value, RULES)
    if _says_nothing(value) or (rule in _REFUSED and _REFUSED[rule](value)):
        return False
    if weak > 1:
        return len(value) >= _MADE and looks.is_random(value) and not (_NAMED.fullmatch(value) or _ADDRESS.match(value))
    if strict and (_MEASURED.fullmatch(value) or _SOURCE.fullmatch(value)):
        return False
    if weak or strict:
        is_small = weak and (_LOCALE.fullmatch(value) or (value.isdigit() and len(value) < 6))
        return looks.is_secretive(value) and not is_small
    return True


def _says_nothing(value: str) -> bool:
    stands_for_one = looks.is_placeholder(value) or is_marker(value, RULES)
    is_sign = len(value) < 3 and not any(map(str.isalnum, value))
    return is_sign or value.isspace() or stands_for_one or looks.is_complaint(value)


def _is_name_of_header(value: str) -> object:
    """`api_key_header=X-Api-Key`: where it will stand."""
    return _HEADER.fullmatch(value)


_HEADER = re.compile(r"[Xx](?:-[A-Za-z]{1,16}){1,5}")


def _is_kind(value: str) -> object:
    """`token:software:totp`: words that say of which kind it is."""
    return _KIND.fullmatch(value)


_KIND = re.compile(r"(?:software|hardware|read|write|urn)(?::[a-z]{2,20}){1,4}")


def _is_choice(value: str) -> bool:
    """`id-token: write`, `token-v2: control`: what may be done with it, and which of two ways is tried."""
    return value.lower() in _CHOICES


_CHOICES = frozenset({"read", "write", "none", "deny", "allow", "control", "treatment", "variant", "on", "off"})


_CONSENT = frozenset(
    {"accepted", "rejected", "declined", "denied", "granted", "all", "necessary", "essential", "partial"}
)
"""`cookies=rejected`: what somebody said to a banner."""


def _has_no_digit(value: str) -> bool:
    return not any(map(str.isdigit, value))


_SHORTEST_PIN = 3
_NO_PIN = re.compile(r"[A-Za-z]{1,5}[0-9]{1,2}|[a-z_]{2,20}=[0-9]{1,2}")
"""`GPIO17`, `PA12`, `VERIFY_PIN slot=2`."""


def _is_no_pin(value: str) -> bool:
    """Words, the pins of a board, and another number beside the word for it."""
    return _has_no_digit(value) or len(value) < _SHORTEST_PIN or _NO_PIN.fullmatch(value) is not None


def _is_plain_word(value: str) -> bool:
    """`credentials: include`, `authorization: rbac`: how it is done."""
    return looks.is_prose(value) or (value.isalpha() and value.islower() and len(value) < _MADE)


def _is_setting(value: str) -> bool:
    """`csrf: disabled`, `csrf=1`."""
    return _is_small(value) or _is_plain_word(value)


def _is_file(value: str) -> object:
    """`ssl_key=/etc/ssl/key.pem`: where it is."""
    return _FILE.fullmatch(value)


_FILE = re.compile(
    r"(?:~|\.{1,2}|[A-Z]:)?[/\\][\w.\-/\\]{0,200}\.[a-z][a-z0-9]{1,9}|/[a-z._-]{2,30}(?:/[a-z0-9._-]{1,30}){1,8}"
)


def _is_small(value: str) -> bool:
    return value.isdigit() and len(value) < 5


def _is_no_session(value: str) -> bool:
    """Numbers of processes, places in memory, classes (`session: PipSession`), machines (`user-session:amd64`).

    Nor what Twilio calls a `sid`, and what Windows does.
    """
    return _is_small(value) or looks.is_prose(value) or _NAMED_SHORT.fullmatch(value) is not None


_NAMED_SHORT = re.compile(
    r"[A-Z]{2}[0-9a-f]{32}|S-1-[0-9]{1,2}(?:-[0-9]{1,10}){1,14}|0x[0-9a-fA-F]{1,16}|[A-Z][a-z]{1,20}(?:[A-Z][a-z]{1,20}){1,4}|[a-z]{2,5}[0-9]{1,2}"
)
_REFUSED: MappingProxyType[str, Callable[[str], object]] = MappingProxyType(
    {
        "cvv": _has_no_digit,
        "otp": _has_no_digit,
        "pin": _is_no_pin,
        "authorization": lambda value: _is_plain_word(value.strip()),
        "credential": lambda value: _is_plain_word(value) or _is_file(value),
        "private-key": lambda value: _is_file(value) or _KEY_ID.fullmatch(value),
        "secret": lambda value: _OBJECT.fullmatch(value) or _is_file(value),
        "password": lambda value: _PATH.fullmatch(value) or looks.is_method(value),
        "webhook-url": lambda value: "://" not in value,
        "session": _is_no_session,
        "csrf": lambda value: _is_setting(value) or _is_name_of_header(value) or looks.is_word(value),
        "cookie": lambda value: value.lower() in _CONSENT,
        **dict.fromkeys(
            ("token", "api-key"),
            lambda value: _is_small(value) or _is_name_of_header(value) or _is_choice(value) or _is_kind(value),
        ),
    }
)
"""By rule: what a value of it is not."""
