"""The bytes of a spool on disk. No I/O; integers are little-endian, the checksum is CRC-32 (`zlib.crc32`).

A segment file is a 16-byte header and then frames, one behind the other. A frame is a 48-byte header and its payload.
The header has a checksum of its own, so that damage to a payload leaves the way to the next frame known; and each
frame carries how many frames and records went before it, so that a hole tells how much is missing from it.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from dataclasses import dataclass

VERSION = 1
SEGMENT_SUFFIX = ".seg"
CORRUPT_SUFFIX = ".corrupt"
CURSOR_NAME = "cursor"
LOCK_NAME = "lock"

FRAME_MAGIC = b"\xf5LS\x0a"
_SEGMENT_MAGIC = b"\xf5lgspool"
_CURSOR_MAGIC = b"\xf5lgscurs"

_SEGMENT = struct.Struct("<8sHHI")  # magic, version, reserved, checksum of what stands before it
_FRAME = struct.Struct("<4sIIIQQQI")  # magic, length, records, flags, sequence, position, time, payload's checksum
_CURSOR = struct.Struct("<8sQQQQQI")  # magic, generation, segment, offset, sequence, position, flags
_CHECK = struct.Struct("<I")

SEGMENT_HEADER = _SEGMENT.size
FRAME_HEADER = _FRAME.size + _CHECK.size
CURSOR_SLOT = 64
CURSOR_SIZE = 2 * CURSOR_SLOT
MAX_PAYLOAD = 0xFFFF_FFFF
_IN_FLIGHT = 1


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """`length` in bytes; `sequence` frames and `position` records went before it; `time` in ns since 1970."""

    length: int
    records: int
    sequence: int
    position: int
    time: int
    payload_crc: int

    @property
    def size(self) -> int:
        """Bytes of the whole frame."""
        return FRAME_HEADER + self.length


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to read on: the next frame's sequence and position, in which segment, at which byte.

    `in_flight` says that this frame was handed out, and may have been sent. Not `certain`: a later position was written
    and is damaged; it was one step ahead.
    """

    segment: int
    offset: int
    sequence: int
    position: int
    in_flight: bool = False
    generation: int = 0
    certain: bool = True


def pack_frame_header(payload: bytes, records: int, sequence: int, position: int, time: int) -> bytes:
    """The header that goes in front of `payload`."""
    body = _FRAME.pack(FRAME_MAGIC, len(payload), records, 0, sequence, position, time, zlib.crc32(payload))
    return body + _CHECK.pack(zlib.crc32(body))


def unpack_frame_header(data: bytes) -> FrameHeader | None:
    """The header that `data` starts with; None when it is none, is damaged, or is cut short."""
    if len(data) < FRAME_HEADER or not data.startswith(FRAME_MAGIC):
        return None
    if zlib.crc32(data[: _FRAME.size]) != _CHECK.unpack_from(data, _FRAME.size)[0]:
        return None
    _, length, records, _, sequence, position, time, payload_crc = _FRAME.unpack_from(data)
    return FrameHeader(length, records, sequence, position, time, payload_crc)


def pack_segment_header(version: int = VERSION) -> bytes:
    """The first bytes of a segment file."""
    body = _SEGMENT.pack(_SEGMENT_MAGIC, version, 0, 0)[: -_CHECK.size]
    return body + _CHECK.pack(zlib.crc32(body))


def unpack_segment_header(data: bytes) -> int | None:
    """The version that a segment file says it has; None when its header is none, or damaged."""
    if len(data) < SEGMENT_HEADER:
        return None
    magic, version, _, check = _SEGMENT.unpack_from(data)
    intact = magic == _SEGMENT_MAGIC and zlib.crc32(data[: SEGMENT_HEADER - _CHECK.size]) == check
    return int(version) if intact else None


def pack_cursor(cursor: Cursor) -> bytes:
    """One slot of the cursor file."""
    body = _CURSOR.pack(
        _CURSOR_MAGIC,
        cursor.generation,
        cursor.segment,
        cursor.offset,
        cursor.sequence,
        cursor.position,
        _IN_FLIGHT if cursor.in_flight else 0,
    )
    return (body + _CHECK.pack(zlib.crc32(body))).ljust(CURSOR_SLOT, b"\0")


def unpack_cursor(data: bytes) -> Cursor | None:
    """The later of the two slots of a cursor file; None when both are damaged."""
    slots = [_slot(data[start : start + CURSOR_SLOT]) for start in (0, CURSOR_SLOT)]
    intact = [slot for slot in slots if slot is not None]
    if len(intact) == 1:
        return dataclasses.replace(intact[0], certain=False)
    return max(intact, key=lambda slot: slot.generation, default=None)


def _slot(data: bytes) -> Cursor | None:
    if len(data) < _CURSOR.size + _CHECK.size:
        return None
    magic, generation, segment, offset, sequence, position, flags = _CURSOR.unpack_from(data)
    if magic != _CURSOR_MAGIC or zlib.crc32(data[: _CURSOR.size]) != _CHECK.unpack_from(data, _CURSOR.size)[0]:
        return None
    return Cursor(segment, offset, sequence, position, bool(flags & _IN_FLIGHT), generation)
