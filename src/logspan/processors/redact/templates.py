"""Templates beside their arguments: `"login of %s with %s"` and `["kim", "..."]` under keys of one mapping."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from opentelemetry.util.types import AnyValue

_TEMPLATES = frozenset({"msg", "message", "template", "format", "query", "statement", "sql", "event", "body"})
_ARGUMENTS = frozenset({"args", "params", "parameters", "arguments", "bindings", "values"})
"""Last parts of their keys."""
_HOLE = re.compile(r"%(?:\(\w{1,64}\))?[-+0-9.]{0,8}[sdrif]|\{\w{0,64}(?:![rsa])?\}|\?|\$[0-9]{1,3}|:\w{1,64}\b")
_BEFORE = re.compile(r"(?P<key>[\w.$-]{1,64})[\"'`\\]{0,4}\s{0,4}(?:=|:|=>|\bis|\bto)?\s{0,4}[\"'(]{0,2}$")
_LONGEST = 8_192


def names_arguments(key: str) -> bool:
    """Whether a list under a key may be the arguments of a template."""
    return _last(key) in _ARGUMENTS


def names_of_arguments(mapping: Mapping[str, AnyValue]) -> Iterator[list[str]]:
    """For each template in a mapping: the words in front of the places of its arguments; "" where there is none."""
    for key, value in mapping.items():
        if isinstance(value, str) and _last(key) in _TEMPLATES:
            yield _names(value[:_LONGEST])


def _names(template: str) -> list[str]:
    words = (_BEFORE.search(template, max(0, hole.start() - 80), hole.start()) for hole in _HOLE.finditer(template))
    return [word["key"] if word else "" for word in words]


def _last(key: str) -> str:
    return key.rpartition(".")[2].lower()
