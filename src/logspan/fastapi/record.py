"""The one record that is made of a request when it is over."""

from __future__ import annotations

from functools import partial
from itertools import chain
from time import perf_counter, time_ns
from typing import Any

from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.fastapi.attributes import attributes_of
from logspan.fastapi.outcome import INFO, Ending, ending_of
from logspan.fastapi.request import Request
from logspan.later import Make
from logspan.record import LateRecord, Record

SCOPE_NAME = "logspan.request"
HTTP_EVENT = "http.server.request"
WEBSOCKET_EVENT = "websocket.server.connection"
_PLAIN = 2_400
_PAIR = 130
"""Bytes: a record of 20 attributes with short values, as `logspan.size` reckons, and what Python needs for a header."""


def conclude(request: Request) -> None:
    """End a request, and have its record made: as a rule by the delivery worker, when it is closed. Never raises."""
    provider = request.config.provider
    make: Make | None = None
    try:
        options = request.settle()
        request.end()
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
    now = perf_counter()
    ended = request.ended_at or now
    record = LateRecord(
        scope,
        *ending.severity,
        partial(_describe, request, ending, round(ended - request.started_at, 6)),
        estimate=_estimate(request, ending),
        timestamp=time_ns() - int((now - ended) * 1e9),
        event_name=WEBSOCKET_EVENT if request.websocket else HTTP_EVENT,
        span_context=request.span_context,
    )
    if request.request_content is not None or request.response_content is not None:
        _ = record.attributes  # made at once: nobody knows what the values in a body weigh
    return record


def _describe(request: Request, ending: Ending, seconds: float) -> tuple[str, dict[str, Any]]:
    """The body and the attributes, of a request that is closed."""
    try:
        route = request.route
        method = "WS" if request.websocket else request.method
        body = f"{method} {route or request.path} {ending.status or '-'} {seconds * 1000:.1f} ms"
        return body, attributes_of(request, ending, route, seconds)
    except Exception as error:
        _blame(request, error)
        raise


def _estimate(request: Request, ending: Ending) -> int:
    """Bytes of memory that wait with the record: what is the same for all, and what a client or a failure can swell."""
    scope, headers = request.scope, [*(request.scope.get("headers") or ()), *request.response_headers]
    total = _PLAIN + 2 * len(scope["path"]) + len(scope.get("query_string") or b"")
    total += _PAIR * len(headers) + sum(map(len, chain.from_iterable(headers)))
    if ending.error:
        total += sum(map(len, map(str, ending.error.values())))
    return total
