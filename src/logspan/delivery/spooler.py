"""The spool's own thread: it alone waits for the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import Clock, Latch
from logspan.context import mark_pipeline_thread
from logspan.delivery.account import Account
from logspan.delivery.batch import Batch
from logspan.delivery.thread import WorkerThread
from logspan.delivery.transit import SpoolPolicy, Transit
from logspan.encoding import Encoded, encode_logs_request
from logspan.spool import NotStored, Spool, Stored
from logspan.spool.results import FULL, Frame

ADOPT_EVERY = 60.0
"""Seconds between two looks for spools whose owners have died."""

EXPIRED = "spool_expired"

_REST = 1.0
_LEAST_PAUSE = 0.01


class Spooler:
    """Moves batches from memory to the disk when it `is_time`, reads them back in order, and stores what is left.

    `ready` is called when there is something for the outlet, which is decoded here, for exporters that take records and
    not bytes, if it `decodes`.
    """

    def __init__(
        self,
        transit: Transit,
        spool: Spool,
        account: Account,
        clock: Clock,
        *,
        is_time: Callable[[], bool],
        due_in: Callable[[], float],
        ready: Callable[[], None],
        decodes: bool,
        policy: SpoolPolicy,
    ) -> None:
        self._transit = transit
        self._spool = spool
        self._account = account
        self._clock = clock
        self._is_time = is_time
        self._due_in = due_in
        self._ready = ready
        self._decodes = decodes
        self._max_age = policy.max_age
        self._stall_timeout = policy.stall_timeout
        self._adopt_at = clock.monotonic()
        self._is_over = False
        self._trouble: str | None = None
        self._latch = Latch()
        self._late = threading.Lock()
        self._thread = WorkerThread(f"logspan-spool-{account.name}", self._run, clock)
        self._thread.start()

    # ------------------------------------------------------------------------------ called by others; none waits

    def wake(self) -> None:
        """There may be something to do."""
        self._latch.ring()

    @property
    def hangs(self) -> bool:
        """Whether the disk has not answered for `stall_timeout` seconds."""
        return self._thread.trouble(self._stall_timeout) == "stuck"

    @property
    def trouble(self) -> str | None:
        """What the file system said to what failed last, until it succeeds."""
        return "the disk of the spool does not answer" if self.hangs else self._trouble

    def revive(self) -> bool:
        """Start a thread in place of one that has died; whether it had. One that hangs is still at the disk."""
        has_died = not self._is_over and self._thread.trouble(self._stall_timeout) == "died"
        if has_died:
            self._thread.start()
        return has_died

    def end(self) -> None:
        """Store what is left, and let go of the spool."""
        self._is_over = True
        self._latch.ring()

    def join(self, timeout: float) -> None:
        """Wait for the end, `timeout` seconds at most."""
        self._thread.join(timeout)

    def store_late(self, records: list[ReadableLogRecord]) -> int:
        """After the end: what comes then is stored on the caller's thread; returns how many records that fails for.

        With no records, what was stored so is let go of. Until then it is not synced: the process may end at any
        moment, which costs nothing that is written, and its very last lines wait for this.
        """
        batch = Batch(records)
        if self._is_over and not self._thread.alive:
            with self._late:
                self._guarded(lambda: self._store_alone(batch) if batch else self._close())
        return len(batch) if batch.settle() else 0

    def _store_alone(self, batch: Batch) -> bool:
        self._spool.begin_again()
        return self._store(batch, self._spool.append)

    # ------------------------------------------------------------------------------ its own thread

    def _run(self) -> None:
        mark_pipeline_thread()
        while not self._is_over:
            if not self._guarded(self._turn) and not self._is_over:
                self._clock.wait(self._latch, self._pause())
        self._guarded(self._store_rest)
        self._guarded(self._store_rest_of_head)
        self._guarded(self._close)

    def _guarded(self, step: Callable[[], bool]) -> bool:
        self._thread.busy()
        try:
            return step()
        except BaseException as error:
            self._account.say("spool", f"the spool's worker: {type(error).__name__}")
            return False
        finally:
            self._thread.idle()

    def _turn(self) -> bool:
        """A step of each kind of work that there is; whether there was any that may go on at once."""
        acknowledged = self._acknowledge()
        stored = self._store_next()
        self._adopt()
        self._spool.sync(self._clock.monotonic())
        if not stored:
            self._spool.probe()
        self._look()
        self._read()
        return acknowledged or stored

    def _pause(self) -> float:
        sync_at = self._spool.sync_at
        waits = [_REST if self._transit.refused else max(min(self._due_in(), _REST), _LEAST_PAUSE)]
        waits += [] if sync_at is None else [max(sync_at - self._clock.monotonic(), _LEAST_PAUSE)]
        return min(waits)

    def _store_next(self) -> bool:
        """Move the oldest batch from memory to disk, if it is time to; whether one was."""
        self._transit.refused = self._spool.refuses
        if self._spool.refuses:
            return False
        batch = self._transit.begin_writing(is_time=self._is_time())
        if batch is None:
            return False
        is_over = False
        try:
            is_over = self._store(batch, self._spool.append)
        finally:
            self._transit.refused = self._spool.refuses
            self._transit.end_writing(is_over=is_over, holds=bool(self._spool))
            if not is_over:
                self._ready()
        return is_over

    def _store(self, batch: Batch, append: Callable[[bytes, int], Stored | NotStored]) -> bool:
        """Whether a batch is done with: on disk, or dropped because that is full or no bytes can be made of it."""
        encoded = encode_logs_request(batch.records)
        result = append(encoded.payload, encoded.records) if encoded.records else Stored()
        if isinstance(result, NotStored) and result.reason != FULL:
            self._account.ledger.spool_errors.add(result.reason)
            self._account.say(result.reason, f"the spool cannot be written to: {result.detail}")
            return False
        if batch.settle():  # else a shutdown has not waited for the disk, and has counted it
            self._count(encoded, stored=isinstance(result, Stored))
        return True

    def _count(self, encoded: Encoded, *, stored: bool) -> None:
        if encoded.failed:
            self._account.dropped("unencodable", encoded.failed)
        if stored:
            self._account.spooled(encoded.records)
        else:
            self._account.dropped(FULL, encoded.records)
        self._transit.memory.settle(encoded.failed + (0 if stored else encoded.records))

    def _adopt(self) -> None:
        now = self._clock.monotonic()
        if now < self._adopt_at:
            return
        self._adopt_at = now + ADOPT_EVERY
        self._look()  # what is lost from here on is an earlier process's
        adopted = self._spool.adopt()
        losses = self._spool.take_losses()
        self._account.adopted(adopted.records + sum(loss.records for loss in losses))
        for loss in losses:
            self._account.lost_in_spool(loss.reason, loss.records)

    def _look(self) -> None:
        """Note what the spool holds now, and count what it has lost since."""
        for loss in self._spool.take_losses():
            self._lost(loss.reason, loss.records, adopted=loss.adopted)
        self._trouble = self._spool.trouble
        if self._transit.hold(holds=bool(self._spool)) and not self._transit.holds:
            self._ready()

    def _lost(self, reason: str, records: int, *, adopted: bool) -> None:
        self._account.lost_in_spool(reason, records)
        if not adopted:
            self._transit.memory.settle(records)

    def _read(self) -> None:
        """Have the oldest batch ready for the outlet."""
        while self._transit.needs_head() and (frame := self._spool.peek()):
            batch = self._batch(frame)
            if batch is not None:
                self._transit.offer(batch)
                self._ready()
                return
            self._spool.ack()
            self._look()

    def _batch(self, frame: Frame) -> Batch | None:
        """That of a frame; None when nobody is to have it any more, which is counted."""
        if self._max_age is not None and frame.age > self._max_age:
            self._lost(EXPIRED, frame.records, adopted=frame.adopted)
            return None
        batch = Batch(frame=frame)
        try:
            _ = batch.records if self._decodes else None
        except Exception:  # its checksum is right, and yet it is none of ours
            self._lost("corrupt", frame.records, adopted=frame.adopted)
            return None
        if frame.redelivered:
            self._account.ledger.replayed.add(len(batch))
        return batch

    def _acknowledge(self) -> bool:
        is_done = self._transit.take_acknowledgement()
        if is_done:
            self._spool.ack()
        return is_done

    def _store_rest(self) -> bool:
        """What was in the outlet's hand is older than what is on disk: it goes in front."""
        append = self._spool.put_in_front
        for batch in self._transit.rest():
            self._store(batch, append)
            append = self._spool.append
        return True

    def _store_rest_of_head(self) -> bool:
        """Of a stored batch that has gone out in part only the rest stays: an end in order sends nothing twice.

        Where there is no room for both, or others come before it, the batch stays whole, and its parts come again.
        """
        rest = self._transit.rest_of_head
        if rest is None or rest.adopted:
            return False
        encoded = encode_logs_request(rest.records)
        if encoded.failed or not self._spool.fits(encoded.payload):
            return False
        is_stored = isinstance(self._spool.put_in_front(encoded.payload, encoded.records), Stored)
        if is_stored:
            self._spool.ack()
        return is_stored

    def _close(self) -> bool:
        self._acknowledge()
        self._spool.close(self._transit.settled_of_head)
        self._look()
        return True
