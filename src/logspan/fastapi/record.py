"""The one record that is made of a request when it is over."""

from __future__ import annotations

from time import perf_counter, time_ns

from opentelemetry._logs import NoOpLogger
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.fastapi.attributes import attributes_of
from logspan.fastapi.outcome import Ending, ending_of
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
    ending = ending_of(request)
    if ending.severity[1] == "INFO" and request.quiet:
        return
    logger = request.config.provider.get_logger(SCOPE_NAME)
    if not isinstance(logger, NoOpLogger):
        logger.emit(_record(request, ending, getattr(logger, "instrumentation_scope", None)))


def _record(request: Request, ending: Ending, scope: InstrumentationScope | None) -> Record:
    now = perf_counter()
    ended = request.ended_at or now
    seconds = round(ended - request.started_at, 6)
    route = request.route
    method = "WS" if request.websocket else request.method
    return Record(
        scope,
        *ending.severity,
        f"{method} {route or request.path} {ending.status or '-'} {seconds * 1000:.1f} ms",
        attributes_of(request, ending, route, seconds),
        timestamp=time_ns() - int((now - ended) * 1e9),
        event_name=WEBSOCKET_EVENT if request.websocket else HTTP_EVENT,
        span_context=request.span.get_span_context() if request.span else None,
    )
