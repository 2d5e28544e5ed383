"""Finding the frames of a segment file, also past damage, and taking stock of what a process left behind. Read-only."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from logspan.spool.files import Window, close_quietly, open_regular
from logspan.spool.format import (
    CURSOR_NAME,
    CURSOR_SIZE,
    FRAME_HEADER,
    FRAME_MAGIC,
    LOCK_NAME,
    SEGMENT_HEADER,
    SEGMENT_SUFFIX,
    VERSION,
    Cursor,
    FrameHeader,
    pack_segment_header,
    unpack_cursor,
    unpack_frame_header,
    unpack_segment_header,
)

_CHUNK = 1 << 20
_NOT_OURS = (errno.EINVAL, errno.ELOOP, errno.EIO)  # not a regular file, a link, not to be read


class Segment:
    """A segment file: its size in bytes, and the frames and records in it that are still to be read.

    `sequence` and `position` are those of the first of these.
    """

    __slots__ = ("frames", "number", "path", "position", "records", "sequence", "size", "time")

    def __init__(self, path: Path, number: int, size: int, sequence: int, position: int) -> None:
        self.path = path
        self.number = number
        self.size = size
        self.sequence = sequence
        self.position = position
        self.frames = 0
        self.records = 0
        self.time = 0

    def add(self, records: int, time: int) -> None:
        """Count one more frame."""
        self.time = self.time or time
        self.frames += 1
        self.records += records


@dataclass(slots=True)
class Contents:
    """What lies in the directory of one process.

    `segments` are those with something left to read; `finished` have nothing left, `foreign` are no segments of ours,
    `newer` are of a version that we cannot read. `lost_frames` are missing or damaged, with `lost_records` in them as
    far as that can be told. `size` is that of all files, in bytes.
    """

    cursor: Cursor | None = None
    segments: list[Segment] = field(default_factory=list)
    finished: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    newer: list[Path] = field(default_factory=list)
    aside: int = 0
    size: int = 0
    lost_frames: int = 0
    lost_records: int = 0

    @property
    def frames(self) -> int:
        """Frames that are left to read."""
        return sum(segment.frames for segment in self.segments)

    @property
    def records(self) -> int:
        """Records that are left to read."""
        return sum(segment.records for segment in self.segments)


def segment_path(directory: Path, number: int) -> Path:
    """The file of a segment: names sort as numbers do."""
    return directory / f"{number:016d}{SEGMENT_SUFFIX}"


def segment_number(path: Path) -> int | None:
    """The number in the name of a segment file; None for any other file."""
    stem = path.name.removesuffix(SEGMENT_SUFFIX)
    return int(stem) if stem != path.name and len(stem) == 16 and stem.isascii() and stem.isdigit() else None


class Walk:
    """The frame headers of a segment file in order, from a byte on, leaving out those before a sequence number.

    Where a header is damaged, the next intact one is looked for. Afterwards `damaged_tail` says whether the file ends
    in bytes that are no frame.
    """

    def __init__(self, window: Window, offset: int, end: int, sequence: int) -> None:
        self._window = window
        self._offset = offset
        self._end = end
        self._sequence = sequence
        self.damaged_tail = False

    def __iter__(self) -> Iterator[tuple[int, FrameHeader]]:
        while self._offset < self._end:
            offset = self._offset
            header = unpack_frame_header(self._window.read(offset, FRAME_HEADER))
            if header is None:
                self.damaged_tail = True
                self._offset = self._next_magic(offset + 1)
                continue
            self.damaged_tail = False
            self._offset = offset + header.size
            if header.sequence >= self._sequence:
                self._sequence = header.sequence + 1
                yield offset, header

    def _next_magic(self, offset: int) -> int:
        while offset < self._end:
            found = self._window.read(offset, _CHUNK).find(FRAME_MAGIC)
            if found >= 0:
                return offset + found
            offset += _CHUNK - len(FRAME_MAGIC) + 1
        return self._end


def take_stock(directory: Path) -> Contents:
    """What lies in a directory; raises `OSError` when it, or a file that may well be good, cannot be read.

    Of a directory whose owner is alive this is a rough picture: it goes on writing.
    """
    return _Stock(directory).take()


def read_cursor(directory: Path) -> Cursor | None:
    """The cursor file; None when it is missing, unreadable or damaged."""
    with contextlib.suppress(OSError), _opened(directory / CURSOR_NAME) as descriptor:
        return unpack_cursor(os.pread(descriptor, CURSOR_SIZE, 0))
    return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = open_regular(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        close_quietly(descriptor)


class _Stock:
    """Goes through the segments in order, and compares each frame with the one that should come next."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._contents = Contents(cursor=read_cursor(directory))
        cursor = self._contents.cursor
        self._known = cursor is not None and cursor.certain
        self._sequence = cursor.sequence if cursor else 0
        self._position = cursor.position if cursor else 0
        self._damaged = False

    def take(self) -> Contents:
        numbered = []
        with os.scandir(self._directory) as entries:
            found = list(entries)
        for entry in found:
            path = Path(entry.path)
            number = segment_number(path)
            with contextlib.suppress(OSError):
                self._contents.size += entry.stat(follow_symlinks=False).st_size
            if number is not None:
                numbered.append((number, path))
            elif entry.name not in (LOCK_NAME, CURSOR_NAME):
                self._contents.aside += 1
        for number, path in sorted(numbered):
            self._segment(number, path)
        if self._damaged:  # nothing comes after it that would tell how much it was
            self._contents.lost_frames += 1
        return self._contents

    def _segment(self, number: int, path: Path) -> None:
        cursor = self._contents.cursor
        if cursor is not None and number < cursor.segment:
            self._contents.finished.append(path)
            return
        try:
            with _opened(path) as descriptor:
                self._frames(number, path, descriptor)
        except FileNotFoundError:  # its owner is alive, and has read it
            pass
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            self._contents.foreign.append(path)

    def _frames(self, number: int, path: Path, descriptor: int) -> None:
        window, size = Window(descriptor), os.fstat(descriptor).st_size
        head = window.read(0, SEGMENT_HEADER)
        version = unpack_segment_header(head)
        if version is not None and version != VERSION:
            self._contents.newer.append(path)
            return
        cursor = self._contents.cursor
        offset = cursor.offset if cursor is not None and cursor.segment == number else SEGMENT_HEADER
        segment = Segment(path, number, size, self._sequence, self._position)
        walk = Walk(window, offset, size, self._sequence)
        for at, header in walk:
            self._frame(segment, header, torn=at + header.size > size)
        self._damaged = self._damaged or walk.damaged_tail
        self._file(segment, offset, is_ours=version is not None or pack_segment_header().startswith(head))

    def _frame(self, segment: Segment, header: FrameHeader, *, torn: bool) -> None:
        if self._known:
            self._lose(header.sequence - self._sequence, header.position - self._position)
        self._known, self._damaged = True, False
        self._sequence, self._position = header.sequence + 1, header.position + header.records
        if torn:
            self._lose(1, header.records)
            return
        if not segment.frames:
            segment.sequence, segment.position = header.sequence, header.position
        segment.add(header.records, header.time)

    def _lose(self, frames: int, records: int) -> None:
        self._contents.lost_frames += max(frames, 0)
        self._contents.lost_records += max(records, 0)

    def _file(self, segment: Segment, offset: int, *, is_ours: bool) -> None:
        if segment.frames:
            self._contents.segments.append(segment)
        elif is_ours or offset > SEGMENT_HEADER:
            self._contents.finished.append(segment.path)
        else:
            self._damaged = False  # it is counted as a file
            self._contents.foreign.append(segment.path)
