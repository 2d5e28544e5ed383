"""The redaction corpus: lines and records with secrets in them, and without, as data.

`positive/` and `negative/` hold JSON Lines, one file for each kind; so do `seen/positive/` and `seen/negative/`, for
the cases that were looked at before they came here. The README tells the format and the rules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent

Tier = Literal["core", "extended"]


@dataclass(frozen=True)
class Case:
    """One input and what has to become of it; a case without secrets has to come out as it went in."""

    id: str
    kind: str
    tier: Tier
    place: str
    text: str | None = None
    attributes: dict[str, Any] | None = None
    secrets: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    set: str = "default"
    seen: bool = False

    @property
    def input(self) -> str | dict[str, Any]:
        """What is redacted: a text, or attributes."""
        return self.attributes if self.attributes is not None else self.text or ""

    @property
    def held_out(self) -> bool:
        """Whether it belongs to the third that nobody tunes on: the id of a case that was never seen decides."""
        return not self.seen and int(hashlib.sha256(self.id.encode()).hexdigest(), 16) % 3 == 0


def positives() -> list[Case]:
    """Every case with a secret in it."""
    return [*_read("positive"), *_read("seen/positive", seen=True)]


def negatives() -> list[Case]:
    """Every harmless case."""
    return [*_read("negative"), *_read("seen/negative", seen=True)]


def _read(folder: str, *, seen: bool = False) -> Iterator[Case]:
    for path in sorted((HERE / folder).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield _case(json.loads(line), seen=seen)


def _case(fields: dict[str, Any], *, seen: bool) -> Case:
    lists = {name: tuple(fields.get(name, ())) for name in ("secrets", "keep")}
    return Case(**{**fields, **lists}, seen=seen)
