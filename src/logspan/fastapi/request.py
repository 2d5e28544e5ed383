"""One request in progress: what is known of it, and the record that is made of it when it ends."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from opentelemetry._logs import LoggerProvider, NoOpLogger, SeverityNumber
from opentelemetry.trace import Span, format_trace_id, get_current_span

from logspan.context import REQUEST, bind, bound_attributes
from logspan.notices import Notices
from logspan.record import Record, exception_attributes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_NAME = "logspan.request"
HTTP_EVENT = "http.server.request"
WEBSOCKET_EVENT = "websocket.server.connection"
SCOPE_KEY = "logspan.request"
"""Where the ASGI scope holds the request, so that mounted apps see that it has a record already."""

CURRENT = cast("ContextVar[Request | None]", REQUEST)
"""The request of this context, as this package has it: no other puts one there."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class RequestConfig:
    """What an instrumented app does with its requests; `header` is the response header's name, if there is one."""

    provider: LoggerProvider
    record: bool = True
    excluded_paths: tuple[str, ...] = ()
    header: bytes | None = None
    notices: Notices = field(default_factory=Notices)

    def excludes(self, path: str) -> bool:
        """Whether a path gets no record: it is named, or begins with a name that ends in `*`."""
        return any(path == name or (name.endswith("*") and path.startswith(name[:-1])) for name in self.excluded_paths)


