"""The one record that is made of a request when it is over."""

from __future__ import annotations

from functools import partial
from time import perf_counter, time_ns
from typing import Any

from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.fastapi.attributes import attributes_of
from logspan.fastapi.outcome import INFO, Ending, ending_of
from logspan.fastapi.request import Request
from logspan.later import Make
from logspan.record import LateRecord, Record
from logspan.values import type_name

SCOPE_NAME = "logspan.request"
HTTP_EVENT = "http.server.request"
WEBSOCKET_EVENT = "websocket.server.connection"


def conclude(request: Request) -> None:
    """End a request, and have its record made: as a rule by the delivery worker, when it is closed. Never raises."""
    provider = request.config.provider
    make: Make | None = None
    try:
        options = request.end()
        if options.record or request.config.options.record:
            make = partial(_make, request)
            if request.is_urgent:
                provider.make_at_once(make)
                make = None
    except Exception as error:
        _blame(request, error)
    finally:
        request.close()
    try:
        if make is not None:
            provider.put_off(make)
    except Exception as error:
        _blame(request, error)


def _make(request: Request) -> Record | None:
    """The record of a request that is over, made in its place; None where it gets none. Never raises."""
    try:
        ending, scope = ending_of(request), request.config.scope
        if scope is None or (ending.severity is INFO and request.quiet):
            return None
        request.bindings.stand_in()
        return _record(request, ending, scope)
    except Exception as error:
        _blame(request, error)
        return None


def _blame(request: Request, error: Exception) -> None:
    request.config.notices.say("request", f"the record of a request failed: {type(error).__name__}")


def _record(request: Request, ending: Ending, scope: InstrumentationScope) -> Record:
    ended = request.ended_at or perf_counter()
    ended_ns = time_ns() - int((perf_counter() - ended) * 1e9)  # before it is described, which takes its time
    return LateRecord(
        scope,
        *ending.severity,
        *_described(request, ending, round(ended - request.started_at, 6)),
        timestamp=ended_ns,
        event_name=WEBSOCKET_EVENT if request.websocket else HTTP_EVENT,
        span_context=request.span_context,
    )


def _described(request: Request, ending: Ending, seconds: float) -> tuple[str | None, dict[str, Any]]:
    """The body and the attributes; a failure stands in them."""
    try:
        route = request.route
        method = "WS" if request.websocket else request.method
        body = f"{method} {route or request.path} {ending.status or '-'} {seconds * 1000:.1f} ms"
        return body, attributes_of(request, ending, route, seconds)
    except Exception as error:
        _blame(request, error)
        return None, {"logspan.capture.error": type_name(error)}
