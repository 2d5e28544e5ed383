"""What stands where a secret would stand and only describes or names one: a schema, a reference, a form's complaint."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from logspan.processors.redact.checks import looks
from logspan.processors.redact.values.keys import key_words

_SCHEMA_TYPES = ("string", "object", "array", "integer", "number", "boolean", "null")
_SCHEMA = frozenset(
    {
        *("type", "format", "title", "description", "pattern", "nullable", "required", "readOnly", "writeOnly"),
        *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "uniqueItems", "deprecated"),
    }
)
"""What a schema of JSON or OpenAPI says of a field without saying anything of its values."""
_REFERENCE = frozenset({"secretName", "name", "optional", "defaultMode", "namespace"})
"""What a reference to a secret of Kubernetes is made of."""
_LABEL = re.compile(r"[a-z]{1,40}[0-9]{0,4}(?:[-.][a-z]{0,40}[0-9]{0,4}){0,16}")
"""A name that people give (RFC 1123)."""
_ABOUT = frozenset(
    {
        *("type", "kind", "expires", "expiry", "expired", "expiration", "ttl", "issued", "created", "rotated"),
        *("updated", "algorithm", "alg", "provider", "method", "source", "enabled", "active", "status", "state"),
        *("mode", "used", "version", "scope", "scopes", "valid", "required", "require", "requires", "secure"),
        *("httponly", "http", "path", "domain", "store", "backend", "issuer", "audience", "rotation", "detection"),
        *("alias", "policy", "format", "site", "samesite", "event", "events"),
    }
)
"""Words of keys that say something of a secret that is not there."""
_COUNTS = frozenset(
    {
        *("count", "total", "max", "min", "maximum", "minimum", "limit", "size", "length", "age", "history"),
        *("attempts", "digits", "days", "minutes", "seconds", "hours", "timeout", "retries", "cost", "rounds"),
    }
)
"""Words of keys whose numbers are no secrets."""
_SCHEME_OF = frozenset({"type", "in", "name", "scheme", "bearerformat", "description", "flows", "openidconnecturl"})
_SCHEME_TYPES = ("apiKey", "http", "oauth2", "openIdConnect", "mutualTLS")
"""What OpenAPI says of how a client shows who it is."""
_CALLED = frozenset({"name", "label", "title", "description", "owner", "hint", "last", "id"})
"""Words of keys that say what it is called; but a password, or what somebody logs in with, may stand there by itself."""
_BY_NAME = ("password", "credential", "authorization")
_BY_ID = ("session", "cookie", "csrf", "token")
"""Secrets that are called ids."""
_AUTHENTICATORS = ("webauthn", "public-key", "passkey", "fido2", "u2f")
"""Credentials that stay with their owner."""
_LONGEST_LABEL = 20
_OF_BOARD = frozenset({"gpio", "bcm", "board", "mode", "pull", "direction", "edge"})
"""What is said of the pin of a board."""
_LEAST_CODE = 100
_OF_DIGITS = ("pin", "otp", "cvv")
"""Secrets that a number alone may be."""
_OF_METHOD = (("issuer",), ("type",), ("method",), ("channel",), ("algorithm",))
_METHOD = re.compile(r"[A-Z]?[a-z]{2,15}")
"""Who sends codes, and how: `{"otp": {"issuer": "Acme", "method": "sms"}}`."""
_LONGEST_WORD = 32
_LONGEST = 4_096


def is_description(value: object, rule: str) -> bool:
    """Whether a mapping or a list holds no secret, although a key's rule says so."""
    if isinstance(value, dict):
        return (
            _is_schema(value)
            or _is_scheme(value)
            or all(_is_about(key, item, rule) for key, item in value.items())
            or (rule == "secret" and (_is_reference(value) or all(map(_is_kept, value.values()))))
            or _is_kept(value)
            or (rule == "pin" and _OF_BOARD.issuperset(value))
            or (value.get("type") in _AUTHENTICATORS and not any(map(_is_made, value.values())))
        )
    if not isinstance(value, list):
        return False
    if rule in ("secret", "credential") and all(map(_is_name, value)):
        return True
    return all(map(_is_complaint, value)) or (rule == "secret" and all(map(_is_reference, value)))


