"""Time as the pipeline sees it: monotonic, and a seam for tests."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Latch:
    """A wake-up for one waiting thread that may be rung from anywhere, a signal handler included.

    Ringing releases a plain lock, which never waits; `threading.Event` and `Condition` take a lock that the
    interrupted code may be holding.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the waiting thread, or let its next wait return at once."""
        try:
            self._lock.release()
        except RuntimeError:  # it was rung already
            pass

    def wait(self, timeout: float) -> bool:
        """Wait until it is rung, `timeout` seconds at most; whether it was."""
        return self._lock.acquire(timeout=min(max(timeout, 0), threading.TIMEOUT_MAX))


class Clock(Protocol):
    """What the pipeline asks of time; `logspan.testing` has one that tests move by hand."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""

    def wait(self, latch: Latch, timeout: float) -> bool:
        """Wait on a latch, `timeout` seconds of this clock at most."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def wait(self, latch: Latch, timeout: float) -> bool:
        """Wait on a latch."""
        return latch.wait(timeout)
