"""Time that stands still until a test moves it."""

from __future__ import annotations

import threading

from logspan.clock import Latch

_SAFETY = 60.0


class _Waiter:
    __slots__ = ("deadline", "expired", "latch")

    def __init__(self, latch: Latch, deadline: float) -> None:
        self.latch = latch
        self.deadline = deadline
        self.expired = False


class FakeClock:
    """A `Clock` for `build_pipeline(..., clock=FakeClock())`; `advance` wakes whoever has waited long enough."""

    def __init__(self, start: float = 1_000.0) -> None:
        self._now = start
        self._changed = threading.Condition()
        self._waiters: list[_Waiter] = []

    def monotonic(self) -> float:
        """Seconds since some time in the past; moved by `advance` only."""
        return self._now

    def wait(self, latch: Latch, timeout: float) -> bool:
        """Wait until the latch is rung, or until the clock was moved by `timeout` seconds; whether it was rung.

        Gives up after a minute of real time, so that a test that forgot to move the clock ends.
        """
        if timeout <= 0:
            return latch.wait(0)
        waiter = _Waiter(latch, self._now + timeout)
        with self._changed:
            self._waiters.append(waiter)
            self._changed.notify_all()
        try:
            return latch.wait(_SAFETY) and not waiter.expired
        finally:
            with self._changed:
                self._waiters.remove(waiter)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._changed:
            self._now += seconds
            for waiter in self._waiters:
                if waiter.deadline <= self._now:
                    waiter.expired = True
                    waiter.latch.ring()

    def wait_for_waiters(self, count: int = 1, timeout: float = 10.0, *, least: float = 0.0) -> bool:
        """Wait, in real time, until `count` threads wait on this clock, each for `least` seconds of it or longer."""

        def enough() -> bool:
            return sum(waiter.deadline - self._now >= least for waiter in self._waiters) >= count

        with self._changed:
            return self._changed.wait_for(enough, timeout)
