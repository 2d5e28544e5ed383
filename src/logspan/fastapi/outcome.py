"""How a request ended: its terminal reason, and the severity that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from opentelemetry._logs import SeverityNumber

from logspan.fastapi.failure import Outcome, of_close
from logspan.fastapi.request import Request

INFO = (SeverityNumber.INFO, "INFO")
_WARN = (SeverityNumber.WARN, "WARN")
_ERROR = (SeverityNumber.ERROR, "ERROR")
_GATEWAY_TIMEOUT = 504
_NOTHING: Mapping[str, Any] = MappingProxyType({})

SEVERITIES = {
    Outcome.OK: INFO,
    Outcome.CLIENT_ERROR: INFO,
    Outcome.SERVER_ERROR: _ERROR,
    Outcome.EXCEPTION: _ERROR,
    Outcome.CLIENT_DISCONNECT: INFO,
    Outcome.CANCELLED: _WARN,
    Outcome.TIMEOUT: _ERROR,
}


class Ending(NamedTuple):
    """What there is to say of a request that is over; `error` has the attributes of what went wrong."""

    outcome: Outcome
    severity: tuple[SeverityNumber, str]
    status: int | None
    slow: bool
    error: Mapping[str, Any]


def ending_of(request: Request) -> Ending:
    """How a request ended: its terminal reason, and the severity that goes with it; a slow one is at least WARN."""
    status = request.final_status()
    outcome = _outcome(request, status)
    severity, slow = SEVERITIES[outcome], request.slow
    if slow and severity is INFO:
        severity = _WARN
    return Ending(outcome, severity, status, slow, _error(request, outcome))


def _error(request: Request, outcome: Outcome) -> Mapping[str, Any]:
    if request.failure is not None:
        return request.failure.attributes
    if SEVERITIES[outcome] is not _ERROR:
        return _NOTHING
    status = request.status
    return {"error.type": str(status) if status is not None and status >= 500 else "incomplete_response"}


def _outcome(request: Request, status: int | None) -> Outcome:
    if request.failure is not None:
        return request.failure.outcome
    if status is not None and status >= 500:
        return Outcome.TIMEOUT if status == _GATEWAY_TIMEOUT else Outcome.SERVER_ERROR
    if request.websocket:
        return _of_websocket(request, status)
    if request.disconnected:
        return Outcome.CLIENT_DISCONNECT
    if not request.complete:
        return Outcome.SERVER_ERROR
    return Outcome.CLIENT_ERROR if status is not None and status >= 400 else Outcome.OK


def _of_websocket(request: Request, status: int | None) -> Outcome:
    if status is not None and status >= 400:
        return Outcome.CLIENT_ERROR
    return of_close(request.close_code, ours=not request.disconnected)
