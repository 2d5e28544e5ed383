"""What others say again of a request whose own record says it: lines of a server, FastAPI's record of an exception."""

from __future__ import annotations

import logging

from logspan.fastapi.request import CURRENT

_NATIVE_EVENTS = ("http.server.request.exception", "fastapi.websocket.exception")
_UNANSWERED = "ASGI callable returned without "
"""How uvicorn begins to say that an application has returned too early, or has denied a WebSocket by a response."""


def repeats_request(line: logging.LogRecord) -> bool:
    """Whether a line of uvicorn, gunicorn or hypercorn repeats the record of its request.

    The access line does only while its request is in progress, or when that ended without an answer: then uvicorn
    answers for it. It writes one for requests that never reach the application as well (over `limit_concurrency`),
    and that is their only trace. A traceback is known by the identity of its exception, which servers log after the
    request's record is made, in its task.
    """
    request = CURRENT.get()
    if request is None or not request.speaks:
        return False
    if line.name == "uvicorn.access":
        return request.live or request.status is None
    if line.name == "uvicorn.error":
        if request.websocket and line.levelno == logging.INFO:  # accepted, rejected, open, closed
            return True
        if isinstance(line.msg, str) and line.msg.startswith(_UNANSWERED):
            return True
    error = line.exc_info[1] if line.exc_info else None
    return error is not None and id(error) == request.error_id


def strays(line: logging.LogRecord) -> bool:
    """Whether a line of uvicorn is about another request than the one whose context it is made in.

    On a connection that is kept, uvicorn goes on in the context of an earlier request, also where it answers by itself
    (over `limit_concurrency`) or refuses what is no HTTP. That request is over, and had its answer.
    """
    request = CURRENT.get()
    if request is None or request.live or request.websocket or not request.complete:
        return False
    error = line.exc_info[1] if line.exc_info else None
    return error is None or id(error) != request.error_id


def claims_native_exception(scope: str, event: str | None, exception: BaseException | None) -> bool:
    """Whether FastAPI is about to make a record of an exception that the request's record will have; notes it there."""
    if scope != "fastapi" or event not in _NATIVE_EVENTS:
        return False
    request = CURRENT.get()
    if request is None or exception is None or not request.speaks:
        return False
    request.failed(exception)
    return True
