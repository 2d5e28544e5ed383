"""Whether a secret is still there, and whether the rest is: judged from the output alone.

A secret survives when a long enough run of it can still be read: in any case, across separators when it is digits,
and behind zero-width characters, terminal codes and full-width forms.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

# How much of a secret may be left: shorter runs tell nothing (the last four of a card are even wanted).
LONGEST_RUN = 8
LONGEST_RUN_OF_DIGITS = 7

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[^0-9A-Za-z\n]{1,3}(?=\d)")


def leaked(secrets: tuple[str, ...], output: object) -> list[str]:
    """Those of the secrets that can still be read in the output."""
    texts = {text.casefold() for view in _views(output) for text in (view, _plain(view))}
    views = texts | {_BETWEEN_DIGITS.sub("", text) for text in texts}
    return [secret for secret in secrets if any(_survives(secret, view) for view in views)]


def lost(keep: tuple[str, ...], output: object) -> list[str]:
    """Those of the harmless parts that are gone."""
    views = list(_views(output))
    return [part for part in keep if not any(part in view for view in views)]


def _views(output: object) -> Iterator[str]:
    """The output as it is serialised, and its leaves one by one, keys too."""
    if not isinstance(output, str):
        yield json.dumps(output, ensure_ascii=False, default=repr)
    yield "\n".join(_leaves(output))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield str(value)


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", _ANSI.sub("", text))
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def _survives(secret: str, view: str) -> bool:
    plain = _plain(secret).casefold()
    digits = re.sub(r"[^0-9a-z]", "", plain)
    plain, longest = (digits, LONGEST_RUN_OF_DIGITS) if digits.isdigit() else (plain, LONGEST_RUN)
    if len(plain) < longest:
        return _stands_alone(plain, view)
    return any(plain[at : at + longest] in view for at in range(len(plain) - longest + 1))


def _stands_alone(short: str, view: str) -> bool:
    """Whether a short secret is there, and not merely a part of a hash or of a word."""
    return short in view and bool(re.search(rf"(?<![0-9a-z]){re.escape(short)}(?![0-9a-z])", view))
