"""Templates beside their arguments: `"login of %s with %s"` and `["kim", "..."]` under keys of one mapping.

Or `"login of {user} with {password}"` and a mapping.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from opentelemetry.util.types import AnyValue

_TEMPLATES = frozenset({"msg", "message", "template", "format", "query", "statement", "sql", "event", "body"})
_ARGUMENTS = frozenset({"args", "params", "parameters", "arguments", "bindings", "values"})
"""Last parts of their keys."""
_HOLE = re.compile(r"%(?:\(\w{1,64}\))?[-+0-9.]{0,8}[sdrif]|\{\w{0,64}(?:![rsa])?\}|\?|\$[0-9]{1,3}|:\w{1,64}\b")
_BEFORE = re.compile(
    r"(?P<key>(?:[\w.$-]{1,64} ){0,2}[\w.$-]{1,64})[\"'`\\]{0,4}\s{0,4}(?:=|:|=>|\bis|\bto)?\s{0,4}[\"'(]{0,2}$"
)
_LONGEST = 131_072


def names_arguments(key: str) -> bool:
    """Whether a list or a mapping under a key may be the arguments of a template."""
    return _last(key) in _ARGUMENTS


def names_of_arguments(mapping: Mapping[str, AnyValue]) -> Iterator[list[tuple[str, str]]]:
    """For each template in a mapping: what its arguments are called, and the words in front of their places.

    "" where there is none.
    """
    for key, value in mapping.items():
        if isinstance(value, str) and _last(key) in _TEMPLATES:
            yield _names(value[:_LONGEST])


def _names(template: str) -> list[tuple[str, str]]:
    return [(_NAME.sub("", hole[0]), _before(template, hole.start())) for hole in _HOLE.finditer(template)]


def _before(template: str, hole: int) -> str:
    word = _BEFORE.search(template, max(0, hole - 80), hole)
    return word["key"] if word else ""


_NAME = re.compile(r"^%\(|\)[-+0-9.]*[sdrif]$|^%.*|[{}:?$]|![rsa](?=\}$)|^\$[0-9]+")
"""What is around the name in a place."""


def _last(key: str) -> str:
    return key.rpartition(".")[2].lower()
