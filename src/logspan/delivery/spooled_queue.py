"""The queue of an outlet that has a spool: memory while the peer keeps up, the disk when it does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Literal

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import Clock, Latch
from logspan.context import mark_pipeline_thread
from logspan.delivery.account import Account
from logspan.delivery.batch import Batch
from logspan.delivery.sending_queue import SendingQueue
from logspan.encoding import encode_logs_request
from logspan.spool import Spool, Stored
from logspan.spool.decoding import decode_logs_request
from logspan.spool.results import FULL

Mode = Literal["overflow", "always"]

ADOPT_EVERY = 60.0
"""Seconds between two looks for spools whose owners have died."""

_REST = 1.0
_LEAST = 0.5


class SpooledQueue:
    """A `SendingQueue` with a `Spool` behind it, and a thread that moves records from one to the other.

    In mode `always` every record goes to disk first. In mode `overflow` they do once memory is half full, and from then
    on for as long as the spool holds anything, so that the order is kept: what is in the spool is always older than
    what is in memory. A batch that the disk refuses waits in memory, between the two.
    """

    def __init__(
        self,
        memory: SendingQueue,
        spool: Spool,
        mode: Mode,
        account: Account,
        ready: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._memory = memory
        self._spool = spool
        self._mode = mode
        self._account = account
        self._ready = ready
        self._clock = clock
        self._order = threading.RLock()
        """Held while records move, so that nobody takes newer ones meanwhile; never by the delivery worker."""
        self._unstored: list[ReadableLogRecord] = []
        self._current: Batch | None = None
        self._holds = False
        self._over = False
        self._adopt_at = clock.monotonic()
        self._latch = Latch()
        self._thread = threading.Thread(target=self._run, name=f"logspan-spool-{account.name}", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------------------ as of a SendingQueue

    def __len__(self) -> int:
        return 0 if self._over else len(self._memory) + self._holds

    @property
    def full_batch(self) -> bool:
        """Whether there is something to send without waiting for more."""
        return self._holds or self._memory.full_batch

    @property
    def position(self) -> int:
        """How many records were taken in."""
        return self._memory.position

    @property
    def settled(self) -> int:
        """How many of them are done with; those in the spool are not."""
        return self._memory.settled

    def put(self, records: Sequence[ReadableLogRecord]) -> int:
        """Take records in; how many had to go for want of room in memory."""
        gone = self._memory.put(records)
        if self._wants_to_move():
            self._latch.ring()
        return gone

    def wait_settled(self, position: int, deadline: float) -> bool:
        """Wait until all up to `position` is settled; False when `deadline` came first."""
        return self._memory.wait_settled(position, deadline)

    def settle(self, number: int) -> None:
        """Say that `number` records are done with."""
        self._memory.settle(number)

    def finish(self) -> None:
        """Nothing more will be put."""
        self._memory.finish()

    def take_batch(self) -> Batch:
        """The oldest records: of the spool, of what it refused, of memory. Empty when the disk has to rest."""
        with self._order:
            self._current = Batch([]) if self._over else self._oldest()
            return self._current

    def _oldest(self) -> Batch:
        while frame := self._spool.peek():
            try:
                records = decode_logs_request(frame.payload)
            except Exception:  # its checksum is right, and yet it is none of ours
                self._account.lost_in_spool("corrupt", frame.records)
                self._acknowledge(frame.records, adopted=frame.adopted)
                continue
            if frame.redelivered:
                self._account.ledger.replayed.add(len(records))
            self._look()
            return Batch(records, spooled=True, adopted=frame.adopted)
        self._look()
        if self._spool:  # it cannot be read now, and what is newer waits
            return Batch([])
        if self._unstored:
            records, self._unstored = self._unstored, []
            return Batch(records)
        if self._mode == "always":  # the disk comes first
            return Batch([])
        return self._memory.take_batch()

    def done(self, batch: Batch) -> None:
        """A batch has been counted: it leaves the disk as well."""
        if not batch.spooled:
            self._memory.done(batch)
            return
        with self._order:
            if not self._over:
                self._acknowledge(len(batch), adopted=batch.adopted)
                self._look()

    def _acknowledge(self, records: int, *, adopted: bool) -> None:
        self._spool.ack()
        if not adopted:  # nobody here waits for an earlier process's records
            self._memory.settle(records)

    def abandon(self, deadline: float) -> int:
        """The end: put on disk what is not settled, until `deadline`; how many records are lost in spite of that."""
        self._over = True
        self._latch.ring()
        patience = max(deadline - self._clock.monotonic(), _LEAST)
        self._thread.join(patience)
        if not self._order.acquire(timeout=patience):
            return self._memory.abandon(deadline) + len(self._unstored)
        try:
            left = self._take_current() + self._unstored + self._memory.take_everything()
            lost = sum(self._keep(left[first : first + 512]) for first in range(0, len(left), 512))
            self._spool.close()
            return lost
        finally:
            self._order.release()

    def _take_current(self) -> list[ReadableLogRecord]:
        batch = self._current
        if batch is None or not batch.settle() or batch.spooled:  # what is on disk already stays there
            return []
        return batch.records

    def _keep(self, records: list[ReadableLogRecord]) -> int:
        return 0 if self._store(records) else len(records)

    # ------------------------------------------------------------------------------ the spool's own thread

    def _run(self) -> None:
        mark_pipeline_thread()
        while not self._over:
            try:
                moved = self._move()
                with self._order:
                    self._adopt()
                    self._spool.sync(self._clock.monotonic())
            except BaseException as error:
                self._account.say("spool", f"the spool's worker: {type(error).__name__}")
                moved = False
            if not moved and not self._over:
                self._clock.wait(self._latch, self._pause())

    def _pause(self) -> float:
        sync_at = self._spool.sync_at
        return _REST if sync_at is None else min(max(sync_at - self._clock.monotonic(), 0.01), _REST)

    def _wants_to_move(self) -> bool:
        if self._mode == "always":
            return len(self._memory) > 0
        return self._memory.half_full or (self._holds and len(self._memory) > 0)

    def _move(self) -> bool:
        """Move the oldest batch from memory to disk, if it is time to; whether one was."""
        with self._order:
            if self._over or not (self._unstored or self._wants_to_move()):
                return False
            if not self._unstored:
                self._unstored = self._memory.take_records()
            stored = self._store(self._unstored)
            if stored:
                self._unstored = []
            self._look()
        self._ready()
        return stored

    def _store(self, records: list[ReadableLogRecord]) -> bool:
        """Whether these records are accounted for: on disk, or dropped because it is full or no bytes can be made."""
        encoded = encode_logs_request(records)
        result = self._spool.append(encoded.payload, encoded.records) if encoded.records else Stored()
        if not isinstance(result, Stored) and result.reason != FULL:
            self._account.ledger.spool_errors.add(result.reason)
            self._account.say(result.reason, f"the spool cannot be written to: {result.detail}")
            return False
        if encoded.failed:
            self._account.dropped("unencodable", encoded.failed)
        if isinstance(result, Stored):
            self._account.spooled(encoded.records)
        else:
            self._account.dropped(FULL, encoded.records)
        self._memory.settle(encoded.failed + (0 if isinstance(result, Stored) else encoded.records))
        return True

    def _adopt(self) -> None:
        now = self._clock.monotonic()
        if now < self._adopt_at:
            return
        self._adopt_at = now + ADOPT_EVERY
        adopted = self._spool.adopt()
        losses = self._spool.take_losses()
        self._account.adopted(adopted.records + sum(loss.records for loss in losses))
        for loss in losses:
            self._account.lost_in_spool(loss.reason, loss.records)
        self._look()
        if adopted.frames:
            self._ready()

    def _look(self) -> None:
        """Note what the spool holds now, and count what it has lost since."""
        for loss in self._spool.take_losses():
            self._account.lost_in_spool(loss.reason, loss.records)
            if not loss.adopted:
                self._memory.settle(loss.records)
        self._holds = bool(self._spool) or bool(self._unstored)
