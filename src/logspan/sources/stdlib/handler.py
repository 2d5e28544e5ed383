"""`logging` records as OTel records. This is the hot path: what is not needed for each record is not done for each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import Context
from itertools import islice
from typing import Any

from opentelemetry._logs import LoggerProvider, NoOpLogger, SeverityNumber
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from logspan.notices import Notices
from logspan.printable import escape
from logspan.record import Record, severity
from logspan.sources.capture import Capture, add_location, exception_of, formatted, of_event_dict
from logspan.sources.stdlib.access import gunicorn_access, uvicorn_access
from logspan.values import safe_str

EVENT_NAME = "otel.event.name"
"""The key in `extra` that becomes the record's event name, as in the stock handler."""

_TELEMETRY = frozenset({"urllib3", "requests", "httpx", "httpcore", "hpack", "grpc", "opentelemetry"})
_MOST_NAMES = 4_096
_PLAIN, _TELEMETRY_NAME, _GUNICORN_ACCESS, _UVICORN_ACCESS, _SERVER_ERROR, _WARNINGS = range(6)
_MAY_BE_DUPLICATE = _UVICORN_ACCESS
_SPECIAL = {
    "gunicorn.access": _GUNICORN_ACCESS,
    "uvicorn.access": _UVICORN_ACCESS,
    "gunicorn.error": _SERVER_ERROR,
    "hypercorn.error": _SERVER_ERROR,
    "uvicorn.error": _SERVER_ERROR,
    "py.warnings": _WARNINGS,
}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_STANDARD_COUNT = len(vars(logging.makeLogRecord({})))
_INTERNAL = _STANDARD | {
    *("color_message", "_record", "_logger", "_name", "_from_structlog"),
    *("otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName"),
}


def _never(record: logging.LogRecord) -> bool:
    del record
    return False


def _nothing() -> None:
    """For providers that are not ours."""


