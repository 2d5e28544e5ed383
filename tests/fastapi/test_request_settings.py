"""R2.2, R6.1: what is on a request's record, and how the app, a router and a route choose it."""

from __future__ import annotations

import functools
import time
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Mount, Route

from logspan import InstrumentationError, request_settings
from logspan.values import CUT
from tests.fastapi.driver import DISCONNECT, Driver, part, scope_of, start, upload, with_raw
from tests.fastapi.support import Seen, TestClient, watched

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
REQUEST_BODY, RESPONSE_BODY = "http.request.body.content", "http.response.body.content"


def client(app: Any) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


def one(app: Any, method: str = "GET", path: str = "/", request: Any = None, **sent: Any) -> Seen:
    """The record of one request."""
    with watched(app, request=request or {}) as seen:
        client(app).request(method, path, **sent)
        (record,) = seen.requests()
        return record


# --- methods, headers ---


@pytest.mark.parametrize(
    ("method", "named"), [("GET", "GET"), ("QUERY", "QUERY"), ("BREW", "_OTHER"), ("get", "_OTHER")]
)
async def test_methods_that_nobody_knows_are_other(method: str, named: str) -> None:
    """Semantic conventions: so that a client cannot make up values; the method itself is beside it."""
    app = FastAPI()
    with watched(app) as seen:
        await Driver().run(app, "/", method=method)
        (record,) = seen.requests()
    assert record.attributes["http.request.method"] == named
    assert record.attributes.get("http.request.method_original") == (method if named == "_OTHER" else None)


async def test_a_sparse_scope_is_enough() -> None:
    """No client, no server, no headers, no version: what is not known is left out."""
    app = FastAPI()
    scope = scope_of("/", client=None, server=None, headers=[])
    del scope["http_version"], scope["asgi"]
    with watched(app) as seen:
        await app(scope, Driver().receive, Driver().send)
        attributes = seen.requests()[0].attributes
    assert not {"client.address", "server.address", "user_agent.original", "network.protocol.version"} & set(attributes)


async def test_what_cannot_be_described_has_a_record_nevertheless() -> None:
    """A server that breaks ASGI's rules, here with a query of the wrong type: the record says what it could not say."""
    app = Starlette()
    with watched(app) as seen:
        await Driver().run(app, "/", query_string="page=2")
        (record,) = seen.requests()
    assert record.attributes["logspan.capture.error"] == "TypeError"
    assert record.severity == "INFO"


async def test_a_record_tells_when_the_request_ended_however_long_it_takes_to_describe() -> None:
    """It takes its place by its time, before what is logged later: the worker may be held up in the middle of it."""
    looked_at: list[int] = []

    class Query(bytes):
        def __bool__(self) -> bool:
            looked_at.append(time.time_ns())
            time.sleep(0.2)
            return True

    app = Starlette()
    with watched(app) as seen:
        await Driver().run(app, "/", query_string=Query(b"page=2"))
        (record,) = seen.requests()
        (made,) = seen.memory.records()
    assert record.attributes["url.query"] == "page=2"
    assert made.log_record.timestamp is not None
    assert made.log_record.timestamp <= looked_at[-1]


def test_headers_are_on_an_allow_list() -> None:
    """As arrays, each value of its own; secrets among them are masked by their names."""
    app = FastAPI()

    @app.get("/")
    async def hello() -> Response:
        response = PlainTextResponse("", headers={"X-Version": "7", "X-Other": "x"})
        response.set_cookie("session", "s3cr3t")
        return response

    names = {"request_headers": ["X-Tenant", "authorization"], "response_headers": ["x-version", "Set-Cookie"]}
    headers = [("x-tenant", "a"), ("x-tenant", "b"), ("authorization", "Bearer abcdefgh"), ("x-not-asked-for", "x")]
    record = one(app, request=names, headers=headers)
    found = {name: value for name, value in record.attributes.items() if ".header." in name}
    assert found["http.request.header.x-tenant"] == ["a", "b"]
    assert found["http.response.header.x-version"] == ["7"]
    assert "abcdefgh" not in str(found["http.request.header.authorization"])
    assert "s3cr3t" not in str(found["http.response.header.set-cookie"])
    assert len(found) == 4


