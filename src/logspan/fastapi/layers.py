"""Thin ASGI layers: one outermost and, below an app's own middleware, one next to the routes.

The classes hold what is configured, nothing else.

The outer one shows what it wraps as `.app`, so that others who walk the stack see through it: FastAPI's telemetry does
so at each request, and has nothing to look for below the inner one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from logspan.fastapi.asgi import ASGIApp, Message, Receive, Scope, Send
from logspan.fastapi.exchange import Exchange
from logspan.fastapi.options import RequestConfig
from logspan.fastapi.record import conclude
from logspan.fastapi.request import SCOPE_KEY, Request
from logspan.fastapi.visit import NATIVE_KEY, Visit

_REQUESTS = frozenset({"http", "websocket"})
_LIFESPAN_ENDS = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup.failed"})


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

    def __init__(self, app: ASGIApp, edge: Edge, *, outermost: bool = True, layered: bool = True) -> None:
        """`layered` says that there is an inner layer; without it there is nothing between this one and the routes."""
        self.app = app
        self.edge = edge
        self.outermost = outermost
        self.layered = layered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; nothing of ours changes what comes of it."""
        if not self.edge.active or scope["type"] not in _REQUESTS:
            await self._other(scope, receive, send)
            return
        visit = Visit(self.edge.config, scope, fresh_context=self.outermost, layered=self.layered)
        exchange = Exchange(visit.request, receive, send) if visit.request is not None else None
        try:
            if exchange is None:
                await self.app(scope, receive, send)
            else:
                await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            if exchange is not None:
                exchange.failed(error)
            raise
        finally:
            try:
                if exchange is not None:
                    conclude(exchange.request)
            finally:  # a signal handler may raise in there
                visit.leave()

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.edge.active and scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

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

    def __init__(self, routes: ASGIApp, edge: Edge) -> None:
        self.routes = routes
        self.edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, telling the request of it."""
        request = scope.get(SCOPE_KEY)
        if not self.edge.active or not isinstance(request, Request):
            await self.routes(scope, receive, send)
            return
        if self.edge.spans != "off":
            scope.setdefault(NATIVE_KEY, None)  # FastAPI steps aside for others here, and so must apps mounted below
        before = request.reached_routes(scope)
        try:
            await self.routes(scope, receive, partial(request.answer, send))
        finally:
            request.left_routes(before)
