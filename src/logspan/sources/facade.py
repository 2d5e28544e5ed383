"""`get_logger()`: structured logging with keyword attributes, and no stdlib logging in between."""

from __future__ import annotations

import inspect
import logging
from types import FrameType
from typing import Any

from opentelemetry._logs import Logger, LoggerProvider, NoOpLogger

from logspan.context import ROUTING
from logspan.record import Record, severity, severity_number
from logspan.sources.capture import add_frame, exception_of, formatted, level_number
from logspan.values import safe_str

_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def get_logger(name: str = "", /, **attributes: Any) -> StructuredLogger:
    """A logger by its name (default: the caller's module), with attributes for each of its records.

    It may be asked for at import time: where its records go is decided at each call. Until something is installed they
    go to `logging.getLogger(name)`.
    """
    if not name:
        frame = inspect.currentframe()
        caller = frame.f_back if frame is not None else None
        name = str(caller.f_globals.get("__name__", "")) if caller is not None else ""
    return StructuredLogger(name, ROUTING, attributes)


class StructuredLogger:
    """Makes one OTel record for each call; keyword arguments are its attributes.

    `exc_info` (as in `logging`), `stacklevel` and `event_name` (of the record) are the only names that are taken. The
    message may have %-style arguments. No method raises.
    """

    __slots__ = ("_attributes", "_code_location", "_name", "_provider")

    def __init__(
        self,
        name: str,
        provider: LoggerProvider,
        attributes: dict[str, Any] | None = None,
        *,
        code_location: bool = True,
    ) -> None:
        self._name = name
        self._provider = provider
        self._attributes = attributes or {}
        self._code_location = code_location

    @property
    def name(self) -> str:
        """The name, which is the record's instrumentation scope."""
        return self._name

    def bind(self, **attributes: Any) -> StructuredLogger:
        """A new logger with more attributes; see `logspan.bind` for those of a whole context."""
        merged = {**self._attributes, **attributes}
        return StructuredLogger(self._name, self._provider, merged, code_location=self._code_location)

    def is_enabled_for(self, level: int | str, /) -> bool:
        """Whether a record of this level (a number of `logging`, or a name) would be taken at all."""
        try:
            number = level_number(level)
            logger = self._provider.get_logger(self._name)
            if type(logger) is NoOpLogger:
                return logging.getLogger(self._name).isEnabledFor(number)
            return logger.enabled(severity_number=severity_number(number))
        except Exception:
            return True

    def debug(self, message: Any, /, *args: Any, **attributes: Any) -> None:
        """Emit a record of severity DEBUG."""
        self._log(logging.DEBUG, "DEBUG", message, args, attributes)

    def info(self, message: Any, /, *args: Any, **attributes: Any) -> None:
        """Emit a record of severity INFO."""
        self._log(logging.INFO, "INFO", message, args, attributes)

    def warning(self, message: Any, /, *args: Any, **attributes: Any) -> None:
        """Emit a record of severity WARN."""
        self._log(logging.WARNING, "WARN", message, args, attributes)

    def error(self, message: Any, /, *args: Any, **attributes: Any) -> None:
        """Emit a record of severity ERROR."""
        self._log(logging.ERROR, "ERROR", message, args, attributes)

    def critical(self, message: Any, /, *args: Any, **attributes: Any) -> None:
        """Emit a record of severity FATAL."""
        self._log(logging.CRITICAL, "FATAL", message, args, attributes)

    def exception(self, message: Any, /, *args: Any, **attributes: Any) -> None:
        """Emit a record of severity ERROR with the exception that is being handled."""
        attributes.setdefault("exc_info", True)
        self._log(logging.ERROR, "ERROR", message, args, attributes)

    def log(self, level: int | str, message: Any, /, *args: Any, **attributes: Any) -> None:
        """Emit a record of any level: a number of `logging`, or a name, which is kept as the severity's text."""
        if isinstance(level, str):
            self._log(level_number(level), level.upper(), message, args, attributes)
        else:
            name = logging.getLevelName(level)
            self._log(level, "" if name.startswith("Level ") else name, message, args, attributes)

    def _log(self, level: int, name: str, message: Any, args: tuple[Any, ...], attributes: dict[str, Any]) -> None:
        try:
            logger = self._provider.get_logger(self._name)
            if type(logger) is NoOpLogger:
                self._fall_back(level, message, args, attributes)
            elif level >= logging.INFO or logger.enabled(severity_number=severity_number(level)):
                self._emit(logger, level, name, message, args, attributes)
        except Exception:  # a failure of ours; the application must not notice
            pass

    def _emit(
        self, logger: Logger, level: int, name: str, message: Any, args: tuple[Any, ...], attributes: dict[str, Any]
    ) -> None:
        exc_info = attributes.pop("exc_info", None)
        event_name = attributes.pop("event_name", None)
        depth = attributes.pop("stacklevel", 1)
        merged = {**self._attributes, **attributes} if self._attributes else attributes
        body = message if not args else formatted(message, args, merged)
        if exc_info:
            merged.update(exception_of(exc_info))
        if self._code_location:
            add_frame(merged, _caller(depth))
        number, text = severity(level, name)
        scope = getattr(logger, "instrumentation_scope", None)
        logger.emit(Record(scope, number, text, body, merged, event_name=event_name))

    def _fall_back(self, level: int, message: Any, args: tuple[Any, ...], attributes: dict[str, Any]) -> None:
        """Until something is installed: the stdlib's logger; names that it reserves get an underscore."""
        exc_info = attributes.pop("exc_info", None)
        event_name = attributes.pop("event_name", None)
        depth = attributes.pop("stacklevel", 1)
        extra = {**self._attributes, **attributes}
        extra = {f"{key}_" if key in _RESERVED else key: value for key, value in extra.items()}
        if event_name is not None:
            extra["otel.event.name"] = event_name
        text = message if isinstance(message, str) else safe_str(message)
        logger = logging.getLogger(self._name)
        logger.log(level, text, *args, exc_info=exc_info, extra=extra, stacklevel=depth + 3)


def _caller(depth: int) -> FrameType | None:
    """The frame `depth` above the public method that was called: `_caller`, `_emit`, `_log`, the method, then it."""
    frame = inspect.currentframe()
    for _ in range(depth + 3):
        if frame is None:
            return None
        frame = frame.f_back
    return frame
