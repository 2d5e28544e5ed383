"""R2.1, R2.2, R2.3: one record for each request, with the ids of its span; what is logged in it carries them too."""

import asyncio
import contextlib
import dataclasses
import gc
import logging
import weakref
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from blockbuster import blockbuster_ctx
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from opentelemetry.sdk._logs import LogRecordProcessor
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.websockets import WebSocketDisconnect

from logspan import bind, get_logger
from logspan.context import current_request
from logspan.pipeline import UnredactedProcessorWarning
from tests.fastapi.support import TestClient, Watched, ids, watched
from tests.waiting import until

logger = logging.getLogger("tests.shop")

MODES = pytest.mark.parametrize("mode", ["native", "contrib"])


def shop() -> FastAPI:
    app = FastAPI()
    orders = APIRouter(prefix="/orders")

    @orders.get("/{order_id}")
    async def order(order_id: int) -> dict[str, int]:
        logger.info("order %d read", order_id)
        return {"order_id": order_id}

    @app.get("/sync/{name}")
    def sync(name: str) -> str:
        logger.info("sync %s", name)
        return name

    @app.get("/boom")
    async def boom() -> None:
        raise ValueError("it broke")

    @app.get("/handled")
    async def handled() -> None:
        try:
            raise KeyError("x")
        except KeyError:
            logger.exception("handled")
            raise HTTPException(409) from None

    @app.get("/unavailable")
    async def unavailable() -> None:
        raise HTTPException(503)

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> None:
        tasks.add_task(logger.info, "from the background")

    @app.get("/bound")
    async def bound() -> None:
        bind(order_id=42)
        logger.info("bound")

    @app.get("/own-header")
    async def own_header() -> PlainTextResponse:
        return PlainTextResponse("", headers={"X-Trace-Id": "mine"})

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for number in range(3):
                logger.info("part %d", number)
                yield "x"

        return StreamingResponse(parts())

    app.include_router(orders, prefix="/v1")
    return app


def client(app: Any) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


@MODES
def test_a_request_has_one_record_with_the_ids_of_its_span(mode: str) -> None:
    """R2.1, R2.2: method, route, path, status and duration; the header, the span, the logs: all of one trace."""
    app = shop()
    with watched(app, tracing={"instrumentation": mode}) as seen:
        response = client(app).get("/v1/orders/7?page=2")
        (span,) = seen.server_spans()
        (request,), (log,) = seen.requests(), seen.logs()
        assert (request.trace_id, request.span_id) == ids(span)
        assert log.trace_id == response.headers["x-trace-id"] == request.trace_id
        assert request.event == "http.server.request"
        assert request.severity == "INFO"
        duration = request.attributes.pop("http.server.request.duration")
        assert request.attributes.pop("http.request.id") == response.headers["x-request-id"]
        assert 0 < request.attributes.pop("logspan.request.time_to_first_byte") <= duration < 10
        assert request.body == f"GET /v1/orders/{{order_id}} 200 {duration * 1000:.1f} ms"
        assert request.attributes == {
            "http.request.method": "GET",
            "http.route": "/v1/orders/{order_id}",
            "url.path": "/v1/orders/7",
            "url.query": "page=2",
            "url.scheme": "http",
            "http.response.status_code": 200,
            "http.response.body.size": len(response.content),
            "client.address": "testclient",
            "client.port": 50000,
            "server.address": "testserver",
            "server.port": 80,
            "user_agent.original": "testclient",
            "network.protocol.version": "1.1",
            "logspan.request.outcome": "ok",
        }
        assert span.attributes is not None
        assert span.attributes["http.route"] == request.attributes["http.route"]
        assert span.attributes["http.response.status_code"] == 200


