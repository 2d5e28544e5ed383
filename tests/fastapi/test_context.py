"""R2.3: what is bound in a request: who sees it, whose record it is on, and that it ends with the request."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.sse import EventSourceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_trace_id
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware

from logspan import bind, bound, carry, get_logger, unbind
from logspan.binding import BoundToken
from tests.core.support import WorkersClock, rest
from tests.fastapi.driver import Driver
from tests.fastapi.support import TestClient, Watched, served, watched
from tests.fastapi.test_uvicorn import _get

log = get_logger("tests.context")
logger = logging.getLogger("tests.context")


def get(app: FastAPI, path: str = "/", **headers: str) -> Any:
    return TestClient(app, raise_server_exceptions=False).get(path, headers=headers)


def said(seen: Watched) -> dict[str, dict[str, Any]]:
    """What was bound on each record of the tests' own logger, by its message."""
    return {record.body: _bound(record.attributes) for record in seen.logs() if record.scope == "tests.context"}


def of_request(seen: Watched) -> dict[str, Any]:
    """What was bound on the one record of a request."""
    (request,) = seen.requests()
    return _bound(request.attributes)


def _bound(attributes: dict[str, Any]) -> dict[str, Any]:
    """Keys of the tests are single letters and `logspan.background`."""
    return {key: value for key, value in attributes.items() if len(key) == 1 or key == "logspan.background"}


def test_what_a_worker_thread_binds_is_bound_for_the_request() -> None:
    """A `def` dependency and a `def` endpoint each run in a thread with a copy of the context."""
    app = FastAPI()

    def dependency() -> None:
        bind(a=1)

    async def later() -> None:
        log.info("later dependency")

    @app.get("/", dependencies=[Depends(dependency), Depends(later)])
    def endpoint() -> None:
        bind(b=2)
        log.info("endpoint")

    with watched(app) as seen:
        get(app)
        assert said(seen) == {"later dependency": {"a": 1}, "endpoint": {"a": 1, "b": 2}}
        assert of_request(seen) == {"a": 1, "b": 2}


def test_what_a_worker_thread_unbinds_is_gone_for_the_request() -> None:
    """The same the other way round."""
    app = FastAPI()

    async def dependency() -> None:
        bind(a=1, b=2)

    @app.get("/", dependencies=[Depends(dependency)])
    def endpoint() -> None:
        unbind("a")
        log.info("endpoint")

    with watched(app) as seen:
        get(app)
        assert said(seen) == {"endpoint": {"b": 2}}
        assert of_request(seen) == {"b": 2}


def test_tasks_of_a_gather_are_not_mixed_up() -> None:
    """Each has what was bound when it began and what it binds itself; neither its siblings nor the request see that."""
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> None:
        bind(a=1)
        met = asyncio.Barrier(3)

        async def work(number: int) -> None:
            bind(n=number)
            await met.wait()
            log.info("task %d", number)

        await asyncio.gather(*(work(number) for number in range(3)))
        log.info("after")

    with watched(app) as seen:
        get(app)
        assert said(seen) == {**{f"task {n}": {"a": 1, "n": n} for n in range(3)}, "after": {"a": 1}}
        assert of_request(seen) == {"a": 1}


def test_a_task_keeps_what_was_bound_when_it_was_made() -> None:
    """A block of the request's own task ends, or another begins, before the task runs: it has its own order still."""
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> None:
        tasks = []

        async def work(number: int) -> None:
            log.info("task %d", number)

        for number in range(3):
            with bind(n=number):
                tasks.append(asyncio.create_task(work(number)))
        await asyncio.gather(*tasks)

    with watched(app) as seen:
        get(app)
        assert said(seen) == {f"task {n}": {"n": n} for n in range(3)}
        assert of_request(seen) == {}


