"""What the pipeline has to say of itself, when its own exporters may be what is broken: one line on stderr, rarely."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from logspan.printable import escape_keeping_backslashes

INTERVAL = 30.0
"""Seconds between two notices of one kind."""


class Notices:
    """Writes a line per kind of trouble, at most one each `INTERVAL` seconds; never raises, never logs."""

    def __init__(self, stream: Callable[[], TextIO | None] = lambda: sys.__stderr__) -> None:
        self._stream = stream
        self._last: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}
        self._lost: dict[str, tuple[int, str]] = {}
        self._told: dict[str, int] = {}

    def say(self, kind: str, text: str) -> None:
        """Write `text`, which holds no data of any record, unless this kind was written of a moment ago."""
        if not self._due(kind):
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        unsaid = self._unsaid.pop(kind, 0)
        self._write(f"logspan: {text}" + (f" ({unsaid} more like this since the last notice)" if unsaid else ""))

    def lost(self, what: str, total: int, detail: str = "") -> None:
        """Say that records are lost: `total` of them so far, for the reason that `what` names.

        What is not said now, as it was a moment ago, is said with the next line about it or by `last_words`.
        """
        self._lost[what] = (total, detail)
        if self._due(what):
            self._tell_loss(what)

    def last_words(self) -> None:
        """Say what was kept back of losses: at the end every one of them has been told."""
        for what in list(self._lost):
            self._tell_loss(what)

    def _tell_loss(self, what: str) -> None:
        (total, detail), told = self._lost[what], self._told.get(what, 0)
        if total <= told:
            return
        self._told[what] = total
        in_all = f" ({total} in all)" if told else ""
        self._write(f"logspan: {total - told} records {what}{in_all}" + (f": {detail}" if detail else ""))

    def _due(self, kind: str) -> bool:
        now = time.monotonic()
        if now - self._last.get(kind, -INTERVAL) < INTERVAL:
            return False
        self._last[kind] = now
        return True

    def _write(self, line: str) -> None:
        try:
            stream = self._stream()
            if stream is not None:
                stream.write(escape_keeping_backslashes(line) + "\n")  # it may quote what a peer has answered
                stream.flush()
        except Exception:
            pass
