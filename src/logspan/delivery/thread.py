"""A worker's thread, which can be given up when it is stuck, and replaced."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from logspan.clock import Clock

_MOST_LEFT_BEHIND = 8
"""Threads that hang at the same time; with one more each `stall_timeout` there would be no end of them."""


class WorkerThread:
    """Runs `work` on a daemon thread. `work` asks `is_current` between two steps and ends when it is not.

    `busy_since` (monotonic seconds) is set by whoever works while something may hang that is not ours: a processor, an
    exporter. Nothing can interrupt that; the thread is left to it, and a new one goes on with the next records.
    """

    def __init__(self, name: str, work: Callable[[], None], clock: Clock) -> None:
        self._name = name
        self._work = work
        self._clock = clock
        self._busy_since: float | None = None
        self._started_in = 0
        self._thread = self._new()
        self._left_behind: list[threading.Thread] = []

    def _new(self) -> threading.Thread:
        return threading.Thread(target=self._work, name=self._name, daemon=True)

    def start(self) -> None:
        """Start a thread, which is the current one from now on; `work` may ask for this object at once."""
        self._busy_since = None
        self._started_in = 0
        self._left_behind = [thread for thread in (*self._left_behind, self._thread) if thread.is_alive()]
        self._thread = self._new()
        self._thread.start()
        self._started_in = os.getpid()

    def is_current(self) -> bool:
        """Whether the caller runs on the thread that has not been replaced."""
        return threading.current_thread() is self._thread

    def busy(self) -> None:
        """Say that something begins which may hang."""
        if self.is_current():
            self._busy_since = self._clock.monotonic()

    def idle(self) -> None:
        """Say that it is over."""
        if self.is_current():
            self._busy_since = None

    def trouble(self, patience: float) -> str:
        """`"died"`, or `"stuck"` when it has been busy for more than `patience` seconds; else `""`."""
        if self._started_in != os.getpid():  # not started yet, as in a forked child that is about to begin anew
            return ""
        if not self._thread.is_alive():
            return "died"
        since = self._busy_since
        return "stuck" if since is not None and self._clock.monotonic() - since > patience else ""

    @property
    def may_be_left(self) -> bool:
        """Whether a new thread may take the place of this one: not while so many that were replaced hang still."""
        return not self.alive or sum(thread.is_alive() for thread in self._left_behind) < _MOST_LEFT_BEHIND

    @property
    def alive(self) -> bool:
        """Whether the current thread is running."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait for its end, `timeout` seconds at most; not at all for itself."""
        if not self.is_current():
            self._thread.join(max(timeout, 0))
