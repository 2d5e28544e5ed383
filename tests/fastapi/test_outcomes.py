"""B6, R2.2: each request ends for one of seven reasons, which its record names, with the severity that goes with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from logspan.fastapi.request import CURRENT
from tests.fastapi.driver import DISCONNECT, Driver, Raw, part, start, upload, with_raw
from tests.fastapi.support import Seen, TestClient, watched

MODES = pytest.mark.parametrize("mode", ["native", "contrib", "off"])
OUTCOME, ERROR, STATUS = "logspan.request.outcome", "error.type", "http.response.status_code"
logger = logging.getLogger("tests.outcomes")


async def record_of(app: Any, driver: Driver | None = None, *, mode: str = "off", **scope: Any) -> Seen:
    """The record of one request, and proof that there is only one."""
    with watched(app, tracing={"instrumentation": mode}) as seen:
        await (driver or Driver()).run(app, **scope)
        (record,) = seen.requests()
        return record


def told(record: Seen) -> tuple[str, str | None, int | None, str | None]:
    """Reason, severity, status, kind of error."""
    return (
        record.attributes[OUTCOME],
        record.severity,
        record.attributes.get(STATUS),
        record.attributes.get(ERROR),
    )


def answering(status: int) -> Raw:
    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await send(start(status))
        await send(part())

    return raw


def raising(error: BaseException, *first: Any) -> Raw:
    async def raw(scope: Any, receive: Any, send: Any) -> None:
        for message in first:
            await send(message)
        raise error

    return raw


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """Returns without an answer."""


async def half(scope: Any, receive: Any, send: Any) -> None:
    """Returns in the middle of its answer."""
    await send(start())
    await send(part(b"x", more=True))


async def gone_before_the_end(scope: Any, receive: Any, send: Any) -> None:
    """Hears of the disconnect, as a stream does, and returns normally."""
    await send(start())
    assert (await receive())["type"] == "http.disconnect"


async def hears_after_the_end(scope: Any, receive: Any, send: Any) -> None:
    """Servers answer every `receive` after the response with a disconnect."""
    await send(start())
    await send(part())
    assert (await receive())["type"] == "http.disconnect"


GROUP = ExceptionGroup("tasks", [TimeoutError(), ExceptionGroup("more", [TimeoutError()])])
MIXED = ExceptionGroup("tasks", [TimeoutError(), ValueError("x")])

CASES: dict[str, tuple[Raw, tuple[str, str, int | None, str | None]]] = {
    "ok": (answering(200), ("ok", "INFO", 200, None)),
    "redirect": (answering(307), ("ok", "INFO", 307, None)),
    "client-error": (answering(404), ("client_error", "INFO", 404, None)),
    "request-timeout": (answering(408), ("client_error", "INFO", 408, None)),
    "server-error": (answering(503), ("server_error", "ERROR", 503, "503")),
    "gateway-timeout": (answering(504), ("timeout", "ERROR", 504, "504")),
    "no-answer": (silent, ("server_error", "ERROR", 500, "incomplete_response")),
    "half-an-answer": (half, ("server_error", "ERROR", 200, "incomplete_response")),
    "exception": (raising(ValueError("x")), ("exception", "ERROR", 500, "ValueError")),
    "exception-group": (raising(MIXED), ("exception", "ERROR", 500, "ExceptionGroup")),
    "after-the-start": (raising(ValueError("x"), start()), ("exception", "ERROR", 200, "ValueError")),
    "after-the-end": (raising(ValueError("x"), start(), part()), ("exception", "ERROR", 200, "ValueError")),
    "timeout": (raising(TimeoutError()), ("timeout", "ERROR", 500, "TimeoutError")),
    "group-of-timeouts": (raising(GROUP), ("timeout", "ERROR", 500, "ExceptionGroup")),
    "system-exit": (raising(SystemExit(3)), ("exception", "ERROR", 500, "SystemExit")),
    "keyboard-interrupt": (raising(KeyboardInterrupt()), ("exception", "ERROR", 500, "KeyboardInterrupt")),
    "cancelled": (raising(asyncio.CancelledError()), ("cancelled", "WARN", None, "asyncio.CancelledError")),
    "cancelled-later": (
        raising(asyncio.CancelledError(), start()),
        ("cancelled", "WARN", 200, "asyncio.CancelledError"),
    ),
}


@MODES
@pytest.mark.parametrize("case", CASES)
async def test_how_a_request_ends(mode: str, case: str) -> None:
    """Whoever makes the spans: one record, and no other of the same."""
    raw, expected = CASES[case]
    app = with_raw(FastAPI(), raw)
    with watched(app, tracing={"instrumentation": mode}) as seen:
        error = await Driver().run(app)
        (record,) = seen.records()
        assert told(record) == expected
        assert (error is not None) == ("exception.stacktrace" in record.attributes or expected[0] == "cancelled")


@MODES
async def test_a_client_that_goes_is_no_error_of_the_service(mode: str) -> None:
    """A disconnect that the application hears of before its last message; one after it says nothing."""
    record = await record_of(with_raw(FastAPI(), gone_before_the_end), Driver([DISCONNECT]), mode=mode)
    assert told(record) == ("client_disconnect", "INFO", 200, None)
    record = await record_of(with_raw(FastAPI(), hears_after_the_end), Driver([DISCONNECT]), mode=mode)
    assert told(record) == ("ok", "INFO", 200, None)


def uploads() -> FastAPI:
    app = FastAPI()

    @app.post("/json")
    async def json(body: dict[str, int]) -> None:
        pass

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.post("/converted")
    async def converted(request: Request) -> int:
        try:
            return len(await request.body())
        except ClientDisconnect:
            raise asyncio.CancelledError from None

    @app.post("/mistake")
    async def mistake(request: Request) -> int:
        try:
            return len(await request.body())
        except ClientDisconnect:
            raise ValueError("a bug in the handler") from None

    return app


@MODES
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/json", ("client_disconnect", "INFO", 400, None)),
        ("/body", ("client_disconnect", "INFO", 500, None)),
        ("/converted", ("client_disconnect", "INFO", None, None)),
        ("/mistake", ("exception", "ERROR", 500, "ValueError")),
    ],
)
async def test_half_an_upload(mode: str, path: str, expected: tuple[Any, ...]) -> None:
    """FastAPI makes a 400 of it, `ClientDisconnect` a 500, gunicorn cancels: it was the client; a bug stays a bug."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    driver = Driver([upload(b"{", more=True), DISCONNECT])
    app = uploads()
    with watched(app, tracing={"instrumentation": mode}) as seen:
        await driver.run(app, path, method="POST", headers=headers)
        (record,) = seen.requests()
        assert told(record) == expected
        assert record.attributes["http.request.body.size"] == 1
        assert [log.event for log in seen.logs()] == []


async def test_a_server_that_raises_when_the_client_has_gone() -> None:
    """ASGI: `send` raises an `OSError` then; whether it comes out as it is or as Starlette's own exception."""
    app = FastAPI()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x"
            yield b"y"

        return StreamingResponse(parts())

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(part(b"x"))

    with_raw(app, plain)
    for path in ("/raw", "/stream"):
        driver = Driver(refuse=ConnectionResetError("gone"), at="http.response.body")
        asgi = {"version": "3.0", "spec_version": "2.4"}
        record = await record_of(app, driver, path=path, asgi=asgi)
        assert told(record) == ("client_disconnect", "INFO", 200, None)
        assert "exception.stacktrace" not in record.attributes


async def test_a_start_that_the_server_refuses_reached_nobody() -> None:
    """The status is the one after `send`, so there is none."""
    record = await record_of(with_raw(FastAPI(), answering(200)), Driver(refuse=RuntimeError("bad header")))
    assert told(record) == ("exception", "ERROR", None, "RuntimeError")
    assert "logspan.request.time_to_first_byte" not in record.attributes


async def test_a_server_that_has_closed_already() -> None:
    """As uvloop says it; it is the server's doing, and no fault of the application."""
    closed = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
    record = await record_of(with_raw(FastAPI(), answering(200)), Driver(refuse=closed))
    assert told(record) == ("client_disconnect", "INFO", None, None)


async def test_a_body_that_must_not_be_there() -> None:
    """204 with a body: the server raises, the client has its 204."""
    driver = Driver(refuse=RuntimeError("Response content longer than Content-Length"), at="http.response.body")
    record = await record_of(with_raw(FastAPI(), answering(204)), driver)
    assert told(record) == ("exception", "ERROR", 204, "RuntimeError")


def failing() -> FastAPI:
    app = FastAPI()

    @app.exception_handler(KeyError)
    async def known(request: Request, error: KeyError) -> PlainTextResponse:
        logger.warning("handled %s", type(error).__name__)
        return PlainTextResponse("no such thing", status_code=404)

    @app.get("/known")
    async def raise_known() -> None:
        raise KeyError("x")

    @app.get("/http")
    async def raise_http() -> None:
        raise HTTPException(502)

    @app.get("/valid/{number}")
    async def valid(number: int) -> None:
        pass

    @app.get("/group")
    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail("first"))
            tasks.create_task(fail("second"))

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "x"
            raise ValueError("half-way")

        return StreamingResponse(parts())

    async def fail(text: str) -> None:
        raise ValueError(text)

    return app