def test_what_a_thread_has_bound_is_on_tasks_that_begin_later() -> None:
    """A tenant that a `def` dependency binds is on whatever the endpoint starts."""
    app = FastAPI()

    def tenant() -> None:
        bind(t="acme")

    @app.get("/", dependencies=[Depends(tenant)])
    async def endpoint() -> None:
        async def work() -> None:
            bind(n=1)
            log.info("task")

        await asyncio.gather(work())

    with watched(app) as seen:
        get(app)
        assert said(seen) == {"task": {"t": "acme", "n": 1}}


def test_threads_of_tasks_that_bind_are_the_tasks_own() -> None:
    """A thread that a sibling starts after it has bound something is no way round: siblings stay apart."""
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> None:
        def work(number: int) -> None:
            bind(m=number)
            log.info("thread %d", number)

        async def task(number: int) -> None:
            bind(n=number)
            await run_in_threadpool(work, number)

        await asyncio.gather(*(task(number) for number in range(3)))

    with watched(app) as seen:
        get(app)
        assert said(seen) == {f"thread {n}": {"n": n, "m": n} for n in range(3)}
        assert of_request(seen) == {}


@pytest.mark.parametrize("how", ["executor", "pool", "thread"])
def test_carry_takes_the_request_along(how: str) -> None:
    """`run_in_executor`, a pool of one's own and a plain thread hand on nothing by themselves."""
    app = FastAPI()

    def work(number: int) -> None:
        log.info("work %d", number)

    async def in_executor() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, carry(work), number) for number in range(3)))

    async def in_pool() -> None:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(carry(work), range(3)))

    async def in_thread() -> None:
        threads = [threading.Thread(target=carry(work), args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @app.get("/")
    async def endpoint() -> None:
        bind(a=1)
        await {"executor": in_executor, "pool": in_pool, "thread": in_thread}[how]()

    with watched(app) as seen:
        response = get(app)
        assert said(seen) == {f"work {n}": {"a": 1} for n in range(3)}
        assert {record.trace_id for record in seen.records()} == {response.headers["x-trace-id"]}


def test_a_carried_function_can_be_called_inside_itself() -> None:
    """Python refuses to enter one context twice; each call has a copy."""

    def again(depth: int) -> int:
        return 0 if depth == 0 else 1 + carried(depth - 1)

    carried = carry(again)
    assert carried(3) == 3
    assert carried.__name__ == "again"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_block_in_a_dependency_with_yield_lasts_for_its_endpoint(kind: str) -> None:
    """A `def` one enters and leaves in different threads; leaving raises nothing. The request keeps what it had."""
    app = FastAPI()
    left = []

    def in_threads() -> Iterator[None]:
        with bind(a=1):
            yield
        left.append(True)

    async def on_the_loop() -> AsyncIterator[None]:
        with bind(a=1):
            yield
        left.append(True)

    @app.get("/", dependencies=[Depends(in_threads if kind == "sync" else on_the_loop)])
    async def endpoint() -> None:
        log.info("endpoint")

    with watched(app) as seen:
        assert get(app).status_code == 200
        assert left == [True]
        assert said(seen) == {"endpoint": {"a": 1}}
        assert of_request(seen) == {"a": 1}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_block_that_ends_before_the_response_is_undone(kind: str) -> None:
    """A dependency of the scope `function` ends with the endpoint, so that it is not on the request's record."""
    app = FastAPI()

    def in_threads() -> Iterator[None]:
        with bind(a=1):
            yield

    async def on_the_loop() -> AsyncIterator[None]:
        with bind(a=1):
            yield

    @app.get("/")
    async def endpoint(
        _: Any = Depends(in_threads if kind == "sync" else on_the_loop, scope="function"),  # noqa: FAST002
    ) -> None:
        log.info("endpoint")

    with watched(app) as seen:
        get(app)
        assert said(seen) == {"endpoint": {"a": 1}}
        assert of_request(seen) == {}


def test_a_token_undoes_what_it_bound_and_no_more() -> None:
    """What a thread binds within a block stays when the block ends, and what it binds over it too."""
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> None:
        def work() -> None:
            bind(b=2, c="mine")

        with bind(a=1, c="block"):
            await run_in_threadpool(work)
            log.info("in it")
        log.info("after it")

    with watched(app) as seen:
        get(app)
        assert said(seen) == {"in it": {"a": 1, "b": 2, "c": "mine"}, "after it": {"b": 2, "c": "mine"}}


@pytest.mark.parametrize("layers", [1, 3])
def test_base_http_middleware_binds_for_the_request_too(layers: int) -> None:
    """Each runs what is below it in a task of its own; all of it is the request's, as is what the endpoint binds."""
    app = FastAPI()

    def binding(number: int) -> Any:
        async def dispatch(request: Request, call_next: Any) -> Any:
            bind({chr(ord("a") + number): number})
            return await call_next(request)

        return dispatch

    for number in range(layers):
        app.add_middleware(BaseHTTPMiddleware, dispatch=binding(number))

    @app.get("/")
    async def endpoint() -> None:
        bind(x=1)
        log.info("endpoint")

    expected = {"x": 1, **{chr(ord("a") + number): number for number in range(layers)}}
    with watched(app) as seen:
        get(app)
        assert said(seen) == {"endpoint": expected}
        assert of_request(seen) == expected


def test_the_middleware_sees_what_the_endpoint_has_bound() -> None:
    """When the call comes back, also through a `BaseHTTPMiddleware`."""
    app = FastAPI()

    @app.middleware("http")
    async def outer(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        log.info("back")
        bind(b=2)
        return response

    @app.get("/")
    async def endpoint() -> None:
        bind(a=1)

    with watched(app) as seen:
        get(app)
        assert said(seen) == {"back": {"a": 1}}
        assert of_request(seen) == {"a": 1, "b": 2}


def test_exception_handlers_see_what_was_bound() -> None:
    """That of an HTTPException, that of 500, and the record of the exception."""
    app = FastAPI()

    @app.exception_handler(404)
    async def missing(request: Request, error: Exception) -> PlainTextResponse:
        log.info("missing")
        return PlainTextResponse("", 404)

    @app.exception_handler(500)
    async def broken(request: Request, error: Exception) -> PlainTextResponse:
        log.info("broken")
        return PlainTextResponse("", 500)

    @app.get("/{path}")
    async def endpoint(path: str) -> None:
        bind(p=path)
        raise HTTPException(404) if path == "missing" else ValueError

    with watched(app) as seen:
        get(app, "/missing")
        get(app, "/broken")
        assert said(seen) == {"missing": {"p": "missing"}, "broken": {"p": "broken"}}
        assert [record.attributes["p"] for record in seen.requests()] == ["missing", "broken"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_background_tasks_are_marked_and_bind_for_themselves(kind: str) -> None:
    """They have the trace and the attributes of their request; its record tells what was bound for the response."""
    app = FastAPI()

    def in_thread() -> None:
        bind(b=2)
        log.info("background")

    async def on_the_loop() -> None:
        bind(b=2)
        log.info("background")

    @app.get("/")
    def endpoint(tasks: BackgroundTasks) -> None:
        bind(a=1)
        log.info("endpoint")
        tasks.add_task(in_thread if kind == "sync" else on_the_loop)

    with watched(app) as seen:
        response = get(app)
        assert said(seen) == {"endpoint": {"a": 1}, "background": {"a": 1, "b": 2, "logspan.background": True}}
        assert of_request(seen) == {"a": 1}
        assert {record.trace_id for record in seen.records()} == {response.headers["x-trace-id"]}
        assert {record.attributes["http.request.id"] for record in seen.records()} == {response.headers["x-request-id"]}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stream_binds_for_its_request(kind: str) -> None:
    """Under uvicorn Starlette sends a stream in a task of its own, and a `def` generator runs in many threads."""
    app = FastAPI()

    def in_threads() -> Iterator[str]:
        with bind(b=2):
            for number in range(3):
                log.info("part %d", number)
                bind(n=number)
                yield "x"

    async def on_the_loop() -> AsyncIterator[str]:
        with bind(b=2):
            for number in range(3):
                log.info("part %d", number)
                bind(n=number)
                yield "x"

    @app.get("/")
    async def endpoint() -> StreamingResponse:
        bind(a=1)
        return StreamingResponse(in_threads() if kind == "sync" else on_the_loop())

    with watched(app) as seen:
        with served(app, http="h11") as port:
            assert _get(port, "/").status == 200
        common = {"a": 1, "b": 2}
        assert said(seen) == {"part 0": common, "part 1": {**common, "n": 0}, "part 2": {**common, "n": 1}}
        assert of_request(seen) == {"a": 1, "n": 2}


def test_a_websocket_keeps_what_is_bound_until_it_ends() -> None:
    """From message to message, also when a thread binds; the next connection begins with nothing."""
    app = FastAPI()

    @app.websocket("/")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        for number in range(2):
            log.info("%s before %d", await socket.receive_text(), number)
            await run_in_threadpool(bind, n=number)
        await socket.close()

    with watched(app) as seen:
        for name in ("one", "two"):
            with TestClient(app).websocket_connect("/") as socket:
                socket.send_text(name)
                socket.send_text(name)
                with pytest.raises(Exception):  # noqa: B017 - closed
                    socket.receive_text()
        assert said(seen) == {
            f"{name} before {n}": {} if n == 0 else {"n": 0} for name in ("one", "two") for n in (0, 1)
        }
        assert [record.attributes["n"] for record in seen.requests()] == [1, 1]


def test_a_task_that_outlives_its_request_keeps_to_it() -> None:
    """It has the attributes and the id of its request, marked; what it binds reaches nobody else."""
    app = FastAPI()
    go, done = asyncio.Event(), asyncio.Event()

    @app.get("/start")
    async def start() -> None:
        bind(a=1)

        async def outlive() -> None:
            await go.wait()
            bind(o=1)
            log.info("outlived")
            done.set()

        app.state.task = asyncio.create_task(outlive())

    @app.get("/other")
    async def other() -> None:
        bind(b=2)
        go.set()
        await done.wait()
        log.info("other")

    with watched(app) as seen, TestClient(app) as client:
        ids = [client.get(path).headers["x-request-id"] for path in ("/start", "/other")]
        assert said(seen) == {"outlived": {"a": 1, "o": 1, "logspan.background": True}, "other": {"b": 2}}
        by_body = {
            record.body: record.attributes["http.request.id"] for record in seen.logs() if record.body in said(seen)
        }
        assert by_body == {"outlived": ids[0], "other": ids[1]}


def test_what_is_bound_outside_is_on_every_request() -> None:
    """Bound at the start of a program, or round the test client; a request's own goes before it."""
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> None:
        log.info("endpoint")
        bind(a=2)

    with watched(app) as seen, bind(a=1, z=26):
        get(app)
        get(app)
        assert [_bound(record.attributes) for record in seen.requests()] == [{"a": 2, "z": 26}] * 2
        assert dict(bound()) == {"a": 1, "z": 26}


def test_a_request_within_a_request_is_one_of_its_own() -> None:
    """An application that calls itself in-process hands on its trace, as over a network, and nothing that it bound."""
    import httpx

    app = FastAPI()

    @app.get("/outer")
    async def outer() -> None:
        bind(a=1)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            await client.get("/inner")
        log.info("outer")

    @app.get("/inner")
    async def inner() -> None:
        bind(b=2)
        log.info("inner")

    with watched(app) as seen:
        get(app, "/outer")
        assert said(seen) == {"inner": {"b": 2}, "outer": {"a": 1}}
        first, second = seen.requests()
        assert first.attributes["http.request.id"] != second.attributes["http.request.id"]


def test_a_token_of_a_request_that_is_over_changes_nothing() -> None:
    """Kept and reset by another request, it takes nothing away there."""
    app = FastAPI()
    kept: list[BoundToken] = []

    @app.get("/keep")
    async def keep() -> None:
        kept.append(bind(a=1))

    @app.get("/reset")
    async def reset() -> None:
        bind(a=1)
        kept[0].reset()
        log.info("still there")

    with watched(app) as seen:
        get(app, "/keep")
        get(app, "/reset")
        assert said(seen) == {"still there": {"a": 1}}


def test_without_bound_context_nothing_of_it_is_on_records() -> None:
    """`enrich.bound_context` and `enrich.request_identity` switch off one each."""
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> None:
        bind(a=1)

    for enrich, expected in (
        ({"bound_context": False}, {"http.request.id"}),
        ({"request_identity": False}, {"a"}),
    ):
        with watched(app, enrich=enrich) as seen:
            get(app)
            (request,) = seen.requests()
            assert {"a", "http.request.id"} & set(request.attributes) == expected


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_event_stream_has_what_its_request_has(kind: str) -> None:
    """FastAPI runs its generator in a task of its own: it has what the request has."""
    app = FastAPI()

    def tenant() -> None:
        bind(t="acme")

    if kind == "sync":

        @app.get("/", response_class=EventSourceResponse, dependencies=[Depends(tenant)])
        def events() -> Iterator[int]:
            for number in range(2):
                log.info("event %d", number)
                yield number

    else:

        @app.get("/", response_class=EventSourceResponse, dependencies=[Depends(tenant)])
        async def events_on_the_loop() -> AsyncIterator[int]:
            for number in range(2):
                log.info("event %d", number)
                yield number

    with watched(app) as seen:
        with served(app, http="h11") as port:
            response = _get(port, "/")
            assert response.status == 200
        assert said(seen) == {"event 0": {"t": "acme"}, "event 1": {"t": "acme"}}
        assert of_request(seen) == {"t": "acme"}
        ids = {record.attributes["http.request.id"] for record in seen.logs() if record.scope == "tests.context"}
        assert ids == {response.headers["x-request-id"]}


async def test_a_record_that_is_made_in_a_callback_of_the_loop_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """No task runs there, nor in a signal's handler that shuts down: the request's id and what it bound are there."""
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> None:
        bind(a=1)

    clock = WorkersClock()
    monkeypatch.setattr("logspan.assemble.SystemClock", lambda: clock)
    with watched(app, queue={"schedule_delay": clock.REST}) as seen:
        rest(seen.handle.pipeline, clock)
        assert seen.memory.wait_for(1)
        await Driver().run(app, "/")
        assert seen.memory.records()[1:] == []
        asyncio.get_running_loop().call_soon(seen.handle.pipeline.shutdown, 10)
        await asyncio.sleep(0.01)
        (record,) = seen.memory.records()[1:]
        attributes = dict(record.log_record.attributes or {})
        assert attributes["a"] == 1
        assert attributes["http.request.id"]


def test_a_request_that_is_refused_by_a_middleware_has_the_trace_around_it() -> None:
    """Nobody has seen a span there; what is current when it ends is taken."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    class Refuse:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)

    app.add_middleware(Refuse)

    async def refused() -> str:
        with TracerProvider().get_tracer("tests").start_as_current_span("outside") as span:
            await Driver().run(app, "/", type="websocket")
        return format_trace_id(span.get_span_context().trace_id)

    with watched(app, tracing={"instrumentation": "off"}) as seen:
        trace_id = contextvars.Context().run(asyncio.run, refused())
        assert [record.trace_id for record in seen.requests()] == [trace_id]


@pytest.mark.parametrize("layered", [False, True])
async def test_what_the_server_says_of_a_request_that_failed_is_no_background_work(layered: bool) -> None:
    """It is said in the request's context, when that is over; with middleware in between and without."""
    app = FastAPI()
    if layered:
        app.add_middleware(CORSMiddleware)

    @app.get("/raw")
    async def fails() -> None:
        bind(a=1)
        raise ValueError("broken")

    with watched(app) as seen:
        assert isinstance(await Driver().run(app), ValueError)
        log.error("server")
        assert said(seen) == {"server": {"a": 1}}
