"""Secrets by the name they are stored under: `password`, `X-Api-Key`, `dbPassword`, `user.session.token`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from logspan.expressions import Pattern
from logspan.processors.redact.rule import Rule
from logspan.processors.redact.rules.keys import FILLERS, HARMLESS_KEYS, VAGUE_KEYS, WEAK_KEYS
from logspan.processors.redact.values.acceptance import Judged

_WORDS = re.compile(r"[A-Z]+(?![a-z\x80-\U0010ffff])|[A-Z]?[a-z\x80-\U0010ffff]+|[0-9]+")
_MOST_KEYS = 8_192
_LONGEST_KEY = 256
BLOCKED = "blocked-key"
"""The rule of the keys that the user blocks."""
_GLUED = (
    *("password", "passwd", "passphrase", "apikey", "secretkey", "accesskey", "privatekey", "sessionid", "sessid"),
    *("token", "secret", "pwd", "credential", "credentials", "passcode", "pw"),
    *("密码", "密碼", "口令", "パスワード", "비밀번호", "пароль", "passwort", "kennwort"),
)
"""Endings of words that are written as one: `PGPASSWORD`, `accesstoken`, `用户密码`."""
_HARMLESS = frozenset(key.replace(" ", "") for key in HARMLESS_KEYS if " " in key)
_NUMBERED = frozenset({"2fa", "cvv2", "cvc2", "cookie2"})


class KeyRules:
    """Which keys hold secrets.

    A key is read as words, whatever its case and separators, and its last words decide: `password` and `db.password`
    hold one, `password_reset_count`, `token_type` and `max_tokens` do not. What the user blocks comes first, and no
    exception of ours spares it.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        blocked_keys: Iterable[str] = (),
        patterns: Iterable[str] = (),
    ) -> None:
        self._rules: dict[tuple[str, ...], str] = {}
        self._own: dict[tuple[str, ...], str] = {}
        for rule in rules:
            words = self._own if rule.own else self._rules
            for key in rule.keys:
                words.setdefault(key_words(key), rule.id)
        self._blocked = frozenset(key.casefold() for key in blocked_keys)
        self._own |= {key_words(key): BLOCKED for key in blocked_keys}
        for words in (self._rules, self._own):
            words.pop((), None)
        self._joined = {"".join(words): words for words in self._rules if len(words) > 1}
        self._longest = max(map(len, (*self._rules, *self._own)), default=0)
        self._patterns = tuple(Pattern(pattern) for pattern in patterns)
        self.has_patterns = bool(self._patterns)
        """Whether there are expressions of the user's own."""
        self._known: dict[str, Judged | None] = {}
        keys, unanchored = {*self._rules, *self._own}, [*map(_unanchored, patterns)]
        self.hint = "|".join((sieve_expression(keys, r"(?-i:[^a-z]|$)"), *unanchored))
        """An RE2 expression that matches wherever a text may hold one of the keys with a value behind it."""
        self.words = "|".join((sieve_expression(keys), *unanchored))
        """The same with nothing behind the word: the key may go on, and its value may begin, right there."""

    def rule(self, key: str) -> str | None:
        """The id of the rule that a key falls under, or None."""
        found = self.judge(key)
        return None if found is None else found.rule

    def judge(self, key: str) -> Judged | None:
        """What a key says of its value; None: nothing."""
        if key in self._known:
            return self._known[key]
        found = self._judge(key)
        if len(self._known) < _MOST_KEYS:
            self._known[key] = found
        return found

    def said(self, key: str) -> Judged | None:
        """The same of a key in a text, which may have words of the line in front of it."""
        found = self.judge(key)
        if found is None and self._patterns and " " in key:
            return self.judge(key.rpartition(" ")[2])
        return found

    def _judge(self, key: str) -> Judged | None:
        if any(pattern.search(key) for pattern in self._patterns) or key.casefold() in self._blocked:
            return Judged(BLOCKED, own=True)
        words = () if "=" in key or "://" in key else key_words(key[-_LONGEST_KEY:])
        while words:
            if (own := self._last_words(self._own, words)) is not None:
                return own._replace(weak=0, own=True)
            if any(" ".join(words[-length:]) in HARMLESS_KEYS for length in (1, 2, 3)):
                return None
            if (found := self._last_words(self._rules, words)) is not None:
                return found
            if not _has_filler(words):
                return self._glued(words[-1])
            words = words[:-1]
        return None

    def _last_words(self, rules: Mapping[tuple[str, ...], str], words: tuple[str, ...]) -> Judged | None:
        for length in range(min(self._longest, len(words)), 0, -1):
            rule = rules.get(words[-length:])
            if rule is not None:
                return Judged(rule, _weakness(" ".join(words[-length:])))
        return None

    def _glued(self, word: str) -> Judged | None:
        """What words say that are written as one: `securitycode`, `accesstoken`; `nextpagetoken` holds none."""
        if word in _HARMLESS:
            return None
        if (words := self._joined.get(word)) is not None:
            return self._last_words(self._rules, words)
        for ending in _GLUED:
            if word.endswith(ending) and len(word) > len(ending):
                rule = self._rules.get((ending,))
                return None if rule is None else Judged(rule)
        return None


