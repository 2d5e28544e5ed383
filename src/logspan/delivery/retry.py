"""When to send again: the Collector's `retry_on_failure`, exponential back-off with jitter and an end."""

from __future__ import annotations

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

    def next_delay(self, retry_after: float | None, deadline: float | None) -> float | None:
        """Seconds to wait before the next attempt, or None when there is to be none.

        A peer's `retry_after` is a least delay. Once a shutdown has set a `deadline`, attempts come at a fifth of the
        time that is left, for there will be no later.
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
        if not policy.enabled or (policy.max_elapsed_time > 0 and elapsed > policy.max_elapsed_time):
            return None
        return delay


def honoured(retry_after: float | None) -> float:
    """The least delay that a peer has asked for, in seconds: 0 when it asked for none, or for nonsense."""
    return min(retry_after, MOST_RETRY_AFTER) if retry_after is not None and retry_after > 0 else 0.0
