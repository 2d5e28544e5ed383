"""Two thin ASGI layers: one outermost, one next to the routes. The classes hold what is configured, nothing else.

Both show what they wrap as `.app`, so that others who walk the stack (FastAPI's telemetry does) see through them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Token
from dataclasses import dataclass

from opentelemetry import context as otel_context
from opentelemetry._logs import LoggerProvider
from opentelemetry.context import Context

from logspan.context import ROUTING, BoundToken, bound, unbind
from logspan.fastapi.request import (
    CURRENT,
    SCOPE_KEY,
    ASGIApp,
    Message,
    Receive,
    Request,
    RequestConfig,
    Scope,
    Send,
)

_LIFESPAN_ENDS = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup.failed"})
NATIVE_KEY = "fastapi.telemetry"
"""Where FastAPI's own telemetry puts its state in the ASGI scope; None keeps mounted apps from making spans."""


@dataclass(eq=False)
class Edge:
    """What both layers of one app share; `active` is False once the app is no longer ours to watch."""

    config: RequestConfig
    on_startup: Callable[[], None]
    on_end: Callable[[], Awaitable[None]]
    spans: str = "off"
    active: bool = True


class RequestLayer:
    """The outer layer: a fresh state for each request, its record at the end, and a flush at the lifespan's end."""

    def __init__(self, app: ASGIApp, edge: Edge, *, outermost: bool = True) -> None:
        self.app = app
        self.edge = edge
        self.outermost = outermost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; nothing of ours changes what comes of it."""
        if not self.edge.active:
            await self.app(scope, receive, send)
        elif scope["type"] in ("http", "websocket"):
            await self._request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        mounted = SCOPE_KEY in scope
        visit = _Visit(self.edge, scope, fresh_context=self.outermost, mounted=mounted)
        request = visit.request
        if request is None:
            try:
                await self.app(scope, receive, send)
            finally:
                visit.leave(failed=False)
            return

        async def watched(message: Message) -> None:
            await send(request.sending(message))
            request.sent(message)

        try:
            await self.app(scope, receive, watched)
        except BaseException as error:
            request.failed(error)
            raise
        finally:
            request.ended()
            visit.leave(failed=request.error_id is not None)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.edge.on_startup()
            return message

        async def watched_send(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.edge.on_startup()  # again: lifespans like to configure logging
            elif message["type"] in _LIFESPAN_ENDS:
                await self.edge.on_end()
            await send(message)

        await self.app(scope, watched_receive, watched_send)


class RouteLayer:
    """The inner layer, next to the routes: sees the span, the route and what was bound, whatever lies between."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        self.app = app
        self.edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, telling the request of it."""
        request = scope.get(SCOPE_KEY)
        if not self.edge.active or not isinstance(request, Request):
            await self.app(scope, receive, send)
            return
        if self.edge.spans != "off":
            scope.setdefault(NATIVE_KEY, None)  # FastAPI steps aside for others here, and so must apps mounted below
        request.reached_routes(scope)
        try:
            await self.app(scope, receive, send)
        finally:
            request.left_routes()


class _Visit:
    """What one request sets in its context, and how that is undone. Never raises."""

    def __init__(self, edge: Edge, scope: Scope, *, fresh_context: bool, mounted: bool) -> None:
        self.request: Request | None = None
        self._routing: Token[LoggerProvider | None] | None = None
        self._state: Token[Request | None] | None = None
        self._bound: BoundToken | None = None
        self._otel: Token[Context] | None = None
        self._edge = edge
        try:
            self._enter(scope, fresh_context=fresh_context, mounted=mounted)
        except Exception as error:
            edge.config.notices.say("request", f"a request is not watched: {type(error).__name__}")

    def _enter(self, scope: Scope, *, fresh_context: bool, mounted: bool) -> None:
        self._routing = ROUTING.enter(self._edge.config.provider)
        if mounted:  # the app that it is mounted in makes the record
            return
        before = CURRENT.get()
        if before is not None and not before.live:
            self._forget_the_request_before(scope, fresh_context=fresh_context)
        request = Request(scope, self._edge.config)
        scope[SCOPE_KEY] = request
        if scope.get(NATIVE_KEY) is not None:
            request.saw_span()
        self._state = CURRENT.set(request)
        self.request = request

    def _forget_the_request_before(self, scope: Scope, *, fresh_context: bool) -> None:
        """This context is a copy of that of an earlier request on the connection; nothing of it belongs here."""
        self._bound = unbind(*bound())
        if fresh_context and scope.get(NATIVE_KEY) is None:  # else the current span is this request's already
            self._otel = otel_context.attach(Context())

    def leave(self, *, failed: bool) -> None:
        """Put the context back; after a failure the request stays visible for what the server says about it."""
        try:
            if self._otel is not None:
                otel_context.detach(self._otel)
            if self._bound is not None:
                self._bound.reset()
            if self._state is not None and not (failed and self._state.old_value is Token.MISSING):
                CURRENT.reset(self._state)
            if self._routing is not None:
                ROUTING.leave(self._routing)
        except Exception as error:  # another context: what was set there ends with it
            self._edge.config.notices.say("request", f"a context was left open: {type(error).__name__}")


def claims_native_exception(scope: str, event: str | None, exception: BaseException | None) -> bool:
    """Whether FastAPI is about to make a record of an exception that the request's record will have; notes it there."""
    if scope != "fastapi" or event not in ("http.server.request.exception", "fastapi.websocket.exception"):
        return False
    request = CURRENT.get()
    if request is None or exception is None or not request.speaks:
        return False
    request.failed(exception)
    return True
