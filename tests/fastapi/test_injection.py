"""R12.1: dependency injection, several apps in one process, a lifespan that instruments; Starlette alone."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from logspan import (
    InstrumentationError,
    Pipeline,
    Settings,
    StructuredLogger,
    bind,
    get_pipeline,
    instrument_app,
    instrumented,
    request_logger,
    user_of,
)
from logspan.context import ROUTING
from logspan.testing import InMemoryExporter
from tests.fastapi.support import TestClient, watched

Log = Annotated[StructuredLogger, Depends(request_logger)]
OwnPipeline = Annotated[Pipeline, Depends(get_pipeline)]
logger = logging.getLogger("tests.injection")


def app_with(told: dict[str, Any], name: str = "endpoint") -> FastAPI:
    """Notes the pipeline that it is given, and logs with the logger that it is given."""
    app = FastAPI()

    @app.get("/")
    async def endpoint(log: Log, pipeline: OwnPipeline, background: BackgroundTasks) -> None:
        told[name] = pipeline
        log.info(name, answer=42)
        background.add_task(log.info, f"{name} in the background")

    return app


def bodies(memory: InMemoryExporter, scope: str = __name__) -> list[Any]:
    return [record.log_record.body for record in memory.records() if _scope(record) == scope]


def _scope(record: Any) -> str:
    return str(record.instrumentation_scope.name)


def test_a_logger_and_the_pipeline_are_injected() -> None:
    """The logger has the name of the endpoint's module; its records are those of the request."""
    told: dict[str, Any] = {}
    app = app_with(told)
    with watched(app) as seen:
        response = TestClient(app).get("/")
        assert told["endpoint"] is seen.handle.pipeline
        first, second = [record for record in seen.logs() if record.scope == __name__]
        assert (first.body, second.body) == ("endpoint", "endpoint in the background")
        assert first.attributes["answer"] == 42
        assert first.attributes["http.request.id"] == response.headers["x-request-id"]
        assert second.attributes["logspan.background"] is True


def test_a_websocket_has_them_too() -> None:
    """FastAPI injects into both kinds of routes."""
    app, told = FastAPI(), []

    @app.websocket("/")
    async def talk(socket: WebSocket, log: Log, pipeline: OwnPipeline) -> None:
        await socket.accept()
        log.info("talking")
        told.append(pipeline)
        await socket.send_text("done")
        await socket.close()

    with watched(app) as seen:
        with TestClient(app).websocket_connect("/") as socket:
            assert socket.receive_text() == "done"
        assert told == [seen.handle.pipeline]
        assert "talking" in [record.body for record in seen.logs()]


def test_dependency_overrides_put_others_in_their_place() -> None:
    """As with any dependency: nothing has to be instrumented for it."""
    told: dict[str, Any] = {}
    app = app_with(told)
    lines: list[str] = []

    class Fake:
        def info(self, message: str, **attributes: Any) -> None:
            lines.append(message)

    app.dependency_overrides[request_logger] = Fake
    app.dependency_overrides[get_pipeline] = lambda: "a pipeline"
    assert TestClient(app).get("/").status_code == 200
    assert lines == ["endpoint", "endpoint in the background"]
    assert told == {"endpoint": "a pipeline"}


def test_without_a_pipeline_there_is_a_message() -> None:
    """It says what to call; a logger falls back to `logging`, as everywhere."""
    app = app_with({})
    with pytest.raises(InstrumentationError, match=r"instrument_app\(app\)"):
        TestClient(app).get("/")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_applications_own_authentication_says_who_the_user_is(kind: str) -> None:
    """It is called once for each request, and may refuse one."""
    called = []

    def find(token: str) -> dict[str, str]:
        called.append(token)
        if token == "wrong":
            raise HTTPException(401)
        return {"id": token, "name": "ann"}

    async def find_later(token: str) -> dict[str, str]:
        return find(token)

    authenticate: Any = find if kind == "sync" else find_later
    app = FastAPI(dependencies=[Depends(user_of(authenticate))])

    @app.get("/")
    async def endpoint(user: Annotated[dict[str, str], Depends(authenticate)], log: Log) -> str:
        log.info("endpoint")
        return user["id"]

    with watched(app) as seen:
        assert TestClient(app).get("/?token=7").json() == "7"
        assert TestClient(app).get("/?token=wrong").status_code == 401
        assert called == ["7", "wrong"]
        users = [record.attributes.get("user.id") for record in seen.records() if record.scope != "uvicorn.error"]
        assert users == ["7", "7", None]


