"""The terminal reasons of a request, and which of them an exception or a closing frame stands for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from logspan.record import exception_attributes

_NORMAL_CLOSE = (1000, 1001)
_RESTART = 1012
_CLIENT_FAULTS = (1002, 1003, 1007, 1008, 1009, 1010)
_SERVER_FAULTS = (1011, 1013, 1014)


class Outcome(StrEnum):
    """`logspan.request.outcome`."""

    OK = "ok"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    EXCEPTION = "exception"
    CLIENT_DISCONNECT = "client_disconnect"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"


class Failure(NamedTuple):
    """An exception that left the application: what it means, and its attributes; the exception itself is not kept."""

    outcome: Outcome
    attributes: Mapping[str, Any]


def failure_of(error: BaseException, *, disconnected: bool) -> Failure:
    """Describe an exception as it is now: frameworks clear its stack trace later.

    A client that has gone is no fault of the application, and neither is what it raises because of that.
    """
    if isinstance(error, asyncio.CancelledError):
        if disconnected:
            return Failure(Outcome.CLIENT_DISCONNECT, {})
        return Failure(Outcome.CANCELLED, {"error.type": "asyncio.CancelledError"})
    if isinstance(error, ClientDisconnect | WebSocketDisconnect):
        return Failure(of_close(getattr(error, "code", None), ours=False), {})
    described = exception_attributes(error)
    outcome = Outcome.TIMEOUT if _is_timeout(error) else Outcome.EXCEPTION
    return Failure(outcome, {**described, "error.type": described["exception.type"]})


def _is_timeout(error: BaseException) -> bool:
    """A time-out, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_timeout(member) for member in error.exceptions)
    return isinstance(error, TimeoutError)


def of_close(code: int | None, *, ours: bool) -> Outcome:
    """By the code of the closing frame (RFC 6455, 7.4.1); 1005 and 1006 say that there was none."""
    if code == _RESTART:
        return Outcome.CANCELLED
    if not ours:
        return Outcome.OK if code in _NORMAL_CLOSE else Outcome.CLIENT_DISCONNECT
    if code in _SERVER_FAULTS:
        return Outcome.SERVER_ERROR
    return Outcome.CLIENT_ERROR if code in _CLIENT_FAULTS else Outcome.OK
