"""Secrets in calls and blocks: `setPassword("...")`, `password: |` of YAML with the value on the lines below."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logspan.processors.redact.checks import looks
from logspan.processors.redact.values.acceptance import Judge, accepts
from logspan.processors.redact.values.ends import Span

_CALL = re.compile(
    r"(?P<key>(?:(?<![A-Za-z0-9_])(?:set|with|put|use|change|update)|\.(?!(?i:get|fetch|find|read|load|is|has|check|verify|valid|revoke|delete|remove)))"
    r"[A-Za-z_]{2,60})\(\s{0,8}[bBrRfFuU]{0,2}"
    r"(?P<quote>\\{0,8}[\"'`])(?P<value>[^\"'`\\\r\n]{1,8192})(?P=quote)\s{0,8}\)"
)
_ARGUMENT = re.compile(
    r"(?<![A-Za-z0-9_])(?P<key>[A-Za-z_]\w{2,60})\((?:\s{0,4}[bu]?[\"'][^\"'\r\n]{0,64}[\"'],){0,3}\s{0,8}[bu]?"
    r"(?P<quote>[\"'])(?P<value>[^\s\"']{8,512})(?P=quote)\s{0,8}[,)]"
)
_BLOCK = re.compile(
    r"(?<![\w.-])(?P<key>[A-Za-z_\x80-\U0010ffff][^\s:\"']{0,99})[\"']?:[ \t]{0,4}[|>][-+0-9]{0,2}[ \t]{0,4}\r?\n"
    r"(?P<indent>[ \t]{1,40})(?P<value>[^\s][^\r\n]{0,8192}(?:\r?\n(?P=indent)[^\r\n]{0,8192}){0,64})"
)


_SECTION = re.compile(r"(?<![\w.-])(?P<key>[A-Za-z_][\w-]{0,60})[\"']?:[ \t]{0,4}\r?\n(?=[ \t]{1,40}[\w\"'])")
_LINES = re.compile(r"(?P<indent>[ \t]{1,40})[^\r\n]{1,512}(?:\r?\n(?P=indent)[^\r\n]{1,512}){0,63}")
_ENTRY = re.compile(
    r"(?m)^[ \t]{0,40}[\"']?[\w.-]{1,60}[\"']?:[ \t]{1,8}(?P<quote>[\"']?)(?P<value>[^\s\"']{8,512})(?P=quote)[ \t\r]{0,8}$"
)


def calls(text: str, judge: Judge) -> Iterator[Span]:
    """The argument of a setter or of a builder's part; what asks for a secret (`get_secret("db")`) only names it.

    Of any other call (`check_password("...", hash)`): what can be nothing but a secret.
    """
    for match in _CALL.finditer(text) if "(" in text else ():
        found = judge(match["key"])
        if found and accepts(match["value"], found, strict=True) and not looks.is_code(match["value"]):
            yield (*match.span("value"), found.rule)
    for match in _ARGUMENT.finditer(text) if "(" in text else ():
        value = match["value"]
        found = judge(match["key"]) if looks.is_unlike_words(value) and looks.is_no_name(value) else None
        if found and accepts(value, found, strict=True):
            yield (*match.span("value"), found.rule)


def blocks(text: str, judge: Judge) -> Iterator[Span]:
    """YAML 1.2, 8.1: all lines of the block."""
    for match in _BLOCK.finditer(text):
        found = judge(match["key"])
        if found and accepts(match["value"], found, strict=False):
            yield (*match.span("value"), found.rule)


def sections(text: str, judge: Judge) -> Iterator[Span]:
    """`secrets:` of YAML, and below it names of their own: what can be nothing but a secret."""
    for match in _SECTION.finditer(text):
        found = judge(match["key"])
        lines = _LINES.match(text, match.end()) if found else None
        for entry in _ENTRY.finditer(text, *lines.span()) if lines else ():
            value = entry["value"]
            is_made = looks.is_unlike_words(value) and not looks.names_method(value)
            if found and is_made and accepts(value, found, strict=True):
                yield (*entry.span("value"), found.rule)
