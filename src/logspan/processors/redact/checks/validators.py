"""Whether what matched is what it looks like: check digits, ranges, lengths, alphabets.

Each takes the text and the span of a match, and returns the span that counts, which may be shorter, or None.
"""

from __future__ import annotations

import ipaddress
import re
from types import MappingProxyType

from logspan.processors.redact.checks import looks
from logspan.processors.redact.checks.cards import card
from logspan.processors.redact.checks.national import NATIONAL
from logspan.processors.redact.checks.places import Place, Validator, alone
from logspan.processors.redact.checks.wallets import base58check, ethereum, wallet

_NO_TLD = frozenset(
    {
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "js",
        "css",
        "py",
        "service",
        "local",
        "lock",
        "json",
        "yaml",
        "yml",
        "so",
        "socket",
        "timer",
        "mount",
        "slice",
        "scope",
        "target",
        "html",
    }
)


def token(text: str, start: int, end: int) -> Place | None:
    """The rest of a vendor's token: not only lower-case words."""
    end = start + len(text[start:end].rstrip(".-,"))
    return (start, end) if not all(letter.islower() or letter in "-_." for letter in text[start:end]) else None


def random(text: str, start: int, end: int) -> Place | None:
    """Made by a machine."""
    value = text[start:end]
    return (start, end) if looks.is_random(value) and not value.isdigit() else None


def opaque(text: str, start: int, end: int) -> Place | None:
    """Random, and no UUID."""
    value = text[start:end]
    return (start, end) if looks.is_random(value) and "-" not in value else None


def _is_run(part: str) -> bool:
    return part.isalnum() or (part.count("-") == 4 and len(part) == 36)


def path_token(text: str, start: int, end: int) -> Place | None:
    """A path in which at least one part was made by a machine."""
    parts = text[start:end].split("/")
    return (start, end) if any(len(part) >= 16 and looks.is_random(part) and _is_run(part) for part in parts) else None


def unlike_words(text: str, start: int, end: int) -> Place | None:
    """Letters and digits in one run, as in a password."""
    end = start + len(text[start:end].rstrip(".,:;!?)"))
    return (start, end) if looks.is_unlike_words(text[start:end]) else None


def secretive(text: str, start: int, end: int) -> Place | None:
    """No plain word and no placeholder."""
    return (start, end) if looks.is_secretive(text[start:end]) else None


def login_password(text: str, start: int, end: int) -> Place | None:
    """What stands beside a user's name: unlike words, and in an argument for both no plain word."""
    if _NO_USER.search(text, max(0, start - 72), start):
        return None
    value = text[start:end].rstrip(".,:;!?)")
    if text[start - 1 : start] in ("'", '"'):
        is_argument = _ARGUMENT.search(text, max(0, start - 100), start) or any(map(str.isdigit, value))
        return (start, end) if is_argument and looks.is_secretive(text[start:end]) else None
    is_mixed = looks.is_no_name(value) and any(map(str.isupper, value)) and any(map(str.islower, value))
    is_listed = text[end : end + 1] == ")" and text[start - 1 : start] in (" ", ",")
    is_made = is_mixed or (looks.is_unlike_words(value) and not is_listed)
    return (start, start + len(value)) if is_made else None


_NO_USER = re.compile(
    r"(?i)(?:^|[^a-z])(?:[a-z_]*_)?(?:(?-i:[A-Za-z]{2,16}I[dD]|id|ID|GitSha)|trace|span|(?:git)?_?sha(?:1|256)?|md5|digest|commit|revision|checksum|hash|etag|image|build|version|request|ts|time)[:/]\Z"
)
"""What has an id or a sum behind it: `login trace_id:4bf92f35...`."""
_ARGUMENT = re.compile(r"(?i)(?:auth=|auth ?|basic_?auth=?|credentials=|creds=)[(\[][^()\[\]]*$")


