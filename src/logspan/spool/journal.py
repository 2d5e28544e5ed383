"""The frames in one directory, read in order: those of this process, or those that a dead one left."""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from logspan.clock import Clock
from logspan.spool.cursor import CursorFile
from logspan.spool.files import Patience, Window, close_quietly, describe, open_regular
from logspan.spool.format import CORRUPT_SUFFIX, FRAME_HEADER, SEGMENT_HEADER, Cursor, FrameHeader
from logspan.spool.owners import OVERHEAD, Owner
from logspan.spool.reading import Segment, Walk
from logspan.spool.results import CORRUPT, FULL, GONE, Frame, Losses

_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_STRIKES = 3


class Journal:
    """`frames` and `records` are left to be read; `size` is that of all files, in bytes.

    The frame that `peek` gave out stays the head until `ack`: if its segment is dropped meanwhile, it lives on in
    memory, is not counted as dropped, and is gone only if the process is killed.
    """

    def __init__(
        self, owner: Owner, cursor: Cursor, segments: Iterable[Segment], losses: Losses, clock: Clock, *, size: int = 0
    ) -> None:
        self.owner = owner
        self.cursor = CursorFile(owner.path, cursor)
        self.patience = Patience(clock)
        self.adopted = True
        self._losses = losses
        self._segments = deque(segments)
        self._active: Segment | None = None
        self._undeleted: list[tuple[Path, int]] = []
        self._begin(cursor, size)

    def _begin(self, cursor: Cursor, size: int) -> None:
        self.frames = sum(segment.frames for segment in self._segments)
        self.records = sum(segment.records for segment in self._segments)
        self.size = size or OVERHEAD
        first = self._segments[0] if self._segments else None
        self._offset = cursor.offset if first is not None and first.number == cursor.segment else SEGMENT_HEADER
        self._sequence, self._position = cursor.sequence, cursor.position
        self._redelivered = cursor.sequence if cursor.in_flight else None
        self._reading: int | None = None
        self._window: Window | None = None
        self._head: tuple[FrameHeader, Frame] | None = None
        self._after = 0
        self._head_is_on_disk = False
        self._strikes = 0

    # ------------------------------------------------------------------------------ reading

    @property
    def has_head(self) -> bool:
        """Whether a frame was given out and is not acknowledged."""
        return self._head is not None

    def peek(self) -> Frame | None:
        """The oldest frame; None when there is none, or when it cannot be read now (then `patience` says why)."""
        if self._head is None and self.frames and not self.patience.exhausted:
            try:
                self._next()
                self.patience.succeeded()
                self._strikes = 0
            except OSError as error:
                self._unreadable(error)
        return self._head[1] if self._head is not None else None

    def _next(self) -> None:
        while self._head is None and self._segments:
            segment = self._segments[0]
            try:
                found = self._next_in(segment)
            except FileNotFoundError:
                self._forget(segment, GONE)
                continue
            if not found and segment is self._active:
                self._lose_rest(segment, CORRUPT)
                return
            if not found:
                self._leave(segment)

    def _next_in(self, segment: Segment) -> bool:
        if not segment.frames:
            return False
        if self._window is None:
            self._reading = open_regular(segment.path, os.O_RDONLY)
            self._window = Window(self._reading)
        for offset, header in Walk(self._window, self._offset, segment.size, self._sequence):
            if offset + header.size > segment.size:  # torn, and counted as such when the directory was opened
                continue
            payload = self._window.read(offset + FRAME_HEADER, header.length)
            if len(payload) == header.length and zlib.crc32(payload) == header.payload_crc:
                self._give_out(segment, offset, header, payload)
                return True
            self._skip(segment, offset, header)
        return False

    def _give_out(self, segment: Segment, offset: int, header: FrameHeader, payload: bytes) -> None:
        self._after = offset + header.size
        self._head_is_on_disk = True
        frame = Frame(
            payload,
            header.records,
            header.sequence,
            header.time,
            adopted=self.adopted,
            redelivered=header.sequence == self._redelivered,
        )
        self._head = (header, frame)
        self.cursor.write(Cursor(segment.number, offset, header.sequence, header.position, in_flight=True))

    def _skip(self, segment: Segment, offset: int, header: FrameHeader) -> None:
        self._losses.add(CORRUPT, 1, header.records, adopted=self.adopted)
        self._count_out(segment, 1, header.records)
        self._offset, self._sequence = offset + header.size, header.sequence + 1
        self._position = header.position + header.records

    def ack(self) -> None:
        """The head is done with; it is not read again, by whomever."""
        if self._head is None:
            return
        header, _ = self._head
        self._head = None
        if not self._head_is_on_disk:
            self.frames, self.records = self.frames - 1, self.records - header.records
            return
        segment = self._segments[0]
        self._offset, self._sequence = self._after, header.sequence + 1
        self._position = header.position + header.records
        self._count_out(segment, 1, header.records)
        if not segment.frames and segment is not self._active:
            self._leave(segment)
        else:
            self.cursor.write(Cursor(segment.number, self._offset, self._sequence, self._position))

    def _unreadable(self, error: OSError) -> None:
        self._close_reading()
        self.patience.failed(describe(error))
        if error.errno in _PASSING:
            return
        self._strikes += 1
        if self._strikes >= _STRIKES and self._segments[0] is not self._active:
            self._strikes = 0
            self._set_aside(self._segments[0])

    def _set_aside(self, segment: Segment) -> None:
        with contextlib.suppress(OSError):
            segment.path.rename(segment.path.with_name(segment.path.name + CORRUPT_SUFFIX))
        self._forget(segment, CORRUPT, freed=0)

    # ------------------------------------------------------------------------------ what goes away

    def drop_oldest(self) -> bool:
        """Delete the oldest segment, read or not, for room; False when there is none. Raises `OSError`."""
        if not self._segments:
            return False
        segment = self._segments[0]
        segment.path.unlink(missing_ok=True)
        self._stop_writing(segment)
        self._forget(segment, FULL)
        return True

    def drop_missing(self) -> None:
        """Count the frames of segments that somebody has deleted as gone."""
        for segment in [segment for segment in self._segments if not segment.path.exists()]:
            self._stop_writing(segment)
            self._forget(segment, GONE)

    def _stop_writing(self, segment: Segment) -> None:
        """Stop writing to a segment that is about to go: nothing to do for one who only reads."""

    def _forget(self, segment: Segment, reason: str, *, freed: int | None = None) -> None:
        """Take a segment, whose file is gone, off the list; a head that stood in it lives on in memory."""
        if segment is self._segments[0]:
            self._leave_head_in_memory(segment)
            self._lose_rest(segment, reason)
            self._segments.popleft()
            self._move_on(segment)
        else:
            self._lose_rest(segment, reason)
            self._segments.remove(segment)
        self.size -= segment.size if freed is None else freed

    def _leave_head_in_memory(self, segment: Segment) -> None:
        if self._head is not None and self._head_is_on_disk:
            self._head_is_on_disk = False
            segment.frames -= 1
            segment.records -= self._head[0].records

    def _lose_rest(self, segment: Segment, reason: str) -> None:
        self._losses.add(reason, segment.frames, segment.records, adopted=self.adopted)
        self._count_out(segment, segment.frames, segment.records)
        if segment is self._active:
            self._offset = segment.size

    def _leave(self, segment: Segment) -> None:
        """A segment is read to its end: what should have been in it and was not found is damaged."""
        self._lose_rest(segment, CORRUPT)
        self._segments.popleft()
        self._move_on(segment)
        self._delete(segment.path, segment.size)

    def _move_on(self, segment: Segment) -> None:
        self._close_reading()
        self._offset = SEGMENT_HEADER
        number = segment.number + 1
        if self._segments:
            following = self._segments[0]
            number, self._sequence, self._position = following.number, following.sequence, following.position
        self.cursor.write(Cursor(number, SEGMENT_HEADER, self._sequence, self._position))

    def _count_out(self, segment: Segment, frames: int, records: int) -> None:
        segment.frames -= frames
        segment.records -= records
        self.frames -= frames
        self.records -= records

    def _delete(self, path: Path, size: int) -> None:
        try:
            path.unlink(missing_ok=True)
            self.size -= size
        except OSError:  # it is read, and the cursor says so: its room is missed, nothing else
            self._undeleted.append((path, size))

    def delete_again(self) -> None:
        """Try once more to delete what could not be deleted."""
        undeleted, self._undeleted = self._undeleted, []
        for path, size in undeleted:
            self._delete(path, size)

    # ------------------------------------------------------------------------------ the end

    def close(self, settled: int = 0) -> None:
        """Remove the directory when all of it was read; otherwise leave it to the next process.

        `settled`: so many records of the head are done with.
        """
        self._leave_out_head(settled)
        self.delete_again()
        self.close_files()
        if self.frames or self._undeleted:
            self.owner.release()
            return
        for segment in self._segments:
            with contextlib.suppress(OSError):
                segment.path.unlink()
        self.owner.remove()

    def _leave_out_head(self, settled: int) -> None:
        if self._head is not None and not self._head_is_on_disk:
            records = self._head[0].records
            self._losses.add(FULL, 1, records - settled, adopted=self.adopted)
            self.frames, self.records = self.frames - 1, self.records - records
        self._head = None

    def abandon(self) -> None:
        """Close what a forked child has inherited: files and lock are the parent's, and stay as they are."""
        self.close_files()
        self.owner.abandon()

    def close_files(self) -> None:
        """Close all descriptors but the lock's."""
        self._close_reading()
        self.cursor.close()

    def _close_reading(self) -> None:
        descriptor, self._reading, self._window = self._reading, None, None
        close_quietly(descriptor)
