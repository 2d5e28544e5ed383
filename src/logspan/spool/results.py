"""What a spool answers with, and how it is set up: plain data."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WRITE_ERROR = "spool_write_error"
FULL = "spool_full"
CORRUPT = "corrupt"
GONE = "spool_gone"
CLOSED = "spool_closed"


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    """Where a spool lies, and how much it may hold.

    `max_size` is the limit of all its files, in bytes. `fsync` is the longest time that a frame waits to be put on
    stable storage, in seconds: 0 is after each append, None leaves it to the operating system. `drop` says which end
    gives way at the limit. A segment file is closed at `segment_size` bytes, or at an eighth of `max_size` if that is
    less; whole segments are dropped.
    """

    directory: Path
    max_size: int = 1 << 30
    fsync: float | None = 1.0
    drop: Literal["oldest", "newest"] = "oldest"
    segment_size: int = 8 << 20

    @property
    def roll_at(self) -> int:
        """Size at which a segment file is closed."""
        return min(self.segment_size, self.max_size // 8)


@dataclass(frozen=True, slots=True)
class Stored:
    """The frame is in the spool, and survives the death of this process; `synced`: that of the machine as well."""

    synced: bool = False


@dataclass(frozen=True, slots=True)
class NotStored:
    """The frame is not in the spool, and no part of it is; `reason` for the ledger, `detail` for people."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One batch as it was stored. `enqueued` in ns since 1970.

    `redelivered`: the process that died had it in hand, so that it may have been sent already. `adopted`: it was
    written by an earlier process.
    """

    payload: bytes
    records: int
    sequence: int
    enqueued: int
    adopted: bool = False
    redelivered: bool = False

    @property
    def age(self) -> float:
        """Seconds since it was stored, by the clock on the wall; never negative."""
        return max(time.time_ns() - self.enqueued, 0) / 1e9


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames that were in the spool and will never be read from it.

    `reason`: `spool_full` (dropped at the limit), `corrupt`, `spool_gone` (deleted by somebody else). Of damaged frames
    the number of records is not always known; those are missing from `records`. `adopted`: they were an earlier
    process's.
    """

    reason: str
    frames: int
    records: int
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was taken over from dead processes: frames and records that can be read.

    What is damaged among it comes as a `Loss` on top of these. `set_aside` files could not be read at all.
    """

    owners: int = 0
    frames: int = 0
    records: int = 0
    set_aside: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is in the spool: `size` in bytes on disk, `unsynced` records of it not yet on stable storage."""

    frames: int = 0
    records: int = 0
    size: int = 0
    unsynced: int = 0


class Losses:
    """Adds up losses by reason, and by whose they are, until somebody takes them."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[str, bool], tuple[int, int]] = {}

    def add(self, reason: str, frames: int, records: int, *, adopted: bool) -> None:
        """Count frames, and the records in them."""
        if frames or records:
            had = self._counts.get((reason, adopted), (0, 0))
            self._counts[reason, adopted] = (had[0] + frames, had[1] + records)

    def take(self) -> tuple[Loss, ...]:
        """All since the last call."""
        counts, self._counts = self._counts, {}
        return tuple(Loss(reason, *count, adopted) for (reason, adopted), count in counts.items())
