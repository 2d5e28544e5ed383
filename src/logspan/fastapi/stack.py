"""How layers get into an app's middleware stack, built already or not, and out of it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from logspan.fastapi.asgi import ASGIApp

_MISSING = object()


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
        outer: Callable[[ASGIApp, bool], ASGIApp],
        inner: Callable[[ASGIApp], ASGIApp],
        instrumentation: Instrumentation | None,
    ) -> None:
        self._app = app
        self._outer = outer
        self._inner = inner
        self._instrumentation = instrumentation
        self._before = vars(app).get("build_middleware_stack", _MISSING)
        self._build_original = app.build_middleware_stack
        self._ready = app.middleware_stack
        self._bare: Any = None
        self._top: Any = None
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
            self._top = self._outer(stack, True)
        else:  # somebody wraps us, and wants to find Starlette's own layer on top
            stack.app = self._outer(stack.app, False)
            self._top = stack
        return self._top

    def _is_outermost(self) -> bool:
        return vars(self._app).get("build_middleware_stack") is self._installed

    def _build_bare(self) -> Any:
        """The app's own stack, with the inner layer; the one that is there already, if there is one."""
        if self._restoring:
            return self._bare
        stack, self._ready = self._ready or self._build_original(), None
        holder = _holder(stack, lambda below: below is self._app.router)
        if holder is not None:
            self._router_layer = holder.app = self._inner(self._app.router)
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
        elif self._bare is not None and (holder := _holder(self._bare, lambda below: below is self._router_layer)):
            holder.app = app.router
        if self._instrumentation is not None:
            self._instrumentation.uninstrument(app)
        app.middleware_stack = self._bare
        if self._before is _MISSING:
            del app.build_middleware_stack
        else:
            app.build_middleware_stack = self._before
        return True


def _holder(stack: Any, wanted: Callable[[Any], bool]) -> Any:
    """The layer right above the one that is wanted, or None; found by walking `.app`."""
    seen: set[int] = set()
    while stack is not None and id(stack) not in seen:
        seen.add(id(stack))
        below = getattr(stack, "app", None)
        if below is not None and wanted(below):
            return stack
        stack = below
    return None
