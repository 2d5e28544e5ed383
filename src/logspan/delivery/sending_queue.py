"""The bounded queue of one outlet, and how far its records have come."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import Clock, Latch
from logspan.delivery.batch import Batch
from logspan.delivery.lanes import Lanes
from logspan.size import UNIT, weight_of

_POLL = 0.01


@dataclass(frozen=True, slots=True)
class SendingQueueConfig:
    """The bound of an outlet: `queue_size` in records, `queue_bytes` in estimated bytes of memory.

    `schedule_delay` is in seconds: how long a record waits at most for its batch to fill. With `block_on_overflow` the
    delivery worker, and so every exporter, waits for room here until the end comes; then, and without it, records go by
    `overflow`, those of `protected_severity` and above last.
    """

    queue_size: int = 50_000
    queue_bytes: int = 64 * 1024 * 1024
    max_export_batch_size: int = 512
    schedule_delay: float = 0.2
    overflow: Literal["drop_oldest", "drop_newest"] = "drop_oldest"
    block_on_overflow: bool = False
    protected_severity: int = SeverityNumber.ERROR.value


class SendingQueue:
    """Records in order. `position` counts what was taken in, `settled` what was delivered, refused or given up.

    Its lock is for the pipeline's own threads. Whoever waits for them does not take it: a signal handler may interrupt
    that waiting, and wait for the same threads itself.
    """

    def __init__(self, config: SendingQueueConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._records = Lanes(config.protected_severity)
        self._weight = 0
        self._current: Batch | None = None
        self._lock = threading.RLock()
        self._waiting: deque[Latch] = deque()
        self.position = 0
        self.settled = 0
        self.closed = False
        self._ends_at = math.inf
        self.when_full: Callable[[], object] = _nothing
        """Called by whoever waits for room: the one who takes records may not know yet that there are any."""

    def __len__(self) -> int:
        return len(self._records)

    @property
    def trouble(self) -> str | None:
        """What is the matter with it; memory has no trouble."""
        return None

    def revive(self) -> bool:
        """Whether a thread of its own had died, and was replaced; it has none."""
        return False

    @property
    def full_batch(self) -> bool:
        """Whether there is enough for a batch of the full size."""
        return len(self._records) >= self._config.max_export_batch_size

    @property
    def half_full(self) -> bool:
        """Whether half of the bound, in records or in bytes, is taken."""
        in_bytes = self._weight * UNIT * 2 >= self._config.queue_bytes
        return in_bytes or len(self._records) * 2 >= self._config.queue_size

    def put(self, records: Sequence[ReadableLogRecord]) -> int:
        """Take records in; how many had to go, by the overflow policy, for want of room."""
        gone = 0
        for record in records:
            if self._config.block_on_overflow:
                self._wait_for_room(record)
            with self._lock:
                gone += self._put(record)
        return gone

    def _put(self, record: ReadableLogRecord) -> int:
        before = self.position
        gone = 0
        while not self._fits(record):
            given_up = self._make_room(record)
            if given_up is None:
                return gone + 1
            gone += 1
            self._weight -= weight_of(given_up)
            self._settle(1)
        self._records.extend((record,))
        self._weight += weight_of(record)
        self.position = before + 1
        return gone

    def _fits(self, record: ReadableLogRecord) -> bool:
        in_bytes = (self._weight + weight_of(record)) * UNIT <= self._config.queue_bytes
        return len(self._records) < self._config.queue_size and (in_bytes or not self._records)

    def _make_room(self, record: ReadableLogRecord) -> ReadableLogRecord | None:
        number = record.log_record.severity_number
        protected = number is not None and number.value >= self._config.protected_severity
        if self._config.overflow == "drop_newest" and not protected:
            return None
        return self._records.give_up_oldest(protected_too=protected)

    def _wait_for_room(self, record: ReadableLogRecord) -> None:
        latch = Latch()
        while not (self._fits(record) or self.closed or self._clock.monotonic() >= self._ends_at):
            self.when_full()
            self._clock.wait(latch, _POLL)

    def take_batch(self) -> Batch:
        """The oldest records, a batch at most; who settles it says so with `settle`."""
        with self._lock:
            self._current = Batch(self._take(self._config.max_export_batch_size))
            return self._current

    def take_records(self) -> list[ReadableLogRecord]:
        """The oldest records, as many as a batch has; whoever asks answers for them."""
        with self._lock:
            return self._take(self._config.max_export_batch_size)

    def take_everything(self) -> list[ReadableLogRecord]:
        """All that waits, and the batch that is being sent unless that is settled."""
        with self._lock:
            current = self._current
            sending = current.records if current is not None and current.settle() else []
            return [*sending, *self._take(len(self._records))]

    def _take(self, most: int) -> list[ReadableLogRecord]:
        records = self._records.take(most)
        self._weight -= sum(map(weight_of, records))
        return records

    def hurry(self) -> None:
        """Somebody waits for all that was put so far: there is nothing to do for it here."""

    def keeps(self, batch: Batch) -> bool:
        """Whether a batch is tried for ever: it is not, or a peer that is away would fill the memory for ever."""
        del batch
        return False

    def end_at(self, deadline: float) -> None:
        """The end comes then: whoever waits for room waits no longer than that."""
        self._ends_at = deadline

    def finish(self) -> None:
        """Nothing more will be put: whoever waits for room waits no longer."""
        self.closed = True

    def give_up(self) -> None:
        """Nothing more will be sent; `abandon` says what that leaves."""

    def replace(self, batch: Batch, rest: Batch) -> bool:
        """Go on with the rest of the batch that was taken last, unless somebody has settled it; in one step."""
        with self._lock:
            if not batch.settle():
                return False
            self._current = rest
            return True

    def done(self, batch: Batch) -> None:
        """Say that a batch has been counted, for better or worse."""
        self.settle(len(batch))

    def abandon(self, deadline: float) -> int:
        """Give up all that is not settled, the batch that is being sent included; how many records those are."""
        del deadline  # it takes no time
        with self._lock:
            left = len(self._records.take(len(self._records)))
            self._weight = 0
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


def _nothing() -> None:
    """Until somebody wants to know."""