def _weakness(key: str) -> int:
    return 2 if key in VAGUE_KEYS else int(key in WEAK_KEYS)


def _has_filler(words: tuple[str, ...]) -> bool:
    """Whether the last word says nothing of what the key holds: `password.value`, `token2`, but not `cvv2`."""
    filler = words[-1] in FILLERS or words[-1].isdigit()
    return len(words) > 1 and filler and "".join(words[-2:]) not in _NUMBERED


def key_words(key: str) -> tuple[str, ...]:
    """`dbPassword`, `DB-PASSWORD` and `db.password` are all `("db", "password")`."""
    if not key.isascii():
        key = _PART.sub(_uncapitalized, unicodedata.normalize("NFC", key))
    return tuple(word.lower() for word in _WORDS.findall(key))


_PART = re.compile(r"[^\W_]+")


def _uncapitalized(part: re.Match[str]) -> str:
    """`HASŁO` is one word, which the capitals of ASCII alone do not tell."""
    return part[0].lower() if part[0].isupper() else part[0]


def sieve_expression(keys: Iterable[tuple[str, ...]], behind: str = "") -> str:
    """An RE2 expression that matches wherever one of these keys is spelled, or a word that ends like one.

    `behind`: what has to stand behind short words.
    """
    words = sorted(keys)
    short = [key for key in words if len("".join(key)) <= _SHORT and "".join(key).isascii()]
    long = [_spelled(key) for key in words if key not in short]
    either = "|".join(part for part in ("|".join(long), _bounded(short, behind), "|".join(_GLUED)) if part)
    return rf"(?i:{either})"


_SHORT = 4
"""Letters of a key that stands in other words, too, and in ids."""


def _spelled(key: tuple[str, ...]) -> str:
    return "[\\s_.$'\u2019-]*".join(map(re.escape, key))


def _bounded(short: list[tuple[str, ...]], behind: str) -> str:
    """Short words that are one by themselves, also within `camelCase`: `userPin`, but not `author` or `passed`."""
    if not short:
        return ""
    rest = {key: tuple(map(str.upper, key[1:])) for key in short}
    capital = "|".join(
        _spelled((first, *rest[key])) for key in short for first in (key[0].capitalize(), key[0].upper())
    )
    in_ids = behind and "(?-i:[^a-z0-9]|$)"
    spelled = "|".join(_spelled(key) + (in_ids if key[0].isdigit() else behind) for key in short)
    return rf"(?:(?:\b|_|[^\x00-\x7f])(?:{spelled})|(?-i:[a-z](?:{capital})){behind})"


_FLAGS = re.compile(r"\(\?([a-zA-Z]+)\)")
_SIGN = re.compile(r"\\.|\[\^|.", re.DOTALL)
_ANCHORS = frozenset({"^", "$", r"\A", r"\z", r"\b", r"\B", "|"})


def _unanchored(pattern: str) -> str:
    """What matches wherever a text may hold a key that a pattern matches: its inner part, or anything at all."""
    flags = _FLAGS.match(pattern)
    signs = _SIGN.findall(pattern, flags.end() if flags else 0)
    first, last = int(signs[:1] == ["^"]), len(signs) - int(signs[-1:] == ["$"])
    if _ANCHORS.intersection(signs[first:last]):
        return "(?s:.)"
    return f"(?{flags[1] if flags else ''}:{''.join(signs[first:last])})"