def test_starlette_alone_is_served_as_well() -> None:
    """Its endpoints await the same functions; request ids, context and users are no business of FastAPI's."""
    told: list[Any] = []

    async def endpoint(request: Request) -> PlainTextResponse:
        bind(order=7)
        log = await request_logger(request)
        log.info("from starlette")
        told.append(await get_pipeline())
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/", endpoint)])
    with watched(app) as seen:
        response = TestClient(app).get("/")
        assert told == [seen.handle.pipeline]
        (log,) = [record for record in seen.logs() if record.scope == __name__]
        (request,) = seen.requests()
        for record in (log, request):
            assert record.attributes["order"] == 7
            assert record.attributes["http.request.id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("mode", ["native", "contrib"])
def test_a_mounted_app_has_its_own_pipeline_or_that_of_its_parent(mode: str) -> None:
    """What is logged in an app that is instrumented itself goes to its own; the one request record to the outer."""
    told: dict[str, Any] = {}
    outer, with_own, without = (app_with(told, name) for name in ("outer", "own", "none"))
    outer.mount("/own", with_own)
    outer.mount("/none", without)
    tracing: Any = {"instrumentation": mode}
    with watched(outer, tracing=tracing) as parent, watched(with_own, tracing=tracing) as child:
        client = TestClient(outer)
        ids = [client.get(path).headers["x-request-id"] for path in ("/own/", "/none/", "/")]
        assert told == {"own": child.handle.pipeline, "none": parent.handle.pipeline, "outer": parent.handle.pipeline}
        assert [record.body for record in child.logs() if record.scope == __name__] == ["own", "own in the background"]
        own_ids = {record.attributes["http.request.id"] for record in child.logs() if record.scope == __name__}
        assert own_ids == set(ids[:1])
        expected = ["none", "none in the background", "outer", "outer in the background"]
        assert [record.body for record in parent.logs() if record.scope == __name__] == expected
        assert (len(parent.requests()), len(child.requests())) == (3, 0)


@pytest.mark.parametrize("mode", ["native", "contrib"])
@pytest.mark.parametrize("first_to_go", [0, 1])
def test_two_apps_share_one_pipeline(mode: str, first_to_go: int) -> None:
    """It goes on until both are undone, with the spans of both, whichever goes first."""
    apps = [app_with({}, f"app {number}") for number in range(2)]
    memory = InMemoryExporter()
    settings = Settings(tracing={"instrumentation": mode})  # type: ignore[arg-type]
    handles = [instrument_app(apps[0], settings, exporters={"memory": memory})]
    handles.append(instrument_app(apps[1], settings, pipeline=handles[0].pipeline))
    try:
        for app in apps:
            TestClient(app).get("/")
        handles[first_to_go].uninstrument()
        stays = 1 - first_to_go
        response = TestClient(apps[stays]).get("/")
        assert handles[stays].flush(30)
        assert bodies(memory).count(f"app {stays}") == 2
        assert bodies(memory).count(f"app {first_to_go}") == 1
        request = [r.log_record for r in memory.records() if _scope(r) == "logspan.request"][-1]
        assert f"{request.trace_id:032x}" == response.headers["x-trace-id"]
        assert trace.get_tracer("x").start_span("y").is_recording()
    finally:
        for handle in handles:
            handle.uninstrument()
    assert handles[0].pipeline.shutdown().complete
    assert ROUTING.target() is None


@pytest.mark.parametrize("first_to_go", [0, 1])
def test_background_spans_of_contrib_stay_with_the_app_that_stays(first_to_go: int) -> None:
    """It patches Starlette's background tasks for the whole process, and takes that back with any of its apps."""
    apps = [app_with({}), app_with({})]
    before = BackgroundTask.__call__
    tracing: Any = {"instrumentation": "contrib"}
    with contextlib.ExitStack() as stack:
        seen = [stack.enter_context(watched(app, tracing=tracing)) for app in apps]
        seen[first_to_go].handle.uninstrument()
        stays = 1 - first_to_go
        spans = InMemorySpanExporter()
        provider: Any = trace.get_tracer_provider()
        provider.add_span_processor(SimpleSpanProcessor(spans))  # that of the app that stays
        TestClient(apps[stays]).get("/")
        names = [span.name for span in spans.get_finished_spans()]
        assert any("BackgroundTask" in name for name in names)
        assert {record.trace_id for record in seen[stays].records() if record.scope == __name__} == {
            record.trace_id for record in seen[stays].requests()
        }
    assert BackgroundTask.__call__ is before


async def test_background_work_of_two_apps_follows_its_own() -> None:
    """Also when both are served at once: tasks, threads and tasks that outlive the request."""
    apps = {name: FastAPI() for name in ("a", "b")}
    met, done = asyncio.Barrier(2), asyncio.Event()
    left: list[asyncio.Task[None]] = []

    def endpoint_of(name: str) -> Any:
        async def outlive() -> None:
            await done.wait()
            logger.warning("%s outlived", name)

        async def endpoint(background: BackgroundTasks) -> None:
            await met.wait()
            await asyncio.to_thread(logger.warning, "%s thread", name)
            background.add_task(logger.warning, "%s background", name)
            left.append(asyncio.create_task(outlive()))

        return endpoint

    for name, app in apps.items():
        app.get("/")(endpoint_of(name))
    with watched(apps["a"]) as first, watched(apps["b"]) as second:
        async with clients_of(apps) as clients:
            await asyncio.gather(*(client.get("/") for client in clients))
        done.set()
        await asyncio.gather(*left)
        for name, seen in (("a", first), ("b", second)):
            logs = await asyncio.to_thread(seen.logs)
            found = {record.body for record in logs if record.scope == logger.name}
            assert found == {f"{name} thread", f"{name} background", f"{name} outlived"}


@asynccontextmanager
async def clients_of(apps: dict[str, FastAPI]) -> AsyncIterator[list[Any]]:
    """A client of each app."""
    clients = [httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") for app in apps.values()]
    try:
        yield clients
    finally:
        for client in clients:
            await client.aclose()


# ---- the lifespan that instruments


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_a_lifespan_instruments_for_as_long_as_the_app_runs(kind: Any) -> None:
    """Round the app's own, whose state is handed on; everything is as before when it is over. And once more."""
    order: list[str] = []

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[dict[str, int]]:
        order.append("own begins")
        logger.warning("own begins")
        yield {"answer": 42}
        logger.warning("own ends")
        order.append("own ends")

    async def endpoint(request: Request) -> PlainTextResponse:
        logger.warning("endpoint")
        return PlainTextResponse(str(request.state.answer))

    memory = InMemoryExporter()
    app = kind(lifespan=instrumented(own, exporters={"memory": memory}))
    app.router.routes.append(Route("/", endpoint))
    handlers = list(logging.root.handlers)
    with TestClient(app) as client:
        assert client.get("/").text == "42"
        assert ROUTING.target() is not None
    assert ROUTING.target() is None
    assert logging.root.handlers == handlers
    assert order == ["own begins", "own ends"]
    assert bodies(memory, logger.name) == ["own begins", "endpoint", "own ends"]
    assert len(bodies(memory, "logspan.request")) == 1
    again = InMemoryExporter()
    app.router.lifespan_context = instrumented(exporters={"memory": again})
    with TestClient(app):
        logger.warning("once more")
    assert bodies(again, logger.name) == ["once more"]


def test_a_lifespan_of_an_app_that_is_instrumented_leaves_it_so() -> None:
    """Who has instrumented it undoes it."""
    app = FastAPI(lifespan=instrumented())
    with watched(app) as seen:
        with TestClient(app):
            assert seen.handle is instrument_app(app)
        logger.warning("after")
        assert [record.body for record in seen.logs() if record.scope == logger.name] == ["after"]


def test_a_lifespan_that_fails_undoes_everything() -> None:
    """The error of the app's own lifespan comes out as it is."""

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[None]:
        if app is not None:
            raise RuntimeError("no database")
        yield

    app = FastAPI(lifespan=instrumented(own, exporters={"memory": InMemoryExporter()}))
    with pytest.raises(RuntimeError, match="no database"), TestClient(app):
        pass
    assert ROUTING.target() is None


def test_mounted_routes_of_starlette_have_their_own_pipeline() -> None:
    """The same without FastAPI."""

    async def endpoint(request: Request) -> PlainTextResponse:
        logger.warning("%s", request.url.path)
        return PlainTextResponse("")

    child = Starlette(routes=[Route("/", endpoint)])
    app = Starlette(routes=[Mount("/child", child), Route("/", endpoint)])
    with watched(app) as outer, watched(child) as inner:
        for path in ("/child/", "/"):
            TestClient(app).get(path)
        assert [record.body for record in inner.logs() if record.scope == logger.name] == ["/child/"]
        assert [record.body for record in outer.logs() if record.scope == logger.name] == ["/"]
