"""A statement and the values that are bound to it: which of them belong to a sensitive column.

`INSERT INTO users (name, password) VALUES (?, ?)` and behind it `[parameters: ('kim', 'x')]`, as SQLAlchemy has it, or
`parameters: $1 = 'kim', $2 = 'x'` of PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from logspan.processors.redact.values.acceptance import Judge, accepts
from logspan.processors.redact.values.ends import Span

_BOUND = re.compile(
    r"(?i)\b(?:parameters?|params|args|arguments|bindings|binds?|values)[\"']?\s{0,2}[:=]\s{0,2}(?=[\[(]|\$1 = )"
    r"|\s\|\s(?=\()|\[(?:generated in|cached since|raw sql|no key)[^\[\]\n]{0,80}\]\s{0,2}(?=\()"
)
_HOLE = r"(?:\?|%[sdrif]|\$(?P<{}>[0-9]{{1,3}})|:[0-9]{{1,3}})"
_COLUMN = re.compile(
    rf"(?i)\((?P<columns>[\w\"`\[\].,\s]{{1,4096}})\)\s{{0,8}}(?:output\s[^()]{{1,200}})?values\s{{0,8}}\((?P<holes>(?:[^()]|\([^()]{{0,256}}\)){{1,4096}}+)\)"
    rf"|(?<!\w)(?P<column>\w{{1,64}})[\"`\]]?\s{{0,4}}(?:(?:=|<>|!=|:|like|ilike)\s{{0,4}}(?:\w{{1,40}}\(\s{{0,4}}){{0,2}}|(?<=\s)){_HOLE.format('number')}|{_HOLE.format('other')}"
)
_ITEM = re.compile(r"(?:[^(),]|\([^()]{0,256}\)){1,512}")
_ONE_HOLE = re.compile(_HOLE.format("number"))
_LITERAL = re.compile(
    r"\s{0,8}(?:[bBuUN]?(?P<quote>['\"])(?P<text>(?:[^'\"\\\n]|\\.|(?!(?P=quote))['\"]){0,8192})(?P=quote)|(?P<bare>[^,()\[\]{}'\"\n]{1,512}))\s{0,8}(?P<end>[,)\]])?"
)
_NUMBERED = re.compile(r"\$(?P<number>[0-9]{1,3}) = (?:'(?P<text>(?:[^'\n]|''){0,8192})'|[^',\s]{1,512})")


def bindings(text: str, judge: Judge) -> Iterator[Span]:
    """The bound values of sensitive columns."""
    bound = _BOUND.search(text)
    if bound is None:
        return
    judged = {place: found for place, column in _columns(text[: bound.start()]) if (found := judge(column)) is not None}
    if not judged:
        return
    for place, (start, end) in _values(text, bound.end()):
        found = judged.get(place)
        if found is not None and accepts(text[start:end], found, strict=False):
            yield start, end, found.rule


def _columns(statement: str) -> Iterator[tuple[int, str]]:
    """For each place that a value is bound to: the column that it is for."""
    place = 0
    for match in _COLUMN.finditer(statement):
        if match["columns"] is not None:
            names = [name.strip(' \t\r\n"`[]') for name in match["columns"].split(",")]
            for name, item in zip(names, _ITEM.findall(match["holes"]), strict=False):
                if (hole := _ONE_HOLE.search(item)) is not None:
                    yield (int(hole["number"]) - 1 if hole["number"] else place), name
                    place += 1
            continue
        if match["column"] is not None:
            yield (int(match["number"]) - 1 if match["number"] else place), match["column"]
        place += 1


def _values(text: str, start: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """The values behind a statement, by their place."""
    if text.startswith("$1", start):
        for match in _NUMBERED.finditer(text, start):
            if match["text"] is not None:
                yield int(match["number"]) - 1, match.span("text")
        return
    while text[start : start + 1] in ("(", "["):
        start += 1
    place = 0
    while (literal := _LITERAL.match(text, start)) is not None:
        yield place, literal.span("text" if literal["quote"] is not None else "bare")
        place, start = place + 1, literal.end()
        if literal["end"] != ",":
            return
