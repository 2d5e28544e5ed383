"""FastAPI in one line: `instrument_app(app)`."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import get_logger_provider

from logspan.errors import InstrumentationError
from logspan.fastapi.client import Proxies
from logspan.fastapi.content import ContentTypes
from logspan.fastapi.identification import Identification, UserResolver
from logspan.fastapi.layers import Edge, RequestLayer, RouteLayer
from logspan.fastapi.options import Options, RequestConfig, header_names
from logspan.fastapi.record import SCOPE_NAME
from logspan.fastapi.request import CURRENT
from logspan.fastapi.servers import claims_native_exception, repeats_request, strays
from logspan.fastapi.spans import Contrib, choose
from logspan.fastapi.stack import Stack
from logspan.install import Handle, disabled, install, process_signals, process_sources
from logspan.notices import Notices
from logspan.propagation import propagate_request_ids
from logspan.providers import DelegatingLoggerProvider, install_providers

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import LogRecordExporter

    from logspan.pipeline import Pipeline
    from logspan.processors.enrich import Enrichers
    from logspan.settings import Settings

__all__ = ["end_of_lifespan", "handle_of", "instrument_app"]

_HANDLE = "logspan_handle"
_LOOK = 0.01
"""Seconds."""


def instrument_app(
    app: Any,
    settings: Settings | None = None,
    *,
    pipeline: Pipeline | None = None,
    exporters: Mapping[str, LogRecordExporter] | Sequence[LogRecordExporter] | None = None,
    enrichers: Enrichers = (),
    user_resolver: UserResolver | None = None,
) -> Handle:
    """Send all logs of a FastAPI app through a pipeline, with a record and a span for each request.

    A Starlette app has the records; its spans are those that somebody else makes.

    Call it anywhere: before or after routes are added, inside the lifespan, when requests have been served. A second
    call for the same app returns the same handle. `pipeline` is one made with `build_pipeline`, or that of another app;
    it is shut down when the last of its apps is undone. `exporters` stand in for those that the settings name, and
    `enrichers` add to each record, see `enricher`: neither goes with a `pipeline`, which has its own.
    `user_resolver` tells who makes a request, see the guide.

    A request's record has the severity ERROR for a status of 500 and above and for an unhandled exception, whose stack
    trace it carries; INFO for all others, 4xx included: those are mistakes of the client.

    Raises `InstrumentationError` for what is not an app, for exporters or enrichers beside a pipeline, or when the
    spans that are asked for are not to be had, and `SettingsError` for settings that are wrong.
    """
    from logspan.settings import given_settings

    _check(app)
    known = handle_of(app)
    if known is not None:
        return known
    settings = given_settings(settings)
    if settings.sdk_disabled:
        return disabled(settings)
    identification = Identification.of(settings, user_resolver)
    spans = choose(app, settings.tracing.instrumentation)
    if pipeline is not None:
        _check_shared(pipeline, exporters, enrichers)
    else:
        from logspan.assemble import build_pipeline

        pipeline = build_pipeline(settings, exporters=exporters, enrichers=enrichers)
    handle = install(pipeline, settings, exporters=exporters)
    if not handle.shared.among_several:
        handle.add_companion(install_providers(pipeline, settings))
    if identification.propagate:
        handle.add_undo(propagate_request_ids())
    edge = Edge(_config(app, pipeline, settings, identification), handle.started, end_of_lifespan(handle), spans)
    handle.may_end_without_lifespan = True
    _watch(app, edge, handle)
    return handle


def handle_of(app: Any) -> Handle | None:
    """The handle of an app that is instrumented."""
    known = vars(app).get(_HANDLE)
    return known if isinstance(known, Handle) else None


def _check(app: Any) -> None:
    if _is_app(app):
        return
    wrapped = " It wraps one as `.app`: instrument that." if _is_app(getattr(app, "app", None)) else ""
    given = f"the class {app.__name__}" if isinstance(app, type) else type(app).__name__
    raise InstrumentationError(f"instrument_app needs a FastAPI or Starlette app, not {given}.{wrapped}")


def _is_app(thing: object) -> bool:
    return all(hasattr(thing, name) for name in ("build_middleware_stack", "middleware_stack", "router"))


def _check_shared(pipeline: object, exporters: object, enrichers: Enrichers) -> None:
    """Whether a pipeline that is given is one, and comes without what it has of its own already."""
    if not hasattr(pipeline, "logger_provider"):
        made = "one that build_pipeline has made, or the `.pipeline` of another app's handle"
        raise InstrumentationError(f"pipeline must be {made}, not a {type(pipeline).__name__}")
    for name, given in (("exporters", exporters is not None), ("enrichers", bool(enrichers))):
        if given:
            raise InstrumentationError(f"{name} go to the build_pipeline that made the pipeline; it has its own")


def _config(app: Any, pipeline: Pipeline, settings: Settings, identification: Identification) -> RequestConfig:
    header = settings.tracing.response_header
    chosen = settings.request
    return RequestConfig(
        provider=pipeline.logger_provider,
        scope=getattr(pipeline.logger_provider.get_logger(SCOPE_NAME), "instrumentation_scope", None),
        routes=lambda: app.routes,
        options=Options(
            record=chosen.record,
            slow_threshold=chosen.slow_threshold,
            request_headers=header_names(chosen.request_headers),
            response_headers=header_names(chosen.response_headers),
            request_body=chosen.request_body,
            response_body=chosen.response_body,
            body_size=chosen.body_size,
        ),
        excluded_paths=frozenset(chosen.excluded_paths),
        excluded_prefixes=tuple(path[:-1] for path in chosen.excluded_paths if path.endswith("*")),
        header=header.lower().encode("latin-1") if header else None,
        proxies=Proxies.named(chosen.trusted_proxies, chosen.forwarded_header),
        known_methods=frozenset(chosen.known_methods),
        content_types=ContentTypes.named(chosen.body_content_types),
        identification=identification,
    )


def _watch(app: Any, edge: Edge, handle: Handle) -> None:
    """Put the layers on, and have the handle take them off again."""
    handle.spans = edge.spans
    contrib = Contrib(_saw_span, lambda: _another_has_contrib(handle)) if edge.spans == "contrib" else None
    stack = Stack(
        app,
        lambda below, outermost, layered: RequestLayer(below, edge, outermost=outermost, layered=layered),
        lambda below: RouteLayer(below, edge),
        contrib,
        transparent=edge.spans in ("native", "contrib"),  # else the span is seen from below only
    )
    stack.put_on()
    vars(app)[_HANDLE] = handle

    def take_off() -> None:
        edge.active = False
        vars(app).pop(_HANDLE, None)
        stack.take_off()
        if contrib is not None:
            contrib.restore_environment()

    handle.add_undo(take_off)
    _drop_repetitions(handle)


def _another_has_contrib(handle: Handle) -> bool:
    others = (other for other in process_sources().holders if other is not handle)
    return any(isinstance(other, Handle) and other.spans == "contrib" for other in others)


def _drop_repetitions(handle: Handle) -> None:
    """Have one record of each request and of each exception, whoever else would make one."""
    handle.add_undo(process_sources().add_request_source(repeats_request, strays))
    provider = get_logger_provider()
    if isinstance(provider, DelegatingLoggerProvider):
        handle.add_undo(provider.add_claim(claims_native_exception))


def _saw_span(span: Any, scope: Any) -> None:
    del scope
    request = CURRENT.get()
    if request is not None:
        request.saw_span(span)


def end_of_lifespan(handle: Handle) -> Callable[[], Awaitable[None]]:
    """What the lifespan's end waits for, beside the event loop: a flush. What comes after it is delivered at once."""

    async def end() -> None:
        handle.patience.renew_when_rested()
        try:
            with process_signals().draining(), handle.patience.waiting():
                await _flush_beside_the_loop(handle)
        except Exception as error:
            Notices().say("lifespan", f"the flush at the end of the lifespan failed: {type(error).__name__}")
        finally:
            handle.over()

    return end


async def _flush_beside_the_loop(handle: Handle) -> None:
    """Looks at the time again and again, as a signal may cut what is left of it."""
    from anyio import sleep

    over = threading.Event()

    def flush() -> None:
        try:
            handle.flush(handle.patience.left())
        finally:
            over.set()

    threading.Thread(target=flush, name="logspan-flush", daemon=True).start()
    while not over.is_set() and handle.patience.left() > 0:  # noqa: ASYNC110 - a thread sets it, a signal cuts the time
        await sleep(_LOOK)
