"""Secrets by the name they are stored under: `password`, `X-Api-Key`, `dbPassword`, `user.session.token`."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRETS = (
    ("password",),
    ("passwd",),
    ("pwd",),
    ("passphrase",),
    ("passcode",),
    ("secret",),
    ("secrets",),
    ("credential",),
    ("credentials",),
    ("authorization",),
    ("cookie",),
    ("cookies",),
    ("token",),
    ("apikey",),
    ("api", "key"),
    ("access", "key"),
    ("secret", "key"),
    ("private", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("auth", "key"),
    ("account", "key"),
    ("shared", "key"),
    ("csrf",),
    ("xsrf",),
    ("session", "id"),
    ("sessionid",),
    ("cvv",),
    ("cvc",),
    ("pin",),
    ("otp",),
)
_HARMLESS = frozenset({"session.id"})
"""Keys of the semantic conventions that sound like a secret and are none: https://opentelemetry.io/docs/specs/semconv/."""
_FILLERS = frozenset({"value", "header", "plain", "plaintext", "raw", "text", "str", "string", "old", "new", "confirm"})


class KeyRules:
    """Which keys hold secrets.

    A key is read as words, whatever its case and separators, and its last words decide: `password` and `db.password`
    hold one, `password_reset_count`, `token_type` and `max_tokens` do not.
    """

    def __init__(
        self, blocked_keys: Iterable[str] = (), allowed_keys: Iterable[str] = (), patterns: Iterable[str] = ()
    ) -> None:
        blocked = tuple(blocked_keys)
        secrets = (*_SECRETS, *(_words(key) for key in blocked))
        self._blocked = frozenset(key.casefold() for key in blocked)
        self._secrets = frozenset(words for words in secrets if words)
        self._longest = max(len(words) for words in self._secrets)
        self._allowed = frozenset(key.lower() for key in allowed_keys)
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)

    def rule(self, key: str) -> str | None:
        """The name of the rule that a key falls under, or None."""
        if key.lower() in self._allowed or key in _HARMLESS:
            return None
        if any(pattern.search(key) for pattern in self._patterns):
            return "blocked-key"
        words = _words(key)
        while len(words) > 1 and (words[-1] in _FILLERS or words[-1].isdigit()):
            words = words[:-1]
        for length in range(min(self._longest, len(words)), 0, -1):
            if words[-length:] in self._secrets:
                return "-".join(words[-length:])
        return "blocked-key" if key.casefold() in self._blocked else None  # in letters other than ASCII


def _words(key: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(key))


def secret_names() -> tuple[str, ...]:
    """The built-in names, as rules are named after them."""
    return tuple("-".join(words) for words in _SECRETS)
