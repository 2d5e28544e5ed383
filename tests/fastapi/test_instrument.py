"""R1.2, R2.1: `instrument_app` anywhere and any number of times, one span for each request, and the way back."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from fastapi import APIRouter, FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from logspan import (
    InstrumentationError,
    Settings,
    SettingsError,
    build_pipeline,
    configure_logging,
    instrument_app,
    instrumented,
)
from logspan.fastapi.layers import RouteLayer
from logspan.settings import FilterSettings, TracingSettings
from logspan.testing import InMemoryExporter
from tests.fastapi.support import TestClient, watched

MODES = pytest.mark.parametrize("mode", ["native", "contrib"])


class Counted:
    """A middleware that counts how often it was constructed, and how often it was passed."""

    constructed = 0
    passed = 0

    def __init__(self, app: Any) -> None:
        self.app = app
        type(self).constructed += 1

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        type(self).passed += 1
        await self.app(scope, receive, send)


@pytest.fixture
def counted() -> type[Counted]:
    return type("CountedHere", (Counted,), {"constructed": 0, "passed": 0})


def app_with(middleware: type[Counted]) -> FastAPI:
    app = FastAPI()
    app.add_middleware(middleware)

    @app.get("/{name}")
    async def hello(name: str) -> str:
        return name

    return app


def walk(stack: Any) -> list[str]:
    """The names of the layers, from the outermost."""
    layers = []
    while stack is not None:
        layers.append(type(stack).__name__)
        stack = stack.routes if isinstance(stack, RouteLayer) else getattr(stack, "app", None)
    return layers


OURS = {"RequestLayer", "RouteLayer", "OpenTelemetryMiddleware"}


def test_a_second_call_returns_the_same_handle_until_it_is_undone() -> None:
    """R1.2: and there are no second layers."""
    app = FastAPI()
    with watched(app) as seen:
        assert instrument_app(app) is seen.handle
        TestClient(app).get("/")
        assert walk(app.middleware_stack).count("RequestLayer") == 1
    with watched(app) as again:
        assert again.handle is not seen.handle


@MODES
@pytest.mark.parametrize("built", [False, True])
def test_the_layers_go_round_everything_and_next_to_the_routes(mode: str, built: bool, counted: type[Counted]) -> None:
    """R2.1: also round a stack that is built already; the app's own middleware is constructed once."""
    app = app_with(counted)
    if built:
        TestClient(app).get("/before")
    with watched(app, tracing={"instrumentation": mode}) as seen:
        assert TestClient(app).get("/a").json() == "a"
        layers = walk(app.middleware_stack)
        assert layers[0] == "RequestLayer"
        assert layers[layers.index("RouteLayer") + 1] in ("APIRouter", "FastAPIRouter", "Router")
        assert layers.index("CountedHere") < layers.index("RouteLayer")
        assert len(seen.server_spans()) == len(seen.requests()) == 1
    assert counted.constructed == 1


@MODES
@pytest.mark.parametrize("built", [False, True])
def test_next_to_the_routes_is_a_layer_only_where_something_stands_between(mode: str, built: bool) -> None:
    """Without middleware of the app the outer layer sees the same; what the app adds before it is built counts."""
    plain, layered = FastAPI(), FastAPI()
    layered.add_middleware(CORSMiddleware)
    for app in (plain, layered):
        if built:
            TestClient(app).get("/before")
        with watched(app, tracing={"instrumentation": mode}) as seen:
            TestClient(app).get("/a")
            expected = app is layered or mode == "off"
            assert ("RouteLayer" in walk(app.middleware_stack)) is expected
            assert [record.attributes["http.response.status_code"] for record in seen.requests()] == [404]
        assert "RouteLayer" not in walk(app.middleware_stack)


@MODES
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("used", [False, True])
def test_undoing_puts_everything_back(mode: str, before: bool, used: bool, counted: type[Counted]) -> None:
    """R1.2: the stack and how it is built are those of before, and middleware can be added where it could be."""
    app = app_with(counted)
    if before:
        TestClient(app).get("/before")
    attributes, stack, layers = dict(vars(app)), app.middleware_stack, walk(app.middleware_stack)
    with watched(app, tracing={"instrumentation": mode}):
        if used:
            TestClient(app).get("/a")
    after = dict(vars(app))
    after.pop("_is_instrumented_by_opentelemetry", None)
    if used and not before:
        assert not OURS & set(walk(after.pop("middleware_stack")))
        attributes.pop("middleware_stack")
    else:
        assert app.middleware_stack is stack
        assert walk(stack) == layers
    assert after == attributes
    more = 0 if before or used else 1
    if more:
        app.add_middleware(counted)
    assert TestClient(app).get("/after").json() == "after"
    assert counted.constructed == 1 + more


