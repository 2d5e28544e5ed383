"""Stage 4, admit: the bound of what waits in this process before the fan-out. Every refusal is counted."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

from opentelemetry._logs import SeverityNumber

from logspan.clock import Clock, Latch
from logspan.delivery.blocking import may_block
from logspan.ledger import Ledger
from logspan.record import Record
from logspan.size import UNIT, weight

Overflow = Literal["drop_oldest", "drop_newest", "block", "sample"]

OVERDRAFT = 2_048
"""Records over the bound that wait at most, for one look of the delivery worker, for an older one to give way."""

RESERVE = 8
"""One of so many parts of the bound in bytes is kept for records over the bound in records, so that bytes have one."""
_POLL = 0.002


@dataclass(frozen=True, slots=True)
class QueueBound:
    """How much may wait, and what happens then.

    `max_queue_size` is in records, `max_queue_bytes` in estimated bytes of memory; `block_timeout` in seconds. Records
    of `protected_severity` (a severity number) and above are the last to go. Under `sample`, once the queue is filled
    to `high_water_mark` (0 to 1), `sampling_percentage` of the records below WARN is taken and the rest goes.
    """

    max_queue_size: int = 50_000
    max_queue_bytes: int = 64 * 1024 * 1024
    overflow: Overflow = "drop_oldest"
    block_timeout: float = 1.0
    high_water_mark: float = 0.8
    sampling_percentage: float = 10.0
    protected_severity: int = SeverityNumber.ERROR.value


class Admission:
    """A place and room in the queue for each record, taken by single deque operations: exact without a lock.

    When none is left, `drop_newest` refuses the record at hand and `drop_oldest` gives up the oldest ones in the intake
    for it (`evict`); `sample` does too; `block` waits for `block_timeout` where waiting is allowed, then refuses. A
    protected record is never refused while an unprotected one can be given up for it. While all that waits is still in
    the SDK's queue, out of reach, the record is let in all the same, and the worker's next look gives up an older one.
    """

    def __init__(self, bound: QueueBound, ledger: Ledger, evict: Callable[[bool], Record | None], clock: Clock) -> None:
        self._bound = bound
        self._evict = evict
        self._ledger = ledger
        self._clock = clock
        units = max(bound.max_queue_bytes // UNIT, 1)
        self._reserved = units // RESERVE
        self._units = units - self._reserved
        self._sampling = bound.overflow == "sample"
        self._low_places = int(bound.max_queue_size * (1 - bound.high_water_mark))
        self._low_room = int(self._units * (1 - bound.high_water_mark))
        self.reset()

    def reset(self) -> None:
        """All places free, in a forked child: what is queued there is the parent's."""
        self._lock = threading.RLock()
        self._places: deque[None] = deque(repeat(None, self._bound.max_queue_size))
        self._room: deque[None] = deque(repeat(None, self._units))
        self._reserve: deque[None] = deque(repeat(None, self._reserved))
        self._debts: deque[None] = deque()

    def admit(self, record: Record) -> bool:
        """Take a place; False when the record has to go. Whichever record has to go is counted here."""
        record.weight = weight(record)
        if self._sampling and self._is_sampled_out(record):
            self._ledger.dropped.add("overflow_sampled")
            return False
        if self._take(record.weight) or self._make_room(record):
            self._ledger.queued.one()
            return True
        self._ledger.dropped.add("queue_full")
        return self._may_overdraw(record) and self._overdraw(record)

    def _is_sampled_out(self, record: Record) -> bool:
        if len(self._places) > self._low_places and len(self._room) > self._low_room:
            return False
        spared = min(SeverityNumber.WARN.value, self._bound.protected_severity)
        return record.severity_number.value < spared and random.random() * 100 >= self._bound.sampling_percentage  # noqa: S311 - not a secret

    def _take(self, units: int) -> bool:
        try:
            self._places.pop()
        except IndexError:
            return False
        if _take_units(self._room, units):
            return True
        self._places.append(None)
        return False

    def _give_back(self, places: int, units: int) -> None:
        """Units are all alike, and the reserve gets its own back first."""
        owed = min(max(self._reserved - len(self._reserve), 0), units)
        self._reserve.extend(repeat(None, owed))
        self._room.extend(repeat(None, units - owed))
        self._places.extend(repeat(None, places))

    def _make_room(self, record: Record) -> bool:
        """Wait, or give up older records, as the policy says; the bound never moves."""
        if record.weight > self._units:
            return False
        if self._bound.overflow == "block" and self._wait(record.weight):
            return True
        if not self._may_overdraw(record):
            return False
        others_may_wait_out_of_reach = len(self._debts) < OVERDRAFT
        protected_too = self._is_protected(record) and not others_may_wait_out_of_reach
        while (given_up := self._evict(protected_too)) is not None:
            self._ledger.dropped.add("queue_full")
            self._ledger.queued.leave()
            self._give_back(1, given_up.weight)
            if self._take(record.weight):
                return True
        return False

    def _is_protected(self, record: Record) -> bool:
        return record.severity_number.value >= self._bound.protected_severity

    def _may_overdraw(self, record: Record) -> bool:
        """Whether older records go rather than this one."""
        gives_way = self._bound.overflow in ("drop_newest", "block") and not self._is_protected(record)
        return not gives_way and record.weight <= self._units

    def _wait(self, units: int) -> bool:
        if not may_block():
            return False
        deadline = self._clock.monotonic() + self._bound.block_timeout
        latch = Latch()
        while self._clock.monotonic() < deadline:
            self._clock.wait(latch, _POLL)
            if self._take(units):
                return True
        return False

    def _overdraw(self, record: Record) -> bool:
        """Let it in without a place: an older one, counted already, gives way to it at the worker's next look."""
        if len(self._debts) >= OVERDRAFT or not _take_units(self._reserve, record.weight):
            return False
        self._debts.append(None)
        return True

    def repay(self) -> None:
        """Give up an older record for each that was let in over the bound; for the delivery worker alone."""
        while self._debts and (given_up := self._evict(True)) is not None:
            self._debts.pop()
            self._give_back(0, given_up.weight)

    def release(self, records: int, units: int) -> None:
        """Give the places and the room of `records` back: they have gone on to the outlets."""
        self._ledger.queued.leave(records)
        self._give_back(records, units)

    def write_off(self, reason: str) -> None:
        """Count all that is still queued as dropped: at the end, when nobody will take it any more."""
        with self._lock:
            number = max(self._ledger.queued.value(), 0)
            self._ledger.queued.leave(number)
            self._ledger.dropped.add(reason, number)


def _take_units(store: deque[None], units: int) -> bool:
    taken = 0
    try:
        for taken in range(units):  # noqa: B007 - how many there were when it fails
            store.pop()
    except IndexError:
        store.extend(repeat(None, taken))
        return False
    return True
