"""The spool of one exporter in one process: append at one end, read from the other, both with bounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from logspan.clock import Clock, SystemClock
from logspan.spool.adoption import adopt
from logspan.spool.files import Patience, describe, try_to_write
from logspan.spool.format import MAX_PAYLOAD
from logspan.spool.journal import Journal
from logspan.spool.owners import OVERHEAD, clean_up, create_owner, owner_directories
from logspan.spool.results import (
    CLOSED,
    FULL,
    WRITE_ERROR,
    Adopted,
    Backlog,
    Frame,
    Loss,
    Losses,
    NotStored,
    SpoolConfig,
    Stored,
)
from logspan.spool.writing import OwnJournal, largest_growth


class Spool:
    """An on-disk queue of batches, each an `ExportLogsServiceRequest` in bytes (the spool does not look inside).

    **One thread at a time**: the caller holds a lock where several use it. No method raises `OSError`; what goes wrong
    is in the results and in `trouble`. Nothing is created on disk before the first `append`.

    After every call, `take_losses` says which frames went for good since the last time. The order is that of `append`,
    with what was adopted in front of it. A frame is handed out again until it is acknowledged.
    """

    def __init__(self, exporter: str, config: SpoolConfig, *, clock: Clock | None = None) -> None:
        self._exporter = exporter
        self._config = config
        self._clock = clock or SystemClock()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._losses = Losses()
        self._own: OwnJournal | None = None
        self._front: OwnJournal | None = None
        self._older: list[Journal] = []
        self._reading: Journal | None = None
        self._writes, self._syncs = Patience(self._clock), Patience(self._clock)
        self._sync_at = 0.0
        self._adopting: str | None = None
        self._is_closed = False

    # ------------------------------------------------------------------------------ writing

    def append(self, payload: bytes, records: int) -> Stored | NotStored:
        """Add a batch at the end: one write, whole or not at all.

        Refused with `spool_full` at the limit (`drop` newest, or a batch larger than the limit), with
        `spool_write_error` when the file system refuses, and then for some seconds without trying.
        """
        return self._store(payload, records, self._write, largest_growth(len(payload)))

    def put_in_front(self, payload: bytes, records: int) -> Stored | NotStored:
        """`append` for a batch that is older than all that this process has stored: it is read before that."""
        if self._own is None or not self._own.frames:
            return self.append(payload, records)
        return self._store(payload, records, self._write_in_front, largest_growth(len(payload)) + OVERHEAD)

    def fits(self, payload: bytes) -> bool:
        """Whether there is room for one more batch without anything having to give way."""
        return self._used() + largest_growth(len(payload)) + OVERHEAD <= self._config.max_size

    def probe(self) -> None:
        """After a refusal and a rest: find out whether the disk takes writes again; nothing may need it for long."""
        self._check_process()
        if self._is_closed or self._writes.trouble is None or self._writes.exhausted:
            return
        if self._own is not None:
            self._own.reclaim()
        try:
            try_to_write(self._config.directory)
            self._writes.succeeded()
        except OSError as error:
            self._writes.failed(describe(error))

    @property
    def refuses(self) -> bool:
        """Whether the file system has refused a write, so that `append` does not even try for some seconds."""
        return self._writes.exhausted

    def _store(
        self, payload: bytes, records: int, write: Callable[[bytes, int], None], growth: int
    ) -> Stored | NotStored:
        self._check_process()
        if self._is_closed:
            return NotStored(CLOSED)
        if self._writes.exhausted:
            return NotStored(WRITE_ERROR, self._writes.trouble or "")
        if self._writes.trouble and self._own is not None:  # the disk may be full of what is read already
            self._own.reclaim()
        try:
            if not self._make_room(growth) or len(payload) > MAX_PAYLOAD:
                return NotStored(FULL, f"{len(payload)} bytes do not fit into {self._config.max_size}")
            write(payload, records)
        except OSError as error:
            self._writes.failed(describe(error))
            return NotStored(WRITE_ERROR, describe(error))
        self._writes.succeeded()
        return Stored(synced=self._config.fsync == 0)

    def _write(self, payload: bytes, records: int) -> None:
        own, sync = self._writable(), self._config.fsync == 0
        try:
            own.append(payload, records, time.time_ns(), sync=sync)
        except FileNotFoundError:  # the directory was deleted between two segments
            self._put_behind(own)
            self._writable().append(payload, records, time.time_ns(), sync=sync)

    def _write_in_front(self, payload: bytes, records: int) -> None:
        before = self._front or self._own
        assert before is not None  # noqa: S101 - asked by `put_in_front`
        owner = create_owner(self._config.directory, self._exporter, before=before.owner)
        front = OwnJournal(owner, self._config, self._losses, self._clock)
        try:
            front.append(payload, records, time.time_ns(), sync=self._config.fsync is not None)
        except OSError:
            front.close()
            raise
        front.retire()
        self._older.insert(self._older.index(before) if before in self._older else len(self._older), front)
        self._front = front

    def _writable(self) -> OwnJournal:
        if self._own is not None and self._own.is_gone():
            self._put_behind(self._own)
        if self._own is None:
            owner = create_owner(self._config.directory, self._exporter)
            self._own = OwnJournal(owner, self._config, self._losses, self._clock)
            self._sync_at = self._clock.monotonic() + (self._config.fsync or 0)
        return self._own

    def _put_behind(self, own: OwnJournal) -> None:
        """Somebody deleted our directory, or a file in it: read what is left, and write to a new one."""
        own.drop_missing()
        own.retire()
        self._own = None
        self._older.append(own)
        self._finish_older()

    def _make_room(self, growth: int) -> bool:
        """Whether `growth` bytes may be added, after dropping what has to give way."""
        least = growth + OVERHEAD * (1 + len(self._older))
        if least > self._config.max_size:
            return False
        if self._used() + growth > self._config.max_size and self._own is not None:
            self._own.reclaim()
        while self._used() + growth > self._config.max_size:
            if self._config.drop == "newest" or not self._drop_oldest():
                return False
        return True

    def _used(self) -> int:
        own = self._own.size if self._own is not None else OVERHEAD
        return own + sum(journal.size for journal in self._older)

    def _drop_oldest(self) -> bool:
        for journal in self._journals():
            if journal.drop_oldest():
                self._finish_older()
                return True
        return False

    def sync(self, now: float | None = None) -> bool:
        """Put everything on stable storage when it is time to; True when nothing is left to be put there.

        `now` is monotonic seconds; without it, now is the time. `fsync` None: never, and always True.
        """
        self._check_process()
        if self._own is None or self._config.fsync is None:
            return True
        if not self._own.pending:
            return not self._own.unsynced
        if now is not None and (now < self._sync_at or self._syncs.exhausted):
            return False
        try:
            self._own.sync()
            self._syncs.succeeded()
        except OSError as error:
            self._syncs.failed(describe(error))
            self._own.retire()  # what was not written stays unwritten; what comes goes elsewhere
        self._sync_at = self._clock.monotonic() + self._config.fsync
        return not self._own.unsynced

    @property
    def sync_at(self) -> float | None:
        """When `sync` has something to do, in monotonic seconds; None: it has nothing to do."""
        waiting = self._own is not None and self._own.pending and self._config.fsync is not None
        return self._sync_at if waiting else None

    # ------------------------------------------------------------------------------ reading

    def peek(self) -> Frame | None:
        """The oldest frame, which stays until `ack`; None when there is none, or none can be read now.

        Damaged frames are left out, and counted in `take_losses`. A later `append` at the limit may drop the frame's
        segment: it is then still this frame's `ack` that settles it, and it is not counted as dropped.
        """
        self._check_process()
        if self._is_closed:
            return None
        if self._reading is not None:
            return self._reading.peek()
        for journal in self._journals():
            frame = journal.peek()
            if frame is not None:
                self._reading = journal
                return frame
            if journal.frames:  # it cannot be read now: what comes after it waits
                return None
        self._finish_older()
        return None

    def ack(self) -> None:
        """Remove the frame that `peek` gave out, for good: it was delivered, or refused for good."""
        self._check_process()
        if self._reading is not None:
            self._reading.ack()
            self._reading = None
            self._finish_older()

    def _finish_older(self) -> None:
        for journal in [journal for journal in self._older if not journal.frames]:
            self._older.remove(journal)
            journal.close()

    # ------------------------------------------------------------------------------ dead owners

    def adopt(self) -> Adopted:
        """Take over what dead processes left, oldest first, each by one adopter only; cheap when there is nothing.

        What is adopted counts towards our limit. One directory is adopted whatever its size, further ones as long as
        they fit: call it at the start, and from time to time.
        """
        self._check_process()
        owners = frames = records = set_aside = 0
        self._adopting = None
        if self._is_closed:
            return Adopted()
        clean_up(self._config.directory, self._exporter)
        for directory in owner_directories(self._config.directory, self._exporter):
            try:
                if self._older and self.backlog.size + _size_of(directory) > self._config.max_size:
                    break
                found = adopt(directory, self._losses, self._clock)
            except FileNotFoundError:  # read to its end by another process, and removed
                continue
            except OSError as error:
                self._adopting = describe(error)
                continue
            if found is None:
                continue
            set_aside += found.set_aside
            if found.journal is not None:
                self._older.append(found.journal)
                owners, frames = owners + 1, frames + found.journal.frames
                records += found.journal.records
        return Adopted(owners, frames, records, set_aside)

    # ------------------------------------------------------------------------------ the whole

    @property
    def backlog(self) -> Backlog:
        """What is in the spool, adopted frames included."""
        self._check_process()
        own, journals = self._own, self._journals()
        return Backlog(
            frames=sum(journal.frames for journal in journals),
            records=sum(journal.records for journal in journals),
            size=sum(journal.size for journal in journals),
            unsynced=min(own.unsynced, own.records) if own is not None else 0,
        )

    def __bool__(self) -> bool:
        self._check_process()
        return any(journal.frames for journal in self._journals())

    @property
    def trouble(self) -> str | None:
        """What the file system said to the last attempt that failed, until one succeeds; no paths in it."""
        journals = self._journals()
        said = [self._writes.trouble, self._syncs.trouble, self._adopting]
        said += [journal.patience.trouble or journal.cursor.trouble for journal in journals]
        return next(filter(None, said), None)

    def take_losses(self) -> tuple[Loss, ...]:
        """What went for good since the last call, by reason."""
        return self._losses.take()

    def close(self, settled: int = 0) -> Backlog:
        """Let go of everything; what is returned is left for the next process, and is synced unless `fsync` is None.

        A frame that was given out is left as well, unless it was only in memory any more: that is a loss, apart from
        the `settled` records of it, which are done with.
        """
        self._check_process()
        self.sync()
        self._is_closed = True
        for journal in self._journals():
            journal.close(settled if journal is self._reading else 0)
        left = self.backlog
        self._own, self._older, self._reading = None, [], None
        return left

    def begin_again(self) -> None:
        """After `close`: what is appended from now on goes to a directory of its own. Does nothing when it is open."""
        self._check_process()
        if self._is_closed:
            self._begin()

    def reset_after_fork(self) -> None:
        """Begin anew in a forked child: what the parent has spooled is the parent's. A closed spool stays closed."""
        journals, is_closed = [*self._journals()], self._is_closed
        self._begin()
        self._is_closed = is_closed
        for journal in journals:
            journal.abandon()

    def _journals(self) -> list[Journal]:
        return self._older if self._own is None else [*self._older, self._own]

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            self.reset_after_fork()


def _size_of(directory: os.PathLike[str]) -> int:
    with os.scandir(directory) as entries:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
