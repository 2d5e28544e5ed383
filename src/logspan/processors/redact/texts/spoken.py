"""Secrets that words alone announce, with nothing assigned: `with password Tr0ub4dor9`, `config set token abc`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logspan.processors.redact.checks import looks
from logspan.processors.redact.values.acceptance import Judge, accepts
from logspan.processors.redact.values.ends import Span, trimmed

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
        if found and not (match["line"] and (";" in text[start:end] or not _ends_line(text, end))):
            yield start, end, found
        elif (cell := _CELL.search(text, start, end)) is not None:
            position = cell.start()


def said(text: str, judge: Judge) -> Iterator[Span]:
    """`The generated password for the built-in user is: Tr0ub4dor9`."""
    for match in _SAID.finditer(text):
        value = match["value"].rstrip(".,;)")
        subject = _SUBJECT.search(text, max(0, match.start() - _SUBJECT_LENGTH), match.start())
        if subject is None or (match["below"] and not _ends_line(text, match.end())):
            continue
        if not (
            (match["quote"] and not (match["to"] or match["below"]))
            or looks.is_unlike_words(value)
            or (subject["made"] and _ends_line(text, match.end("value")) and _is_generated(value))
        ):
            continue
        found = judge(subject["key"])
        if found and accepts(value, found, strict=True):
            yield match.start("value"), match.start("value") + len(value), found.rule


_SAID = re.compile(
    r"(?: (?:is|was)(?: ?[:=])?|[:=]|(?P<to> to)(?= [\"'`]))(?: {1,2}|(?P<below>[ \t]{0,4}\r?\n(?:[ \t]{0,4}\r?\n)?[ \t]{0,8}))(?P<quote>[\"'`])?(?P<value>[^\s\"'`]{6,512})"
)
_SUBJECT = re.compile(
    r"(?<![\w.-])(?P<key>[A-Za-z_][\w.-]{0,40}(?: [A-Za-z_][\w.-]{0,40})??)"
    r"(?P<made> (?:(?:is|was|has been) )?(?:generated|created|issued|assigned|set))? (?:for|of|to)(?: [\[\"]?[\w.@'%/-]{1,40}[\]\"]?){1,8}(?:\r?\n(?:New |new )?[Vv]alue)?\Z"
)
_SUBJECT_LENGTH = 160


def _ends_line(text: str, end: int) -> bool:
    return text[end : end + 1] in ("", "\r", "\n")


def _is_generated(value: str) -> bool:
    """As MySQL makes them: letters in capitals and small ones, and signs that no name has."""
    return len(value) >= 8 and any(map(str.isupper, value)) and _ODD.search(value) is not None and "://" not in value


_ODD = re.compile(r"[!#$%^&*?@+~(),;<>=|]")


def led(text: str, judge: Judge) -> Iterator[Span]:
    """`password........"Tr0ub4dor9"`: a row of dots that leads to the value."""
    for match in _LED.finditer(text):
        value = match["value"].rstrip(",;)")
        found = judge(match["key"]) if match["quote"] or looks.is_unlike_words(value) or _ends(text, match) else None
        if found and accepts(value, found, strict=not match["quote"]):
            yield match.start("value"), match.start("value") + len(value), found.rule


def _ends(text: str, match: re.Match[str]) -> bool:
    """Whether nothing follows on a value with digits in it."""
    return len(match["value"]) >= 8 and _has_digit(match["value"]) and _ends_line(text, match.end("value"))


_LED = re.compile(
    r"(?<![\w.-])(?P<key>[A-Za-z_][\w-]{0,60}(?:\.[\w-]{1,60}){0,8}(?: [A-Za-z_][\w-]{0,40}){0,2}?) ?\.{3,200}(?: ?[:=])? ?"
    r"(?P<quote>[\"'`])?(?P<value>[^\s.\"'`][^\s\"'`]{3,512})"
)


def _spoken_of(text: str, match: re.Match[str], value: str, judge: Judge) -> str | None:
    """The rule that a value falls under by the words in front of it."""
    is_short = _is_short_password(value)
    looks_secret = _is_in_cell if match["cell"] else looks.is_unlike_words
    if not match["cell"] and _is_variable(text, match.start()):
        looks_secret = _has_digit
    elif not match["cell"] and _HANDED.search(text, max(0, match.start() - 80), match.start()):
        looks_secret = _is_thought_up
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


_HANDED = re.compile(
    r"(?i)\b(?:with|using|tried|entered|typed|sent)(?: [a-z]{1,12}){0,2} (?:[\w.]{1,20}[-_.])?(?:password|passphrase|passwd|pwd)\Z"
)
"""It was given to log in: what follows is it, or a word of the sentence."""


def _is_thought_up(value: str) -> bool:
    """As people make passwords, `Mango_2291`; not how it is done, `SCRAM-SHA-256`."""
    if looks.is_unlike_words(value):
        return True
    digits = sum(map(str.isdigit, value))
    return (
        digits > 1 and any(map(str.islower, value)) and any(map(str.isupper, value)) and not looks.names_method(value)
    )


def _has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


def _is_in_cell(value: str) -> bool:
    """In a row the next word may be another name: `password|sha256sum`."""
    return looks.is_unlike_words(value) and (
        looks.is_no_name(value) or len(value) >= _LONG or _NUMBERED.fullmatch(value) is not None
    )


_LONG = 32


def _is_short_password(value: str) -> bool:
    return len(value) < 8 and value.isalnum() and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def commanded(text: str, judge: Judge) -> Iterator[Span]:
    """Commands that set something: its name, and behind a space its value (`git config`, `npm config set`, `CONFIG SET`)."""
    for match in _SETTING.finditer(text):
        found = judge(match["key"])
        if found and accepts(match["value"], found, strict=False) and not looks.is_prose(match["value"]):
            yield (*match.span("value"), found.rule)
