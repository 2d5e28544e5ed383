"""The types of ASGI, and what its messages say: https://asgi.readthedocs.io/en/latest/specs/www.html."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def size_of(body: Any) -> int:
    """Bytes of a body's part; a `memoryview` counts its bytes, whatever its items are."""
    return body.nbytes if isinstance(body, memoryview) else len(body)


def header(message: Message, name: bytes) -> str | None:
    """The first header of that name (lower case) in a message or a scope."""
    for key, value in message.get("headers") or ():
        if key.lower() == name:
            return str(value, "latin-1")
    return None


def path_in_app(scope: Scope) -> str:
    """The path below `root_path`: what the application's own routes are matched with."""
    path, root = str(scope["path"]), scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
