"""B6, R2.2: requests as real clients send them and break them off, under each way in which uvicorn can run."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.fastapi.driver import part, start, with_raw
from tests.fastapi.support import Seen, Watched, served, serving, watched

SERVERS = pytest.mark.parametrize(
    "server", [{"http": h, "loop": loop} for h in ("h11", "httptools") for loop in ("asyncio", "uvloop")], ids=str
)
MODES = pytest.mark.parametrize("mode", ["native", "contrib"])
OLD = pytest.param("websockets", marks=pytest.mark.filterwarnings("ignore"))  # deprecated, and still in use
SOCKETS = pytest.mark.parametrize("ws", [OLD, "websockets-sansio"])
OUTCOME = "logspan.request.outcome"
WAIT = 30.0


@pytest.fixture(autouse=True)
def uvicorn_speaks() -> Iterator[None]:
    """Its lines come through at INFO; without its own log configuration it leaves the level as it is."""
    logger = logging.getLogger("uvicorn")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(level)


class Shop:
    """An app whose requests can be held, and what it shares with the test."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.left = threading.Event()
        self.may_go = threading.Event()
        self.server: uvicorn.Server | None = None
        self.app = self._app()

    async def client_has_gone(self) -> None:
        """Wait until the server has noticed, without asking it."""
        assert self.server is not None
        self.arrived.set()
        while self.server.server_state.connections:  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0.005)

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/hello/{name}")
        async def hello(name: str) -> str:
            return name

        @app.post("/upload")
        async def upload(request: Request) -> int:
            self.arrived.set()
            return len(await request.body())

        @app.get("/held")
        async def held() -> str:
            await self.client_has_gone()
            return "x" * 100

        @app.get("/later")
        async def later() -> str:
            self.arrived.set()
            await asyncio.to_thread(self.may_go.wait, WAIT)
            return "late"

        @app.get("/endless")
        async def endless() -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield b"x" * 10_000
                        await asyncio.sleep(0.001)
                finally:
                    self.left.set()

            return StreamingResponse(parts())

        @app.get("/waits")
        async def waits() -> None:
            self.arrived.set()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.05)

        @app.get("/ends/{how}")
        async def ends(how: str) -> Response:
            if how == "with-body":
                return Response(b"must not be there", status_code=204)
            kind = {"exit": SystemExit, "interrupt": KeyboardInterrupt, "timeout": TimeoutError}
            raise kind.get(how, asyncio.CancelledError)

        async def nothing(scope: Any, receive: Any, send: Any) -> None:
            pass

        async def half(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(part(b"x", more=True))

        with_raw(with_raw(app, nothing, "/nothing"), half, "/half")
        return app


def raw(port: int, *lines: str, body: bytes = b"") -> socket.socket:
    """A connection on which a request was begun."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
    connection.sendall("\r\n".join([*lines, "host: example.org", "", ""]).encode() + body)
    return connection


def read_all(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def wait_for(seen: Watched, count: int = 1) -> list[Seen]:
    """The records of requests, once there are so many."""
    for _ in range(3_000):
        if len(requests := seen.requests()) >= count:
            return requests
        threading.Event().wait(0.01)
    pytest.fail(f"{len(requests)} records instead of {count}")


@SERVERS
@MODES
def test_kept_connections_chunks_and_pipelines(server: Any, mode: str) -> None:
    """One record for each request, with its own sizes, path and trace, whoever went before on the connection."""
    shop = Shop()
    with watched(shop.app, tracing={"instrumentation": mode}) as seen, served(shop.app, **server) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        for size in (10, 200_000, 0):
            parts = iter([b"x" * (size // 2), b"x" * (size - size // 2)])
            connection.request("POST", "/upload", parts, encode_chunked=True, headers={"transfer-encoding": "chunked"})
            assert connection.getresponse().read() == str(size).encode()
        connection.close()
        more = b"".join(b"GET /hello/%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(3))
        last = b"GET /hello/3 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        assert read_all(raw(port, "HEAD /hello/head HTTP/1.1", body=more + last)).count(b"HTTP/1.1 ") == 5
        requests = wait_for(seen, 8)
        assert [record.attributes.get("http.request.body.size") for record in requests[:3]] == [10, 200_000, 0]
        assert [record.attributes["http.response.body.size"] for record in requests] == [2, 6, 1, 0, 3, 3, 3, 3]
        assert [record.attributes[OUTCOME] for record in requests] == ["ok"] * 3 + ["client_error"] + ["ok"] * 4
        assert len({record.trace_id for record in requests}) == len(requests) == 8
        assert all(record.attributes["client.address"] == "127.0.0.1" for record in requests)


@SERVERS
@MODES
def test_a_client_that_goes_in_the_middle_of_its_upload(server: Any, mode: str) -> None:
    """What was read of it is counted; that FastAPI answers 500 is nobody's fault here."""
    shop = Shop()
    with watched(shop.app, tracing={"instrumentation": mode}) as seen, served(shop.app, **server) as port:
        connection = raw(port, "POST /upload HTTP/1.1", "content-length: 100", body=b"x" * 10)
        assert shop.arrived.wait(WAIT)
        connection.close()
        (record,) = wait_for(seen)
        assert (record.attributes[OUTCOME], record.severity) == ("client_disconnect", "INFO")
        assert record.attributes["http.request.body.size"] <= 10
        assert get(port, "/hello/a") == 200
        assert not [log for log in seen.logs() if "Exception in ASGI" in str(log.body)]


@SERVERS
@MODES
def test_a_client_that_goes_in_the_middle_of_a_stream(server: Any, mode: str) -> None:
    """Starlette notices by itself, and ends normally."""
    shop = Shop()
    with watched(shop.app, tracing={"instrumentation": mode}) as seen, served(shop.app, **server) as port:
        connection = raw(port, "GET /endless HTTP/1.1")
        assert connection.recv(10_000)
        connection.close()
        assert shop.left.wait(WAIT)
        (record,) = wait_for(seen)
        assert (record.attributes[OUTCOME], record.severity) == ("client_disconnect", "INFO")
        assert record.attributes["http.response.status_code"] == 200
        assert record.attributes["http.response.body.size"] >= 10_000


@SERVERS
@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize("half_closed", [True, False])
def test_a_client_that_goes_while_nobody_reads(server: Any, slow: bool, half_closed: bool) -> None:
    """Servers swallow what is sent to it; for a slow request the record knows. Half a close is one, for uvicorn."""
    shop, listener = Shop(), socket.create_server(("127.0.0.1", 0))
    settings: Any = {"slow_threshold": 1e-9 if slow else 0}
    with watched(shop.app, request=settings) as seen, serving(shop.app, listener, **server) as shop.server:
        connection = raw(listener.getsockname()[1], "GET /held HTTP/1.1")
        assert shop.arrived.wait(WAIT)
        connection.shutdown(socket.SHUT_WR)
        if not half_closed:
            connection.close()
        (record,) = wait_for(seen)
        connection.close()
        assert record.attributes[OUTCOME] == ("client_disconnect" if slow else "ok")
        assert record.severity == ("WARN" if slow else "INFO")
        assert record.attributes["http.response.body.size"] == (0 if slow else 102)


@SERVERS
@MODES
@pytest.mark.parametrize(
    ("path", "outcome", "error"),
    [
        ("/nothing", "server_error", "incomplete_response"),
        ("/half", "server_error", "incomplete_response"),
        ("/ends/exit", "exception", "SystemExit"),
        ("/ends/interrupt", "exception", "KeyboardInterrupt"),
        ("/ends/timeout", "timeout", "TimeoutError"),
        ("/ends/cancelled", "cancelled", "asyncio.CancelledError"),
        ("/ends/with-body", "exception", None),
    ],
)
def test_uvicorns_line_about_a_failure_is_not_a_second_record(
    server: Any, mode: str, path: str, outcome: str, error: str | None
) -> None:
    """R2.2: neither about an exception of any kind, nor about an answer that is not complete, or that is uvicorn's."""
    shop = Shop()
    with watched(shop.app, tracing={"instrumentation": mode}) as seen, served(shop.app, **server) as port:
        answer = read_all(raw(port, f"GET {path} HTTP/1.1", "connection: close"))
        assert get(port, "/hello/a") == 200  # uvicorn has said by now what it had to say
        record, _ = wait_for(seen, 2)
        assert record.attributes[OUTCOME] == outcome
        assert error in (None, record.attributes["error.type"])
        assert answer.startswith(b"HTTP/1.1 %d " % record.attributes["http.response.status_code"])
        assert [log.body for log in seen.logs() if log.scope == "uvicorn.access"] == []
        about = [log.body for log in seen.logs() if log.scope.startswith("uvicorn") and "ASGI" in str(log.body)]
        assert about == []


@SERVERS
def test_what_is_no_request_has_no_record(server: Any) -> None:
    """It never reaches the application; uvicorn's own line about it stays."""
    shop = Shop()
    with watched(shop.app) as seen, served(shop.app, **server) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as connection:
            connection.sendall(b"no HTTP at all\r\n\r\n")
            connection.recv(1_000)
        assert get(port, "/hello/a") == 200
        assert len(wait_for(seen)) == 1
        assert [log for log in seen.logs() if log.body == "Invalid HTTP request received."]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_client_that_is_shown_the_door_while_it_waits(loop: str) -> None:
    """Garbage behind two requests: with httptools uvicorn closes at once, and uvloop raises when the answer comes."""
    shop = Shop()
    with watched(shop.app) as seen, served(shop.app, http="httptools", loop=loop) as port:
        connection = raw(port, "GET /later HTTP/1.1")
        assert shop.arrived.wait(WAIT)
        connection.sendall(b"GET /hello/a HTTP/1.1\r\nhost: x\r\n\r\nno HTTP at all\r\n\r\n")
        assert b"400" in read_all(connection)
        shop.may_go.set()
        record = wait_for(seen)[0]
        assert record.attributes[OUTCOME] == ("client_disconnect" if loop == "uvloop" else "ok")
        assert record.severity == "INFO"
        assert [log.body for log in seen.logs() if "Exception in ASGI" in str(log.body)] == []


@SERVERS
def test_what_a_shutdown_cancels_is_recorded(server: Any) -> None:
    """Also where its clean-up takes longer than the lifespan's end."""
    shop, listener = Shop(), socket.create_server(("127.0.0.1", 0))
    options = {**server, "timeout_graceful_shutdown": 1}
    with watched(shop.app) as seen:
        with serving(shop.app, listener, **options):
            connection = raw(listener.getsockname()[1], "GET /waits HTTP/1.1")
            assert shop.arrived.wait(WAIT)
        (record,) = wait_for(seen)
        connection.close()
        assert (record.attributes[OUTCOME], record.severity) == ("cancelled", "WARN")
        assert record.attributes["error.type"] == "asyncio.CancelledError"
        assert record.attributes["http.response.status_code"] == 500
        assert [log.body for log in seen.logs() if log.scope == "uvicorn.access"] == []


def test_over_a_unix_socket(tmp_path: Path) -> None:
    """There is no peer address; what the proxy at the other end says counts once `unix` is trusted."""
    request = b"GET /hello/a HTTP/1.1\r\nhost: shop\r\nx-forwarded-for: 203.0.113.7\r\nconnection: close\r\n\r\n"
    for trusted, found in (([], None), (["unix"], "203.0.113.7")):
        shop, listener = Shop(), socket.socket(socket.AF_UNIX)
        listener.bind(path := str(tmp_path / f"{len(trusted)}.sock"))
        listener.listen()
        settings: Any = {"trusted_proxies": trusted}
        with watched(shop.app, request=settings) as seen, serving(shop.app, listener, proxy_headers=False):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(WAIT)
                connection.connect(path)
                connection.sendall(request)
                while connection.recv(1_000):
                    pass
            (record,) = wait_for(seen)
            assert record.attributes.get("client.address") == found
            assert record.attributes["server.address"] == "shop"


def talk() -> FastAPI:
    app = FastAPI()

    @app.websocket("/ws/{name}")
    async def echo(socket: WebSocket, name: str) -> None:
        if name == "refused":
            await socket.close()
            return
        if name == "denied":
            await socket.send_denial_response(PlainTextResponse("no", status_code=401))
            return
        await socket.accept()
        if name == "broken":
            raise ValueError("no more")
        if name == "closed":
            await socket.close(1011)
            return
        while True:
            await socket.send_text(await socket.receive_text())

    return app


@MODES
@SOCKETS
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_websockets(mode: str, ws: str, loop: str) -> None:
    """One record each, by how they ended, and none of uvicorn's lines beside it."""
    app = talk()
    tracing: Any = {"instrumentation": mode}
    with watched(app, tracing=tracing) as seen, served(app, ws=ws, loop=loop) as port:
        url = f"ws://127.0.0.1:{port}/ws"
        with connect(f"{url}/normal") as client:
            client.send("x")
            assert client.recv(WAIT) == "x"
        with connect(f"{url}/aborted") as client:
            client.send("x")
            assert client.recv(WAIT) == "x"
            client.socket.shutdown(socket.SHUT_RDWR)
        for name, status in (("refused", 403), ("denied", 401)):
            with pytest.raises(InvalidStatus) as refused, connect(f"{url}/{name}"):
                pass
            assert refused.value.response.status_code == status
        for name in ("closed", "broken"):
            with connect(f"{url}/{name}") as client, pytest.raises(Exception, match=r"1011|1006|no close frame"):
                client.recv(WAIT)
        ended = {record.attributes["url.path"].removeprefix("/ws/"): record for record in wait_for(seen, 6)}
        assert {name: record.attributes[OUTCOME] for name, record in ended.items()} == {
            "normal": "ok",
            "aborted": "client_disconnect",
            "refused": "client_error",
            "denied": "client_error",
            "closed": "server_error",
            "broken": "exception",
        }
        assert ended["denied"].attributes["http.response.status_code"] == 401
        lines = [log.body for log in seen.logs() if log.scope.startswith("uvicorn")]
        words = [
            "WebSocket",
            "ASGI",
            *(["connection"] if ws != "websockets" else []),
        ]  # those are of the connection's task
        assert not [line for line in lines if any(word in line for word in words)]


@SOCKETS
def test_a_websocket_that_a_shutdown_ends(ws: str) -> None:
    """Uvicorn closes it with 1012: nobody's wish and nobody's fault."""
    app = talk()
    with watched(app) as seen, contextlib.ExitStack() as client_side:
        with served(app, ws=ws) as port:
            client = client_side.enter_context(connect(f"ws://127.0.0.1:{port}/ws/x"))
            client.send("x")
            assert client.recv(WAIT) == "x"
        (record,) = wait_for(seen)
        assert (record.attributes[OUTCOME], record.attributes["logspan.websocket.close_code"]) == ("cancelled", 1012)
