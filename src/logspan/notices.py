"""What the pipeline has to say of itself, when its own exporters may be what is broken: one line on stderr, rarely."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

INTERVAL = 30.0
"""Seconds between two notices of one kind."""


class Notices:
    """Writes a line per kind of trouble, at most one each `INTERVAL` seconds; never raises, never logs."""

    def __init__(self, stream: Callable[[], TextIO | None] = lambda: sys.__stderr__) -> None:
        self._stream = stream
        self._last: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def say(self, kind: str, text: str) -> None:
        """Write `text`, which holds no data of any record, unless this kind was written of a moment ago."""
        now = time.monotonic()
        if now - self._last.get(kind, -INTERVAL) < INTERVAL:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._last[kind] = now
        unsaid = self._unsaid.pop(kind, 0)
        self._write(f"logspan: {text}" + (f" ({unsaid} more like this since the last notice)" if unsaid else ""))

    def _write(self, line: str) -> None:
        try:
            stream = self._stream()
            if stream is not None:
                stream.write(line.replace("\n", " ") + "\n")
                stream.flush()
        except Exception:
            pass