def through_base_http_middleware(app: FastAPI) -> None:
    @app.middleware("http")
    async def between(request: Request, call_next: Any) -> Any:
        return await call_next(request)


def through_nothing(app: FastAPI) -> None:
    pass


@MODES
@pytest.mark.parametrize("prepare", [through_nothing, through_base_http_middleware])
@pytest.mark.parametrize(
    ("path", "expected", "logs"),
    [
        ("/known", ("client_error", "INFO", 404, None), ["handled KeyError"]),
        ("/http", ("server_error", "ERROR", 502, "502"), []),
        ("/valid/x", ("client_error", "INFO", 422, None), ["Request validation failed"]),
        ("/group", ("exception", "ERROR", 500, "ExceptionGroup"), []),
        ("/stream", ("exception", "ERROR", 200, "ValueError"), []),
    ],
)
def test_exceptions_in_fastapi(
    mode: str, prepare: Callable[[FastAPI], None], path: str, expected: tuple[Any, ...], logs: list[str]
) -> None:
    """R2.2: one record of each failure, the stack trace on it, whatever FastAPI says of it by itself."""
    app = failing()
    prepare(app)
    with watched(app, tracing={"instrumentation": mode}) as seen:
        TestClient(app, raise_server_exceptions=False).get(path)
        (record,) = seen.requests()
        assert told(record) == expected
        if path == "/valid/x" and mode == "contrib":  # FastAPI leaves it to contrib, which says nothing
            logs = []
        assert [log.body for log in seen.logs()] == logs
        assert {log.trace_id for log in seen.logs()} <= {record.trace_id}
        if path == "/group":
            assert "first" in record.attributes["exception.stacktrace"]
            assert "second" in record.attributes["exception.stacktrace"]


