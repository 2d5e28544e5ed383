"""The one record that is made of a request when it is over."""

from __future__ import annotations

from time import perf_counter, time_ns

from opentelemetry._logs import NoOpLogger, SeverityNumber

from logspan.fastapi.attributes import attributes_of
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
    logger.emit(record)


def _severity(request: Request, outcome: Outcome) -> tuple[SeverityNumber, str]:
    severity = SEVERITIES[outcome]
    return SLOW if request.slow and severity[0].value < SLOW[0].value else severity


def _record(request: Request, outcome: Outcome, severity: tuple[SeverityNumber, str], route: str | None) -> Record:
    now = perf_counter()
    ended = request.ended_at or now
    seconds = round(ended - request.started_at, 6)
    method = "WS" if request.websocket else request.method
    return Record(
        None,
        *severity,
        f"{method} {route or request.path} {request.final_status() or '-'} {seconds * 1000:.1f} ms",
        attributes_of(request, outcome, route, seconds),
        timestamp=time_ns() - int((now - ended) * 1e9),
        event_name=WEBSOCKET_EVENT if request.websocket else HTTP_EVENT,
        span_context=request.span.get_span_context() if request.span else None,
    )
