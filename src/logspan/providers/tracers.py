"""The tracer provider that stands in the OTel global: it can be pointed elsewhere, the global cannot be set again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    NoOpTracerProvider,
    Span,
    SpanKind,
    Tracer,
    TracerProvider,
    use_span,
)

from logspan.providers.routed import Routes


class DelegatingTracerProvider(TracerProvider):
    """Hands each span to the tracer provider of its pipeline; tracers that were handed out earlier follow."""

    def __init__(self) -> None:
        self._routes: Routes[TracerProvider] = Routes(NoOpTracerProvider())
        self.point = self._routes.point
        self.unpoint = self._routes.unpoint
        self.target: Callable[[], TracerProvider] = self._routes.target

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> Tracer:
        """A tracer that asks for its provider at each span."""
        return _DelegatingTracer(
            self, (instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        )

    def __getattr__(self, name: str) -> Any:
        """What only the SDK's provider has (`add_span_processor`, `resource`): that of the target."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.target(), name)


class _DelegatingTracer(Tracer):
    def __init__(self, provider: DelegatingTracerProvider, arguments: tuple[Any, ...]) -> None:
        self._provider = provider
        self._arguments = arguments
        self._known: tuple[TracerProvider, Tracer] | None = None

    def _tracer(self) -> Tracer:
        target, known = self._provider.target(), self._known
        if known is not None and known[0] is target:
            return known[1]
        tracer = target.get_tracer(*self._arguments)
        self._known = (target, tracer)
        return tracer

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002
    ) -> Span:
        """Start a span with the target's tracer."""
        return self._tracer().start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )

    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = (),
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002
        end_on_exit: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:
        """The same, as the current span; also as a decorator of a function or a coroutine function."""

        def start() -> AbstractContextManager[Span]:
            """What the SDK's own does, with one context manager less."""
            span = self._tracer().start_span(
                name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
            return use_span(span, end_on_exit, record_exception, set_status_on_exception)

        return _CurrentSpan(start)


class _CurrentSpan:
    """Asks for the tracer when it is entered: a decorator is applied long before there is anything to trace."""

    def __init__(self, start: Callable[[], AbstractContextManager[Span]]) -> None:
        self._start = start

    def __enter__(self) -> Span:
        self._span = self._start()
        return self._span.__enter__()

    def __exit__(self, *error: object) -> Any:
        return self._span.__exit__(*error)  # type: ignore[arg-type]

    def __call__(self, function: Any) -> Any:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced(*args: Any, **kwargs: Any) -> Any:
                with self._start():
                    return await function(*args, **kwargs)
        else:

            @functools.wraps(function)
            def traced(*args: Any, **kwargs: Any) -> Any:
                with self._start():
                    return function(*args, **kwargs)

        return traced
