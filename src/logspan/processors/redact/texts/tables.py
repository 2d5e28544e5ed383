"""Tables inside of texts: a line of names, and under it lines of values in the same order (CSV, tabs, pipes)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logspan.processors.redact.values.acceptance import Judge, Judged, accepts
from logspan.processors.redact.values.ends import Span

_DELIMITERS = ("\t", "|", ";", ",")
_AROUND = " \t\r\"'"
_NAME = r"[\"']?[\w .-]{0,42}[\"']?"
_HEADER = re.compile(
    rf"[\s|]{{0,8}}[\"']?[A-Za-z_][\w .-]{{0,40}}[\"']?[,;|\t][ ]{{0,40}}[\"']?\w{_NAME}"
    rf"(?:[,;|\t]{_NAME}){{0,40}}[\s|]{{0,8}}"
)
"""Two names at least: an item of a list on a line of its own has a comma behind it as well."""


def columns(text: str, judge: Judge) -> Iterator[Span]:
    """The values under sensitive names; a line with another number of parts ends the table."""
    position, delimiter, judged, width = 0, "", dict[int, Judged](), 0
    for line in text.split("\n"):
        parts = line.split(delimiter) if delimiter else []
        if judged and len(parts) == width:
            yield from _row(parts, position, len(delimiter), judged)
        elif _HEADER.fullmatch(line):
            delimiter = next(sign for sign in _DELIMITERS if sign in line)
            names = line.split(delimiter)
            width = len(names)
            judged = {number: found for number, name in enumerate(names) if (found := judge(name.strip(_AROUND)))}
        elif set(line) - set("-+|= \r"):
            judged = {}
        position += len(line) + 1


def _row(parts: list[str], position: int, gap: int, judged: dict[int, Judged]) -> Iterator[Span]:
    for number, part in enumerate(parts):
        value = part.strip(_AROUND)
        found = judged.get(number)
        if found and accepts(value, found, strict=False):
            start = position + part.index(value)
            yield start, start + len(value), found.rule
        position += len(part) + gap
