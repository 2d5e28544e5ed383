"""The tracer provider that stands in the OTel global: it can be pointed elsewhere, the global cannot be set again."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    NoOpTracerProvider,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    set_span_in_context,
)

from logspan.providers.routed import Routes


class DelegatingTracerProvider(TracerProvider):
    """Hands each span to the tracer provider of its pipeline; tracers that were handed out earlier follow."""

    def __init__(self) -> None:
        self._routes: Routes[TracerProvider] = Routes(NoOpTracerProvider())
        self.point = self._routes.point
        self.unpoint = self._routes.unpoint

    def target(self) -> TracerProvider:
        """The provider for a span that is started here and now."""
        return self._routes.target()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> Tracer:
        """A tracer that asks for its provider at each span."""
        return _DelegatingTracer(
            self._routes, (instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        )

    def __getattr__(self, name: str) -> Any:
        """What only the SDK's provider has (`add_span_processor`, `resource`): that of the target."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.target(), name)


class _DelegatingTracer(Tracer):
    def __init__(self, routes: Routes[TracerProvider], arguments: tuple[Any, ...]) -> None:
        self._routes = routes
        self._arguments = arguments
        self._known: tuple[TracerProvider, Tracer] | None = None

    def real(self) -> Tracer:
        """The target's tracer."""
        target, known = self._routes.target(), self._known
        if known is None or known[0] is not target:
            known = self._known = (target, target.get_tracer(*self._arguments))
        return known[1]

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
        return self.real().start_span(
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
        arguments = (name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception)
        return _CurrentSpan(self, arguments, end_on_exit)


class _CurrentSpan:
    """A span that is current while this is entered, and ended after that, by the rules of OTel's `use_span`.

    Asks for the tracer when it is entered: a decorator is applied long before there is anything to trace.
    """

    __slots__ = ("_arguments", "_end_on_exit", "_span", "_token", "_tracer")

    def __init__(self, tracer: _DelegatingTracer, arguments: tuple[Any, ...], end_on_exit: bool) -> None:  # noqa: FBT001
        self._tracer = tracer
        self._arguments = arguments
        self._end_on_exit = end_on_exit

    def __enter__(self) -> Span:
        self._span = span = self._tracer.real().start_span(*self._arguments)
        self._token = attach(set_span_in_context(span))
        return span

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        detach(self._token)
        try:
            if error is not None:
                self._failed(error)
        finally:
            if self._end_on_exit:
                self._span.end()

    def _failed(self, error: BaseException) -> None:
        *_, record_exception, set_status_on_exception = self._arguments
        if not isinstance(error, Exception) or not self._span.is_recording():
            return
        if record_exception:
            self._span.record_exception(error)
        if set_status_on_exception:
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))

    def __call__(self, function: Any) -> Any:
        again = functools.partial(_CurrentSpan, self._tracer, self._arguments, self._end_on_exit)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return await function(*args, **kwargs)
        else:

            @functools.wraps(function)
            def traced(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return function(*args, **kwargs)

        return traced
