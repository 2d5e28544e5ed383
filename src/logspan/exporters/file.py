"""A file of OTLP/JSON lines, which the Collector's `otlp_json_file` receiver reads back; rotated by size.

Each line is a complete `ExportLogsServiceRequest`. A rotated file is renamed once and for all, with the time of its
rotation in front of the suffix, as the Collector's own file exporter does: `app.jsonl` becomes
`app-2026-11-23T10-20-30.123.jsonl`. So a receiver's `include: /var/log/app*.jsonl` still sees a file that was rotated
before it was read to its end, sorting by name sorts by time, and no two processes shift numbers under each other.
"""

from __future__ import annotations

import datetime
import errno
import fcntl
import os
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.encoding import EncodedLines, encode_logs_json
from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable

_STAMP = "%Y-%m-%dT%H-%M-%S"
_MILLISECOND = datetime.timedelta(milliseconds=1)


class FileExporter(DeliveringExporter):
    """Appends each batch to `path` in one write; several processes may share the file.

    Rotates before a write that would take the file over `max_bytes` (a batch is never split: one that is larger by
    itself makes a larger file) and keeps `backup_count` rotated files; with 0 they are deleted. Folder and file are
    made with the first batch, also again when they have gone, as after an external logrotate. A full disk and the like
    are `Retryable`; what was written of the batch is taken back, so that trying again does not double it.
    """

    def __init__(
        self,
        path: str | Path = "logs/logspan.jsonl",
        *,
        max_bytes: int = 104_857_600,
        backup_count: int = 5,
        timeout: float = 10.0,
    ) -> None:
        """`timeout` is how long to wait for other processes that hold the file, in seconds."""
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._backup_count = backup_count
        self._timeout = timeout
        self._backup = re.compile(
            rf"{re.escape(self._path.stem)}-(\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{{3}}){re.escape(self._path.suffix)}"
        )
        self._descriptor: int | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._is_shut_down = False

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """Append a batch, waiting `timeout` seconds at most for other writers."""
        if self._is_shut_down:
            return Rejected("already_shutdown", "the exporter was shut down")
        if os.getpid() != self._pid:
            self.reset_after_fork()
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        encoded = encode_logs_json(batch)
        if encoded.lines:
            try:
                self._append(encoded, deadline)
            except OSError as error:
                return Retryable(_reason(error))
        return Delivered(message=encoded.error, unencodable=encoded.failed)

    def shutdown(self) -> None:
        """Refuse batches from now on and close the file, after a write that is under way."""
        self._is_shut_down = True
        if self._lock.acquire(timeout=1):
            self._close()
            self._lock.release()

    def reset_after_fork(self) -> None:
        """Open the file anew: a descriptor from the parent would share the parent's lock."""
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._close()

    def _append(self, encoded: EncodedLines, deadline: float) -> None:
        data = b"".join(encoded.lines)
        if not self._lock.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise TimeoutError(errno.ETIMEDOUT, "another thread is still writing")
        try:
            descriptor = self._locked_descriptor(len(data), deadline)
            try:
                _write(descriptor, data)
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        except OSError:
            self._close()
            raise
        finally:
            self._lock.release()

    def _locked_descriptor(self, length: int, deadline: float) -> int:
        """The descriptor of what stands under the path now, locked, with room for `length` bytes."""
        while True:
            descriptor = self._descriptor = self._descriptor or self._open()
            _lock(descriptor, deadline)
            state = os.fstat(descriptor)
            if not self._is_current(state):  # rotated by somebody else, or removed
                self._close()
            elif state.st_size and state.st_size + length > self._max_bytes:
                self._rotate()
                self._close()
            else:
                return descriptor

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)

    def _is_current(self, state: os.stat_result) -> bool:
        try:
            return os.path.samestat(state, self._path.stat())
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        """Rename the file, and delete the oldest of the rotated ones; the lock on the file is held."""
        backups = self._backups()
        moment = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        if backups:  # later than the latest, whatever the clock says: the order of names is the order of records
            moment = max(moment, _after(self._stamp(backups[-1]), moment))
        stamp = f"{moment.strftime(_STAMP)}.{moment.microsecond // 1000:03}"
        backup = self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")
        self._path.rename(backup)
        kept = [*backups, backup]
        for old in kept[: max(len(kept) - self._backup_count, 0)]:
            old.unlink(missing_ok=True)

    def _backups(self) -> list[Path]:
        """The rotated files, oldest first."""
        return sorted(path for path in self._path.parent.iterdir() if self._backup.fullmatch(path.name))

    def _stamp(self, backup: Path) -> str:
        match = self._backup.fullmatch(backup.name)
        return match[1] if match else ""

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _after(stamp: str, otherwise: datetime.datetime) -> datetime.datetime:
    """A millisecond after a stamp; `otherwise` for a name that only looks like one of ours."""
    seconds, _, milliseconds = stamp.partition(".")
    try:
        moment = datetime.datetime.strptime(seconds, _STAMP)  # noqa: DTZ007 - UTC, as it was written
        return moment + (int(milliseconds) + 1) * _MILLISECOND
    except (ValueError, OverflowError):
        return otherwise


def _lock(descriptor: int, deadline: float) -> None:
    """Lock the file against other processes and other exporters of this one; `TimeoutError` at the deadline.

    `flock` belongs to the open file, not to the process, so two exporters in one process exclude each other as well.
    """
    pause = 0.0005
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() + pause > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process is holding the file") from None
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def _write(descriptor: int, data: bytes) -> None:
    """All of it or nothing: what was written is cut off again when the rest cannot be."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a writer was killed in the middle of a line
        data = b"\n" + data
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _reason(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return f"{name}: {error.strerror or error}"
