"""How a request ended: its terminal reason, and the severity that goes with it."""

from __future__ import annotations

from opentelemetry._logs import SeverityNumber

from logspan.fastapi.failure import Outcome, of_close
from logspan.fastapi.request import Request

_INFO = (SeverityNumber.INFO, "INFO")
_WARN = (SeverityNumber.WARN, "WARN")
_ERROR = (SeverityNumber.ERROR, "ERROR")
_GATEWAY_TIMEOUT = 504

SEVERITIES = {
    Outcome.OK: _INFO,
    Outcome.CLIENT_ERROR: _INFO,
    Outcome.SERVER_ERROR: _ERROR,
    Outcome.EXCEPTION: _ERROR,
    Outcome.CLIENT_DISCONNECT: _INFO,
    Outcome.CANCELLED: _WARN,
    Outcome.TIMEOUT: _ERROR,
}
SLOW = _WARN


def outcome_of(request: Request) -> Outcome:
    """The terminal reason of a request that is over."""
    if request.failure is not None:
        return request.failure.outcome
    status = request.final_status()
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
