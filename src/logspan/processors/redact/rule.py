"""What a rule is: data. The engine reads it, the settings add to it, nothing in it is code."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

Action = Literal["remove", "mask", "partial", "hash", "tokenize"]
"""What is done with a match: a marker, asterisks, a marker beside what may stay, a keyed hash, the user's own token."""

Kind = Literal["key", "pattern", "parser"]
Tier = Literal["core", "extended", "optional"]
Keep = Literal["", "last4", "last2", "domain", "country", "network"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret.

    `key`: the value of every key whose last words are one of `keys` (`api key` stands for `X-Api-Key`, `apiKey`, ...),
    as an attribute and inside texts. `pattern`: what the RE2 expression matches, or its groups where it has some;
    `hint` is a cheaper expression that matches wherever `pattern` does. `parser`: what the parser of that name finds.
    A match counts if `validator` (a name in `checks.validators`) accepts it and, where there are words in `near`, if
    one of them stands in front of it, in the key or a little behind it.
    """

    id: str
    kind: Kind
    tier: Tier = "core"
    action: Action = "remove"
    keys: tuple[str, ...] = ()
    pattern: str = ""
    hint: str = ""
    parser: str = ""
    validator: str = ""
    near: tuple[str, ...] = ()
    written: str = ""
    """How a match is written that counts without such a word, as the signs in it tell what it is: an expression."""
    whole: bool = False
    """Whether the whole match goes, whatever groups the expression has."""
    keep: Keep = ""
    """With `partial`: what of the match stays in sight."""
    own: bool = False
    """The user's own: a key's value goes whatever it looks like, an expression is asked about each value alone."""


def marker(rule: str) -> str:
    """What stands where a secret stood: it names the rule, never the match."""
    return f"[REDACTED:{rule}]"


_MARKER = re.compile(r"\[REDACTED:([A-Za-z0-9._-]{1,72}?)(?:#[0-9a-f]{16}|-failed)?\]")


def markers(text: str, rules: Container[str]) -> Iterator[tuple[int, int]]:
    """Where markers of these rules stand in a text. What only looks like one may hold anything."""
    return (match.span() for match in _MARKER.finditer(text) if match[1] in rules)


def is_marker(text: str, rules: Container[str]) -> bool:
    """Whether a text is the marker of one of these rules, and nothing else."""
    match = _MARKER.fullmatch(text)
    return match is not None and match[1] in rules
