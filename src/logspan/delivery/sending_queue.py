"""The bounded queue of one outlet, and how far its records have come."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import Clock, Latch
from logspan.delivery.admission import Overflow
from logspan.delivery.batch import Batch


@dataclass(frozen=True, slots=True)
class SendingQueueConfig:
    """Sizes in records; `schedule_delay` in seconds: how long a record waits at most for its batch to fill."""

    queue_size: int = 50_000
    max_export_batch_size: int = 512
    schedule_delay: float = 0.2
    overflow: Overflow = "drop_oldest"


class SendingQueue:
    """Records in order. `position` counts what was taken in, `settled` what was delivered, refused or given up.

    Its lock is for the pipeline's own threads. Whoever waits for them does not take it: a signal handler may interrupt
    that waiting, and wait for the same threads itself.
    """

    def __init__(self, config: SendingQueueConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._records: deque[ReadableLogRecord] = deque()
        self._current: Batch | None = None
        self._lock = threading.RLock()
        self._waiting: deque[Latch] = deque()
        self.position = 0
        self.settled = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def full_batch(self) -> bool:
        """Whether there is enough for a batch of the full size."""
        return len(self._records) >= self._config.max_export_batch_size

    def put(self, records: Sequence[ReadableLogRecord]) -> int:
        """Take records in; how many had to go, by the overflow policy, for want of room."""
        with self._lock:
            if self._config.overflow == "drop_newest":
                return self._put_what_fits(records)
            self._records.extend(records)
            self.position += len(records)
            surplus = max(len(self._records) - self._config.queue_size, 0)
            for _ in range(surplus):
                self._records.popleft()
            self._settle(surplus)
            return surplus

    def _put_what_fits(self, records: Sequence[ReadableLogRecord]) -> int:
        fitting = records[: max(self._config.queue_size - len(self._records), 0)]
        self._records.extend(fitting)
        self.position += len(fitting)
        return len(records) - len(fitting)

    def take_batch(self) -> Batch:
        """The oldest records, a batch at most; who settles it says so with `settle`."""
        with self._lock:
            size = min(len(self._records), self._config.max_export_batch_size)
            self._current = Batch([self._records.popleft() for _ in range(size)])
            return self._current

    def abandon(self) -> int:
        """Give up all that is not settled, the batch that is being sent included; how many records those are."""
        with self._lock:
            left = len(self._records)
            self._records.clear()
            if self._current is not None and self._current.settle():
                left += len(self._current)
            return left

    def settle(self, number: int) -> None:
        """Say that `number` records are done with, for better or worse."""
        with self._lock:
            self._settle(number)

    def _settle(self, number: int) -> None:
        self.settled += number
        for latch in list(self._waiting):
            latch.ring()

    def wait_settled(self, position: int, deadline: float) -> bool:
        """Wait until all up to `position` is settled; False when `deadline` (monotonic seconds) came first."""
        latch = Latch()
        self._waiting.append(latch)
        try:
            while self.settled < position:
                remaining = deadline - self._clock.monotonic()
                if remaining <= 0:
                    return False
                latch.wait(remaining)
            return True
        finally:
            self._waiting.remove(latch)
