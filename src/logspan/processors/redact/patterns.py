"""Secrets by their shape, inside any text. Each pattern has a cheap test that most texts fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple


class TextRule(NamedTuple):
    """One shape: `hint` must be in the lower-cased text for the pattern to be tried; group 1, if any, is kept."""

    name: str
    hint: str
    pattern: re.Pattern[str]

    def apply(self, text: str) -> str:
        """The text with each match replaced by a marker that names the rule."""
        return self.pattern.sub(self._replacement(), text)

    def _replacement(self) -> Callable[[re.Match[str]], str]:
        marker = marker_of(self.name)
        if self.pattern.groups:
            return lambda match: f"{match[1]}{marker}"
        return lambda _: marker


def marker_of(rule: str) -> str:
    """What stands where a secret stood: it names the rule, never the match."""
    return f"[REDACTED:{rule}]"


# Every quantifier is bounded, possessive, or followed by something that its class excludes; and no two places where a
# match may begin run over the same text (`-(?!eyJ)`). So the work grows with the text, and not faster.
TEXT_RULES: tuple[TextRule, ...] = (
    TextRule(
        "jwt",
        "eyj",
        re.compile(
            r"\beyJ(?=[A-Za-z0-9_-]{8})[A-Za-z0-9_]*+(?:-(?!eyJ)[A-Za-z0-9_]*+)*+"
            r"\.[A-Za-z0-9_-]{2,}+(?:\.[A-Za-z0-9_-]*+){0,3}"
        ),
    ),
    TextRule("bearer", "bearer", re.compile(r"(?i)\b(bearer[\s:=]{1,4})[A-Za-z0-9_~+/.-]{6,}={0,2}")),
    TextRule("basic-auth", "basic", re.compile(r"(?i)\b(basic[\s]{1,4})[A-Za-z0-9+/]{8,}={0,2}(?![A-Za-z0-9+/])")),
    TextRule(
        "url-password",
        "://",
        re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://[^\s:/@?#\"'<>]{0,256}:)[^\s/\"'<>]{1,512}(?=@)"),
    ),
)