@MODES
def test_what_somebody_else_has_wrapped_meanwhile_stays(mode: str) -> None:
    """R1.2: then our layers stay where they are, and do nothing."""
    app = FastAPI()
    memory = InMemoryExporter()
    settings = Settings(tracing=TracingSettings.model_validate({"instrumentation": mode}))
    handle = instrument_app(app, settings, exporters={"memory": memory})
    TestClient(app).get("/")
    app.middleware_stack = theirs = Counted(app.middleware_stack)
    handle.uninstrument()
    assert app.middleware_stack is theirs
    count = len(memory.records())
    assert "x-trace-id" not in TestClient(app).get("/").headers
    assert len(memory.records()) == count


@pytest.mark.parametrize("wanted", ["auto", "native", "contrib", "off"])
@pytest.mark.parametrize("late", [False, True])
def test_each_way_makes_one_span_or_none(wanted: str, late: bool) -> None:
    """R2.1: whether the app has served requests before or not; of contrib no send and receive spans."""
    app = FastAPI()
    app.get("/a")(lambda: "a")
    child = FastAPI()
    child.get("/b")(lambda: "b")
    app.mount("/child", child)
    if late:
        TestClient(app).get("/a")
    with watched(app, tracing={"instrumentation": wanted}) as seen:
        for path in ("/a", "/child/b"):
            TestClient(app).get(path)
        assert len(seen.requests()) == 2
        assert len(seen.server_spans()) == (0 if wanted == "off" else 2)
        scopes = {span.instrumentation_scope.name for span in seen.server_spans() if span.instrumentation_scope}
        expected = {"contrib": {"opentelemetry.instrumentation.fastapi"}, "off": set[str]()}.get(wanted, {"fastapi"})
        assert scopes == expected
        if wanted == "contrib":
            assert len(seen.spans.get_finished_spans()) == 2
    assert "OTEL_SEMCONV_STABILITY_OPT_IN" not in os.environ


@pytest.mark.parametrize("wanted", ["auto", "native", "contrib"])
@pytest.mark.parametrize("after", [False, True])
def test_an_app_that_is_instrumented_by_others_keeps_that(wanted: str, after: bool) -> None:
    """R2.1: contrib before us stays the only one; contrib after us, over FastAPI's own, takes over from it."""
    app = FastAPI()
    app.get("/{name}")(lambda name: name)
    if not after:
        FastAPIInstrumentor.instrument_app(app)
    with watched(app, tracing={"instrumentation": wanted}) as seen:
        if after:
            FastAPIInstrumentor.instrument_app(app)
        response = TestClient(app).get("/a")
        (span,) = seen.server_spans()
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "opentelemetry.instrumentation.fastapi"
        (request,) = seen.requests()
        assert request.trace_id == response.headers["x-trace-id"]
        assert request.attributes["http.response.status_code"] == 200
    FastAPIInstrumentor.uninstrument_app(app)
    assert TestClient(app).get("/b").json() == "b"


def test_the_stable_conventions_are_asked_for_only_where_nobody_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """R2.1: `OTEL_SEMCONV_STABILITY_OPT_IN` is set while it is unset, and what the user wrote there stays."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup")
    with watched(FastAPI(), tracing={"instrumentation": "contrib"}):
        assert os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] == "http/dup"
    monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN")
    with watched(FastAPI(), tracing={"instrumentation": "contrib"}):
        assert os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] == "http"
    assert "OTEL_SEMCONV_STABILITY_OPT_IN" not in os.environ


@MODES
def test_routes_and_middleware_may_come_later(mode: str, counted: type[Counted]) -> None:
    """R1.2: nothing is built before the first request."""
    app = FastAPI()
    with watched(app, tracing={"instrumentation": mode}) as seen:
        app.add_middleware(counted)
        app.get("/late")(lambda: "late")
        assert TestClient(app).get("/late").json() == "late"
        assert counted.passed == 1
        assert seen.requests()[0].attributes["http.route"] == "/late"


@pytest.mark.parametrize("thing", [object(), FastAPI, CORSMiddleware(FastAPI())])
def test_what_is_no_app_is_refused_in_words(thing: Any) -> None:
    """R1.2: the message says what was given, and what to do about a wrapped app."""
    with pytest.raises(InstrumentationError, match="needs a FastAPI or Starlette app"):
        instrument_app(thing)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (FastAPI, "not the class FastAPI.$"),
        (CORSMiddleware(FastAPI()), "It wraps one as `.app`"),
        (APIRouter(), "not APIRouter.$"),
    ],
)
def test_what_is_nearly_an_app_is_named(thing: Any, said: str) -> None:
    """R1.2: a router has an `app` as well, which is none to be instrumented."""
    with pytest.raises(InstrumentationError, match=said):
        instrument_app(thing)


@pytest.mark.parametrize("settings", [{"service_name": "shop"}, {}, "shop"])
def test_what_is_no_settings_is_refused_in_words(settings: Any) -> None:
    """R10.3: before anything is touched, by either function."""
    app = FastAPI()
    said = f"settings must be a logspan.Settings, not a {type(settings).__name__}"
    with pytest.raises(SettingsError, match=said):
        instrument_app(app, settings)
    with pytest.raises(SettingsError, match=said):
        configure_logging(settings)
    assert app.middleware_stack is None
    assert "build_middleware_stack" not in vars(app)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"exporters": [InMemoryExporter()]}, "exporters go to the build_pipeline"),
        ({"enrichers": [lambda record, context: None]}, "enrichers go to the build_pipeline"),
        ({"pipeline": "shop"}, "pipeline must be one that build_pipeline has made.*, not a str"),
    ],
)
def test_what_does_not_go_with_a_pipeline_of_ones_own_is_refused(given: Any, said: str) -> None:
    """R1.2: it has its own, and what is given beside it would be passed over in silence."""
    pipeline = build_pipeline(Settings(), exporters={"memory": InMemoryExporter()})
    with pytest.raises(InstrumentationError, match=said):
        instrument_app(FastAPI(), **{"pipeline": pipeline, **given})
    pipeline.shutdown()


def test_a_lifespan_that_nobody_has_called_is_refused_in_words() -> None:
    """R12.1: `lifespan=instrumented` would be handed the app in place of the app's own lifespan."""
    app = FastAPI(lifespan=cast("Any", instrumented))
    with pytest.raises(InstrumentationError, match=r"FastAPI\(lifespan=instrumented\(\)\)"), TestClient(app):
        pass


