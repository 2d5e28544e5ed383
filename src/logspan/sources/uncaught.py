"""Exceptions that nobody caught, as records: of the main thread, of other threads, of finalisers.

asyncio logs its own through the standard library.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from opentelemetry._logs import LoggerProvider, NoOpLogger

from logspan.context import inside_pipeline
from logspan.record import Record, severity
from logspan.sources.capture import exception_of
from logspan.sources.printed import Redaction, print_redacted
from logspan.values import safe_str

SCOPE = "logspan.uncaught"
_NO_ERRORS = (KeyboardInterrupt, SystemExit, GeneratorExit)


class UncaughtSource:
    """Stands in for `sys.excepthook`, `threading.excepthook` and `sys.unraisablehook`; calls the earlier ones next.

    The interpreter's own would print a traceback: with redaction that is printed here instead, without secrets.
    `KeyboardInterrupt` and `SystemExit` are how programs end, not errors. What ends the process or a thread is FATAL,
    what the interpreter goes on after (an exception in `__del__`) is ERROR.
    """

    def __init__(self, provider: LoggerProvider, redaction: Redaction = lambda: None) -> None:
        self._provider = provider
        self._redaction = redaction
        self._hooks: list[_Hook] = []

    def install(self) -> None:
        """Take the place of the three hooks."""
        self._hooks = [
            _Hook(sys, "excepthook", self._excepthook, _Printed(self._redaction, sys.__excepthook__, _uncaught)),
            _Hook(
                threading, "excepthook", self._thread, _Printed(self._redaction, threading.__excepthook__, _in_thread)
            ),
            _Hook(sys, "unraisablehook", self._unraisable, _Printed(self._redaction, sys.__unraisablehook__, _ignored)),
        ]

    def reassert(self) -> None:
        """Hooks that were set since call ours, or mean not to."""

    def replace_console(self, on: bool) -> None:  # noqa: FBT001 - the only argument
        """The traceback on standard error stays: it is the last thing that a dying process says."""

    def uninstall(self) -> None:
        """Put back the earlier hooks where ours still stand."""
        for hook in self._hooks:
            hook.undo()
        self._hooks = []

    def _excepthook(self, kind: type[BaseException], value: BaseException | None, trace: Any) -> None:
        if not issubclass(kind, _NO_ERRORS):
            self._record(logging.CRITICAL, "Uncaught exception", (kind, value, trace), {})

    def _thread(self, args: threading.ExceptHookArgs) -> None:
        if not issubclass(args.exc_type, _NO_ERRORS):
            name = args.thread.name if args.thread is not None else "<unknown>"
            attributes = {"thread.name": name}
            exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
            self._record(logging.CRITICAL, f"Uncaught exception in thread {name}", exc_info, attributes)

    def _unraisable(self, args: Any) -> None:  # sys.UnraisableHookArgs, which exists for type checkers only
        if not issubclass(args.exc_type, _NO_ERRORS):
            where = f"{args.err_msg or 'Exception ignored in'}: {_described(args.object)}"
            self._record(logging.ERROR, where, (args.exc_type, args.exc_value, args.exc_traceback), {})

    def _record(self, level: int, body: str, exc_info: tuple[Any, ...], attributes: dict[str, Any]) -> None:
        logger = self._provider.get_logger(SCOPE)
        if type(logger) is NoOpLogger or inside_pipeline():
            return
        number, text = severity(level)
        scope = getattr(logger, "instrumentation_scope", None)
        logger.emit(Record(scope, number, text, body, attributes | exception_of(exc_info)))


class _Printed:
    """What one of the interpreter's own hooks prints, redacted; `text` makes it from the hook's arguments."""

    def __init__(self, redaction: Redaction, own: Callable[..., object], text: Callable[..., str]) -> None:
        self._redaction = redaction
        self._own = own
        self._text = text

    def __call__(self, hook: Callable[..., object], args: tuple[Any, ...]) -> bool:
        """Print in the place of `hook`; False where it is not the interpreter's own, or nobody wants redaction."""
        redact = self._redaction() if hook is self._own else None
        if redact is None:
            return False
        kind = args[0] if len(args) > 1 else args[0].exc_type
        if not issubclass(kind, SystemExit):
            print_redacted(lambda: self._text(*args), redact, f"Uncaught {kind.__name__}")
        return not issubclass(kind, SystemExit)


def _uncaught(kind: type[BaseException], value: BaseException | None, trace: Any) -> str:
    return "".join(traceback.format_exception(kind, value, trace))


def _in_thread(args: threading.ExceptHookArgs) -> str:
    name = args.thread.name if args.thread is not None else threading.get_ident()
    return f"Exception in thread {name}:\n{_uncaught(args.exc_type, args.exc_value, args.exc_traceback)}"


def _ignored(args: Any) -> str:
    where = f"{args.err_msg or 'Exception ignored in'}: {_described(args.object)}"
    return f"{where}\n{_uncaught(args.exc_type, args.exc_value, args.exc_traceback)}"


class _Hook:
    """One process-wide hook: records, then has what stood there before print, or prints in its place."""

    def __init__(self, owner: Any, name: str, record: Callable[..., None], printed: _Printed) -> None:
        self._owner = owner
        self._name = name
        self._record: Callable[..., None] | None = record
        self._printed = printed
        self._previous = getattr(owner, name)
        self._function = self._call  # one object, so that it can be recognised
        setattr(owner, name, self._function)

    def undo(self) -> None:
        """Put back what was there, if this still stands there; else only pass on from now on."""
        self._record = None
        if getattr(self._owner, self._name) is self._function:
            setattr(self._owner, self._name, self._previous)

    def _call(self, *args: Any) -> None:
        try:
            if self._record is not None:
                self._record(*args)
        except Exception:  # a failure of ours: the earlier hook has the exception all the same
            pass
        if self._record is None or not self._printed(self._previous, args):
            self._previous(*args)


def _described(value: object) -> str:
    """`repr(value)` of an object that may be half gone; the object itself must not be kept."""
    try:
        return repr(value)
    except Exception:
        return safe_str(type(value))
