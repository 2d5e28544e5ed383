"""R2.1: what opentelemetry-instrumentation-fastapi's own tests expect of an instrumented app still holds with logspan.

Their test applications were read for what they check: routes, parameters, custom routes that need the scope of a
middleware, mounts, hosts, hooks, excluded URLs, errors, metrics, headers, WebSockets, several apps. Each is checked
with the spans of contrib, put on by the user with the user's own hooks and settings, and with those of FastAPI.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket
from fastapi.routing import APIRoute
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, TraceFlags
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware

from logspan import Handle, Settings, instrument_app
from logspan.settings import FilterSettings
from logspan.testing import InMemoryExporter
from tests.fastapi.support import TestClient, Watched, ids
from tests.waiting import until

MODES = pytest.mark.parametrize("mode", ["native", "contrib"])
ROUTE, STATUS, METHOD = "http.route", "http.response.status_code", "http.request.method"


QUIET = Settings(filter=FilterSettings(excluded_scopes=["httpx", "httpcore", "asyncio"]))
"""Without what the test's own client says."""


class AddsToTheScope:
    """A middleware on which a route relies."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["added"] = True
        await self.app(scope, receive, send)


class RelyingRoute(APIRoute):
    """A route that looks at the scope when it is matched: whoever matches it again must have the same scope."""

    def matches(self, scope: Any) -> Any:
        assert scope["added"]
        return super().matches(scope)


def shop(**options: Any) -> FastAPI:
    app, child = FastAPI(**options), FastAPI(**options)
    relying = APIRouter(route_class=RelyingRoute)

    @child.get("/home")
    async def home() -> str:
        return "home"

    @app.get("/foobar")
    async def foobar() -> str:
        return "foobar"

    @app.get("/user/{username}")
    async def user(username: str) -> str:
        return username

    @app.get("/exclude/{param}")
    async def exclude(param: str) -> str:
        return param

    @app.get("/error")
    async def error() -> None:
        raise ValueError("unhandled")

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(lambda: trace.get_tracer("tests").start_span("in the background").end())
        return "later"

    @app.websocket("/ws/{room}")
    async def talk(socket: WebSocket, room: str) -> None:
        await socket.accept(headers=[(b"x-room", room.encode())])
        await socket.send_text(await socket.receive_text())
        await socket.close()

    @relying.get("/relying")
    async def relies() -> None:
        pass

    app.include_router(relying, prefix="/router")
    app.mount("/sub", child)
    app.host("other.example", child)
    app.add_middleware(HTTPSRedirectMiddleware)
    app.add_middleware(AddsToTheScope)
    return app


class Instrumented(Watched):
    """An app with spans, metrics and records."""

    app: FastAPI
    reader: InMemoryMetricReader

    def client(self, host: str = "testserver") -> TestClient:
        """Over https, as the app redirects all else."""
        return TestClient(self.app, base_url=f"https://{host}", raise_server_exceptions=False)

    def span(self) -> ReadableSpan:
        """The only span of a request."""
        (span,) = self.server_spans()
        return span

    def metric(self, name: str) -> list[Any]:
        """The data points of one instrument."""
        data = self.reader.get_metrics_data()
        found = [
            metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return [point for metric in found for point in metric.data.data_points]


@contextlib.contextmanager
def instrumented(mode: str, app: FastAPI | None = None, **of_contrib: Any) -> Iterator[Instrumented]:
    """The shop with spans and metrics of providers of its own; in mode `contrib` as a user of that puts them on."""
    spans, memory, reader = InMemorySpanExporter(), InMemoryExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    native = {"tracer_provider": tracers, "meter_provider": meters}
    app = app or (shop(telemetry=native) if mode == "native" else shop())
    if mode == "contrib":
        FastAPIInstrumentor.instrument_app(app, tracer_provider=tracers, meter_provider=meters, **of_contrib)
    handle = instrument_app(app, QUIET, exporters={"memory": memory})
    seen = Instrumented(handle, memory, spans)
    seen.app, seen.reader = app, reader
    try:
        yield seen
    finally:
        handle.uninstrument()
        if mode == "contrib":
            FastAPIInstrumentor.uninstrument_app(app)
        meters.shutdown()


@MODES
@pytest.mark.parametrize(
    ("path", "status", "route"),
    [
        ("/foobar", 200, "/foobar"),
        ("/user/123", 200, "/user/{username}"),
        ("/router/relying", 200, "/router/relying"),
        ("/nowhere", 404, None),
    ],
)
def test_routes(mode: str, path: str, status: int, route: str | None) -> None:
    """Name, kind and attributes of the span; the record has the same ids, and the same route."""
    with instrumented(mode) as seen:
        assert seen.client().get(path).status_code == status
        span, (record,) = seen.span(), seen.requests()
        attributes = dict(span.attributes or {})
        assert span.kind is SpanKind.SERVER
        assert attributes[METHOD] == record.attributes[METHOD] == "GET"
        assert attributes[STATUS] == record.attributes[STATUS] == status
        assert attributes.get(ROUTE) == record.attributes.get(ROUTE) == route
        assert (
            span.name == (f"GET {route}" if route else "GET" if mode == "native" else "GET /nowhere")[: len(span.name)]
        )
        assert ids(span) == (record.trace_id, record.span_id)


@MODES
def test_a_method_that_a_route_does_not_have(mode: str) -> None:
    """A partial match: 405, and the route is known."""
    with instrumented(mode) as seen:
        assert seen.client().post("/foobar").status_code == 405
        assert (seen.span().attributes or {}).get(ROUTE) == "/foobar"
        assert seen.requests()[0].attributes[ROUTE] == "/foobar"


@MODES
@pytest.mark.parametrize(("host", "path"), [("testserver", "/sub/home"), ("other.example", "/home")])
def test_applications_below(mode: str, host: str, path: str) -> None:
    """By mount and by host: one span and one record, with the path as the client wrote it."""
    with instrumented(mode) as seen:
        assert seen.client(host).get(path).json() == "home"
        (record,) = seen.requests()
        assert (seen.span().attributes or {})["url.path"] == record.attributes["url.path"] == path
        assert record.attributes["server.address"] == host
        assert ids(seen.span()) == (record.trace_id, record.span_id)


@MODES
def test_a_redirect_of_a_middleware(mode: str) -> None:
    """What never reaches a route is a request like any other."""
    with instrumented(mode) as seen:
        response = TestClient(seen.app).get("/foobar", follow_redirects=False)
        assert response.status_code == 307
        assert (seen.span().attributes or {})[STATUS] == 307
        assert seen.requests()[0].attributes[STATUS] == 307


@MODES
def test_an_unhandled_exception(mode: str) -> None:
    """The span is an error, the client gets a 500, and the exception is told once."""
    with instrumented(mode) as seen:
        assert seen.client().get("/error").status_code == 500
        span, (record,) = seen.span(), seen.records()
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})[STATUS] == 500
        assert record.attributes["exception.type"] == "ValueError"


@MODES
def test_what_a_background_task_traces_belongs_to_the_request(mode: str) -> None:
    """It is a part of the trace."""
    with instrumented(mode) as seen:
        tracing: Any = {"current": None}
        app = seen.app

        @app.get("/traced")
        async def traced(tasks: BackgroundTasks) -> None:
            tasks.add_task(lambda: tracing.update(current=trace.get_current_span().get_span_context().trace_id))

        seen.client().get("/traced")
        assert f"{tracing['current']:032x}" == seen.requests()[0].trace_id


@MODES
def test_metrics(mode: str) -> None:
    """Duration by route, and the number of requests that are being handled, which comes back to zero."""
    with instrumented(mode) as seen:
        for path in ("/user/a", "/user/b", "/foobar", "/error"):
            seen.client().get(path)
        points = seen.metric("http.server.request.duration")
        counted = {(point.attributes[ROUTE], point.attributes[STATUS]): point.count for point in points}
        assert counted == {("/user/{username}", 200): 2, ("/foobar", 200): 1, ("/error", 500): 1}
        assert sum(point.value for point in seen.metric("http.server.active_requests")) == 0
        assert len(seen.requests()) == 4


def test_hooks_of_contrib() -> None:
    """`server_request_hook`, `client_request_hook` and `client_response_hook` are called, once, with span and scope."""
    called: list[tuple[str, str]] = []

    def server(span: Any, scope: Any) -> None:
        span.set_attribute("from.hook", "yes")
        called.append(("server", scope["path"]))

    def request(span: Any, scope: Any, message: Any) -> None:
        called.append(("request", message["type"]))

    def response(span: Any, scope: Any, message: Any) -> None:
        called.append(("response", message["type"]))

    hooks = {"server_request_hook": server, "client_request_hook": request, "client_response_hook": response}
    app = shop()
    app.post("/body")(lambda body: None)
    with instrumented("contrib", app, **hooks) as seen:
        seen.client().post("/body", params={"body": "x"})
        assert (seen.span().attributes or {})["from.hook"] == "yes"
        assert called.count(("server", "/body")) == 1
        assert [kind for who, kind in called if who == "response"] == ["http.response.start", "http.response.body"]
        assert ids(seen.span()) == (seen.requests()[0].trace_id, seen.requests()[0].span_id)


def test_hooks_that_fail() -> None:
    """What a hook raises is contrib's to decide on; a request has its record whatever that is."""

    def server(span: Any, scope: Any) -> None:
        raise RuntimeError("hook")

    with instrumented("contrib", server_request_hook=server) as seen:
        status = seen.client().get("/foobar").status_code
        (record,) = seen.requests()
        assert record.attributes[STATUS] == status


