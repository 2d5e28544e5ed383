"""What one request sets in its context, and how that is undone."""

from __future__ import annotations

from contextvars import Token

from opentelemetry import context as otel_context
from opentelemetry._logs import LoggerProvider
from opentelemetry.context import Context

from logspan.binding import Place
from logspan.context import ROUTING
from logspan.fastapi.asgi import Scope
from logspan.fastapi.options import RequestConfig
from logspan.fastapi.request import CURRENT, SCOPE_KEY, Request

NATIVE_KEY = "fastapi.telemetry"
"""Where FastAPI's own telemetry puts its state in the ASGI scope; None keeps mounted apps from making spans."""


class Visit:
    """Enters a request's context when it is made, with a fresh state; `leave` puts it back. Never raises.

    `request` is None where there is nothing to watch: the app that this one is mounted in makes the record.
    """

    __slots__ = ("_config", "_otel", "_place", "_routing", "_state", "request")

    def __init__(self, config: RequestConfig, scope: Scope, *, fresh_context: bool, layered: bool) -> None:
        self._config = config
        self.request: Request | None = None
        self._routing: Token[LoggerProvider | None] | None = None
        self._state: Token[Request | None] | None = None
        self._place: Token[Place] | None = None
        self._otel: Token[Context] | None = None
        try:
            self._routing = ROUTING.current.set(config.provider)
            if SCOPE_KEY not in scope:  # else it is mounted
                self._enter(scope, fresh_context=fresh_context, layered=layered)
        except Exception as error:
            config.notices.say("request", f"a request is not watched: {type(error).__name__}")

    def _enter(self, scope: Scope, *, fresh_context: bool, layered: bool) -> None:
        before = CURRENT.get()
        if before is not None and not before.live:
            before.error_id = before.refused_id = None  # told by now, and others may get these ids
            self._forget_the_request_before(scope, fresh_context=fresh_context)
        request = scope[SCOPE_KEY] = Request(scope, self._config)
        if scope.get(NATIVE_KEY) is not None:
            request.saw_span()
        elif not layered:
            scope[NATIVE_KEY] = None
        self._place = request.bindings.enter(inside=not layered)
        self._state = CURRENT.set(request)
        self.request = request

    def _forget_the_request_before(self, scope: Scope, *, fresh_context: bool) -> None:
        """This context is a copy of that of an earlier request on the connection; nothing of it belongs here."""
        if fresh_context and scope.get(NATIVE_KEY) is None:  # else the current span is this request's already
            self._otel = otel_context.attach(Context())

    def leave(self) -> None:
        """Put the context back; after a failure the request stays visible for what the server says about it."""
        request, state = self.request, self._state
        try:
            if self._otel is not None:
                otel_context.detach(self._otel)
            if state is not None and request is not None:
                late = request.websocket or request.error_id is not None or not request.complete
                stays = late and state.old_value is Token.MISSING
                request.bindings.leave(None if stays else self._place)
                if not stays:
                    CURRENT.reset(state)
            if self._routing is not None:
                ROUTING.current.reset(self._routing)
        except Exception as error:  # another context: what was set there ends with it
            self._config.notices.say("request", f"a context was left open: {type(error).__name__}")
