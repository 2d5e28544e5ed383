"""structlog as a source, whatever its configuration: by `StructlogProcessor`, put in front of its renderer."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from opentelemetry._logs import LoggerProvider, NoOpLogger

from logspan.errors import MissingExtraError
from logspan.record import Record, severity
from logspan.sources.capture import Capture, add_frame, error_of, frames, level_number, of_event_dict
from logspan.values import safe_str

try:
    import structlog
except ImportError as missing:
    raise MissingExtraError("the structlog source", "structlog") from missing

EventDict = MutableMapping[str, Any]
Processor = Callable[[Any, str, EventDict], Any]

_KEPT = "logspan.exception"
_MOST_FRAMES = 64
_CONFIGURING = ("configure", "configure_once", "reset_defaults")


class RenderedText(str):
    """A rendered event on its way through `logging`, with what was captured before it was rendered."""

    __slots__ = ("logspan_capture",)
    logspan_capture: Capture


class RenderedDict(dict[str, Any]):
    """The same of an event that a `ProcessorFormatter` is still to render."""

    logspan_capture: Capture


class StructlogProcessor:
    """Emits each event, then lets `renderer` go on; without one, returns the event as it is.

    Events of loggers that wrap a `logging.Logger` are not emitted here but marked for our `logging` handler, which
    meets them later (unless `through_stdlib` is False: it is not installed). With `replace_console` on, events are
    not handed to a logger that would print them on standard output or standard error.
    """

    def __init__(
        self,
        provider: LoggerProvider,
        renderer: Processor | None = None,
        *,
        through_stdlib: bool = True,
        code_location: bool = True,
        timestamp_key: str = "",
    ) -> None:
        self.provider = provider
        self.renderer = renderer
        self.console = False
        self._through_stdlib = through_stdlib
        self._code_location = code_location
        self._timestamp_key = timestamp_key

    def __call__(self, logger: Any, method: str, event_dict: EventDict) -> Any:
        """A structlog processor. Raises only what the renderer raises, and `DropEvent`."""
        error = event_dict.pop(_KEPT, None)
        if self._through_stdlib and isinstance(logger, logging.Logger):
            return self._mark(logger, method, event_dict, error)
        emitted = self._emit(logger, method, event_dict, error)
        if emitted and self.console and self.renderer is not None and self._prints(logger):
            raise structlog.DropEvent
        return event_dict if self.renderer is None else self.renderer(logger, method, event_dict)

    def _capture(self, event_dict: EventDict, error: BaseException | None) -> Capture:
        return of_event_dict(event_dict, error, self._timestamp_key)

    def _mark(self, logger: Any, method: str, event_dict: EventDict, error: BaseException | None) -> Any:
        if self.renderer is None:
            return event_dict
        capture = self._capture_for_handler(event_dict, error)
        rendered = self.renderer(logger, method, event_dict)
        return rendered if capture is None else _marked(rendered, capture)

    def _capture_for_handler(self, event_dict: EventDict, error: BaseException | None) -> Capture | None:
        try:
            capture = self._capture(event_dict, error)
            if self._code_location:
                add_frame(capture.attributes, next(_callers(), None))
            return capture
        except Exception:  # the handler reads what is rendered instead
            return None

    def _emit(self, logger: Any, method: str, event_dict: EventDict, error: BaseException | None) -> bool:
        try:
            frame = next(_callers(), None)
            module = frame.f_globals.get("__name__", "") if frame is not None else ""
            name = event_dict.get("logger") or event_dict.get("logger_name") or getattr(logger, "name", None) or module
            target = self.provider.get_logger(name if isinstance(name, str) else safe_str(name))
            if type(target) is NoOpLogger:
                return False
            body, attributes = self._capture(event_dict, error)
            if self._code_location:
                add_frame(attributes, frame)
            number, text = _severity(method, event_dict)
            target.emit(Record(getattr(target, "instrumentation_scope", None), number, text, body, attributes))
            return True
        except Exception:  # a failure of ours: the event goes where it would have gone without us
            return False

    def _prints(self, logger: Any) -> bool:
        """Whether this is one of structlog's own loggers, on standard output or standard error."""
        if not isinstance(logger, structlog.PrintLogger | structlog.WriteLogger | structlog.BytesLogger):
            return False
        if isinstance(self.renderer, structlog.testing.LogCapture):
            return False
        try:
            return logger.__getstate__() in ("stdout", "stderr")  # what it says of itself when it is pickled
        except Exception:  # another file, which may be what `sys.stdout` is by now
            return _is_on_standard_stream(logger)


def _is_on_standard_stream(logger: Any) -> bool:
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    files = (file for stream in streams for file in (stream, getattr(stream, "buffer", None)) if file is not None)
    return any(repr(logger) == f"<{type(logger).__name__}(file={file!r})>" for file in files)