def test_an_exception_of_a_background_task_is_told_once() -> None:
    """R2.2: the client has its answer already, and the record has the exception."""
    app = FastAPI()

    @app.get("/")
    async def later(request: Request) -> PlainTextResponse:
        async def fail() -> None:
            raise ValueError("too late")

        return PlainTextResponse("fine", background=BackgroundTask(fail))

    with watched(app) as seen:
        TestClient(app, raise_server_exceptions=False).get("/")
        (record,) = seen.records()
        assert told(record) == ("exception", "ERROR", 200, "ValueError")


APP_CLOSES = pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1000, ("ok", "INFO")),
        (1001, ("ok", "INFO")),
        (1008, ("client_error", "INFO")),
        (1011, ("server_error", "ERROR")),
        (1012, ("cancelled", "WARN")),
        (4321, ("ok", "INFO")),
    ],
)
CLIENT_CLOSES = pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1000, ("ok", "INFO")),
        (1001, ("ok", "INFO")),
        (1005, ("client_disconnect", "INFO")),
        (1006, ("client_disconnect", "INFO")),
        (1012, ("cancelled", "WARN")),
    ],
)


async def connection(endpoint: Any, *messages: Any, mode: str = "off", refuse: Any = None, at: str = "") -> Seen:
    """The record of a connection whose client sends these messages."""
    app = FastAPI()
    app.websocket("/ws")(endpoint)
    scope: dict[str, Any] = {"type": "websocket", "scheme": "ws", "path": "/ws", "subprotocols": []}
    driver = Driver([{"type": "websocket.connect"}, *messages], refuse=refuse, at=at)
    with watched(app, tracing={"instrumentation": mode}) as seen:
        await driver.run(app, **scope)
        (record,) = seen.records()
        return record


