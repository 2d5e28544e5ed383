"""Between an outlet's memory, its spool and its peer: who has which records. Nothing here touches the disk."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from logspan.delivery.batch import Batch
from logspan.delivery.sending_queue import SendingQueue

Mode = Literal["overflow", "always"]

_CHUNK = 512


@dataclass(frozen=True, slots=True)
class SpoolPolicy:
    """How an outlet uses its spool; times are in seconds.

    `gather`: how long a record waits at most, in mode `always`, to go to disk along with others. `max_age`: how old a
    stored batch may get (None: as old as it likes). `stall_timeout`: how long the disk may hang until memory goes past
    it.
    """

    mode: Mode = "overflow"
    gather: float = 0.2
    max_age: float | None = None
    stall_timeout: float = 60.0


class Transit:
    """The order is that of arrival: what the outlet has in hand, the spool, the batch on its way to it, memory.

    Its lock is held for some steps in memory and never while the disk or the peer is waited for, so that an outlet, the
    delivery worker and a shutdown are held up by neither.
    """

    def __init__(self, memory: SendingQueue, mode: Mode) -> None:
        self.memory = memory
        self.mode = mode
        self.refused = False
        """Whether the disk has refused a write, and is to rest: what is in memory goes straight to the peer."""
        self._lock = threading.RLock()
        self._sending: Batch | None = None
        self._head: Batch | None = None
        self._head_is_done = False
        self._moving: Batch | None = None
        self._is_writing = False
        self._holds = False
        self._rest: list[Batch] | None = None

    def __len__(self) -> int:
        """How much there is for the outlet to do; a spool counts as one, whatever is in it."""
        with self._lock:
            return 0 if self._rest is not None else len(self.memory) + len(self._moving or ()) + self._holds

    @property
    def holds(self) -> bool:
        """Whether the spool holds anything."""
        return self._holds

    @property
    def has_batch(self) -> bool:
        """Whether there is something to send without waiting for more."""
        with self._lock:
            return self._holds or bool(self._moving) or self.memory.full_batch

    # ------------------------------------------------------------------------------ the outlet's side

    def take(self, *, disk_hangs: bool) -> Batch:
        """The oldest batch; empty when it is the disk's turn. A disk that hangs is passed by."""
        with self._lock:
            self._sending = batch = self._oldest(disk_hangs=disk_hangs)
            return batch

    def _oldest(self, *, disk_hangs: bool) -> Batch:
        if self._rest is not None:
            return Batch([])
        if self._head is not None:
            return self._head
        if not disk_hangs and (self._holds or self._is_writing):
            return Batch([])
        if self._moving is not None and not self._is_writing:  # the disk has refused it
            moving, self._moving = self._moving, None
            return moving
        if self.mode == "always" and not (self.refused or disk_hangs):  # the disk comes first
            return Batch([])
        return self.memory.take_batch()

    def replace(self, batch: Batch, rest: Batch) -> bool:
        """Go on with the rest of the batch in hand, unless somebody has settled that; its frame stays on disk."""
        with self._lock:
            if not batch.settle():
                return False
            self._sending = rest
            self._head = rest if batch is self._head else self._head
            return True

    def done(self, batch: Batch) -> None:
        """A batch has been counted: of the spool's the disk is told at its next turn."""
        with self._lock:
            if batch is self._sending:
                self._sending = None
            if batch is self._head:
                self._head, self._head_is_done = None, True
            if not batch.adopted:  # nobody here waits for an earlier process's records
                self.memory.settle(len(batch))

    # ------------------------------------------------------------------------------ the disk's side

    def begin_writing(self, *, is_time: bool) -> Batch | None:
        """The batch to be written next, that of memory when it `is_time`; on its way until `end_writing`."""
        with self._lock:
            if self._rest is not None:
                return None
            if self._moving is None and is_time:
                self._moving = Batch(self.memory.take_records())
            if not self._moving:
                self._moving = None
                return None
            self._is_writing = True
            return self._moving

    def end_writing(self, *, is_over: bool, holds: bool) -> None:
        """`is_over`: the batch is written, or dropped; else it waits to be tried again, or to be sent as it is."""
        with self._lock:
            self._is_writing = False
            self._holds = holds
            if is_over:
                self._moving = None

    def needs_head(self) -> bool:
        """Whether the outlet waits for the spool's oldest batch to be read."""
        with self._lock:
            return self._rest is None and self._holds and self._head is None and not self._head_is_done

    def offer(self, head: Batch) -> None:
        """The spool's oldest batch has been read."""
        with self._lock:
            self._head = head

    @property
    def rest_of_head(self) -> Batch | None:
        """What is left of the spool's oldest batch, when others in it are done with."""
        with self._lock:
            return self._head if self.settled_of_head else None

    @property
    def settled_of_head(self) -> int:
        """Records of the spool's oldest batch that are done with, while others in it are not."""
        with self._lock:
            head = self._head
            return head.frame.records - len(head) if head is not None and head.frame is not None else 0

    def take_acknowledgement(self) -> bool:
        """Whether the spool's oldest batch is done with, and has to leave the disk; said once."""
        with self._lock:
            is_done, self._head_is_done = self._head_is_done, False
            return is_done

    def hold(self, *, holds: bool) -> bool:
        """Note whether the spool holds anything; whether that has changed."""
        with self._lock:
            changed, self._holds = self._holds != holds, holds
            return changed

    # ------------------------------------------------------------------------------ the end

    def rest(self) -> list[Batch]:
        """All that is not settled and on no disk, oldest first; from now on there is nothing to take any more.

        Whoever settles one of these batches answers for it. What the outlet has in hand is taken away from it.
        """
        with self._lock:
            if self._rest is None:
                self._rest = [*self._from_hand(), *([self._moving] if self._moving else [])]
                records = self.memory.take_everything()
                self._rest += [Batch(records[at : at + _CHUNK]) for at in range(0, len(records), _CHUNK)]
            return self._rest

    def _from_hand(self) -> list[Batch]:
        sending = self._sending
        if sending is None or not sending.settle() or sending.spooled:  # what is on disk already stays there
            return []
        return [Batch(sending.records)]
