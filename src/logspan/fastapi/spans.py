"""Who makes the request spans: exactly one, or nobody."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Literal

from logspan.errors import InstrumentationError

Choice = Literal["native", "contrib", "kept", "off"]

_STABLE = "OTEL_SEMCONV_STABILITY_OPT_IN"
_MIDDLEWARE = ("opentelemetry.instrumentation.asgi", "OpenTelemetryMiddleware")


def choose(app: Any, wanted: Literal["auto", "native", "contrib", "off"]) -> Choice:
    """Who makes the spans of an app: `kept` is an opentelemetry-instrumentation-fastapi that is there already.

    FastAPI's own telemetry needs no more than a tracer provider, and steps aside for that one. Raises
    `InstrumentationError` when what is asked for is not to be had.
    """
    if wanted == "off":
        return "off"
    if _has_contrib(app):
        return "kept"
    if wanted in ("auto", "native") and _has_native(app):
        return "native"
    if wanted == "native":
        raise InstrumentationError("tracing.instrumentation=native needs a FastAPI app, and FastAPI 0.142 or later")
    if _is_fastapi(app) and find_spec("opentelemetry.instrumentation.fastapi"):
        return "contrib"
    if wanted == "contrib":
        raise InstrumentationError(
            "tracing.instrumentation=contrib needs a FastAPI app, and opentelemetry-instrumentation-fastapi"
        )
    return "off"


def _is_fastapi(app: Any) -> bool:
    if find_spec("fastapi") is None:
        return False
    from fastapi import FastAPI

    return isinstance(app, FastAPI)


def _has_native(app: Any) -> bool:
    return _is_fastapi(app) and find_spec("fastapi.telemetry") is not None


def _has_contrib(app: Any) -> bool:
    """Whether requests pass its middleware: what counts is the stack, or the promise where there is none yet."""
    stack = app.middleware_stack
    if stack is None:
        return bool(vars(app).get("_is_instrumented_by_opentelemetry", False))
    seen: set[int] = set()
    while stack is not None and id(stack) not in seen:
        seen.add(id(stack))
        if (type(stack).__module__, type(stack).__name__) == _MIDDLEWARE:
            return True
        stack = getattr(stack, "app", None)
    return False


class Contrib:
    """opentelemetry-instrumentation-fastapi: one span for each request, by the stable HTTP conventions.

    The conventions are chosen by an environment variable alone, once in a process: it is set while it is unset.
    `on_span(span, scope)` is called with the span of each request. `others` tells whether another app is instrumented
    in the same way: what contrib has patched for the whole process stays as long.
    """

    def __init__(self, on_span: Any, others: Callable[[], bool]) -> None:
        self._on_span = on_span
        self._others = others
        self._chose_conventions = False

    def instrument(self, app: Any) -> None:
        """Instrument one app."""
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        if _STABLE not in os.environ:
            os.environ[_STABLE] = "http"
            self._chose_conventions = True
        FastAPIInstrumentor.instrument_app(app, server_request_hook=self._on_span, exclude_spans=["receive", "send"])

    def uninstrument(self, app: Any) -> None:
        """Take that back."""
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from starlette.background import BackgroundTask

        patched = dict(vars(BackgroundTask))
        FastAPIInstrumentor.uninstrument_app(app)
        if self._others():
            _put_back(BackgroundTask, patched)

    def restore_environment(self) -> None:
        """Unset the variable again, if it is still as it was set here."""
        if self._chose_conventions and os.environ.get(_STABLE) == "http":
            del os.environ[_STABLE]


def _put_back(kind: type, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if vars(kind).get(name) is not value:
            setattr(kind, name, value)