@APP_CLOSES
async def test_websocket_the_application_closes(code: int, expected: tuple[str, str]) -> None:
    """The code is on the record."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(code)

    record = await connection(endpoint)
    assert told(record)[:3] == (*expected, 101)
    assert record.attributes["logspan.websocket.close_code"] == code


@MODES
@CLIENT_CLOSES
@pytest.mark.parametrize("handled", [True, False])
async def test_websocket_the_client_closes(mode: str, code: int, handled: bool, expected: tuple[str, str]) -> None:
    """Whether the endpoint minds or not: `WebSocketDisconnect` in a receive loop is the way they end."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            if not handled:
                raise

    gone = {"type": "websocket.disconnect", "code": code}
    record = await connection(endpoint, {"type": "websocket.receive", "text": "x"}, gone, mode=mode)
    assert told(record) == (*expected, 101, None)
    assert record.attributes["logspan.websocket.close_code"] == code
    assert "exception.stacktrace" not in record.attributes


@MODES
async def test_websocket_refused_connections(mode: str) -> None:
    """By a close before the accept, which the server makes a 403 of, or by a response of the application's."""

    async def closes(socket: WebSocket) -> None:
        await socket.close()

    async def answers(socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("no", status_code=401))

    assert told(await connection(closes, mode=mode)) == ("client_error", "INFO", 403, None)
    app_answers = FastAPI()
    app_answers.websocket("/ws")(answers)
    scope = {"type": "websocket", "path": "/ws", "extensions": {"websocket.http.response": {}}}
    record = await record_of(app_answers, Driver([{"type": "websocket.connect"}]), mode=mode, **scope)
    assert told(record) == ("client_error", "INFO", 401, None)


@MODES
async def test_websocket_exceptions(mode: str) -> None:
    """Before the accept the server answers 500, after it the status is that of the handshake."""

    async def before(socket: WebSocket) -> None:
        raise ValueError("x")

    async def after(socket: WebSocket) -> None:
        await socket.accept()
        raise TimeoutError

    async def never(socket: WebSocket) -> None:
        pass

    assert told(await connection(before, mode=mode)) == ("exception", "ERROR", 500, "ValueError")
    assert told(await connection(after, mode=mode)) == ("timeout", "ERROR", 101, "TimeoutError")
    assert told(await connection(never)) == ("server_error", "ERROR", 500, "incomplete_response")


async def test_websocket_the_client_goes_while_we_send() -> None:
    """Uvicorn raises an `OSError`, Starlette makes a WebSocketDisconnect of it with code 1006."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("x")

    record = await connection(endpoint, refuse=ConnectionResetError(), at="websocket.send")
    assert told(record) == ("client_disconnect", "INFO", 101, None)


async def test_the_exception_of_an_earlier_request_is_forgotten() -> None:
    """It is known by its address, for the server's line about it; on a kept connection a later one may have that."""
    app = with_raw(FastAPI(), raising(ValueError("down")))
    with watched(app, tracing={"instrumentation": "off"}):
        error = await Driver().run(app)
        before = CURRENT.get()
        assert before is not None
        assert before.error_id == id(error)
        await Driver().run(app, "/nowhere")
        assert before.error_id is None
