"""loguru as a source: a sink of ours, which survives `logger.remove()`."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry._logs import LoggerProvider, NoOpLogger

from logspan.errors import MissingExtraError
from logspan.record import Record, severity
from logspan.sources.capture import add_location, exception_of, frames

try:
    from loguru import logger as loguru_logger
except ImportError as missing:
    raise MissingExtraError("the loguru source", "loguru") from missing

_MOST_FRAMES = 24
_DEFAULT_SINK = re.compile(r"\(id=0, level=\d+, sink=<stderr>\)")


def _nobody(logger: logging.Logger) -> bool:
    del logger
    return False


class LoguruSink:
    """Emits each loguru message; give it to `loguru.logger.add` with `format="{message}"`.

    `captured` says of a `logging.Logger` whether its records are captured already: then a message that an
    intercepting handler passes on from `logging` is not emitted again.
    """

    def __init__(
        self,
        provider: LoggerProvider,
        *,
        code_location: bool = True,
        captured: Callable[[logging.Logger], bool] = _nobody,
    ) -> None:
        self._provider = provider
        self._code_location = code_location
        self._captured = captured

    def __call__(self, message: Any) -> None:
        """Take one message of loguru's, with its `record`. Never raises."""
        try:
            if not self._comes_from_logging(message.record):
                self._emit(message.record)
        except Exception:  # a failure of ours; loguru would print it
            pass

    def _emit(self, record: Mapping[str, Any]) -> None:
        logger = self._provider.get_logger(record["name"] or "loguru")
        if type(logger) is NoOpLogger:
            return
        level = record["level"]
        number, text = severity(level.no, level.name)
        attributes = _attributes(record)
        if self._code_location:
            name, function = record["name"], record["function"]
            add_location(attributes, record["file"].path, record["line"], f"{name}.{function}" if name else function)
        scope = getattr(logger, "instrumentation_scope", None)
        timestamp = int(record["time"].timestamp() * 1e9)
        logger.emit(Record(scope, number, text, record["message"], attributes, timestamp=timestamp))

    def _comes_from_logging(self, record: Mapping[str, Any]) -> bool:
        for frame in frames(_MOST_FRAMES):
            if frame.f_code.co_name == "callHandlers" and frame.f_globals.get("__name__") == "logging":
                variables = frame.f_locals
                original = variables["record"]
                return self._captured(variables["self"]) and original.getMessage() == record["message"]
        return False


def _attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """What was bound or given; `extra={...}`, as one writes it for `logging`, counts as given one by one."""
    attributes = dict(record["extra"])
    nested = attributes.get("extra")
    if isinstance(nested, Mapping):
        del attributes["extra"]
        attributes = {**nested, **attributes}
    if record["exception"] is not None:
        attributes.update(exception_of(tuple(record["exception"])))
    return attributes


def is_passed_on(record: logging.LogRecord) -> bool:
    """Whether a record of `logging` is one that a loguru sink is passing on at this moment."""
    return hasattr(record, "extra") and any(
        frame.f_globals.get("__name__") == "loguru._handler" for frame in frames(_MOST_FRAMES)
    )


class _Switch:
    """A standard stream as a loguru sink, silent while our own console exporter writes."""

    def __init__(self, stream: Any, is_silent: Callable[[], bool]) -> None:
        self._stream = stream
        self._is_silent = is_silent

    def write(self, text: str) -> None:
        if not self._is_silent():
            self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        if name == "stop":  # loguru would close the stream's namesake
            raise AttributeError(name)
        return getattr(self._stream, name)


class LoguruSource:
    """Adds the sink, keeps it through `logger.remove()`, and silences standard streams while our console is on.

    loguru's own first handler (id 0) is replaced by one that can be silenced; `remove(0)` still means it. Sinks that
    the application added to a standard stream earlier keep writing: nobody can tell how they were configured.
    """

    def __init__(self, sink: LoguruSink) -> None:
        self._sink = sink
        self._id = -1
        self._console = False
        self._stand_in: int | None = None
        self._add = loguru_logger.add
        self._remove = loguru_logger.remove

    def install(self) -> None:
        """Add the sink, and look after `logger.add` and `logger.remove` from now on."""
        self._add, self._remove = loguru_logger.add, loguru_logger.remove
        if _DEFAULT_SINK.search(repr(loguru_logger)) and sys.stderr is not None:
            self._remove(0)
            self._stand_in = self._add(_Switch(sys.stderr, lambda: self._console))
        self._add_sink()
        vars(loguru_logger).update(add=self._guarded_add, remove=self._guarded_remove)

    def reassert(self) -> None:
        """The sink cannot have gone."""

    def replace_console(self, on: bool) -> None:  # noqa: FBT001 - the only argument
        """Say whether our own console exporter writes what loguru would print."""
        self._console = on

    def uninstall(self) -> None:
        """Take the sink away and let the streams write again."""
        self._console = False
        for name in ("add", "remove"):
            vars(loguru_logger).pop(name, None)
        try:
            self._remove(self._id)
        except ValueError:  # gone already
            pass

    def _add_sink(self) -> None:
        self._id = self._add(self._sink, level=0, format="{message}", backtrace=False, diagnose=False)

    def _guarded_add(self, sink: Any, **options: Any) -> int:
        if any(sink is stream for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)):
            sink = _Switch(sink, lambda: self._console)
        return self._add(sink, **options)

    def _guarded_remove(self, handler_id: int | None = None) -> None:
        if handler_id is None:
            self._stand_in = None
            self._remove()
            self._add_sink()
        elif handler_id == 0 and self._stand_in is not None:
            stand_in, self._stand_in = self._stand_in, None
            self._remove(stand_in)
        elif handler_id != self._id:
            self._remove(handler_id)
