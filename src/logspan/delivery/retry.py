"""When to send again: the Collector's `retry_on_failure`, exponential back-off with jitter and an end."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from logspan.clock import Clock


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds throughout. `randomization_factor` 0.5 spreads a delay of 10 s over 5 to 15 s."""

    enabled: bool = True
    initial_interval: float = 5.0
    multiplier: float = 1.5
    randomization_factor: float = 0.5
    max_interval: float = 30.0
    max_elapsed_time: float = 300.0


MOST_RETRY_AFTER = 120.0
"""Seconds that a peer's `Retry-After` is honoured for at most; one that asks for years must not stop delivery."""


class Retry:
    """The delays of one batch, counted from its first attempt."""

    def __init__(self, policy: RetryPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._started = clock.monotonic()
        self._interval = policy.initial_interval

    def next_delay(self, retry_after: float | None, deadline: float | None, *, endless: bool = False) -> float | None:
        """Seconds to wait before the next attempt, or None when there is to be none.

        A peer's `retry_after` is a least delay; with `endless`, `max_elapsed_time` does not count. Once a shutdown has
        set a `deadline`, attempts come at a fifth of the time that is left, for there will be no later.
        """
        now = self._clock.monotonic()
        least = honoured(retry_after)
        if deadline is not None:
            remaining = deadline - now
            delay = max(remaining / 5, 0.05, least)
            return delay if delay < remaining else None
        policy = self._policy
        spread = policy.randomization_factor * self._interval
        delay = max(self._interval + random.uniform(-spread, spread), least)  # noqa: S311 - jitter
        self._interval = min(self._interval * policy.multiplier, policy.max_interval)
        elapsed = now + delay - self._started
        is_over = policy.max_elapsed_time > 0 and elapsed > policy.max_elapsed_time
        return None if not policy.enabled or (is_over and not endless) else delay


def honoured(retry_after: float | None) -> float:
    """The least delay that a peer has asked for, in seconds: 0 when it asked for none, or for nonsense."""
    return min(retry_after, MOST_RETRY_AFTER) if retry_after is not None and retry_after > 0 else 0.0


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """`failure_threshold` failed attempts in a row open the circuit; then one goes through each `open_interval` s."""

    failure_threshold: int = 5
    open_interval: float = 30.0


class CircuitBreaker:
    """Spares a peer that is down: while the circuit is open, a new batch waits for its turn instead of trying at once.

    What the peer has asked for holds for all that is sent to it, and not only for the batch that it answered.
    The attempts of one batch follow its own back-off; without a breaker each batch after one that was given up would
    begin with the shortest interval again.
    """

    def __init__(self, policy: BreakerPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._failures = 0
        self._last = 0.0
        self._not_before = -math.inf

    @property
    def open(self) -> bool:
        """Whether the peer counts as down."""
        return self._failures >= self._policy.failure_threshold

    @property
    def asked(self) -> float:
        """Seconds until the time that the peer itself has named, before which nobody may be in a hurry."""
        return max(self._not_before - self._clock.monotonic(), 0.0)

    def delay(self) -> float:
        """Seconds until the next attempt may be made: 0 unless the circuit is open, or the peer has asked for time."""
        if not self.open:
            return self.asked
        return max(self._last + self._policy.open_interval - self._clock.monotonic(), self.asked)

    def failed(self, retry_after: float | None = None) -> None:
        """An attempt has failed in a way that may pass; `retry_after` seconds are what the peer has asked for."""
        self._failures += 1
        self._last = self._clock.monotonic()
        self._not_before = self._last + honoured(retry_after)

    def answered(self) -> None:
        """The peer has answered, whatever it said."""
        self._failures = 0
