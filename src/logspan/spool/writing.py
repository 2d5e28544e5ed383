"""The directory of this process: what is appended to it, and put on stable storage."""

from __future__ import annotations

import contextlib
import errno
import os

from logspan.clock import Clock
from logspan.spool.files import close_quietly, open_regular, sync_directory, write_whole
from logspan.spool.format import FRAME_HEADER, SEGMENT_HEADER, Cursor, pack_frame_header, pack_segment_header
from logspan.spool.journal import Journal
from logspan.spool.owners import Owner
from logspan.spool.reading import Segment, segment_path
from logspan.spool.results import Losses, SpoolConfig

_MOST_WRITTEN = 16
"""Finished segments that wait for `sync` with their files open; of more than these the oldest is left to the system."""


def largest_growth(length: int) -> int:
    """Bytes that a payload of `length` adds at most, if a segment is begun for it."""
    return SEGMENT_HEADER + FRAME_HEADER + length


class OwnJournal(Journal):
    """A journal that grows. `pending` records wait for the next `sync`.

    `append` and `sync` raise `OSError`, and leave the journal as it was, but for what a failed `sync` leaves in doubt:
    the system tells of a page that it could not write once, and the next `fdatasync` of the same file succeeds.
    """

    def __init__(self, owner: Owner, config: SpoolConfig, losses: Losses, clock: Clock) -> None:
        super().__init__(owner, Cursor(0, 0, 0, 0), (), losses, clock)
        self.adopted = False
        self.pending = 0
        self._doubtful = range(0)
        self._roll_at = config.roll_at
        self._most_written = 0 if config.fsync is None else _MOST_WRITTEN
        self._number = 0
        self._end_sequence = 0
        self._end_position = 0
        self._writing: int | None = None
        self._written: list[int] = []
        self._new_names = [owner.path, owner.path.parent, owner.path.parent.parent]

    @property
    def unsynced(self) -> int:
        """Records that are not on stable storage, as far as is known; those in doubt count until they are read."""
        doubtful = range(max(self._doubtful.start, self._position), self._doubtful.stop)
        return self.pending + len(doubtful)

    def is_gone(self) -> bool:
        """Whether somebody has deleted the file that is being written."""
        return self._writing is not None and os.fstat(self._writing).st_nlink == 0

    def append(self, payload: bytes, records: int, time: int, *, sync: bool) -> None:
        """Write one frame; with `sync`, only if it also gets to stable storage."""
        if self._active is not None and self._active.size + FRAME_HEADER + len(payload) > self._roll_at:
            self.retire()
        try:
            self._write(payload, records, time, sync=sync)
        except OSError as error:
            if error.errno != errno.EFBIG or self._active is None or self._active.size == SEGMENT_HEADER:
                raise
            self.retire()
            self._write(payload, records, time, sync=sync)

    def _write(self, payload: bytes, records: int, time: int, *, sync: bool) -> None:
        segment = self._active or self._start()
        header = pack_frame_header(payload, records, self._end_sequence, self._end_position, time)
        descriptor, end = self._writing, segment.size
        assert descriptor is not None  # noqa: S101 - it is there as long as a segment is active
        try:
            write_whole(descriptor, end, header, payload)
        except OSError:
            self._check_end(descriptor, end)
            raise
        if sync:
            self._sync_or_undo(descriptor, end)  # what is undone is in no doubt
        self._count_in(segment, len(header) + len(payload), records, time)
        self.pending = 0 if sync else self.pending + records

    def _sync_or_undo(self, descriptor: int, end: int) -> None:
        try:
            self.sync()
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, end)
            self._check_end(descriptor, end)
            raise

    def _check_end(self, descriptor: int, end: int) -> None:
        """A part of a frame that cannot be cut off stays behind, and nothing is written after it."""
        try:
            intact = os.fstat(descriptor).st_size == end
        except OSError:
            intact = False
        if not intact:
            self.retire()

    def _count_in(self, segment: Segment, size: int, records: int, time: int) -> None:
        segment.size += size
        segment.add(records, time)
        self.size += size
        self.frames += 1
        self.records += records
        self._end_sequence += 1
        self._end_position += records

    def _start(self) -> Segment:
        path = segment_path(self.owner.path, self._number + 1)
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            write_whole(descriptor, 0, pack_segment_header())
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._number += 1
        self._writing = descriptor
        self._active = Segment(path, self._number, SEGMENT_HEADER, self._end_sequence, self._end_position)
        self._segments.append(self._active)
        self.size += SEGMENT_HEADER
        if self.owner.path not in self._new_names:
            self._new_names.insert(0, self.owner.path)
        return self._active

    def retire(self) -> None:
        """Write no more to the segment of now; the next frame begins another one."""
        segment, self._active = self._active, None
        if self._writing is not None:
            self._written.append(self._writing)
            self._writing = None
        if len(self._written) > self._most_written:
            close_quietly(self._written.pop(0))
        if segment is not None and not segment.frames and segment is self._segments[0]:
            self._leave(segment)

    def reclaim(self) -> None:
        """Delete the segment of now when all of it is read: its room is wanted, and there is nothing left to sync."""
        segment = self._active
        if segment is not None and not segment.frames and segment is self._segments[0]:
            self._stop_writing(segment)
            self._leave(segment)

    def _stop_writing(self, segment: Segment) -> None:
        if segment is self._active:
            self._active = None
            close_quietly(self._writing)
            self._writing = None

    def sync(self) -> None:
        """Put everything on stable storage: frames, the read position, the names of the files."""
        try:
            self._sync()
        except OSError:
            self._doubt()
            raise
        self.pending = 0

    def _doubt(self) -> None:
        """None of what waited is known to be on stable storage, and no later `sync` can tell."""
        start = self._end_position - self.pending
        self._doubtful = range(min(self._doubtful.start, start) if self._doubtful else start, self._end_position)
        self.pending = 0

    def _sync(self) -> None:
        while self._written:
            os.fdatasync(self._written[-1])
            close_quietly(self._written.pop())
        if self._writing is not None:
            os.fdatasync(self._writing)
        self.cursor.sync()
        while self._new_names:
            sync_directory(self._new_names[0])
            del self._new_names[0]

    def close_files(self) -> None:
        """Close all descriptors but the lock's."""
        super().close_files()
        for descriptor in (*self._written, self._writing):
            close_quietly(descriptor)
        self._written, self._writing, self._active = [], None, None
