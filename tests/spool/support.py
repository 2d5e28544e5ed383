"""What the tests of the spool share: payloads that tell who they are, and processes that die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from logspan.spool import Loss, Spool, SpoolConfig

EXPORTER = "otlp"


def payload(number: int, length: int = 100) -> bytes:
    """Bytes that say which they are, and differ all along."""
    head = b"%08d:" % number
    return (head * (length // len(head) + 1))[: max(length, len(head))]


def number_of(data: bytes) -> int:
    """Which `payload` it is; it is that one, whole."""
    number = int(data[:8])
    assert data == payload(number, len(data))
    return number


def config(directory: Path, **changes: Any) -> SpoolConfig:
    return SpoolConfig(directory, **{"fsync": None, "segment_size": 2000, **changes})


@contextmanager
def spool(directory: Path, **changes: Any) -> Iterator[Spool]:
    """A spool that is closed at the end."""
    it = Spool(EXPORTER, config(directory, **changes))
    try:
        yield it
    finally:
        it.close()


def fill(it: Spool, numbers: range, records: int = 1, length: int = 100) -> None:
    for number in numbers:
        stored = it.append(payload(number, length), records)
        assert type(stored).__name__ == "Stored", stored


def drain(it: Spool) -> list[int]:
    """All that can be read, acknowledged one by one."""
    numbers = []
    while (frame := it.peek()) is not None:
        numbers.append(number_of(frame.payload))
        it.ack()
    return numbers


def kill(it: Spool) -> None:
    """What is left of a spool when its process is killed: files and lock are let go of, nothing is put in order."""
    it.reset_after_fork()


def segments(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.seg"))


def size_on_disk(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*") if not path.is_dir())


def lost(losses: tuple[Loss, ...]) -> dict[str, tuple[int, int]]:
    """Frames and records by reason, whoever stored them."""
    sums: dict[str, tuple[int, int]] = {}
    for loss in losses:
        frames, records = sums.get(loss.reason, (0, 0))
        sums[loss.reason] = (frames + loss.frames, records + loss.records)
    return sums
