"""Secrets that words alone announce, with nothing assigned: `with password Tr0ub4dor9`, `config set token abc`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logspan.processors.redact import looks
from logspan.processors.redact.acceptance import Judge, accepts
from logspan.processors.redact.ends import Span, trimmed

_SPOKEN = re.compile(
    r"(?:\]?[ \t]{1,24}|(?P<cell>[ \t]{0,24}[|;~][ \t]{0,24})|/|:?(?P<line>\r?\n)[ \t]{0,8})(?P<quote>\\{0,8}[\"'`])?"
    r"(?=[^\s\"'`<>{}\[\]\\|]{0,512}?[0-9!#$%^&*?@+~\x80-\U0010ffff]|[a-zA-Z]{1,30}?[a-z][A-Z])(?P<value>[^\s\"'`<>{}\[\]\\|]{6,512})"
)
"""With a digit, a sign or a capital within, as every secret that is spoken of has."""
_LAST_WORDS = re.compile(
    r"(?P<key>(?:[A-Za-z_][\w.-]{0,60}[ \t]){0,2}[A-Za-z_\x80-\U0010ffff][\w.-]{0,60})(?:[ \t][0-9]|[\"'`])?\Z"
)
"""A digit may stand behind: Cisco's `password 7 08731A1B` names the method."""
_VARIABLE = re.compile(r"(?:^|\s)[A-Z]{2,32}(?:_[A-Z]{2,32}){1,6}\Z")
_CELL = re.compile(r"(?<=\w)[;~](?=[^\s;~]{6})")
_NUMBERED = re.compile(r"[A-Za-z]{8,64}[0-9]{2,6}")
_SETTING = re.compile(
    r"(?i)\b(?:config(?:ure)?[ :]set|git config|(?:settings?|env|secrets?|variable|parameter|param|option)[ :]set|set-config)"
    r"(?: --?[\w-]{1,32}){0,3} (?:[^\s=\"']{0,200}[/:.])?(?P<key>[A-Za-z_][\w.-]{1,100})[\"']?(?: {1,4}|=)(?:--?(?:body|value|b|v)[ =])?"
    r"[\"']?(?P<value>[^\s\"']{1,4096})"
)


def spoken(text: str, judge: Judge) -> Iterator[Span]:
    """`with password Tr0ub4dor9 (attempt 2)`: behind the words for it, what can be nothing but a secret."""
    position = 0
    while (match := _SPOKEN.search(text, position)) is not None:
        start, position = match.span("value")
        end = trimmed(text, start, position)
        found = _spoken_of(text, match, text[start:end], judge)
        if found and not (match["line"] and text[end : end + 1] not in ("", "\r", "\n")):
            yield start, end, found
        elif (cell := _CELL.search(text, start, end)) is not None:
            position = cell.start()


def said(text: str, judge: Judge) -> Iterator[Span]:
    """`The generated password for the built-in user is: Tr0ub4dor9`."""
    for match in _SAID.finditer(text):
        value = match["value"].rstrip(".,;)")
        if not ((match["quote"] and not match["to"]) or looks.is_unlike_words(value)):
            continue
        subject = _SUBJECT.search(text, max(0, match.start() - _SUBJECT_LENGTH), match.start())
        found = judge(subject["key"]) if subject else None
        if found and accepts(value, found, strict=True):
            yield match.start("value"), match.start("value") + len(value), found.rule


_SAID = re.compile(
    r"(?: (?:is|was)(?: ?[:=])?|[:=]|(?P<to> to)(?= [\"'`])) {1,2}(?P<quote>[\"'`])?(?P<value>[^\s\"'`]{6,512})"
)
_SUBJECT = re.compile(
    r"(?<![\w.-])(?P<key>[A-Za-z_][\w.-]{0,40}(?: [A-Za-z_][\w.-]{0,40})?) (?:for|of|to)(?: [\w.@'/-]{1,40}){1,8}\Z"
)
_SUBJECT_LENGTH = 160


def _spoken_of(text: str, match: re.Match[str], value: str, judge: Judge) -> str | None:
    """The rule that a value falls under by the words in front of it."""
    is_short = _is_short_password(value)
    looks_secret = _is_in_cell if match["cell"] else looks.is_unlike_words
    if not match["cell"] and _is_variable(text, match.start()):
        looks_secret = _has_digit
    if not (looks_secret(value) or is_short or (match["quote"] and looks.is_no_name(value))):
        return None
    words = _LAST_WORDS.search(text, max(0, match.start() - 80), match.start())
    found = judge(words["key"].strip()) if words else None
    if found is None or (is_short and (found.rule != "password" or match["cell"])):
        return None
    return found.rule if accepts(value, found, strict=True) else None


def _is_variable(text: str, end: int) -> bool:
    """Whether the name of a variable ends there, of which no sentence is made: `DB_PASS x`."""
    return text[end - 1 : end].isupper() and _VARIABLE.search(text, max(0, end - 80), end) is not None


def _has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


def _is_in_cell(value: str) -> bool:
    """In a row the next word may be another name: `password|sha256sum`."""
    return looks.is_unlike_words(value) and (looks.is_no_name(value) or _NUMBERED.fullmatch(value) is not None)


def _is_short_password(value: str) -> bool:
    return len(value) < 8 and value.isalnum() and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def commanded(text: str, judge: Judge) -> Iterator[Span]:
    """Commands that set something: its name, and behind a space its value (`git config`, `npm config set`, `CONFIG SET`)."""
    for match in _SETTING.finditer(text):
        found = judge(match["key"])
        if found and accepts(match["value"], found, strict=False) and not looks.is_prose(match["value"]):
            yield (*match.span("value"), found.rule)