# --- paths that are left out, slow requests ---


def health() -> FastAPI:
    app = FastAPI()

    @app.get("/healthz")
    async def healthz(status: int = 200) -> PlainTextResponse:
        if status == 0:
            raise ValueError("broken")
        return PlainTextResponse("", status_code=status)

    @app.get("/health/deep")
    async def deep() -> None:
        pass

    return app


def test_health_checks_have_a_record_only_when_they_fail() -> None:
    """By default, for the paths that they usually have; a 4xx is no failure."""
    app = health()
    with watched(app) as seen:
        for path in ("/healthz", "/health/deep", "/healthz?status=404", "/healthz?status=503", "/healthz?status=0"):
            client(app).get(path)
        client(app).get("/healthzz")
        codes = [record.attributes["http.response.status_code"] for record in seen.requests()]
        assert codes == [503, 500, 404]
        assert seen.logs() == []


def test_a_root_path_is_no_part_of_an_excluded_path() -> None:
    """Behind `--root-path /api` the server puts it in front of every path."""
    app = health()
    with watched(app) as seen:
        TestClient(app, root_path="/api").get("/api/healthz")
        TestClient(app, root_path="/api").get("/api/other")
        assert [record.attributes["url.path"] for record in seen.requests()] == ["/api/other"]


async def test_a_slow_request_is_a_warning_with_a_flag() -> None:
    """Whatever else it is worth, and a slow health check has its record."""
    app = FastAPI()

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await send(start(int(scope["query_string"] or 200)))
        await send(part())

    with_raw(with_raw(app, raw), raw, "/healthz")
    with watched(app, request={"slow_threshold": 1e-9}) as seen:
        await Driver().run(app)
        await Driver().run(app, "/healthz")
        await Driver().run(app, query_string=b"500")
        assert [record.severity for record in seen.requests()] == ["WARN", "WARN", "ERROR"]
        assert all(record.attributes["logspan.request.slow"] for record in seen.requests())
    for threshold in (0, 60):
        with watched(app, request={"slow_threshold": threshold}) as seen:
            await Driver().run(app)
            assert seen.requests()[0].severity == "INFO"
            assert "logspan.request.slow" not in seen.requests()[0].attributes


def test_what_is_meant_to_last_is_not_slow() -> None:
    """Event streams and WebSockets."""
    app = FastAPI()

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(iter(["data: x\n\n"]), media_type="text/event-stream")

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("x")
        await socket.close()

    with watched(app, request={"slow_threshold": 1e-9}) as seen:
        client(app).get("/events")
        with client(app).websocket_connect("/ws") as connection:
            assert connection.receive_text() == "x"
        assert [record.severity for record in seen.requests()] == ["INFO", "INFO"]


ARRIVED: dict[str, list[Any]] = {
    "disconnect": [DISCONNECT],
    "body": [upload(b"late")],
    "body and disconnect": [upload(b"late"), DISCONNECT],
    "part of a body": [upload(b"late", more=True), DISCONNECT],
    "nothing": [],
}


@pytest.mark.parametrize("arrived", ARRIVED)
async def test_a_slow_request_looks_whether_the_client_is_still_there(arrived: str) -> None:
    """A step of `receive()` before the last message, two where a queue has the body's end first; all is handed on."""
    got: list[Any] = []

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(part(b"x"))
        got.extend([await receive() for _ in ARRIVED[arrived]])

    driver = Driver(list(ARRIVED[arrived]))
    app = with_raw(FastAPI(), raw)
    with watched(app, request={"slow_threshold": 1e-9}) as seen:
        await driver.run(app)
        (record,) = seen.requests()
    assert [message["type"] for message in driver.sent] == ["http.response.start", "http.response.body"]
    gone = arrived in ("disconnect", "body and disconnect")
    assert record.attributes["logspan.request.outcome"] == ("client_disconnect" if gone else "ok")
    assert got == ARRIVED[arrived]
    assert record.attributes.get("http.request.body.size") == (4 if "body" in arrived else None)


async def test_a_request_that_is_not_slow_does_not_look() -> None:
    """It would cost as much as the rest of the record."""

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(part(b"x"))

    driver = Driver([DISCONNECT])
    with watched(with_raw(app := FastAPI(), raw)):
        await driver.run(app)
    assert driver.messages == [DISCONNECT]