def email(text: str, start: int, end: int) -> Place | None:
    """RFC 5321, as far as people have them; no `git@github.com:`, no unit of systemd, no user in the address of a host."""
    local, _, domain = text[start:end].partition("@")
    if (
        domain.lower() in _NAMING
        or domain.rpartition(".")[2].lower() in _NO_TLD
        or ".." in domain
        or domain.startswith("-")
    ):
        return None
    if text[max(0, start - 2) : start] == "//" or _IN_ADDRESS.search(text[max(0, start - 512) : start]):
        return None
    if _USER.search(text[max(0, start - 65) : start]) and (text[end : end + 2] in (":/", ":~") or looks.is_made(local)):
        return None
    if _OF_MESSAGE.search(text, max(0, start - 80), start):
        return None
    if local in ("git", "hg", "svn") and text[end : end + 1] in (":", "/"):
        return None
    return start, end


_USER = re.compile(r"(?:^|[^A-Za-z0-9/@:])[\w.%+-]{1,64}:$")
"""In front of a password, and that in front of the host of `scp`."""
_NAMING = frozenset({"openssh.com", "libssh.org"})
"""RFC 4250, 4.6.1: whose algorithms these are, `chacha20-poly1305@openssh.com`."""
_OF_MESSAGE = re.compile(
    r"(?i)(?:message[-_ ]?id|in[-_]reply[-_]to|references|content-id)[\\\"' ]{0,8}[:=][\\\"' ]{0,8}(?:<[^\s<>]{1,64}> ?)?(?:<[^\s<>@]{0,64})?\Z"
)
"""RFC 5322, 3.6.4: ids of messages look like addresses."""
_IN_ADDRESS = re.compile(r"://[^\s/:]*:[^\s/?#]*$")


def phone(text: str, start: int, end: int) -> Place | None:
    """E.164 with a plus or in a link, or formatted as in North America; a possible number for its country."""
    value = text[start:end]
    digits = re.sub(r"[^0-9]", "", value)
    if text.endswith("wa.me/", 0, start):
        return (start, end) if _is_possible("+" + digits) else None
    if text[start - 1 : start].isalnum() or text[end : end + 1].isalnum():
        return None
    if value.startswith("+"):
        return (start, end) if _is_possible("+" + digits) else None
    if not alone(text, start, end):
        return None
    if value.startswith("00"):
        return (start, end) if not value.isdigit() and _is_possible("+" + digits[2:]) else None
    return (start, end) if value.startswith("(") or "-" in value or "." in value else None


def _is_possible(number: str) -> bool:
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(parsed)


def phone_national(text: str, start: int, end: int) -> Place | None:
    """Seven to thirteen digits behind a word that says so, without the `00` of a country's code."""
    value = text[start:end]
    digits = re.sub(r"\D", "", value).removeprefix("00")
    is_number = 7 <= len(digits) <= 13 and len(set(digits)) > 2 and _DATE.search(value) is None
    return (start, end) if is_number and alone(text, start, end) else None


_DATE = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}([-/.])(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])(?![0-9])"
    r"|(?<![0-9])(?:0?[1-9]|[12][0-9]|3[01])([-/.])(?:0?[1-9]|1[0-2])\2(?:19|20)[0-9]{2}(?![0-9])"
)


def number(text: str, start: int, end: int) -> Place | None:
    """A number that stands on its own."""
    return (start, end) if alone(text, start, end) else None


def ip(text: str, start: int, end: int) -> Place | None:
    """An address of version 4 or 6; no version number behind a `v`."""
    try:
        ipaddress.ip_address(text[start:end])
    except ValueError:
        return None
    return start, end


VALIDATORS: MappingProxyType[str, Validator] = MappingProxyType(
    {
        "token": token,
        "random": random,
        "opaque": opaque,
        "path-token": path_token,
        "unlike-words": unlike_words,
        "secretive": secretive,
        "login-password": login_password,
        "card": card,
        "email": email,
        "phone": phone,
        "phone-national": phone_national,
        "number": number,
        "ip": ip,
        "wallet": wallet,
        "ethereum": ethereum,
        "base58check": base58check,
        **NATIONAL,
    }
)
"""By the name that a rule calls it by."""
