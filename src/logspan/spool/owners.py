"""Whose a spool directory is: `<root>/<exporter>/<owner>/`, held by a lock for as long as its owner lives.

The lock is `flock` on the file `lock`: it belongs to the open file, so it ends with the process, however that ends, and
a process id that is used again does not matter. A forked child has to close its copy (`Owner.abandon`), or the
directory would seem to be held for as long as the child lives. Names start with the time of creation, so that they
sort by age. Local file systems only: over NFS, locks do not reach other machines in every version.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from pathlib import Path
from urllib.parse import quote, unquote

from logspan.spool.files import close_quietly, open_regular
from logspan.spool.format import CURSOR_NAME, CURSOR_SIZE, LOCK_NAME, Cursor, pack_cursor

_TRIES = 3
OVERHEAD = CURSOR_SIZE
"""Bytes of the files of a directory that are no segments: the lock is empty."""


class Owner:
    """The directory of one process, and the lock on it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock

    def release(self) -> None:
        """Let go of what is left: the next process may adopt it."""
        lock, self._lock = self._lock, None
        close_quietly(lock)

    abandon = release  # closing a copy of the descriptor takes nothing away from the parent, which has its own

    def remove(self) -> None:
        """Delete the directory, which has nothing left to read; what is not ours in it stays, and then it does too."""
        for name in (CURSOR_NAME, LOCK_NAME):
            with contextlib.suppress(OSError):
                (self.path / name).unlink()
        with contextlib.suppress(OSError):
            self.path.rmdir()
        self.release()


def exporter_directory(root: Path, exporter: str) -> Path:
    """The directory of an exporter; whatever its name is, it is one component, and does not lead elsewhere."""
    name = quote(exporter, safe=" +@=,:") or "%"
    return root / (f"%2E{name[1:]}" if name.startswith(".") else name)


def exporter_name(directory: Path) -> str:
    """The name of the exporter, from that of its directory."""
    return unquote(directory.name)


def create_owner(root: Path, exporter: str, *, before: Owner | None = None) -> Owner:
    """A new directory, locked, readable for its user alone; raises `OSError`.

    With `before` it counts as older than that one. It gets its name when it is complete and locked: whoever finds it by
    that name and can lock it finds it dead.
    """
    parent = exporter_directory(root, exporter)
    _make_private(root)
    _make_private(parent)
    created = time.time_ns() if before is None else int(before.path.name.partition("-")[0]) - 1
    for left in range(_TRIES - 1, -1, -1):
        name = f"{created:019d}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            return _create(parent, name)
        except (FileExistsError, FileNotFoundError, BlockingIOError):  # cleaned away before it was locked
            if not left:
                raise
    raise AssertionError("unreachable")


def _make_private(directory: Path) -> None:
    if not directory.is_dir():
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(0o700, exist_ok=True)


def _create(parent: Path, name: str) -> Owner:
    hidden, path = parent / f".{name}", parent / name
    hidden.mkdir(0o700)
    lock = None
    try:
        lock = open_regular(hidden / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        cursor = open_regular(hidden / CURSOR_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            os.pwrite(cursor, pack_cursor(Cursor(0, 0, 0, 0)) * 2, 0)
        finally:
            os.close(cursor)
        hidden.rename(path)
    except BaseException:
        _discard(hidden)
        close_quietly(lock)
        raise
    return Owner(path, lock)


def _discard(directory: Path) -> None:
    for name in (CURSOR_NAME, LOCK_NAME):
        with contextlib.suppress(OSError):
            (directory / name).unlink()
    with contextlib.suppress(OSError):
        directory.rmdir()


def owner_directories(root: Path, exporter: str) -> list[Path]:
    """The directories of an exporter's owners, alive or dead, oldest first; empty when they cannot be listed."""
    try:
        with os.scandir(exporter_directory(root, exporter)) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def exporter_directories(root: Path) -> list[Path]:
    """The directories of all exporters; raises `OSError` when the root cannot be listed."""
    with os.scandir(root) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        )


def try_adopt(path: Path) -> Owner | None:
    """Become the owner of a directory whose owner is dead; None when it is alive, or another process was faster.

    Raises `OSError` when the directory cannot be written.
    """
    lock = open_regular(path / LOCK_NAME, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), (path / LOCK_NAME).stat()):
            return Owner(path, lock)
    except (BlockingIOError, FileNotFoundError):  # FileNotFoundError: it was read to its end and removed meanwhile
        pass
    except BaseException:
        close_quietly(lock)
        raise
    close_quietly(lock)
    return None


def clean_up(root: Path, exporter: str) -> None:
    """Remove directories that a process died in the middle of creating: they hold no frame yet."""
    for path in owner_directories(root, exporter):
        if path.name.startswith("."):
            with contextlib.suppress(OSError):
                owner = try_adopt(path)
                if owner is not None:
                    owner.remove()


def is_alive(path: Path) -> bool:
    """Whether a directory's owner is alive, without taking it over.

    Raises `OSError` when that cannot be told. For a moment an adopter finds it locked; it tries again later.
    """
    try:
        lock = open_regular(path / LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        close_quietly(lock)
