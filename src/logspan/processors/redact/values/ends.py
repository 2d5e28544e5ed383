"""Where a value ends inside of a text: at its quote, at what was opened before it, at what ends a sentence."""

from __future__ import annotations

import re

Span = tuple[int, int, str]
"""Start, end and the id of a rule."""
QUOTE = r"\\{0,8}[\"'`]"
"""A quote, escaped or not: a part of an expression."""
MOST = 131_072
"""Characters in which the end of a value is looked for."""
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_TAIL = ".,:;!?)]}"


def unbalanced(text: str, start: int, end: int) -> int:
    """Where something is closed that was opened before the value, or where a query begins: `][`, `),`, `?page=`."""
    for match in _ENDINGS.finditer(text, start + 1, end):
        opener = _CLOSERS.get(match[0][0])
        if opener is None or opener not in text[start : match.start()]:
            return match.start()
    return end


_ENDINGS = re.compile(r"[)\]}](?=[\[({)\]},;]|$)|\?(?=[A-Za-z_.]{1,40}=)")


def trimmed(text: str, start: int, end: int) -> int:
    """Without what ends a sentence or closes what was opened before the value."""
    while end > start and text[end - 1] in _TAIL:
        opener = _CLOSERS.get(text[end - 1])
        if opener is not None and text.count(opener, start, end) >= text.count(text[end - 1], start, end):
            break
        end -= 1
    return end


def closing(text: str, start: int, slashes: int, quote: str) -> int:
    """Where the value ends that was opened by a quote with so many backslashes before it; at the end of a cut text."""
    position = start
    while (position := text.find(quote, position, start + MOST)) >= 0:
        before = position
        while before > start and text[before - 1] == "\\":
            before -= 1
        if position - before <= slashes:
            return before if slashes else position
        position += len(quote)
    return end_of_cut(text, start)


def end_of_cut(text: str, start: int) -> int:
    """The end of the line, or of the text."""
    line = text.find("\n", start)
    return len(text) if line < 0 else line