def keep_exception(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """The first processor: notes the exception before another processor turns it into text."""
    del logger
    exc_info = event_dict.get("exc_info", method == "exception")
    if exc_info:
        error = error_of(exc_info)
        if error is not None:
            event_dict[_KEPT] = error
    return event_dict


class StructlogSource:
    """Puts our processors into structlog's configuration, in place, so that loggers that are cached follow."""

    def __init__(self, provider: LoggerProvider, *, through_stdlib: bool = True, code_location: bool = True) -> None:
        self._provider = provider
        self._through_stdlib = through_stdlib
        self._code_location = code_location
        self._console = False
        self._replaced: list[tuple[Any, Any]] = []
        self._processors: list[StructlogProcessor] = []
        self._original: dict[str, Any] = {}
        self._hooks: dict[str, Any] = {}

    def install(self) -> None:
        """Put them into what is configured now, and into what will be."""
        self._original = {name: vars(structlog)[name] for name in _CONFIGURING}
        self._hooks = {name: self._and_reassert(configure) for name, configure in self._original.items()}
        vars(structlog).update(self._hooks)
        self.reassert()

    def _and_reassert(self, configure: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(configure)
        def configure_and_reassert(*args: Any, **kwargs: Any) -> Any:
            result = configure(*args, **kwargs)
            try:
                if self._hooks:
                    self.reassert()
            except Exception:  # a failure of ours: the application's configuration stands
                pass
            return result

        return configure_and_reassert

    def reassert(self) -> None:
        """Put them into a configuration that was made since."""
        current = structlog.get_config()["processors"]
        if any(isinstance(processor, StructlogProcessor) for processor in current):
            return
        wrapped = self._wrapped(list(current))
        if isinstance(current, list):
            current[:] = wrapped
            self._replaced.append((current, None))
        else:
            structlog.configure(processors=wrapped)
            self._replaced.append((wrapped, current))

    def replace_console(self, on: bool) -> None:  # noqa: FBT001 - the only argument
        """Say whether our own console exporter writes what structlog would print."""
        self._console = on
        for processor in self._processors:
            processor.console = on

    def uninstall(self) -> None:
        """Take them out of every configuration that they were put into."""
        module, hooks, self._hooks = vars(structlog), self._hooks, {}
        module.update({name: self._original[name] for name, hook in hooks.items() if module[name] is hook})
        for installed, original in self._replaced:
            installed[:] = _unwrapped(installed)
            if original is not None and structlog.get_config()["processors"] is installed:
                structlog.configure(processors=original)
        self._replaced, self._processors = [], []

    def _wrapped(self, processors: list[Processor]) -> list[Processor]:
        stamps = (p.key for p in processors if isinstance(p, structlog.processors.TimeStamper))
        last = StructlogProcessor(
            self._provider,
            processors[-1] if processors else None,
            through_stdlib=self._through_stdlib,
            code_location=self._code_location,
            timestamp_key=next(stamps, ""),
        )
        last.console = self._console
        self._processors.append(last)
        return [keep_exception, *processors[:-1], last]


def _unwrapped(processors: list[Processor]) -> list[Processor]:
    plain = [p.renderer if isinstance(p, StructlogProcessor) else p for p in processors if p is not keep_exception]
    return [processor for processor in plain if processor is not None]


def _marked(rendered: Any, capture: Capture) -> Any:
    """What the renderer returned, with the capture on the part that becomes `LogRecord.msg`."""
    if isinstance(rendered, tuple) and rendered:
        arguments, keywords = rendered
        return ((_marked_message(arguments[0], capture), *arguments[1:]), keywords) if arguments else rendered
    if isinstance(rendered, dict) and "msg" in rendered:
        return {**rendered, "msg": _marked_message(rendered["msg"], capture)}
    return _marked_message(rendered, capture)


def _marked_message(message: Any, capture: Capture) -> Any:
    if type(message) is str:
        marked: RenderedText | RenderedDict = RenderedText(message)
    elif type(message) is dict:
        marked = RenderedDict(message)
    else:
        return message
    marked.logspan_capture = capture
    return marked


def _severity(method: str, event_dict: EventDict) -> Any:
    name = event_dict.get("level") or method
    name = name if isinstance(name, str) else safe_str(name)
    number = event_dict.get("level_number")
    level = number if isinstance(number, int) else level_number(name) or level_number(method)
    return severity(level, "" if name.lower() in ("warn", "fatal", "exception", "msg") else name.upper())


def _callers() -> Iterator[Any]:
    """The frames of the application, from the log call outwards."""
    for frame in frames(_MOST_FRAMES):
        module = frame.f_globals.get("__name__") or ""
        if not module.startswith(("structlog.", "logspan.sources.")):
            yield frame