# --- single routes ---


def decorated(function: Any) -> Any:
    """Somebody else's decorator."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def test_a_route_has_settings_of_its_own() -> None:
    """On plain and async functions, under other decorators; the endpoint stays the function that it was."""
    app = FastAPI()

    @app.get("/quiet")
    @request_settings(record=False)
    def quiet(fail: bool = False) -> str:
        if fail:
            raise ValueError("broken")
        return "quiet"

    @app.get("/wrapped")
    @decorated
    @request_settings(record=False)
    async def wrapped() -> str:
        return "wrapped"

    @app.get("/healthz")
    @request_settings(record=True, request_headers=["User-Agent"])
    async def healthz() -> str:
        return "healthy"

    @app.get("/slow")
    @request_settings(slow_threshold=1e-9)
    async def slow() -> str:
        return "slow"

    assert quiet.__name__ == "quiet"
    with watched(app) as seen:
        for path in ("/quiet", "/wrapped", "/healthz", "/slow", "/quiet?fail=true"):
            client(app).get(path)
        paths = {record.attributes["url.path"]: record for record in seen.requests()}
        assert list(paths) == ["/healthz", "/slow", "/quiet"]
        assert paths["/healthz"].attributes["http.request.header.user-agent"] == ["testclient"]
        assert paths["/slow"].severity == "WARN"
        assert paths["/quiet"].severity == "ERROR"
        assert [log.scope for log in seen.logs()] == []


def test_a_route_may_ask_for_the_only_records() -> None:
    """`request.record=false` for all others: those keep what the server and FastAPI say of them."""
    app = FastAPI()

    @app.get("/loud")
    @request_settings(record=True)
    async def loud() -> None:
        raise ValueError("loud")

    @app.get("/silent")
    async def silent() -> None:
        raise ValueError("silent")

    with watched(app, request={"record": False}) as seen:
        client(app).get("/loud")
        client(app).get("/silent")
        assert [record.attributes["url.path"] for record in seen.requests()] == ["/loud"]
        assert [log.attributes["exception.message"] for log in seen.logs()] == ["silent"]


def test_a_router_has_settings_for_its_routes() -> None:
    """As a dependency, of the router or where it is included, outer ones first; an endpoint goes before all of them."""
    app = FastAPI(dependencies=[request_settings(request_headers=["x-a"]).dependency()])
    outer = APIRouter(prefix="/outer", dependencies=[request_settings(record=False).dependency()])
    inner = APIRouter(prefix="/inner")

    @inner.get("/quiet")
    async def quiet() -> None:
        pass

    @inner.get("/loud")
    @request_settings(record=True)
    async def loud() -> None:
        pass

    @app.get("/plain")
    async def plain() -> None:
        pass

    outer.include_router(inner, dependencies=[request_settings(request_headers=["x-b"]).dependency()])
    app.include_router(outer)
    with watched(app) as seen:
        for path in ("/outer/inner/quiet", "/outer/inner/loud", "/plain"):
            assert client(app).get(path, headers={"x-a": "1", "x-b": "2"}).status_code == 200
        loud_record, plain_record = seen.requests()
        assert loud_record.attributes["http.route"] == "/outer/inner/loud"
        assert loud_record.attributes["http.request.header.x-b"] == ["2"]
        assert "http.request.header.x-a" not in loud_record.attributes
        assert plain_record.attributes["http.request.header.x-a"] == ["1"]
    assert app.openapi()["paths"]["/plain"]["get"].get("parameters") is None


def test_starlette_endpoints_have_settings_too() -> None:
    """Functions, classes, and those of mounted applications."""

    @request_settings(record=False)
    async def function(request: Request) -> Response:
        return PlainTextResponse("")

    @request_settings(record=False)
    class Endpoint(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("")

    async def plain(request: Request) -> Response:
        return PlainTextResponse("")

    inner = Starlette(routes=[Route("/function", function), Route("/plain", plain)])
    app = Starlette(routes=[Route("/function", function), Route("/class", Endpoint), Mount("/{tenant}", inner)])
    with watched(app) as seen:
        for path in ("/function", "/class", "/a/function", "/a/plain"):
            assert client(app).get(path).status_code == 200
        (record,) = seen.requests()
        assert record.attributes["http.route"] == "/{tenant}/plain"


# --- bodies ---


def echo() -> FastAPI:
    app = FastAPI()

    @app.post("/json")
    async def json(body: Annotated[Any, Body()]) -> JSONResponse:
        return JSONResponse(body)

    @app.post("/form")
    async def form(request: Request) -> PlainTextResponse:
        assert b"password=hunter2" in await request.body()
        return PlainTextResponse(f"Bearer {JWT} for ann")

    @app.post("/raw")
    async def raw(request: Request) -> Response:
        return Response(await request.body(), media_type=request.headers["content-type"])

    return app


BODIES = {"request_body": True, "response_body": True}


def test_bodies_are_opt_in() -> None:
    """By default nothing of them is on the record."""
    record = one(echo(), "POST", "/json", json={"a": 1})
    assert not {REQUEST_BODY, RESPONSE_BODY} & set(record.attributes)


def test_json_bodies_are_structures_so_that_redaction_sees_their_names() -> None:
    """What is secret by name is masked in either direction."""
    record = one(echo(), "POST", "/json", BODIES, json={"user": "ann", "card": {"password": "hunter2"}, "n": [1, None]})
    for name in (REQUEST_BODY, RESPONSE_BODY):
        body = record.attributes[name]
        assert (body["user"], body["n"]) == ("ann", [1, None])
        assert "hunter2" not in str(body)


def test_forms_and_texts() -> None:
    """Forms by field; text as it is, with the secrets in it masked."""
    record = one(echo(), "POST", "/form", BODIES, data={"user": "ann", "password": "hunter2"})
    assert record.attributes[REQUEST_BODY]["user"] == "ann"
    assert "hunter2" not in str(record.attributes)
    assert JWT not in record.attributes[RESPONSE_BODY]
    assert record.attributes[RESPONSE_BODY].endswith("for ann")


@pytest.mark.parametrize("size", [64, 1_000])
def test_what_is_too_long_is_cut_and_marked(size: int) -> None:
    """At the end of a value or a token, so that nothing half is left that redaction would not know."""
    app, settings = echo(), {**BODIES, "body_size": size}
    record = one(app, "POST", "/json", settings, json=[{"password": "hunter2", "n": n} for n in range(500)])
    assert record.attributes[REQUEST_BODY][-1] == CUT
    assert 1 < len(record.attributes[REQUEST_BODY]) < 100
    assert "hunter2" not in str(record.attributes)
    assert record.attributes["http.request.body.size"] > 5_000

    record = one(app, "POST", "/json", settings, json={"text": "x" * 5_000})
    assert record.attributes[REQUEST_BODY] == {"…": CUT}

    content = "&".join(["user=ann", *[f"password=hunter{n}" for n in range(500)]])
    form = {"content-type": "application/x-www-form-urlencoded"}
    record = one(app, "POST", "/raw", settings, content=content, headers=form)
    assert record.attributes[REQUEST_BODY]["…"] == CUT
    assert "hunter" not in str(record.attributes)

    record = one(app, "POST", "/raw", settings, content="word " * 1_000, headers={"content-type": "text/plain"})
    assert record.attributes[REQUEST_BODY].endswith("word" + CUT)
    assert len(record.attributes[REQUEST_BODY]) <= size + len(CUT)


def test_bodies_that_cannot_be_looked_into_are_not_shown() -> None:
    """What calls itself JSON and is none; what is of another type, or compressed."""
    app = echo()
    json = {"content-type": "application/json"}
    record = one(app, "POST", "/raw", BODIES, content='{"password": "hunter2"', headers=json)
    assert record.attributes[REQUEST_BODY] == "<no valid JSON>"
    for headers in ({"content-type": "image/png"}, {"content-type": "text/plain", "content-encoding": "gzip"}, {}):
        record = one(app, "POST", "/json", BODIES, content=b"hunter2", headers=headers)
        assert REQUEST_BODY not in record.attributes


@pytest.mark.parametrize(
    ("content_type", "kept"),
    [
        ("application/problem+json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/csv", False),
        ("application/xml", False),
    ],
)
def test_types_of_bodies(content_type: str, kept: bool) -> None:
    """Case and parameters do not matter; a `+json` type is JSON."""
    record = one(echo(), "POST", "/raw", BODIES, content=b'{"a":1}', headers={"content-type": content_type})
    assert (record.attributes.get(REQUEST_BODY) == {"a": 1}) == kept
    settings = {**BODIES, "body_content_types": ["text/*"]}
    record = one(echo(), "POST", "/raw", settings, content=b"a", headers={"content-type": content_type})
    assert (REQUEST_BODY in record.attributes) == content_type.startswith("text/")


def test_bodies_of_one_route() -> None:
    """The route is known before FastAPI reads the body."""
    app = FastAPI()

    @app.post("/kept")
    @request_settings(request_body=True, body_size=100)
    async def kept(body: dict[str, int]) -> None:
        pass

    @app.post("/other")
    async def other(body: dict[str, int]) -> None:
        pass

    with watched(app) as seen:
        for path in ("/kept", "/other"):
            client(app).post(path, json={"a": 1})
        assert [record.attributes.get(REQUEST_BODY) for record in seen.requests()] == [{"a": 1}, None]


async def read_before_the_route_is_known(scope: Any, receive: Any, send: Any, app: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)

    async def again() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    await app(scope, again, send)


class ReadsFirst:
    """A middleware that reads the body, as one that checks a signature does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await read_before_the_route_is_known(scope, receive, send, self.app)
        else:
            await self.app(scope, receive, send)


