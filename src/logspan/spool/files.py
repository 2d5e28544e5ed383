"""What a spool asks of the file system: descriptors, whole writes, errors in words, and patience after a failure."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from logspan.clock import Clock

_BUFFER = 65_536


def describe(error: OSError) -> str:
    """`ENOSPC: No space left on device`: without the path, which may be private."""
    return f"{errno.errorcode.get(error.errno or 0, type(error).__name__)}: {error.strerror or error}"


def why_unusable(directory: Path) -> str | None:
    """Why nothing could be written to a directory, or be made there if it is missing; None when it could. No traces."""
    nearest = next(path for path in (directory, *directory.parents) if path.exists() or path == path.parent)
    if not nearest.is_dir():
        return describe(OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if os.access(nearest, os.W_OK | os.X_OK):
        return None
    code = errno.EROFS if os.statvfs(nearest).f_flag & os.ST_RDONLY else errno.EACCES
    return describe(OSError(code, os.strerror(code)))


def try_to_write(directory: Path) -> None:
    """Write some kilobytes to a directory, or where it would be made, and take them away again; raises `OSError`."""
    nearest = next(path for path in (directory, *directory.parents) if path.exists() or path == path.parent)
    path = nearest / f".logspan-{os.getpid()}"
    descriptor = open_regular(path, os.O_WRONLY | os.O_CREAT)
    try:
        write_whole(descriptor, 0, bytes(_BUFFER))
    finally:
        close_quietly(descriptor)
        path.unlink(missing_ok=True)


def open_regular(path: Path, flags: int) -> int:
    """Open a file that is a regular one, not a link, a pipe or a device; raises `OSError`."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


def write_whole(descriptor: int, offset: int, *parts: bytes) -> None:
    """Write all parts at `offset` or none: on an error the file is cut back to `offset`, and the error raised.

    One system call, but for a short write, which a full disk makes.
    """
    size = sum(map(len, parts))
    try:
        written = os.pwritev(descriptor, parts, offset)
        if written < size:
            rest = memoryview(b"".join(parts))[written:]
            while rest:
                done = os.pwrite(descriptor, rest, offset + written)
                rest, written = rest[done:], written + done
    except OSError:
        os.ftruncate(descriptor, offset)
        raise


def sync_directory(path: Path) -> None:
    """Put the names in a directory on stable storage; raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def close_quietly(descriptor: int | None) -> None:
    """Close; what was written is judged by `fsync`, not by `close`."""
    if descriptor is not None:
        try:
            os.close(descriptor)
        except OSError:
            pass


class Window:
    """Reads an open file here and there, small pieces through a buffer."""

    __slots__ = ("_buffer", "_descriptor", "_start")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""
        self._start = 0

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the file; raises `OSError`."""
        at = offset - self._start
        if at >= 0 and at + length <= len(self._buffer):
            return self._buffer[at : at + length]
        if length >= _BUFFER:
            return os.pread(self._descriptor, length, offset)
        self._buffer, self._start = os.pread(self._descriptor, _BUFFER, offset), offset
        return self._buffer[:length]


class Patience:
    """After a failure, how long not to try again: 1 s, 2 s, 4 s, at most 30 s, until something succeeds."""

    __slots__ = ("_clock", "_delay", "_until", "trouble")

    _first, _most = 1.0, 30.0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._delay = 0.0
        self._until = 0.0
        self.trouble: str | None = None
        """What failed last, until something succeeds."""

    @property
    def exhausted(self) -> bool:
        """Whether it is too early to try again."""
        return self.trouble is not None and self._clock.monotonic() < self._until

    def failed(self, trouble: str) -> None:
        """Note a failure."""
        self.trouble = trouble
        self._delay = min(self._delay * 2, self._most) if self._delay else self._first
        self._until = self._clock.monotonic() + self._delay

    def succeeded(self) -> None:
        """Note a success."""
        self.trouble = None
        self._delay = 0.0
