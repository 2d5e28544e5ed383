"""Python warnings as records of the scope `py.warnings`."""

from __future__ import annotations

import functools
import logging
import warnings
from contextvars import ContextVar
from typing import Any, TextIO

from opentelemetry._logs import LoggerProvider, NoOpLogger

from logspan.context import inside_pipeline
from logspan.record import Record, severity
from logspan.sources.printed import Redaction, print_redacted
from logspan.values import safe_str

SCOPE = "py.warnings"
_showing: ContextVar[bool] = ContextVar("logspan.warnings.showing", default=False)


class WarningsSource:
    """Stands in for `warnings.showwarning`. What stood there before is still called.

    The interpreter's own, which prints to standard error, is not called while our console is on; with redaction what
    it would print is printed here instead, without secrets.
    """

    def __init__(self, provider: LoggerProvider, redaction: Redaction = lambda: None) -> None:
        self._provider = provider
        self._redaction = redaction
        self._console = False
        self._previous: Any = None
        self._show = self._showwarning  # one object, so that it can be recognised

    def install(self) -> None:
        """Take the place of `warnings.showwarning`."""
        self._previous = warnings.showwarning
        warnings.showwarning = self._show

    def reassert(self) -> None:
        """Take it again if `logging.captureWarnings` has taken it since: it keeps the message only."""
        if _is_of(warnings.showwarning, "logging"):
            self.install()

    def replace_console(self, on: bool) -> None:  # noqa: FBT001 - the only argument
        """Say whether our own console exporter writes what would be printed."""
        self._console = on

    def uninstall(self) -> None:
        """Put back what was there before, if this still stands there; else do nothing from now on but pass it on."""
        if warnings.showwarning is self._show:
            warnings.showwarning = self._previous
        self._provider = _Nowhere()

    @staticmethod
    def is_duplicate(record: logging.LogRecord) -> bool:
        """Whether a record of `logging` is what `captureWarnings` makes of a warning that has been recorded here."""
        return record.name == SCOPE and _showing.get()

    def _showwarning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        recorded = file is None and self._record(message, category, filename, lineno)
        if recorded and _is_of(self._previous, "warnings", "_py_warnings"):
            redact = self._redaction()
            if self._console:
                return
            if redact is not None:
                shown = functools.partial(warnings.formatwarning, message, category, filename, lineno, line)
                print_redacted(shown, redact, f"{filename}:{lineno}: {category.__name__}")
                return
        token = _showing.set(recorded)
        try:
            self._previous(message, category, filename, lineno, file, line)
        finally:
            _showing.reset(token)

    def _record(self, message: Warning | str, category: type[Warning], filename: str, lineno: int) -> bool:
        try:
            logger = self._provider.get_logger(SCOPE)
            if type(logger) is NoOpLogger or inside_pipeline():
                return False
            number, text = severity(logging.WARNING, "WARN")
            attributes = {
                "warning.category": category.__name__,
                "code.file.path": filename,
                "code.line.number": lineno,
            }
            scope = getattr(logger, "instrumentation_scope", None)
            logger.emit(Record(scope, number, text, safe_str(message), attributes))
            return True
        except Exception:  # a failure of ours: the warning is shown as if we were not there
            return False


class _Nowhere(LoggerProvider):
    def get_logger(self, name: str, *args: Any, **kwargs: Any) -> NoOpLogger:
        del args, kwargs
        return NoOpLogger(name)


def _is_of(function: object, *modules: str) -> bool:
    return getattr(function, "__module__", None) in modules