def test_urls_that_contrib_excludes() -> None:
    """No span, no metrics; the record is ours to decide on."""
    with instrumented("contrib", excluded_urls="/user/123,/foobar") as seen:
        for path in ("/user/123", "/foobar", "/user/124"):
            assert seen.client().get(path).status_code == 200
        assert [(span.attributes or {})["url.path"] for span in seen.server_spans()] == ["/user/124"]
        records = {record.attributes["url.path"]: record for record in seen.requests()}
        assert list(records) == ["/user/123", "/foobar", "/user/124"]
        assert {records[path].trace_id for path in ("/user/123", "/foobar")} == {"0" * 32}


def test_what_fastapi_excludes() -> None:
    """`telemetry={"exclude": ...}`: likewise."""
    spans = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = {"tracer_provider": tracers, "exclude": lambda scope: scope["path"].startswith("/exclude/")}
    app, memory = shop(telemetry=telemetry), InMemoryExporter()
    handle = instrument_app(app, QUIET, exporters={"memory": memory})
    seen = Instrumented(handle, memory, spans)
    seen.app = app
    for path in ("/exclude/123", "/foobar"):
        assert seen.client().get(path).status_code == 200
    assert len(seen.server_spans()) == 1
    assert [record.attributes["url.path"] for record in seen.requests()] == ["/exclude/123", "/foobar"]
    handle.uninstrument()