@pytest.mark.parametrize("wanted", ["native", "contrib"])
def test_spans_that_are_not_to_be_had_are_refused_in_words(wanted: str) -> None:
    """R2.1: asking for FastAPI's spans of a Starlette app is a mistake, and nothing is left behind."""
    with pytest.raises(InstrumentationError, match=f"tracing.instrumentation={wanted}"):
        instrument_app(Starlette(), Settings(tracing=TracingSettings.model_validate({"instrumentation": wanted})))


def test_a_disabled_sdk_touches_nothing() -> None:
    """R1.3: `OTEL_SDK_DISABLED`."""
    app = FastAPI()
    attributes = dict(vars(app))
    handle = instrument_app(app, Settings(sdk_disabled=True))
    assert dict(vars(app)) == attributes
    handle.uninstrument()


def test_a_pipeline_of_ones_own() -> None:
    """R1.2: `pipeline=` is used as it is."""
    app, memory = FastAPI(), InMemoryExporter()
    pipeline = build_pipeline(Settings(filter=FilterSettings(excluded_scopes=["httpx"])), exporters=[memory])
    with instrument_app(app, pipeline=pipeline) as handle:
        assert handle.pipeline is pipeline
        TestClient(app).get("/")
        assert handle.flush(30)
    assert [record.log_record.event_name for record in memory.records()] == ["http.server.request"]


@pytest.mark.parametrize("when", ["before", "inside"])
def test_the_lifespan_of_the_user_runs_and_what_it_logs_is_flushed(when: str) -> None:
    """R3.2: all that was logged up to the lifespan's end has left when the server hears of the end."""
    memory = InMemoryExporter()
    state: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, int]]:
        if when == "inside":
            state["handle"] = instrument_app(app, exporters={"memory": memory})
        logging.getLogger("tests.lifespan").warning("up")
        yield {"answer": 42}
        logging.getLogger("tests.lifespan").warning("down")

    app = FastAPI(lifespan=lifespan)
    if when == "before":
        state["handle"] = instrument_app(app, exporters={"memory": memory})
    with TestClient(app) as client:
        assert client.app_state == {"answer": 42}
        client.get("/")
    if when == "inside":
        state["handle"].flush(30)
    bodies = [record.log_record.body for record in memory.records()]
    assert bodies[0] == "up"
    assert bodies[-1] == "down"
    state["handle"].uninstrument()


def test_handlers_that_the_lifespan_sets_are_adopted_when_it_is_over() -> None:
    """R1.2: a lifespan that configures logging takes no logger away from the pipeline."""
    memory, logger = InMemoryExporter(), logging.getLogger("tests.set.in.lifespan")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logger.addHandler(logging.StreamHandler())
        logger.propagate = False
        yield

    app = FastAPI(lifespan=lifespan)
    with instrument_app(app, exporters={"console": memory}) as handle:
        with TestClient(app):
            logger.warning("m")
        handle.flush(30)
    assert [record.log_record.body for record in memory.records()] == ["m"]
    logger.handlers, logger.propagate = [], True


def test_a_lifespan_that_fails_fails_as_before_and_is_flushed() -> None:
    """R3.2: what led to the failure is delivered before the server hears of it."""
    memory, database = InMemoryExporter(), False

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logging.getLogger("tests.lifespan").warning("about to fail")
        if not database:
            raise RuntimeError("no database")
        yield

    app = FastAPI(lifespan=lifespan)
    with instrument_app(app, exporters={"memory": memory}):
        with pytest.raises(RuntimeError, match="no database"), TestClient(app):
            pass
        assert [record.log_record.body for record in memory.records()] == ["about to fail"]
