"""Writes records to standard output or standard error."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Literal, TextIO

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.exporters.console.json_lines import format_json
from logspan.exporters.console.pretty import Pretty
from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable
from logspan.values import safe_str

Format = Literal["auto", "pretty", "json"]


class ConsoleExporter(DeliveringExporter):
    """One write for each batch, to whatever `sys.stdout` (or `stream`) is at that moment.

    `format="auto"` is pretty on a terminal and JSON lines elsewhere; `color=None` is colour on a terminal. No value of
    a record can start a line, or move the cursor (CWE-117). A stream that is closed or that nobody reads any more
    refuses the batch.
    """

    def __init__(
        self,
        *,
        format: Format = "auto",  # noqa: A002 - the name of the setting
        stream: Literal["stdout", "stderr"] | TextIO = "stdout",
        color: bool | None = None,
    ) -> None:
        self._format = format
        self._stream = stream
        self._color = color
        self._lock = threading.Lock()
        self._is_shut_down = False

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """Write a batch; `timeout` bounds the wait for another thread, a terminal that blocks cannot be interrupted."""
        if self._is_shut_down:
            return Rejected("already_shutdown", "the exporter was shut down")
        stream = self._resolve()
        if stream is None:
            return Rejected("closed", f"there is no {self._stream}")
        text, failed, error = _formatted(batch, self._formatter(stream))
        if text:
            refusal = self._write(stream, text, -1 if timeout is None else max(timeout, 0))
            if refusal is not None:
                return refusal
        return Delivered(message=error, unencodable=failed)

    def shutdown(self) -> None:
        """Refuse batches from now on; the stream is not ours to close."""
        self._is_shut_down = True

    def reset_after_fork(self) -> None:
        """Hold no lock of the parent's threads."""
        self._lock = threading.Lock()

    def _resolve(self) -> TextIO | None:
        """Late, because tests and servers put other streams in place of the standard ones."""
        if isinstance(self._stream, str):
            return sys.stderr if self._stream == "stderr" else sys.stdout
        return self._stream

    def _formatter(self, stream: TextIO) -> Callable[[ReadableLogRecord], str]:
        terminal = self._format == "auto" or self._color is None
        if terminal:
            terminal = _is_terminal(stream)
        if self._format == "pretty" or (self._format == "auto" and terminal):
            color = terminal if self._color is None else self._color
            return Pretty(color=color, ascii_only=not _writes_unicode(stream)).format
        return format_json

    def _write(self, stream: TextIO, text: str, timeout: float) -> Rejected | Retryable | None:
        encoding = _encoding(stream)
        if not self._lock.acquire(timeout=timeout):
            return Retryable("another thread is still writing")
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
            return None
        except BrokenPipeError as error:
            return Rejected("EPIPE", safe_str(error))
        except OSError as error:
            return Retryable(f"{errno.errorcode.get(error.errno or 0, type(error).__name__)}: {safe_str(error)}")
        except Exception as error:  # a closed file raises ValueError, a stream of somebody's own anything
            return Rejected("closed", f"{type(error).__name__}: {safe_str(error)}")
        finally:
            self._lock.release()


def _formatted(
    batch: Sequence[ReadableLogRecord], formatter: Callable[[ReadableLogRecord], str]
) -> tuple[str, int, str]:
    """The text of a batch, how many records could not be formatted, and why the first could not."""
    lines: list[str] = []
    failed, first_error = 0, ""
    for record in batch:
        try:
            lines.append(formatter(record))
        except Exception as error:  # one record's own fault: the others are written
            failed += 1
            first_error = first_error or f"{type(error).__name__}: {safe_str(error)}"[:500]
    return "".join(lines), failed, first_error


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except Exception:  # closed, or no real stream
        return False


def _encoding(stream: TextIO) -> str:
    return getattr(stream, "encoding", None) or "utf-8"


def _writes_unicode(stream: TextIO) -> bool:
    try:
        "│→".encode(_encoding(stream))
    except (UnicodeEncodeError, LookupError):
        return False
    return True
