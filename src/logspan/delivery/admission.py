"""Stage 4, admit: the bound of what waits in this process before the fan-out. Every refusal is counted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Literal

from logspan.ledger import Ledger

Overflow = Literal["drop_oldest", "drop_newest"]

OVERDRAFT = 2_048
"""Records over the bound that wait at most, for one look of the delivery worker, for an older one to give way."""


class Admission:
    """A place in the queue for each record: taken by one deque operation, so exact without a lock.

    `max_queue_size` is in records. When no place is left, `drop_newest` refuses the record at hand; `drop_oldest`
    gives it the place of the oldest one in the intake (`evict`). While all that waits is still in the SDK's queue, out
    of reach, the record is let in all the same, and the worker's next look gives up an older one for it.
    """

    def __init__(self, max_queue_size: int, overflow: Overflow, ledger: Ledger, evict: Callable[[], bool]) -> None:
        self._size = max_queue_size
        self._evict = evict
        self._overflow = overflow
        self._ledger = ledger
        self.reset()

    def reset(self) -> None:
        """All places free, in a forked child: what is queued there is the parent's."""
        self._lock = threading.RLock()
        self._places: deque[None] = deque(repeat(None, self._size))
        self._debts: deque[None] = deque()

    def admit(self) -> bool:
        """Take a place; False when the record has to go. Whichever record has to go is counted here."""
        try:
            self._places.pop()
        except IndexError:
            self._ledger.dropped.add("queue_full")
            return self._overflow == "drop_oldest" and (self._evict() or self._overdraw())
        self._ledger.queued.enter()
        return True

    def _overdraw(self) -> bool:
        if len(self._debts) >= OVERDRAFT:
            return False
        self._debts.append(None)
        return True

    def repay(self) -> None:
        """Give up an older record for each that was let in over the bound; for the delivery worker alone."""
        while self._debts and self._evict():
            self._debts.pop()

    def release(self, number: int) -> None:
        """Give `number` places back: their records have gone on to the outlets."""
        self._ledger.queued.leave(number)
        self._places.extend(repeat(None, number))

    def write_off(self, reason: str) -> None:
        """Count all that is still queued as dropped: at the end, when nobody will take it any more."""
        with self._lock:
            number = self._ledger.queued.value()
            self._ledger.queued.leave(number)
            self._ledger.dropped.add(reason, number)