def test_headers_that_contrib_captures() -> None:
    """Its own allow-lists go on working, on its spans."""
    options: dict[str, Any] = {
        "http_capture_headers_server_request": ["x-tenant"],
        "http_capture_headers_server_response": ["content-type"],
        "http_capture_headers_sanitize_fields": ["x-secret"],
    }
    with instrumented("contrib", **options) as seen:
        seen.client().get("/foobar", headers={"x-tenant": "a"})
        attributes = seen.span().attributes or {}
        assert attributes["http.request.header.x_tenant"] == ("a",)
        assert attributes["http.response.header.content_type"] == ("application/json",)


@MODES
def test_websockets(mode: str) -> None:
    """One server span for the connection, by the template of its route; headers of the accept reach the client."""
    with instrumented(mode) as seen:
        with TestClient(seen.app).websocket_connect("wss://testserver/ws/blue") as socket:
            socket.send_text("x")
            assert socket.receive_text() == "x"
            accepted: Any = socket.extra_headers
            assert (b"x-room", b"blue") in accepted
        (record,) = seen.requests()
        assert (seen.span().attributes or {})[ROUTE] == record.attributes[ROUTE] == "/ws/{room}"
        assert ids(seen.span()) == (record.trace_id, record.span_id)


@MODES
def test_spans_that_are_not_recorded(mode: str) -> None:
    """A sampler that drops them: the record has their ids all the same, and the flag that says so."""
    tracers = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    app, memory = shop(telemetry={"tracer_provider": tracers}) if mode == "native" else shop(), InMemoryExporter()
    if mode == "contrib":
        FastAPIInstrumentor.instrument_app(app, tracer_provider=tracers)
    with instrument_app(app, QUIET, exporters={"memory": memory}) as handle:
        TestClient(app, base_url="https://testserver").get("/user/a")
        seen = Watched(handle, memory, InMemorySpanExporter())
        assert int(seen.requests()[0].trace_id, 16)
        assert seen.requests()[0].attributes[ROUTE] == "/user/{username}"
        assert not (memory.records()[0].log_record.trace_flags or TraceFlags(0)).sampled
    FastAPIInstrumentor.uninstrument_app(app)


@MODES
def test_an_app_that_is_let_go_is_collected(mode: str) -> None:
    """Nothing of ours keeps it once it is uninstrumented."""

    def made() -> weakref.ref[FastAPI]:
        with instrumented(mode) as seen:
            seen.client().get("/foobar")
            return weakref.ref(seen.app)

    app = made()
    until(lambda: gc.collect() >= 0 and app() is None)


@MODES
def test_two_apps_keep_their_providers(mode: str) -> None:
    """Spans and records of each go where its own are."""
    with instrumented(mode) as first, instrumented(mode) as second:
        first.client().get("/user/first")
        second.client().get("/user/second")
        for seen, name in ((first, "first"), (second, "second")):
            assert (seen.span().attributes or {})["url.path"] == f"/user/{name}"
            assert [record.attributes["url.path"] for record in seen.requests()] == [f"/user/{name}"]


def test_telemetry_that_is_switched_off_stays_off() -> None:
    """`FastAPI(telemetry=False)` or its parts: no span and no metric; the record is made."""
    app, memory = shop(telemetry={"tracing": False, "metrics": False, "logs": False}), InMemoryExporter()
    spans = InMemorySpanExporter()
    handle: Handle = instrument_app(app, QUIET, exporters={"memory": memory})
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    assert isinstance(metrics.get_meter_provider(), metrics.MeterProvider)
    seen = Instrumented(handle, memory, spans)
    seen.app = app
    seen.client().get("/foobar")
    seen.client().get("/error")
    assert seen.server_spans() == []
    assert [record.attributes[STATUS] for record in seen.requests()] == [200, 500]
    assert len(seen.records()) == 2
    handle.uninstrument()
