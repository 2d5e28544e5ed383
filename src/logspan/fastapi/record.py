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
from logspan.record import LateRecord, Record

SCOPE_NAME = "logspan.request"
HTTP_EVENT = "http.server.request"
WEBSOCKET_EVENT = "websocket.server.connection"
_PLAIN = 2_400
_PAIR = 130
"""Bytes: a record of 20 attributes with short values, as `logspan.size` reckons, and what Python needs for a header."""


def conclude(request: Request) -> None:
    """End a request, and have its record emitted: beside the application, unless the user has to be asked for now.

    Never raises.
    """
    config = request.config
    try:
        options = request.settle()
        request.end()
        if config.scope is None or not (options.record or config.options.record):
            return
        if request.has_user:
            _emit(request, config.scope)
        else:
            config.provider.put_off(partial(_emit, request, config.scope))
    except Exception as error:
        config.notices.say("request", f"the record of a request failed: {type(error).__name__}")
    finally:
        request.close()


def _emit(request: Request, scope: InstrumentationScope) -> None:
    """Emit the record of a request that has ended, from wherever this is called. Never raises."""
    try:
        ending = ending_of(request)
        if ending.severity is not INFO or not request.quiet:
            request.bindings.stand_in()
            request.config.provider.emit(_record(request, ending, scope))
    except Exception as error:
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
        request.config.notices.say("request", f"the record of a request failed: {type(error).__name__}")
        raise


def _estimate(request: Request, ending: Ending) -> int:
    """Bytes of memory that wait with the record: what is the same for all, and what a client or a failure can swell."""
    scope, headers = request.scope, [*(request.scope.get("headers") or ()), *request.response_headers]
    total = _PLAIN + 2 * len(scope["path"]) + len(scope.get("query_string") or b"")
    total += _PAIR * len(headers) + sum(map(len, chain.from_iterable(headers)))
    if ending.error:
        total += sum(map(len, map(str, ending.error.values())))
    return total