def test_a_route_that_keeps_no_body_keeps_none_that_was_read_before_it_was_known() -> None:
    """R6.1: its settings are the last word on what was kept; `True` comes too late, and keeps nothing."""
    app = FastAPI()
    app.add_middleware(ReadsFirst)

    @app.post("/secret")
    @request_settings(request_body=False)
    async def secret(body: dict[str, str]) -> None:
        pass

    @app.post("/short")
    @request_settings(body_size=10)
    async def short(body: dict[str, str]) -> None:
        pass

    @app.post("/late")
    @request_settings(request_body=True)
    async def late(body: dict[str, str]) -> None:
        pass

    sent = {"note": "x" * 100}
    assert REQUEST_BODY not in one(app, "POST", "/secret", BODIES, json=sent).attributes
    assert one(app, "POST", "/short", BODIES, json=sent).attributes[REQUEST_BODY] == {"…": CUT}
    assert one(app, "POST", "/late", BODIES, json=sent).attributes[REQUEST_BODY] == sent
    assert REQUEST_BODY not in one(app, "POST", "/late", json=sent).attributes


@pytest.mark.parametrize("ids", [True, False])
async def test_headers_that_can_be_read_only_once_reach_the_server(ids: bool) -> None:
    """ASGI: they are an iterable."""

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        headers = ((name, b"1") for name in (b"x-a", b"x-b"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(part())

    driver = Driver()
    header: Any = {} if ids else {"request_id": {"header": None}}
    app: Any = with_raw(FastAPI(), raw)
    with watched(app, tracing={"instrumentation": "off"}, **header):
        await driver.run(app)
    assert [name for name, _ in driver.sent[0]["headers"]][:2] == [b"x-a", b"x-b"]


async def test_what_the_application_sends_is_not_changed() -> None:
    """Parts of any type of buffer, kept or not."""
    parts = [part(memoryview(b"ab"), more=True), part(bytearray(b"cd"), more=True), part()]

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        for message in (start(200, (b"content-type", b"text/plain")), *parts):
            await send(message)

    driver = Driver()
    with watched(with_raw(app := FastAPI(), raw), tracing={"instrumentation": "off"}, request=BODIES) as seen:
        await driver.run(app)
        assert seen.requests()[0].attributes[RESPONSE_BODY] == "abcd"
    assert all(sent is given for sent, given in zip(driver.sent[1:], parts, strict=True))


def test_settings_that_are_handed_over_as_a_dependency_are_refused_in_words() -> None:
    """FastAPI would ask the client for the endpoint, as a parameter, and refuse each request without it."""
    app = FastAPI()
    with pytest.raises(InstrumentationError, match=r"\.dependency\(\)"):
        app.get("/orders", dependencies=[Depends(request_settings(record=False))])(lambda: None)