class LogspanHandler(logging.Handler):
    """Makes an OTel record of each `logging` record and emits it through `provider`. Never raises, never prints.

    `duplicate` is asked about the few records that may have come through another source as well (`py.warnings`, those
    that a loguru sink passes on, and uvicorn's lines about requests), `stray` about the same, whether they have nothing
    to do with the context that they are made in. `close()` stops nothing: `dictConfig` and `logging.shutdown` call it.
    """

    def __init__(
        self,
        provider: LoggerProvider,
        *,
        code_location: bool = True,
        duplicate: Callable[[logging.LogRecord], bool] = _never,
        stray: Callable[[logging.LogRecord], bool] = _never,
    ) -> None:
        super().__init__(logging.NOTSET)
        self.code_location = code_location
        self.duplicate = duplicate
        self.stray = stray
        self._provider = provider
        self._count_self_log: Callable[[], object] = getattr(provider, "count_self_log", _nothing)
        self._notices = Notices()
        self._kinds: dict[str, int] = {}
        self._severities: dict[tuple[int, str], tuple[SeverityNumber, str]] = {}

    def handle(self, record: logging.LogRecord) -> bool:
        """The handler's filters, then `emit`, without the lock: there is nothing here that it would protect."""
        if self.filters:
            kept: Any = self.filter(record)
            if not kept:
                return False
            if isinstance(kept, logging.LogRecord):  # Python 3.12: a filter may return another record
                record = kept
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Capture and emit. What the pipeline's own threads log comes to nothing at its entrance, which counts it."""
        try:
            logger = self._provider.get_logger(record.name)
            if type(logger) is NoOpLogger:
                return
            kind = self._kinds.get(record.name)
            if kind is None:
                kind = self._kind(record.name)
            if kind == _TELEMETRY_NAME and not is_instrumentation_enabled():
                self._suppress(record)
                return
            if kind >= _MAY_BE_DUPLICATE and self.stray(record):
                Context().run(self.emit, record)  # nothing of where it was made belongs on it
                return
            captured = self._translate(record, getattr(logger, "instrumentation_scope", None), kind)
            if captured is not None:
                logger.emit(captured)
        except Exception:
            self._rescue(record)

    def _suppress(self, record: logging.LogRecord) -> None:
        """What an SDK exporter or its HTTP client logs while it exports would feed itself: its warnings are notices."""
        self._count_self_log()
        if record.levelno >= logging.WARNING:
            self._notices.say(record.name, f"{record.name}: {escape(_own_message(record, {}))[:500]}")

    def _kind(self, name: str) -> int:
        kind = _SPECIAL.get(name, _PLAIN)
        if name.partition(".")[0] in _TELEMETRY:
            kind = _TELEMETRY_NAME
        if len(self._kinds) >= _MOST_NAMES:
            self._kinds.clear()
        self._kinds[name] = kind
        return kind

    def _translate(self, record: logging.LogRecord, scope: Any, kind: int) -> Record | None:
        attributes = _extra(record)
        if kind >= _MAY_BE_DUPLICATE or (attributes and type(attributes.get("extra")) is dict):
            if self.duplicate(record):
                return None
            attributes |= attributes.pop("extra", None) or {}
        body, attributes = _message(record, attributes)
        if kind:
            attributes |= _access(record, kind)
        if record.exc_info or record.exc_text or record.stack_info:
            _add_exception(record, attributes)
        if self.code_location and record.lineno:
            add_location(attributes, record.pathname, record.lineno, record.funcName)
        number, text = self._severity(record.levelno, record.levelname)
        return Record(
            scope,
            number,
            text,
            body,
            attributes,
            timestamp=int(record.created * 1e9),
            event_name=attributes.pop(EVENT_NAME, None) if EVENT_NAME in attributes else None,
        )

    def _severity(self, level: int, name: str) -> tuple[SeverityNumber, str]:
        known = self._severities.get((level, name))
        if known is None:
            known = severity(level, name)
            if len(self._severities) < _MOST_NAMES:
                self._severities[level, name] = known
        return known

    def _rescue(self, record: logging.LogRecord) -> None:
        """What can still be said of a record that could not be captured."""
        try:
            logger = self._provider.get_logger(safe_str(record.name))
            scope = getattr(logger, "instrumentation_scope", None)
            number, text = severity(record.levelno, record.levelname)
            error = {"logspan.capture.error": "the log record could not be read"}
            logger.emit(Record(scope, number, text, safe_str(record.msg), error))
        except Exception:  # not even that: the application must not notice
            pass


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """What the call gave as `extra`: the attributes behind the standard ones, which `LogRecord` sets first."""
    values = vars(record)
    if type(record) is not logging.LogRecord:
        return {key: value for key, value in values.items() if key not in _INTERNAL}
    if len(values) == _STANDARD_COUNT:
        return {}
    return {key: values[key] for key in islice(values, _STANDARD_COUNT, None) if key not in _INTERNAL}


def _message(record: logging.LogRecord, attributes: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    message = record.msg
    if type(message) is str and type(record) is logging.LogRecord:
        if not record.args:
            return message, attributes
        return formatted(message, record.args, attributes), attributes
    captured = getattr(message, "logspan_capture", None)  # the structlog bridge has read the call itself
    if type(captured) is Capture:
        return captured.body, dict(captured.attributes)
    if isinstance(message, dict) and not record.args:
        if "event" not in message:
            return message, attributes
        body, more = of_event_dict(message)
        return body, attributes | more
    if isinstance(message, BaseException) and not record.exc_info:
        attributes |= exception_of(message)
    return _own_message(record, attributes), attributes


def _own_message(record: logging.LogRecord, attributes: dict[str, Any]) -> str:
    """The message by the record's own method, which a record factory may have replaced."""
    try:
        return record.getMessage()
    except Exception:
        return formatted(record.msg, record.args, attributes)


def _access(record: logging.LogRecord, kind: int) -> dict[str, Any]:
    if kind == _UVICORN_ACCESS:
        return uvicorn_access(record)
    return gunicorn_access(record) if kind == _GUNICORN_ACCESS else {}


def _add_exception(record: logging.LogRecord, attributes: dict[str, Any]) -> None:
    if record.exc_info and "exception.type" not in attributes:
        attributes |= exception_of(record.exc_info)
    elif record.exc_text and not record.exc_info:  # formatted where the record comes from: a queue, another process
        attributes.setdefault("exception.stacktrace", record.exc_text)
    if record.stack_info:
        attributes.setdefault("code.stacktrace", record.stack_info)
