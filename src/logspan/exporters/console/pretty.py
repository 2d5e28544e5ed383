"""The form for people: a line for each record, aligned, with the stack trace of an exception indented below it.

```
10:20:30.123  INFO   0af76519  shop.orders  order placed  order_id=42 total=9.5
10:20:30.456  ERROR  0af76519  shop.pay     card refused  reason="no funds"
    │ Traceback (most recent call last):
```
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.exporters.console.json_lines import dump, jsonable
from logspan.printable import escape_keeping_backslashes
from logspan.values import safe_str

_RESET = "\x1b[0m"
_DIM, _BOLD, _RED, _GREEN, _YELLOW, _BLUE, _CYAN = "2", "1", "31", "32", "33", "34", "36"
_LEVELS = ((5, "TRACE", _DIM), (9, "DEBUG", _BLUE), (13, "INFO", _GREEN), (17, "WARN", _YELLOW), (21, "ERROR", "1;31"))
_FATAL = ("FATAL", "1;97;41")
_NO_TRACE = " " * 8
_LOGGER_WIDTH = 16
_SLOW = 1.0
_STEPS_BACK = ("  File ", "Traceback (most recent", "The above exception was", "During handling of the above")

# Said better elsewhere on the line, or below it.
_EXCEPTION = frozenset({"exception.type", "exception.message", "exception.stacktrace"})
_CODE = frozenset({"code.function.name", "code.file.path", "code.line.number"})
_REQUEST = frozenset(
    {
        "http.request.method",
        "http.response.status_code",
        "http.server.request.duration",
        "url.path",
        "url.scheme",
        "network.protocol.name",
    }
)
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@+%#~*?!$&;,<>|^{}")


class Pretty:
    """Formats records for a terminal: `color` with ANSI colours, `ascii_only` without a bar and an arrow of Unicode."""

    def __init__(self, *, color: bool, ascii_only: bool = False) -> None:
        self._color = color
        self._bar, self._arrow = ("|", "->") if ascii_only else ("│", "→")

    def format(self, item: ReadableLogRecord) -> str:
        """The lines of one record, with their line feeds."""
        log = item.log_record
        attributes = log.attributes or {}
        number = log.severity_number.value if log.severity_number else 0
        hidden = set(_CODE)
        message = self._request(attributes)
        if message:
            hidden |= _REQUEST
            if attributes.get("http.route") == attributes.get("url.path"):
                hidden.add("http.route")
        else:
            message = self._message(log.body, number)
        trace = attributes.get("exception.stacktrace")
        if isinstance(trace, str):
            hidden |= _EXCEPTION
        parts = (
            self._paint(_DIM, _clock(log.timestamp or log.observed_timestamp or 0)),
            self._level(number, log.severity_text or ""),
            self._paint(_DIM, f"{log.trace_id:032x}"[:8]) if log.trace_id else _NO_TRACE,
            self._logger(item),
            message,
            *self._tail(attributes, hidden, number),
        )
        line = "  ".join(part for part in parts if part).rstrip() + "\n"
        return line + "".join(self._stacktrace(trace)) if isinstance(trace, str) else line

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}{_RESET}" if self._color and code and text else text

    def _level(self, number: int, text: str) -> str:
        name, code = next(((name, code) for least, name, code in _LEVELS if number < least), _FATAL)
        shown = escape_keeping_backslashes(text)[:12] if text else name
        return self._paint(code if number else _DIM, shown) + " " * (5 - len(shown))

    def _logger(self, item: ReadableLogRecord) -> str:
        name = item.instrumentation_scope.name if item.instrumentation_scope else ""
        shown = escape_keeping_backslashes(name)
        return self._paint(_CYAN, shown) + " " * (_LOGGER_WIDTH - len(shown))

    def _message(self, body: Any, number: int) -> str:
        text = body if isinstance(body, str) else "" if body is None else dump(jsonable(body))
        return (
            self._paint(_BOLD, escape_keeping_backslashes(text)) if number >= 17 else escape_keeping_backslashes(text)
        )

    def _request(self, attributes: Mapping[str, Any]) -> str:
        """`GET /orders/42 → 200  12.3 ms` for the record of a request; "" for any other."""
        method, seconds = attributes.get("http.request.method"), attributes.get("http.server.request.duration")
        if not isinstance(method, str) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            return ""
        path = escape_keeping_backslashes(safe_str(attributes.get("url.path", "")))
        status = attributes.get("http.response.status_code", "-")
        shown = self._paint(_status_color(status), escape_keeping_backslashes(safe_str(status)))
        duration = self._paint(_YELLOW if seconds >= _SLOW else _DIM, _duration(seconds))
        arrow = self._paint(_DIM, self._arrow)
        return f"{self._paint(_BOLD, escape_keeping_backslashes(method))} {path} {arrow} {shown}  {duration}"

    def _tail(self, attributes: Mapping[str, Any], hidden: set[str], number: int) -> Iterator[str]:
        """The other attributes; and from a warning on, where in the code it was."""
        pairs = [
            f"{self._paint(_DIM, _key(key) + '=')}{_value(value)}"
            for key, value in attributes.items()
            if key not in hidden
        ]
        yield " ".join(pairs)
        path, line = attributes.get("code.file.path"), attributes.get("code.line.number")
        if number >= 13 and isinstance(path, str):
            place = f"{path.replace(chr(92), '/').rpartition('/')[2]}:{safe_str(line)}"
            yield self._paint(_DIM, f"({escape_keeping_backslashes(place)})")

    def _stacktrace(self, trace: str) -> Iterator[str]:
        """Each line behind a bar of ours, so that none can pass for a record; what was raised stands out."""
        bar = self._paint(_DIM, self._bar)
        for line in trace.rstrip("\n").split("\n"):
            text = self._paint(_trace_color(line), escape_keeping_backslashes(line))
            yield f"    {bar} {text}".rstrip() + "\n"


def _trace_color(line: str) -> str:
    """What was raised stands out, the code is plain, the rest steps back."""
    if line.startswith(_STEPS_BACK) or not line.strip(" ~^"):
        return _DIM
    return "" if line.startswith(" ") else "1;31"


def _clock(nanoseconds: int) -> str:
    """Local time of day, with milliseconds."""
    try:
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest // 1_000_000:03}"
    except (ValueError, OverflowError, OSError, TypeError):
        return "--:--:--.---"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < _SLOW else f"{seconds:.2f} s"


def _status_color(status: Any) -> str:
    if not isinstance(status, int) or status >= 500:
        return "1;31"
    return _YELLOW if status >= 400 else _CYAN if status >= 300 else _GREEN


def _key(key: str) -> str:
    return key if key and _BARE.issuperset(key) else dump(jsonable(key))


def _value(value: Any) -> str:
    """Bare where it cannot be misread, else as JSON."""
    if isinstance(value, str):
        return value if value and value[0] != "{" and _BARE.issuperset(value) else dump(value)
    if isinstance(value, float):
        return repr(float(value))
    return dump(jsonable(value))
