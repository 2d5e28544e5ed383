"""What the sources share: messages, exceptions, code locations and event dicts as the parts of a record."""

from __future__ import annotations

import inspect
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType, MappingProxyType
from typing import Any, NamedTuple

from logspan.record import exception_attributes
from logspan.values import safe_str

FORMAT_ERROR = "logspan.format.error"
"""Attribute of a record whose message did not fit its arguments; the body then holds both, as far as they fit."""

_CONVERSION = re.compile(r"%[#0 +-]{0,5}\d{0,9}(?:\.\d{1,9})?[hlL]?[diouxXeEfFgGcrsa%]")
"""https://docs.python.org/3/library/stdtypes.html#printf-style-string-formatting, without names and stars."""
_LEVELS = MappingProxyType(
    {
        "TRACE": 5,
        "MSG": logging.INFO,
        "NOTICE": 25,
        "SUCCESS": 25,
        "EXCEPTION": logging.ERROR,
        "ERR": logging.ERROR,
        "FATAL": logging.CRITICAL,
        "WARN": logging.WARNING,
    }
)
_EVENT_KEYS = ("event", "message", "msg")
_INTERNAL = frozenset(
    {
        *("exc_info", "exception", "stack", "stack_info", "positional_args"),
        *("level", "level_number", "logger", "logger_name"),
        *("_record", "_from_structlog", "_logger", "_name"),
    }
)


class Capture(NamedTuple):
    """What a bridge read of one log call: the body and the attributes of its record."""

    body: Any
    attributes: dict[str, Any]


def level_number(level: object) -> int:
    """A level's `logging` number, by number or by name in any case; 0 for a name that nobody knows."""
    if isinstance(level, int):
        return level
    name = safe_str(level).upper()
    number = logging.getLevelNamesMapping().get(name)
    return number if number is not None else _LEVELS.get(name, 0)


def formatted(message: object, args: Any, attributes: dict[str, Any]) -> str:
    """`message % args`; where they do not fit, each as text in its place, and an attribute that says so.

    In its place, so that what a value means stays beside it: redaction goes by `password=`.
    """
    text: str = message if type(message) is str else safe_str(message)
    if not args:
        return text
    try:
        return str(text % args)
    except Exception as error:
        attributes[FORMAT_ERROR] = f"{type(error).__name__}: {safe_str(error)}"
        return _filled(text, args) if isinstance(args, tuple) else f"{text} {_shown(args)}"


def _filled(text: str, args: tuple[Any, ...]) -> str:
    """Too few arguments leave conversions, too many stand behind the text."""
    left = list(args)

    def fill(conversion: re.Match[str]) -> str:
        if conversion[0] == "%%":
            return "%"
        return safe_str(left.pop(0)) if left else conversion[0]

    filled = _CONVERSION.sub(fill, text)
    return f"{filled} {_shown(tuple(left))}" if left else filled


def _shown(args: object) -> str:
    try:
        return repr(args)
    except Exception as error:
        return f"<unprintable arguments: {type(error).__name__}>"


def exception_of(exc_info: Any) -> dict[str, Any]:
    """Attributes of what `logging` accepts as `exc_info`: True, an exception, a tuple that may hold None."""
    if not exc_info:
        return {}
    if isinstance(exc_info, BaseException):
        return dict(exception_attributes(exc_info))
    if not isinstance(exc_info, tuple) or len(exc_info) != 3:
        exc_info = sys.exc_info()
    kind, value, trace = exc_info
    if value is None:
        return {"exception.type": kind.__qualname__} if isinstance(kind, type) else {}
    attributes = dict(exception_attributes(value))
    if trace is not None and value.__traceback__ is None:  # a framework has cleared it since
        attributes["exception.stacktrace"] = "".join(traceback.format_exception(kind, value, trace))
    return attributes


def error_of(exc_info: Any) -> BaseException | None:
    """The exception itself, of the same forms."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple) and len(exc_info) == 3:
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def add_location(attributes: dict[str, Any], path: str, line: int, function: str | None) -> None:
    """Add `code.file.path`, `code.line.number` and `code.function.name`, unless the call itself gave them."""
    attributes.setdefault("code.file.path", path)
    attributes.setdefault("code.line.number", line)
    if function:
        attributes.setdefault("code.function.name", function)


def add_frame(attributes: dict[str, Any], frame: FrameType | None) -> None:
    """The same of a stack frame, with the function's qualified name."""
    if frame is None:
        return
    code = frame.f_code
    module = frame.f_globals.get("__name__")
    function = f"{module}.{code.co_qualname}" if module else code.co_qualname
    add_location(attributes, code.co_filename, frame.f_lineno, function)


def frames(most: int) -> Iterator[FrameType]:
    """The stack from the caller's caller outwards, `most` frames at most."""
    frame = inspect.currentframe()
    while frame is not None and most > 0:
        yield frame
        frame = frame.f_back
        most -= 1


def of_event_dict(event_dict: Mapping[Any, Any], error: BaseException | None = None, skip: str = "") -> Capture:
    """A structlog event dict as a record's parts; `error` is the exception that a processor has turned into text.

    `skip` names one more key to leave out: that of a time stamp which the record has anyway.
    """
    attributes = {key: value for key, value in event_dict.items() if key not in _INTERNAL and key != skip}
    body = next((attributes.pop(key) for key in _EVENT_KEYS if key in attributes), "")
    body = formatted(body, event_dict.get("positional_args"), attributes) if isinstance(body, str) else body
    stack = event_dict.get("stack") or event_dict.get("stack_info")
    if isinstance(stack, str):
        attributes["code.stacktrace"] = stack
    attributes.update(_exception_of_event(event_dict, error))
    return Capture(body, attributes)


def _exception_of_event(event_dict: Mapping[Any, Any], error: BaseException | None) -> dict[str, Any]:
    found = exception_of(error or event_dict.get("exc_info"))
    rendered = event_dict.get("exception")
    if found or not rendered:
        return found
    return {"exception.stacktrace": rendered} if isinstance(rendered, str) else {"exception": rendered}
