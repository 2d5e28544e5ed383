"""Stage 4, admit: the bound of what waits in this process before the fan-out. Every refusal is counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Literal

from logspan.ledger import Ledger

Overflow = Literal["drop_oldest", "drop_newest"]


class Admission:
    """A place in the queue for each record: taken by one deque operation, so exact without a lock.

    `max_queue_size` is in records. When no place is left, `drop_newest` refuses the record at hand; `drop_oldest`
    gives it the place of the oldest one in the intake (`evict`), if there is one there to be given up.
    """

    def __init__(self, max_queue_size: int, overflow: Overflow, ledger: Ledger, evict: Callable[[], bool]) -> None:
        self._size = max_queue_size
        self._evict = evict if overflow == "drop_oldest" else _nothing_to_evict
        self._ledger = ledger
        self.reset()

    def reset(self) -> None:
        """All places free, in a forked child: what is queued there is the parent's."""
        self._places: deque[None] = deque(repeat(None, self._size))

    def admit(self) -> bool:
        """Take a place; False when the record has to go, which is counted here."""
        try:
            self._places.pop()
        except IndexError:
            self._ledger.dropped.add("queue_full")
            if not self._evict():
                return False
        else:
            self._ledger.queued.enter()
        return True

    def release(self, number: int) -> None:
        """Give `number` places back: their records have gone on to the outlets."""
        self._ledger.queued.leave(number)
        self._places.extend(repeat(None, number))


def _nothing_to_evict() -> bool:
    return False
