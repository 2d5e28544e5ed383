"""An instrumented app and what came of its requests: records in memory, spans in memory, a real server in a thread."""

import contextlib
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id

from logspan import Handle, Settings, instrument_app
from logspan.processors.enrich import Enrichers
from logspan.testing import InMemoryExporter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have httpx2, older ones know httpx alone
    from starlette.testclient import TestClient

__all__ = ["Seen", "TestClient", "Watched", "ids", "served", "serving", "watched"]


@dataclass(frozen=True)
class Seen:
    """One record, as a test looks at it; ids in hex."""

    body: Any
    scope: str
    event: str | None
    severity: str | None
    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass
class Watched:
    """An instrumented app with its exporters."""

    handle: Handle
    memory: InMemoryExporter
    spans: InMemorySpanExporter

    def records(self) -> list[Seen]:
        """Everything that was recorded so far."""
        assert self.handle.flush(30)
        return [_seen(record) for record in self.memory.records()]

    def requests(self) -> list[Seen]:
        """The requests' own records."""
        return [record for record in self.records() if record.scope == "logspan.request"]

    def logs(self) -> list[Seen]:
        """All other records."""
        return [record for record in self.records() if record.scope != "logspan.request"]

    def server_spans(self) -> list[ReadableSpan]:
        """The spans of requests that have ended."""
        return [span for span in self.spans.get_finished_spans() if span.kind is SpanKind.SERVER]


def _seen(record: Any) -> Seen:
    log = record.log_record
    return Seen(
        log.body,
        record.instrumentation_scope.name,
        log.event_name,
        log.severity_text,
        format_trace_id(log.trace_id),
        format_span_id(log.span_id),
        dict(log.attributes),
    )


@contextlib.contextmanager
def watched(app: Any, *, enrichers: Enrichers = (), resolver: Any = None, **settings: Any) -> Iterator[Watched]:
    """Instrument an app for the time of a test."""
    memory, spans = InMemoryExporter(), InMemorySpanExporter()
    settings.setdefault("filter", {"excluded_scopes": ["httpx", "httpcore", "asyncio"]})  # the test's own client
    handle = instrument_app(
        app, Settings(**settings), exporters={"memory": memory}, enrichers=enrichers, user_resolver=resolver
    )
    provider: Any = trace.get_tracer_provider()
    if settings.get("tracing", {}).get("instrumentation") != "off":
        provider.add_span_processor(SimpleSpanProcessor(spans))
    try:
        yield Watched(handle, memory, spans)
    finally:
        handle.uninstrument()


@contextlib.contextmanager
def served(app: Any, **options: Any) -> Iterator[int]:
    """Serve an app with real uvicorn, on a real socket; gives the port. Ends gracefully."""
    listener = socket.create_server(("127.0.0.1", 0))
    with serving(app, listener, **options):
        yield listener.getsockname()[1]


@contextlib.contextmanager
def serving(app: Any, listener: socket.socket, **options: Any) -> Iterator[uvicorn.Server]:
    """The same on a socket of any kind, which is closed; gives the server."""
    server = uvicorn.Server(uvicorn.Config(app, **{"log_config": None, **options}))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Trace id and span id of a span, in hex."""
    context = span.get_span_context()
    assert context is not None
    return format_trace_id(context.trace_id), format_span_id(context.span_id)
