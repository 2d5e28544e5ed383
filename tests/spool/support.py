"""What the tests of the spool share: payloads that tell who they are, and processes that die."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logspan.spool import Loss, Spool, SpoolConfig

EXPORTER = "otlp"
ROOT = Path(__file__).parents[2]


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


def small_disk(at: Path, size: str) -> list[str]:
    """A command that runs another one with a tmpfs of that size at a directory, which it alone sees."""
    mount = f'mount -t tmpfs -o size={size} tmpfs {at} && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    works = (
        shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    )
    if not works:
        pytest.skip("no mount namespaces here; RLIMIT_FSIZE is tested everywhere")
    return command


def run(program: str, *arguments: str, on: Sequence[str] = (), timeout: float = 50.0) -> None:
    """Run a program that has assertions of its own, `on` a small disk or not."""
    command = [*on, sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, cwd=ROOT)
    assert done.returncode == 0, done.stderr