def guarded(method: Callable[Concatenate[Request, _P], _R]) -> Callable[Concatenate[Request, _P], _R | None]:
    """Keep a failure of ours from the application: say it on stderr and return None."""

    @functools.wraps(method)
    def guard(self: Request, /, *args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.config.notices.say("request", f"{method.__qualname__} failed: {type(error).__name__}")
            return None

    return guard


class Request:
    """The state of one request, HTTP or WebSocket; each of its methods is safe to call at any time.

    `live` is True until the last message of the response is handed on. `error_id` is the `id` of the exception that
    left the application: the exception itself would be kept alive by every context that was copied meanwhile.
    """

    def __init__(self, scope: Scope, config: RequestConfig) -> None:
        self.config = config
        self.scope = scope
        self.live = True
        self.span: Span | None = None
        self.status: int | None = None
        self.error_id: int | None = None
        self._error: Mapping[str, Any] = {}
        self._severity = (SeverityNumber.INFO, "INFO")
        self._bound: Mapping[str, Any] = {}
        self._started = perf_counter()
        self._ended: float | None = None
        self._trailers = False
        self._websocket = scope["type"] == "websocket"
        self._excluded = not config.record or config.excludes(scope["path"])

    @property
    def speaks(self) -> bool:
        """Whether the server's own line about this request would say the same again, or what nobody wants to read."""
        return self.config.record

    @property
    def method(self) -> str:
        """That of the request line; a WebSocket begins with a GET."""
        return str(self.scope.get("method", "GET"))

    @property
    def path(self) -> str:
        """The path without the query."""
        return str(self.scope["path"])

    @property
    def route(self) -> str | None:
        """The template of the route that was matched."""
        return self._route()

    def header(self, name: str) -> str | None:
        """The first request header of that name, whatever its case."""
        wanted = name.lower().encode("latin-1", "replace")
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key.lower() == wanted), None)

    @guarded
    def saw_span(self, span: Span | None = None) -> None:
        """Take a span (default: the current one) for the request's own, unless one was seen before."""
        if self.span is None:
            span = span or get_current_span()
            if span.get_span_context().is_valid:
                self.span = span

    @guarded
    def reached_routes(self, scope: Scope) -> None:
        """Follow the scope that the router will write the route into."""
        self.scope = scope
        self.saw_span()

    @guarded
    def left_routes(self) -> None:
        """Keep what the endpoint has bound: a middleware may have run it in a context of its own."""
        self._bound = bound_attributes()

    def sending(self, message: Message) -> Message:
        """The message as it goes out: with the trace id in its header. A response ends before its last message."""
        return self._sending(message) or message

    @guarded
    def _sending(self, message: Message) -> Message:
        if self._is_last(message):
            self.live = False
        if message["type"] != "http.response.start":
            return message
        self.saw_span()
        self._trailers = bool(message.get("trailers", False))
        name = self.config.header
        headers = list(message.get("headers", ()))
        if name is None or self.span is None or any(key.lower() == name for key, _ in headers):
            return message
        trace_id = format_trace_id(self.span.get_span_context().trace_id)
        return {**message, "headers": [*headers, (name, trace_id.encode())]}

    @guarded
    def sent(self, message: Message) -> None:
        """Note what has reached the server: its status, and the end of the response."""
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and self.status is None:
            self.status = 403
        if self._is_last(message):
            self._ended = perf_counter()

    def _is_last(self, message: Message) -> bool:
        kind = message["type"]
        if kind == "http.response.body":
            return not message.get("more_body", False) and not self._trailers
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        return kind in ("http.response.pathsend", "websocket.close")

    @guarded
    def failed(self, error: BaseException) -> None:
        """Note the exception that leaves the application, with its stack trace as it is now; only the first time."""
        if self.error_id == id(error):
            return
        self.error_id = id(error)
        if isinstance(error, asyncio.CancelledError):
            self._severity = (SeverityNumber.WARN, "WARN")
            self._error = {"error.type": "asyncio.CancelledError"}
        elif not (self._websocket and type(error).__name__ == "WebSocketDisconnect"):  # the client has gone: no error
            described = exception_attributes(error)
            self._severity = (SeverityNumber.ERROR, "ERROR")
            self._error = {**described, "error.type": described["exception.type"]}
            self._excluded = self._excluded and not self.config.record

    @guarded
    def ended(self) -> None:
        """Make the record of the request."""
        self.live = False
        if self._excluded:
            return
        logger = self.config.provider.get_logger(SCOPE_NAME)
        if isinstance(logger, NoOpLogger):
            return
        seconds = round((self._ended or perf_counter()) - self._started, 6)
        status = self._final_status()
        if status is not None and status >= 500 and not self._error:
            self._severity, self._error = (SeverityNumber.ERROR, "ERROR"), {"error.type": str(status)}
        route = self._route()
        record = Record(
            getattr(logger, "instrumentation_scope", None),
            *self._severity,
            f"{self._method} {route or self.scope['path']} {status or '-'} {seconds * 1000:.1f} ms",
            {**self._attributes(route, status, seconds), **self._error},
            event_name=WEBSOCKET_EVENT if self._websocket else HTTP_EVENT,
            span_context=self.span.get_span_context() if self.span else None,
        )
        with bind(self._bound):
            logger.emit(record)

    @property
    def _method(self) -> str:
        return "WS" if self._websocket else str(self.scope["method"])

    def _final_status(self) -> int | None:
        """The status that went out; the server sends a 500 for an app that fails before it answers."""
        cancelled = self._error.get("error.type") == "asyncio.CancelledError"
        return 500 if self.status is None and not self._websocket and not cancelled else self.status

    def _attributes(self, route: str | None, status: int | None, seconds: float) -> dict[str, Any]:
        """https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span, and the duration."""
        scope = self.scope
        client = scope.get("client")
        attributes = {
            "http.request.method": None if self._websocket else scope["method"],
            "http.route": route,
            "url.path": scope["path"],
            "url.scheme": scope.get("scheme"),
            "network.protocol.name": "websocket" if self._websocket else None,
            "http.response.status_code": status,
            "http.server.request.duration": seconds,
            "client.address": client[0] if client else None,
        }
        return {name: value for name, value in attributes.items() if value is not None}

    def _route(self) -> str | None:
        """The route as the span has it, so that both are found by the same name; else as the router left it."""
        attributes = getattr(self.span, "attributes", None)
        if attributes and (route := attributes.get("http.route")):
            return str(route)
        return _matched_route(self.scope)


def _matched_route(scope: Scope) -> str | None:
    """The template of the route that was matched; `scope["route"]` alone lacks the prefixes of `include_router`."""
    route = scope.get("route")
    included = scope.get("fastapi", {}).get("effective_route_context")
    if included is not None and getattr(included, "original_route", None) is route:
        route = getattr(included, "starlette_route", None) or included
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return str(template) if template else None