@MODES
def test_a_traceparent_is_continued(mode: str) -> None:
    """R2.1: the trace of the caller goes on, on the records and in the response header."""
    app = shop()
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with watched(app, tracing={"instrumentation": mode}) as seen:
        response = client(app).get("/sync/a", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
        assert response.headers["x-trace-id"] == trace_id
        assert {record.trace_id for record in seen.records()} == {trace_id}


@MODES
@pytest.mark.parametrize(
    ("path", "status", "severity", "error"),
    [
        ("/nowhere", 404, "INFO", None),
        ("/v1/orders/no-number", 422, "INFO", None),
        ("/handled", 409, "INFO", None),
        ("/unavailable", 503, "ERROR", "503"),
        ("/boom", 500, "ERROR", "ValueError"),
    ],
)
def test_every_status_has_its_record_and_its_header(
    mode: str, path: str, status: int, severity: str, error: str | None
) -> None:
    """R2.2: an error of the service is an ERROR and has `error.type`, a mistake of the client has neither."""
    app = shop()
    with watched(app, tracing={"instrumentation": mode}) as seen:
        response = client(app).get(path)
        (request,) = seen.requests()
        assert response.status_code == request.attributes["http.response.status_code"] == status
        assert request.severity == severity
        assert request.attributes.get("error.type") == error
        assert response.headers["x-trace-id"] == request.trace_id


@MODES
@pytest.mark.parametrize("handler", [False, True])
def test_an_unhandled_exception_is_one_record_with_its_stack_trace(mode: str, handler: bool) -> None:
    """R2.2: FastAPI's own record of it is not made as well, with or without a handler for 500."""
    app = shop()
    if handler:

        @app.exception_handler(Exception)
        async def explain(request: Request, error: Exception) -> PlainTextResponse:
            return PlainTextResponse("sorry", status_code=500)

    with watched(app, tracing={"instrumentation": mode}) as seen:
        response = client(app).get("/boom")
        (record,) = seen.records()
        assert record.event == "http.server.request"
        assert record.attributes["exception.type"] == "ValueError"
        assert record.attributes["exception.message"] == "it broke"
        assert "in boom" in record.attributes["exception.stacktrace"]
        assert record.trace_id == response.headers["x-trace-id"]
        assert response.text == ("sorry" if handler else "Internal Server Error")


@MODES
@pytest.mark.parametrize("path", ["/sync/a", "/handled", "/background", "/stream"])
def test_whatever_is_logged_in_a_request_has_its_trace(mode: str, path: str) -> None:
    """R2.1, R2.3: in a worker thread, a handler, a background task, a streamed response."""
    app = shop()
    with watched(app, tracing={"instrumentation": mode}) as seen:
        response = client(app).get(path)
        assert seen.logs()
        assert {record.trace_id for record in seen.records()} == {response.headers["x-trace-id"]}
        assert len(seen.requests()) == 1


def test_what_an_endpoint_binds_is_on_its_request_and_on_no_later_one() -> None:
    """R2.3: bound attributes end with the request."""
    app = shop()
    with watched(app) as seen:
        client(app).get("/bound")
        client(app).get("/sync/a")
        assert [record.attributes.get("order_id") for record in seen.requests()] == [42, None]


def test_what_is_bound_behind_a_base_http_middleware_is_on_the_request_too() -> None:
    """R2.3: Starlette's `BaseHTTPMiddleware` runs the endpoint in a context of its own."""
    app = shop()

    @app.middleware("http")
    async def copied(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    with watched(app) as seen:
        client(app).get("/bound")
        client(app).get("/sync/a")
        assert [record.attributes.get("order_id") for record in seen.requests()] == [42, None]


@MODES
async def test_concurrent_requests_never_mix(mode: str) -> None:
    """R2.3: 40 requests that wait for one another keep their ids and what they bound."""
    app = FastAPI()
    arrived = asyncio.Barrier(40)

    @app.get("/{name}")
    async def meet(name: str) -> None:
        bind(name=name)
        get_logger("first").info("first", own=name)
        await arrived.wait()
        logger.info("second", extra={"own": name})

    with watched(app, tracing={"instrumentation": mode}) as seen:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web:
            responses = await asyncio.gather(*(web.get(f"/{number}") for number in range(40)))
        traces = {str(number): response.headers["x-trace-id"] for number, response in enumerate(responses)}
        assert len(set(traces.values())) == 40
        assert len(seen.records()) == 120
        for record in seen.records():
            assert record.trace_id == traces[record.attributes["name"]]
            assert record.attributes.get("own") in (None, record.attributes["name"])


@MODES
async def test_nothing_blocks_the_event_loop(mode: str) -> None:
    """R3.1: no file, socket, sleep or lock of ours holds up the loop."""
    app = shop()
    with watched(app, tracing={"instrumentation": mode}) as seen:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as web:
            await web.get("/v1/orders/1")  # what is imported or built at the first request is the start's business
            with blockbuster_ctx():
                for path in ("/v1/orders/2", "/boom", "/handled", "/stream", "/background"):
                    await web.get(path)
        assert await asyncio.to_thread(seen.requests)


def test_paths_that_are_excluded_have_no_record_unless_they_fail() -> None:
    """R2.2: by name, or by the beginning when the name ends in a star."""
    app = shop()
    with watched(app, request={"excluded_paths": ["/sync/*", "/boom"]}) as seen:
        for path in ("/sync/a", "/boom", "/v1/orders/1"):
            client(app).get(path)
        assert [record.attributes["url.path"] for record in seen.requests()] == ["/boom", "/v1/orders/1"]


def test_without_request_records_the_rest_goes_on() -> None:
    """R2.2: no record, but ids and header; the exception is told of by others then."""
    app = shop()
    with watched(app, request={"record": False}) as seen:
        response = client(app).get("/boom")
        assert seen.requests() == []
        (record,) = seen.logs()
        assert (record.scope, record.event) == ("fastapi", "http.server.request.exception")
        assert record.trace_id == response.headers["x-trace-id"]


def test_the_header_can_be_renamed_and_left_out_and_gives_way_to_the_apps_own() -> None:
    """R2.1: `tracing.response_header`."""
    app = shop()
    with watched(app, tracing={"response_header": "Trace"}):
        assert len(client(app).get("/sync/a").headers["trace"]) == 32
    with watched(app, tracing={"response_header": None}):
        assert "x-trace-id" not in client(app).get("/sync/a").headers
    with watched(app):
        assert client(app).get("/own-header").headers.get_list("x-trace-id") == ["mine"]


@MODES
def test_a_websocket_has_one_record(mode: str) -> None:
    """R2.2: its records carry the trace of the connection; a client that leaves is no error."""
    app = FastAPI()

    @app.websocket("/ws/{name}")
    async def talk(socket: WebSocket, name: str) -> None:
        await socket.accept()
        while True:
            logger.info("got %s", await socket.receive_text())

    @app.websocket("/broken")
    async def broken(socket: WebSocket) -> None:
        await socket.accept()
        raise ValueError("no more")

    with watched(app, tracing={"instrumentation": mode}) as seen:
        with contextlib.suppress(WebSocketDisconnect), client(app).websocket_connect("/ws/a") as socket:
            socket.send_text("hello")
        with pytest.raises(ValueError, match="no more"), client(app).websocket_connect("/broken") as socket:
            socket.receive_text()
        first, second = seen.requests()
        assert first.body.startswith("WS /ws/{name} 101 ")
        assert first.event == "websocket.server.connection"
        assert (first.severity, second.severity) == ("INFO", "ERROR")
        assert "exception.stacktrace" in second.attributes
        assert seen.logs()[0].trace_id == first.trace_id
        assert len(seen.records()) == 3


def test_a_plain_starlette_app_has_request_records() -> None:
    """R2.2: what is said of FastAPI goes for Starlette, but for the spans."""

    async def hello(request: Request) -> PlainTextResponse:
        logger.info("hello")
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/hello/{name}", hello)])
    with watched(app) as seen:
        assert client(app).get("/hello/a").text == "hello"
        (request,) = seen.requests()
        assert request.attributes["http.route"] == "/hello/{name}"


class _Hostile:
    """Breaks everything that looks at it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("hostile")


def test_a_failure_of_ours_never_changes_a_response(capsys: pytest.CaptureFixture[str]) -> None:
    """R10.2: the request is served as if we were not there, and standard error says what failed."""
    app = shop()
    with watched(app) as seen:
        layer: Any = app.build_middleware_stack()
        layer.edge.config = dataclasses.replace(layer.edge.config, provider=_Hostile())
        response = client(app).get("/sync/a")
        assert (response.status_code, response.json()) == (200, "a")
        assert client(app).get("/boom").status_code == 500
        assert seen.requests() == []


def test_two_apps_in_one_process_keep_to_their_pipelines() -> None:
    """R2.3: records and background work of a request go to its own app's pipeline, others to the first."""
    first_app, second_app = shop(), shop()
    with watched(first_app) as first, watched(second_app) as second:
        client(second_app).get("/background")
        client(first_app).get("/sync/a")
        logger.warning("outside")
        assert {record.body for record in second.logs()} == {"from the background"}
        assert {record.body for record in first.logs()} == {"sync a", "outside"}
        assert (len(first.requests()), len(second.requests())) == (1, 1)


@MODES
@pytest.mark.parametrize("both", [False, True])
def test_a_mounted_app_is_part_of_the_request(mode: str, both: bool) -> None:
    """R2.1, R2.2: one span and one record, whether the mounted app is instrumented itself or not."""
    app, child = FastAPI(), shop()
    app.mount("/child", child)
    with watched(app, tracing={"instrumentation": mode}) as seen:
        inner: Watched | None = None
        if both:
            with watched(child, tracing={"instrumentation": "native"}) as inner:
                client(app).get("/child/v1/orders/7")
                assert inner.requests() == []
        else:
            client(app).get("/child/v1/orders/7")
        assert len(seen.server_spans()) == 1
        assert len(seen.requests()) == 1
        assert seen.requests()[0].attributes["http.route"] == "/child/v1/orders/{order_id}"


class State:
    """Something of the application's that a request has in its state."""


@MODES
def test_a_request_that_is_over_keeps_nothing_of_the_application(mode: str) -> None:
    """A session in `request.state` is freed with it, whatever task still has its context, where all is as it was."""
    app = FastAPI()
    sessions: list[weakref.ref[State]] = []
    tasks: list[asyncio.Task[None]] = []
    found: list[Any] = []
    may_end = asyncio.Event()

    async def outlive() -> None:
        await may_end.wait()
        request = current_request()
        assert request is not None
        found.extend((request.method, request.path, request.route, request.header("X-Colour")))

    @app.get("/orders/{order_id}")
    async def order(request: Request, order_id: int) -> int:
        request.state.session = State()
        sessions.append(weakref.ref(request.state.session))
        tasks.append(asyncio.create_task(outlive()))
        return order_id

    @app.get("/end")
    async def end() -> None:
        may_end.set()
        await asyncio.wait(tasks)

    with watched(app, tracing={"instrumentation": mode}) as seen, TestClient(app) as client:
        client.get("/orders/1", headers={"X-Colour": "blue"})
        until(lambda: gc.collect() >= 0 and sessions[0]() is None)
        client.get("/end")
        first, _ = seen.requests()
    assert found == ["GET", "/orders/1", "/orders/{order_id}", "blue"]
    assert first.attributes["http.route"] == "/orders/{order_id}"


def test_a_task_that_outlives_its_request_does_not_change_its_record() -> None:
    """What it sends, receives or writes into the scope comes too late, and reaches the server all the same."""
    sent: list[Any] = []
    kept: dict[str, Any] = {}

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        kept.update(scope=scope, receive=receive, send=send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"y" * 1_000}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"first.example")]}
        await app({**scope, "server": ("127.0.0.1", 80), "query_string": b""}, receive, send)
        kept["scope"]["headers"][:] = [(b"host", b"other.example")]
        await kept["receive"]()
        await kept["send"]({"type": "http.response.body", "body": b"z" * 1_000})

    app = Starlette(routes=[Mount("/", endpoint)])
    with watched(app, queue={"schedule_delay": 0.5}) as seen:
        asyncio.run(run())
        (request,) = seen.requests()
    assert [message.get("body") for message in sent] == [None, b"x", b"z" * 1_000]
    assert request.attributes["server.address"] == "first.example"
    assert request.attributes["http.response.body.size"] == 1
    assert "http.request.body.size" not in request.attributes


