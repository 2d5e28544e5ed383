"""The one record that is made of a request when it is over."""

from __future__ import annotations

from time import perf_counter, time_ns
from typing import Any

from opentelemetry._logs import NoOpLogger, SeverityNumber

from logspan.context import bind
from logspan.fastapi.failure import Outcome
from logspan.fastapi.outcome import SEVERITIES, SLOW, outcome_of
from logspan.fastapi.request import Request
from logspan.record import Record

SCOPE_NAME = "logspan.request"
HTTP_EVENT = "http.server.request"
WEBSOCKET_EVENT = "websocket.server.connection"


def conclude(request: Request) -> None:
    """End a request, and make its record. Never raises."""
    try:
        request.live = False
        _emit(request)
    except Exception as error:
        request.config.notices.say("request", f"the record of a request failed: {type(error).__name__}")


def _emit(request: Request) -> None:
    request.ended_at = request.ended_at or perf_counter()
    if not request.speaks:
        return
    outcome = outcome_of(request)
    severity = _severity(request, outcome)
    if request.quiet and severity[0].value < SeverityNumber.WARN.value:
        return
    logger = request.config.provider.get_logger(SCOPE_NAME)
    if isinstance(logger, NoOpLogger):
        return
    record = _record(request, outcome, severity, request.route)
    record.instrumentation_scope = getattr(logger, "instrumentation_scope", None)
    with bind(request.bound):
        logger.emit(record)


def _severity(request: Request, outcome: Outcome) -> tuple[SeverityNumber, str]:
    severity = SEVERITIES[outcome]
    return SLOW if request.slow and severity[0].value < SLOW[0].value else severity


def _record(request: Request, outcome: Outcome, severity: tuple[SeverityNumber, str], route: str | None) -> Record:
    status = request.final_status()
    now = perf_counter()
    ended = request.ended_at or now
    seconds = round(ended - request.started_at, 6)
    method = "WS" if request.websocket else str(request.scope["method"])
    return Record(
        None,
        *severity,
        f"{method} {route or request.scope['path']} {status or '-'} {seconds * 1000:.1f} ms",
        _attributes(request, outcome, status, route, seconds),
        timestamp=time_ns() - int((now - ended) * 1e9),
        event_name=WEBSOCKET_EVENT if request.websocket else HTTP_EVENT,
        span_context=request.span.get_span_context() if request.span else None,
    )


def _attributes(
    request: Request, outcome: Outcome, status: int | None, route: str | None, seconds: float
) -> dict[str, Any]:
    """https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span, and what it has no name for."""
    scope = request.scope
    client = scope.get("client")
    attributes = {
        "http.request.method": None if request.websocket else scope["method"],
        "http.route": route,
        "url.path": scope["path"],
        "url.scheme": scope.get("scheme"),
        "network.protocol.name": "websocket" if request.websocket else None,
        "http.response.status_code": status,
        "http.server.request.duration": seconds,
        "client.address": client[0] if client else None,
        "logspan.request.outcome": outcome.value,
    }
    if request.failure is not None:
        attributes.update(request.failure.attributes)
    elif SEVERITIES[outcome][0] is SeverityNumber.ERROR:
        attributes["error.type"] = str(status) if status is not None and status >= 500 else "incomplete_response"
    return {name: value for name, value in attributes.items() if value is not None}
