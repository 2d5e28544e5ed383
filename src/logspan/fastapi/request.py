"""One request in progress: what is known of it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from contextvars import ContextVar
from operator import itemgetter
from time import perf_counter
from typing import Any, cast

from opentelemetry.trace import Span, SpanContext, get_current_span
from opentelemetry.util.types import AnyValue

from logspan.binding import REQUEST_ID, Place
from logspan.context import REQUEST
from logspan.fastapi.asgi import Message, Scope, Send, header, path_in_app
from logspan.fastapi.content import Content
from logspan.fastapi.failure import Failure, Outcome, failure_of
from logspan.fastapi.options import Options, RequestConfig, options_of
from logspan.fastapi.route import route_of

SCOPE_KEY = "logspan.request"
"""Where the ASGI scope holds the request, so that mounted apps see that it has a record already."""

CURRENT = cast("ContextVar[Request | None]", REQUEST)
"""The request of this context, as this package has it: no other puts one there."""

_LASTING = ("method", "scheme", "path", "root_path", "query_string", "http_version", "client", "server")
"""What is read of the scope when the request is over, beside its headers."""
_all_lasting = itemgetter(*_LASTING)


class Request:
    """The state of one request, HTTP or WebSocket; what the layers tell it never raises.

    Times are those of `perf_counter`, sizes in bytes.
    """

    __slots__ = (
        *("_endpoint", "_route", "answered_for", "bindings", "close_code", "complete", "config", "disconnected"),
        *("ended_at", "error_id", "failure", "first_byte_at", "live", "options", "over", "refused_id"),
        *("request_content", "request_size", "response_content", "response_headers", "response_size", "scope"),
        *("span", "span_context", "start_failed", "started_at", "status", "websocket"),
    )

    def __init__(self, scope: Scope, config: RequestConfig) -> None:
        self.config = config
        self.options = config.options
        self.scope = scope
        self.websocket: bool = scope["type"] == "websocket"
        self.live = True
        """Until the last message of the response is handed on."""
        self.over = False
        """Whether all that its record says is settled: nothing here changes any more."""
        self.span: Span | None = None
        self.span_context: SpanContext | None = None
        """That of the span, which it outlives."""
        self.status: int | None = None
        self.error_id: int | None = None
        """The `id` of the exception that left the application: contexts outlive a request, and would keep it alive."""
        self.refused_id: int | None = None
        """The `id` of the exception by which the server told that the client has gone."""
        self.failure: Failure | None = None
        self.first_byte_at: float | None = None
        self.ended_at: float | None = None
        self.request_size: int | None = None
        """None while the application has not read anything: what the client sent is not known then."""
        self.response_size: int | None = 0
        """None where the server sends a file whose size it alone knows."""
        self.response_headers: Sequence[tuple[bytes, bytes]] = ()
        self.request_content: Content | None = None
        self.response_content: Content | None = None
        self.complete = self.start_failed = False
        self.answered_for = False
        """Whether the server answers for a request that was cancelled, too."""
        self.disconnected = False
        """Whether the client was gone before the response was complete."""
        self.close_code: int | None = None
        self._endpoint: Any = None
        self._route: str | None = None
        self.bindings = config.identification.bindings(scope)
        if config.identification.user is not None:
            self.bindings.ask = self._find_user
        self.started_at = perf_counter()

    def settle(self) -> Options:
        """Bring `options` up to date: the settings of the route, once it is known, before those of the app."""
        endpoint = self.scope.get("endpoint")
        if endpoint is not self._endpoint:
            self._endpoint, self.options = endpoint, options_of(self.scope, self.config.options)
        return self.options

    @property
    def id(self) -> str | None:
        """What the request is known by, in and out; None where requests have no ids."""
        identifier = self.bindings.identity.get(REQUEST_ID)
        return None if identifier is None else str(identifier)

    @property
    def is_urgent(self) -> bool:
        """Whether its record is made at once: to weigh what was kept of bodies, or to ask somebody for the user."""
        if self.request_content is not None or self.response_content is not None:
            return True
        user = self.config.identification.user
        return user is not None and user.is_near(self.scope) and self.bindings.ask is not None

    def _find_user(self) -> Mapping[str, AnyValue] | None:
        user = self.config.identification.user
        return None if user is None else user.find(self.scope)

    @property
    def speaks(self) -> bool:
        """Whether the server's own line about this request would say the same again, or what nobody wants to read."""
        return self.config.options.record or (self.options if self.over else self.settle()).record

    @property
    def quiet(self) -> bool:
        """Whether it gets a record only when it fails: the path is excluded, and its route does not ask for one."""
        if not self.options.record:
            return True
        return not self.options.asked_for and self.config.excludes(path_in_app(self.scope))

    @property
    def slow(self) -> bool:
        """Whether it took longer than it may, up to now or to its end; a connection that is meant to last never did."""
        threshold = self.options.slow_threshold
        if not threshold or (self.ended_at or perf_counter()) - self.started_at <= threshold:
            return False
        return not self.websocket and not self._is_event_stream()

    def _is_event_stream(self) -> bool:
        kinds = (value for key, value in self.response_headers if key.lower() == b"content-type")
        return any(kind.lower().startswith(b"text/event-stream") for kind in kinds)

    @property
    def method(self) -> str:
        """That of the request line; a WebSocket begins with a GET."""
        return str(self.scope.get("method") or "GET")

    @property
    def path(self) -> str:
        """The path without the query."""
        return str(self.scope["path"])

    @property
    def route(self) -> str | None:
        """The template of the route that was matched."""
        return self._route if self.over else route_of(self.scope, self.span, self.config.routes)

    def header(self, name: str) -> str | None:
        """The first request header of that name, whatever its case."""
        return header(self.scope, name.lower().encode("latin-1", "replace"))

    def saw_span(self, span: Span | None = None) -> None:
        """Take a span (default: the current one) for the request's own, unless one was seen before."""
        try:
            if self.span is None and not self.over:
                span = span or get_current_span()
                context = span.get_span_context()
                if context.is_valid:
                    self.span, self.span_context = span, context
        except Exception as error:
            self._blame("the span", error)

    def reached_routes(self, scope: Scope) -> Place | None:
        """Follow the scope that the router will write the route into; what is returned is for `left_routes`."""
        try:
            self.scope = scope
            if self.span is None:
                self.saw_span()
            return self.bindings.enter_routes()
        except Exception as error:
            self._blame("the routes", error)
            return None

    def answer(self, send: Send, message: Message) -> Awaitable[None]:
        """Send a message of the routes: whoever begins the response works for the request, until its last part."""
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self.bindings.own_task()
            elif (kind == "http.response.body" and not message.get("more_body")) or kind == "http.response.pathsend":
                self.bindings.responded = True
        except Exception as error:
            self._blame("the answer", error)
        return send(message)

    def left_routes(self, before: Place | None) -> None:
        """Come back to the middleware."""
        try:
            if before is not None:
                self.bindings.leave_routes(before)
        except Exception as error:
            self._blame("the routes", error)

    def failed(self, error: BaseException) -> None:
        """Note the exception that leaves the application, with its stack trace as it is now; only the first time."""
        if self.error_id == id(error):
            return
        self.error_id = id(error)
        try:
            if self.error_id == self.refused_id:
                self.failure = Failure(Outcome.CLIENT_DISCONNECT, {})
            else:
                self.failure = failure_of(error, disconnected=self.disconnected)
        except Exception as failure:
            self._blame("an exception", failure)

    def end(self) -> Options:
        """It is over; what its record needs and only its own place, scope and span can tell is looked up."""
        self.live = False
        if self.ended_at is None:
            self.ended_at = perf_counter()
        try:
            if self.span_context is None:
                self.span_context = get_current_span().get_span_context()
            self._route = route_of(self.scope, self.span, self.config.routes)
        except Exception as error:
            self._blame("the route", error)
        options = self.settle()
        self.over = True
        return options

    def close(self) -> None:
        """Let go of the span, and of the scope with the application's own objects: contexts and records outlive it."""
        try:
            self.scope = _lasting(self.scope)
        except Exception as error:
            self._blame("the end", error)
        self.span = None

    def _blame(self, what: str, error: Exception) -> None:
        self.config.notices.say("request", f"watching {what} failed: {type(error).__name__}")

    def final_status(self) -> int | None:
        """The status that goes out; servers send a 500 for an app that ends before it answers, some when cancelled."""
        if self.status is not None or self.start_failed or self.disconnected:
            return self.status
        cancelled = self.failure is not None and self.failure.outcome is Outcome.CANCELLED
        return None if cancelled and not self.answered_for else 500


def _lasting(scope: Scope) -> Scope:
    try:
        lasting = dict(zip(_LASTING, _all_lasting(scope), strict=True))
    except KeyError:  # a WebSocket has no method, and not all servers say all
        lasting = {name: scope[name] for name in _LASTING if name in scope}
    lasting["headers"] = [*(scope.get("headers") or ())]
    return lasting
