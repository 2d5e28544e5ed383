"""What lies in a spool directory, seen from outside: read-only, whoever the owners are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from logspan.spool.files import describe
from logspan.spool.owners import exporter_directories, exporter_name, is_alive, owner_directories
from logspan.spool.reading import Contents, take_stock


@dataclass(frozen=True, slots=True)
class OwnerStatus:
    """One process's part of the spool of one exporter. Of an owner that is alive the numbers are those of a moment.

    `size` in bytes, `oldest` the age of the oldest frame in seconds (None: there is none). `damaged` frames are missing
    or cannot be read; `unreadable` files hold nothing of this version, or were set aside. `trouble`: why it could not
    be looked at.
    """

    exporter: str
    owner: str
    path: Path
    alive: bool
    frames: int = 0
    records: int = 0
    size: int = 0
    oldest: float | None = None
    damaged: int = 0
    unreadable: int = 0
    trouble: str | None = None


def survey(directory: Path) -> tuple[OwnerStatus, ...]:
    """Every owner of every exporter, oldest first. Raises `OSError` when the directory itself cannot be listed."""
    return tuple(
        _status(name, path)
        for name in map(exporter_name, exporter_directories(directory))
        for path in owner_directories(directory, name)
        if not path.name.startswith(".")
    )


def _status(exporter: str, path: Path) -> OwnerStatus:
    alive = True
    try:
        alive = is_alive(path)
        contents = take_stock(path)
    except OSError as error:
        return OwnerStatus(exporter, path.name, path, alive, trouble=describe(error))
    return OwnerStatus(
        exporter=exporter,
        owner=path.name,
        path=path,
        alive=alive,
        frames=contents.frames,
        records=contents.records,
        size=contents.size,
        oldest=_age(contents),
        damaged=0 if alive else contents.lost_frames,  # a write that is under way looks like a torn one
        unreadable=len(contents.foreign) + len(contents.newer) + contents.aside,
    )


def _age(contents: Contents) -> float | None:
    if not contents.segments:
        return None
    return max(time.time_ns() - contents.segments[0].time, 0) / 1e9
