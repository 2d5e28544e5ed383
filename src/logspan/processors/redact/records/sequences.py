"""Lists of texts that are one text: the lines of a private key, the arguments of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.engine import Match

_COMMAND_KEYS = frozenset({"args", "argv", "arguments", "cmd", "cmdline", "command", "entrypoint", "command_args"})
"""Last parts of keys whose list is a command with its arguments (semconv's `process.command_args`)."""


def has_key_lines(items: Sequence[object]) -> TypeGuard[list[str]]:
    """Whether these are lines of a text with a private key in it."""
    return _are_texts(items) and any("BEGIN" in text and "PRIVATE" in text for text in items)


def is_command(items: Sequence[object], context: str) -> TypeGuard[list[str]]:
    """Whether these are the arguments of a command, by their key or by their options."""
    return _are_texts(items) and (names_command(context) or any(text[:1] == "-" for text in items[1:]))


def names_command(key: str) -> bool:
    """Whether what stands under a key is a command."""
    return key.rpartition(".")[2].lower() in _COMMAND_KEYS


def named_in_pairs(value: AnyValue) -> Mapping[str, AnyValue] | None:
    """A mapping as it is, and a list of `[name, value]`, each name once, as a mapping."""
    if not isinstance(value, list):
        return value if isinstance(value, dict) else None
    pairs = [(item[0], item[1]) for item in value if isinstance(item, list) and len(item) == 2]
    named = {name: item for name, item in pairs if isinstance(name, str)}
    return named if len(named) == len(value) else None


def _are_texts(items: Sequence[object]) -> TypeGuard[list[str]]:
    return len(items) > 1 and all(type(item) is str for item in items)


def shares(items: Sequence[str], found: Sequence[Match], *, to_the_end: bool) -> dict[int, list[Match]]:
    """What is found in the joined items (one character between two), by the number of the item that holds it.

    A match may go over several items; `to_the_end`: what begins in an item takes the rest of it.
    """
    shared: dict[int, list[Match]] = {}
    offset = first = 0
    for number, item in enumerate(items):
        while first < len(found) and found[first].end <= offset:
            first += 1
        shared[number] = [
            match._replace(start=max(match.start - offset, 0), end=min(match.end - offset, len(item)))
            for match in _until(found, first, offset + len(item))
        ]
        offset += len(item) + 1
    if to_the_end:
        shared = {
            number: [match._replace(end=len(items[number])) for match in own[:1]] for number, own in shared.items()
        }
    return {number: own for number, own in shared.items() if own}


def _until(found: Sequence[Match], first: int, end: int) -> Sequence[Match]:
    last = first
    while last < len(found) and found[last].start < end:
        last += 1
    return found[first:last]
