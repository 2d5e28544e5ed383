"""The redaction corpus: lines and records with secrets in them, and without, as data.

`positive/` and `negative/` hold JSON Lines, one file for each kind. The README tells the format and the rules.
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

    @property
    def input(self) -> str | dict[str, Any]:
        """What is redacted: a text, or attributes."""
        return self.attributes if self.attributes is not None else self.text or ""

    @property
    def held_out(self) -> bool:
        """Whether it belongs to the third that nobody tunes on: its id decides, and nothing else."""
        return int(hashlib.sha256(self.id.encode()).hexdigest(), 16) % 3 == 0


def positives() -> list[Case]:
    """Every case with a secret in it."""
    return list(_read("positive"))


def negatives() -> list[Case]:
    """Every harmless case."""
    return list(_read("negative"))


def _read(folder: str) -> Iterator[Case]:
    for path in sorted((HERE / folder).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield _case(json.loads(line))


def _case(fields: dict[str, Any]) -> Case:
    lists = {name: tuple(fields.get(name, ())) for name in ("secrets", "keep")}
    return Case(**{**fields, **lists})