def test_a_route_that_cannot_be_told_costs_the_route_alone() -> None:
    """The record has everything else, and nothing of the application is kept."""

    class Strange(Route):
        @property
        def path_format(self) -> str:
            raise LookupError

        @path_format.setter
        def path_format(self, value: str) -> None:
            pass

    async def endpoint(request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app = Starlette(routes=[Strange("/orders", endpoint)])
    with watched(app) as seen, TestClient(app) as client:
        assert client.get("/orders").text == "ok"
        (request,) = seen.requests()
    assert request.attributes["url.path"] == "/orders"
    assert "http.route" not in request.attributes
    assert request.body.startswith("GET /orders 200 ")


@pytest.mark.parametrize("names", [(b"Set-Cookie", b"X-Kept"), ("set-cookie", "x-kept"), (bytearray(b"set-cookie"),)])
def test_headers_that_can_be_read_once_reach_the_client(names: tuple[Any, ...]) -> None:
    """Whatever they are made of, and whether our own can be added to them or not."""
    sent: list[Any] = []

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": ((name, b"1") for name in names)})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    app = Starlette(routes=[Mount("/", endpoint)])
    with watched(app):
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        asyncio.run(app(scope, receive, send))
    arrived = [name for name, _ in sent[0]["headers"]]
    assert arrived[: len(names)] == list(names)


def test_a_processor_beside_the_pipeline_sees_the_record_whole() -> None:
    """Somebody's own, which was warned of: it gets the request's record like all others."""
    app, bodies = FastAPI(), list[Any]()

    class Own(LogRecordProcessor):
        def on_emit(self, log_record: Any) -> None:
            bodies.append((log_record.body, log_record.attributes["url.path"]))

        def shutdown(self) -> None:
            pass

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    with watched(app, filter={"included_scopes": ["logspan.request"]}) as seen:
        with pytest.warns(UnredactedProcessorWarning):
            seen.handle.pipeline.logger_provider.add_log_record_processor(Own())
        with TestClient(app) as client:
            client.get("/nothing")
    assert [(body.split()[:3], path) for body, path in bodies if body] == [(["GET", "/nothing", "404"], "/nothing")]
