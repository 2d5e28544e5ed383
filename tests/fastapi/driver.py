"""An ASGI server of one request, for what real servers and clients cannot be made to do at will."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from starlette.routing import Route

Message = MutableMapping[str, Any]
Raw = Callable[[Any, Any, Any], Awaitable[None]]


class Driver:
    """Sends an app one request, and keeps what the app sends.

    After the `messages` the client is silent. `refuse` is raised when the app sends a message of the type `at`.
    """

    def __init__(
        self, messages: Iterable[Message] = (), *, refuse: BaseException | None = None, at: str = "http.response.start"
    ) -> None:
        self.messages = list(messages)
        self.sent: list[Message] = []
        self.refuse = refuse
        self.at = at

    async def receive(self) -> Message:
        """The next message, at once; then nothing ever."""
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)

    async def send(self, message: Message) -> None:
        """Keep a message, or refuse it."""
        if self.refuse is not None and message["type"] == self.at:
            raise self.refuse
        self.sent.append(message)

    async def run(self, app: Any, path: str = "/raw", **scope: Any) -> BaseException | None:
        """Send the request; gives the exception that came out of the app."""
        try:
            await app(scope_of(path, **scope), self.receive, self.send)
        except BaseException as error:
            return error
        return None


def scope_of(path: str = "/raw", **changes: Any) -> dict[str, Any]:
    """The scope of a request as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 54321),
        "scheme": "http",
        "root_path": "",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"example.org")],
        "state": {},
        **changes,
    }


class RawEndpoint:
    """An endpoint that speaks ASGI itself."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.raw(scope, receive, send)


def with_raw(app: Any, raw: Raw, path: str = "/raw") -> Any:
    """The app with one more endpoint, for any method."""
    app.router.routes.append(Route(path, RawEndpoint(raw)))
    return app


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> Message:
    """The beginning of a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def part(body: Any = b"", *, more: bool = False) -> Message:
    """A part of a response's body; the last one by default."""
    return {"type": "http.response.body", "body": body, "more_body": more}


def upload(body: bytes = b"", *, more: bool = False) -> Message:
    """A part of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


DISCONNECT: Message = {"type": "http.disconnect"}