def is_described(text: str, rule: str) -> bool:
    """The same for a mapping or a list as it is written in JSON, escaped or not, in Python, or in YAML without quotes."""
    if len(text) > _LONGEST:
        return False
    text = _ERROR.sub(r"\g<said>", text)
    return any(
        is_description(_parsed(read, text.replace("\\", "")), rule) for read in (json.loads, ast.literal_eval, _flow)
    )


_ERROR = re.compile(r"ErrorDetail\(string=(?P<said>'[^'\\]{0,200}'|\"[^\"\\]{0,200}\"), code='[a-z_]{1,40}'\)")
"""How Django REST framework writes what it says of a field."""


def _flow(text: str) -> object:
    """YAML 1.2, 7.4: `{enabled: true, sameSite: lax}`."""
    return json.loads(_BARE.sub(r'"\g<word>"', text))


_BARE = re.compile(
    r"(?<=[{\[,:\s])(?!(?:true|false|null)[\s,}\]])(?P<word>[A-Za-z_/][^\s,:{}\[\]\"']{0,100})(?=\s{0,8}[,:}\]])"
)


def _parsed(read: Any, text: str) -> object:
    try:
        return read(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _is_schema(value: dict[str, object]) -> bool:
    if value.get("type") not in _SCHEMA_TYPES or not _SCHEMA.issuperset(value):
        return False
    return not any(looks.is_unlike_words(word) for text in value.values() for word in str(text).split())


def _is_scheme(value: dict[str, object]) -> bool:
    return value.get("type") in _SCHEME_TYPES and _SCHEME_OF.issuperset(map(str.lower, value))


def _is_name(item: object) -> bool:
    """`{"secrets": ["db", "smtp"]}`: which there are."""
    return isinstance(item, str) and _NAME.fullmatch(item) is not None


_NAME = re.compile(r"[a-z]{2,20}(?:[-_./][a-z]{1,20}){0,4}")


def _is_reference(value: object) -> bool:
    if not isinstance(value, dict) or not _REFERENCE.issuperset(value):
        return False
    return all(_LABEL.fullmatch(item) for item in value.values() if isinstance(item, str))


def _is_kept(value: object) -> bool:
    """`{"db": {"file": "./db.txt"}}`: where Compose finds them."""
    return isinstance(value, dict) and bool(value) and all(_is_place(key, item) for key, item in value.items())


def _is_place(key: str, item: object) -> bool:
    form = _PLACES.get(key)
    return form is not None and form.fullmatch(str(item)) is not None


_PLACES = MappingProxyType(
    {
        "file": re.compile(r"(?:[.~]{0,2}/)?[A-Za-z_][\w-]{0,60}(?:/[\w-]{1,60}){0,12}\.[a-z]{2,8}"),
        "external": re.compile("True|False"),
        "environment": re.compile("[A-Z_]{2,60}"),
    }
)


def _is_about(key: str, item: object, rule: str) -> bool:
    """`{"type": "bearer", "expiresIn": 3600, "rotating": true}`: what is said of a secret that is not there."""
    if item is None or isinstance(item, bool):
        return True
    words = key_words(key)
    if isinstance(item, int | float):
        least = _LEAST_CODE if rule in _OF_DIGITS else item + 1
        is_count = not (_ABOUT | _COUNTS).isdisjoint(words) or (rule in _OF_DIGITS and words[-1:] == ("period",))
        return item < least and is_count
    if isinstance(item, list):
        return rule not in _OF_DIGITS and all(isinstance(part, str) and _is_about(key, part, rule) for part in item)
    if not isinstance(item, str) or _is_long(item):
        return False
    if rule in _OF_DIGITS:
        return words[-1:] in _OF_METHOD and (_METHOD.fullmatch(item) is not None or looks.is_method(item))
    return not _ABOUT.isdisjoint(words) or looks.is_placeholder(item) or _says_name(words, rule)


def _is_made(item: object) -> bool:
    return len(str(item)) > _LONGEST_LABEL


def _says_name(words: Sequence[str], rule: str) -> bool:
    is_id = words[-1:] == ("id",) and rule in _BY_ID
    return rule not in _BY_NAME and not is_id and not _CALLED.isdisjoint(words)


def _is_long(text: str) -> bool:
    return looks.is_unlike_words(text) or (len(text) > _LONGEST_WORD and "://" not in text)


def _is_complaint(item: object) -> bool:
    return isinstance(item, str) and (looks.is_complaint(item) or looks.is_placeholder(item))
