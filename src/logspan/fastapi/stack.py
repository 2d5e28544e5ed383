"""How layers get into an app's middleware stack, built already or not, and out of it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from logspan.fastapi.asgi import ASGIApp

_MISSING = object()
_OF_THE_FRAMEWORK = frozenset(
    {
        ("starlette.middleware.errors", "ServerErrorMiddleware"),
        ("starlette.middleware.exceptions", "ExceptionMiddleware"),
        ("fastapi.middleware.asyncexitstack", "AsyncExitStackMiddleware"),
        ("fastapi.telemetry._asgi", "ExceptionTelemetryMiddleware"),
        ("fastapi._body_limit", "AppBodyLimitMiddleware"),
    }
)
"""Layers that each app has: they hand on scope, messages, task and context as they are."""


class Instrumentation(Protocol):
    """Someone who wraps `app.build_middleware_stack`, and takes that back."""

    def instrument(self, app: Any) -> None:
        """Wrap it."""

    def uninstrument(self, app: Any) -> None:
        """Unwrap it; may build the stack."""


class Stack:
    """The middleware stack of one app.

    `outer` goes round the whole stack, spans of `instrumentation` included; `inner` next to the router. The app's own
    middleware is never constructed twice. What somebody else has put round ours meanwhile is left alone.
    """

    def __init__(
        self,
        app: Any,
        outer: Callable[[ASGIApp, bool, bool], ASGIApp],
        inner: Callable[[ASGIApp], ASGIApp],
        instrumentation: Instrumentation | None,
        *,
        transparent: bool,
    ) -> None:
        """`outer` is told whether it is outermost, and whether there is an inner layer.

        With `transparent` there is none where nothing stands between but what the framework itself puts there: all
        that it would see is seen from outside.
        """
        self._app = app
        self._outer = outer
        self._inner = inner
        self._instrumentation = instrumentation
        self._transparent = transparent
        self._before = vars(app).get("build_middleware_stack", _MISSING)
        self._build_original = app.build_middleware_stack
        self._ready = app.middleware_stack
        self._bare: Any = None
        self._top: Any = None
        self._router_layer: Any
        self._restoring = False

    def put_on(self) -> None:
        """Put the layers on; a stack that is built already gets them at once."""
        app = self._app
        app.build_middleware_stack = self._build_bare
        if self._instrumentation is not None:
            self._instrumentation.instrument(app)
        self._build_below = app.build_middleware_stack
        self._installed = self._build
        app.build_middleware_stack = self._installed
        if app.middleware_stack is not None:
            app.middleware_stack = self._build()

    def _build(self) -> Any:
        stack = self._build_below()
        if self._is_outermost() or not hasattr(stack, "app"):
            self._top = self._outer(stack, True, self._router_layer is not None)
        else:  # somebody wraps us, and wants to find Starlette's own layer on top
            stack.app = self._outer(stack.app, False, self._router_layer is not None)
            self._top = stack
        return self._top

    def _is_outermost(self) -> bool:
        return vars(self._app).get("build_middleware_stack") is self._installed

    def _build_bare(self) -> Any:
        """The app's own stack, with the inner layer; the one that is there already, if there is one."""
        if self._restoring:
            return self._bare
        stack, self._ready = self._ready or self._build_original(), None
        layers, self._router_layer = _layers(stack, self._app.router), None
        if layers and not (self._transparent and all(_is_the_frameworks(layer) for layer in layers)):
            self._router_layer = layers[-1].app = self._inner(self._app.router)
        self._bare = stack
        return stack

    def take_off(self) -> bool:
        """Put everything back as it was; False when something else is in the way, and nothing was done."""
        app = self._app
        if not self._is_outermost() or (app.middleware_stack is not None and app.middleware_stack is not self._top):
            return False
        self._restoring = True
        if app.middleware_stack is None:
            self._bare = None
        elif self._bare is not None and (layers := _layers(self._bare, self._router_layer)):
            layers[-1].app = app.router
        if self._instrumentation is not None:
            self._instrumentation.uninstrument(app)
        app.middleware_stack = self._bare
        if self._before is _MISSING:
            del app.build_middleware_stack
        else:
            app.build_middleware_stack = self._before
        return True


def _layers(stack: Any, wanted: Any) -> list[Any]:
    """The layers above the one that is wanted, found by walking `.app`; none where it is not to be found."""
    layers: dict[int, Any] = {}
    while stack is not None and stack is not wanted and id(stack) not in layers:
        layers[id(stack)] = stack
        stack = getattr(stack, "app", None)
    return [*layers.values()] if stack is not None and stack is wanted else []


def _is_the_frameworks(layer: Any) -> bool:
    return (type(layer).__module__, type(layer).__name__) in _OF_THE_FRAMEWORK
