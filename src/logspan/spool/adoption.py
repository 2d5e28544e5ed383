"""Taking over what a dead process left behind."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from logspan.clock import Clock
from logspan.spool.format import CORRUPT_SUFFIX, SEGMENT_HEADER, Cursor
from logspan.spool.journal import Journal
from logspan.spool.owners import try_adopt
from logspan.spool.reading import Contents, segment_number, take_stock
from logspan.spool.results import CORRUPT, Losses


@dataclass(frozen=True, slots=True)
class Found:
    """What one directory held; no journal when nothing in it can be read."""

    journal: Journal | None
    set_aside: int = 0


def adopt(directory: Path, losses: Losses, clock: Clock) -> Found | None:
    """Become the owner of a directory and put it in order; None when its owner is alive. Raises `OSError`.

    What is damaged or missing in it is added to `losses`. Files that hold nothing readable are renamed to `*.corrupt`.
    A directory with segments of a later version of the format is left as it is.
    """
    owner = try_adopt(directory)
    if owner is None:
        return None
    try:
        contents = take_stock(directory)
        if contents.newer:
            owner.release()
            return Found(None, len(contents.newer))
        _put_in_order(contents)
    except BaseException:
        owner.release()
        raise
    losses.add(CORRUPT, contents.lost_frames, contents.lost_records, adopted=True)
    if contents.segments:
        journal = Journal(owner, _cursor(contents), contents.segments, losses, clock, size=contents.size)
        return Found(journal, len(contents.foreign))
    owner.remove()
    return Found(None, len(contents.foreign))


def _put_in_order(contents: Contents) -> None:
    for path in contents.finished:
        contents.size -= path.stat().st_size
        path.unlink()
    for path in contents.foreign:
        with contextlib.suppress(OSError):
            path.rename(path.with_name(path.name + CORRUPT_SUFFIX))


def _cursor(contents: Contents) -> Cursor:
    """The read position; that of the first frame when it is lost."""
    first = contents.segments[0]
    return contents.cursor or Cursor(first.number, SEGMENT_HEADER, first.sequence, first.position)


def discard(directory: Path) -> bool:
    """Delete what a dead process left, read or not; False when its owner is alive. Raises `OSError`.

    Files that are not the spool's stay, and so does the directory then.
    """
    owner = try_adopt(directory)
    if owner is None:
        return False
    try:
        for path in list(directory.iterdir()):
            if segment_number(path.with_name(path.name.removesuffix(CORRUPT_SUFFIX))) is None:
                continue
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        owner.remove()
    finally:
        owner.release()
    return True
