"""B6: bytes are counted as they pass, in both directions, and nothing is buffered for it."""

from __future__ import annotations

import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, StreamingResponse
from starlette.middleware.gzip import GZipMiddleware

from tests.fastapi.driver import DISCONNECT, Driver, part, start, upload, with_raw
from tests.fastapi.support import TestClient, watched

SENT, RECEIVED = "http.response.body.size", "http.request.body.size"


def answering(*messages: Any) -> Any:
    """An app that sends these messages."""

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return with_raw(FastAPI(), raw)


async def sizes(app: Any, driver: Driver | None = None, **scope: Any) -> tuple[int | None, int | None]:
    """What the record says was received and sent."""
    with watched(app, tracing={"instrumentation": "off"}) as seen:
        await (driver or Driver()).run(app, **scope)
        (request,) = seen.requests()
        return request.attributes.get(RECEIVED), request.attributes.get(SENT)


@pytest.mark.parametrize(
    ("messages", "size"),
    [
        ([start(), part(b"")], 0),
        ([start(), part(b"abc", more=True), part(bytearray(b"defg"), more=True), part()], 7),
        ([start(), part(memoryview(array.array("i", [1, 2, 3])))], array.array("i").itemsize * 3),
        ([start(), {"type": "http.response.body"}], 0),
        ([start(trailers=True), part(b"abc"), {"type": "http.response.trailers", "headers": [(b"x", b"y")]}], 3),
        ([start(200, (b"Content-Length", b"12")), {"type": "http.response.pathsend", "path": "/dev/null"}], 12),
        ([start(), {"type": "http.response.pathsend", "path": "/dev/null"}], None),
        ([start(204), part()], 0),
        ([start(304), part()], 0),
    ],
    ids=["empty", "parts", "memoryview", "no-body", "trailers", "pathsend", "pathsend-unknown", "204", "304"],
)
async def test_what_is_sent_is_counted(messages: list[Any], size: int | None) -> None:
    """A file that the server sends by itself has the size that the response announced, or none."""
    assert (await sizes(answering(*messages)))[1] == size


async def test_what_a_head_request_is_answered_never_leaves_the_server() -> None:
    """Frameworks send the body of a HEAD as well, and the server throws it away."""
    assert (await sizes(answering(start(), part(b"abc")), method="HEAD"))[1] == 0


async def test_what_the_server_refused_is_not_counted() -> None:
    """A body that must not be there (204, 304) raises from `send`."""
    app = answering(start(204), part(b"abc"))
    assert (await sizes(app, Driver(refuse=RuntimeError("no body here"), at="http.response.body")))[1] == 0


async def test_what_is_sent_after_a_disconnect_is_not_counted() -> None:
    """From where the application has heard of it, nothing is on its way to anybody."""

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(part(b"abc", more=True))
        assert (await receive())["type"] == "http.disconnect"
        await send(part(b"defg"))

    assert (await sizes(with_raw(FastAPI(), raw), Driver([DISCONNECT])))[1] == 3


async def test_what_is_received_is_counted_as_far_as_it_is_read() -> None:
    """Part by part; of a body that nobody reads there is no size, whatever the client announced."""

    async def reads(count: int, scope: Any, receive: Any, send: Any) -> None:
        for _ in range(count):
            await receive()
        await send(start())
        await send(part())

    parts = [upload(b"abc", more=True), upload(b"defg", more=True), upload()]
    for count, size in ((0, None), (1, 3), (3, 7)):

        async def raw(scope: Any, receive: Any, send: Any, count: int = count) -> None:
            await reads(count, scope, receive, send)

        got = await sizes(with_raw(FastAPI(), raw), Driver(list(parts)), method="POST")
        assert got == (size, 0)


def test_through_the_framework(tmp_path: Path) -> None:
    """Uploads, streams, files, and what a compressing middleware makes of them: the bytes of the wire."""
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    app = FastAPI()
    app.add_middleware(GZipMiddleware, minimum_size=1_000)

    @app.post("/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 10

        return StreamingResponse(parts())

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(tmp_path / "file")

    with watched(app) as seen:
        client = TestClient(app)
        client.post("/upload", content=b"x" * 70_000)
        client.get("/stream", headers={"accept-encoding": "identity"})
        client.get("/file", headers={"accept-encoding": "identity"})
        compressed = client.get("/file")
        upload_record, stream_record, file_record, gzip_record = seen.requests()
        assert (upload_record.attributes[RECEIVED], upload_record.attributes[SENT]) == (70_000, 5)
        assert stream_record.attributes[SENT] == 100
        assert file_record.attributes[SENT] == 100_000
        assert compressed.content == b"x" * 100_000
        assert 0 < gzip_record.attributes[SENT] < 10_000


async def test_nothing_is_held_back() -> None:
    """Each part is with the other side before the next one is asked for."""
    held: list[int] = []
    driver = Driver([upload(b"x", more=True)] * 3 + [upload()])

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        for _ in range(4):
            message = await receive()
            await send(part(message["body"], more=message["more_body"]))
            held.append(len(driver.sent))

    await sizes(with_raw(FastAPI(), raw), driver, method="POST")
    assert held == [2, 3, 4, 5]
