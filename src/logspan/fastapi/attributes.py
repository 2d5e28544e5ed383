"""The attributes of a request's record.

Names are those of https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span, and `logspan.*` for
what they have no name for. `http.server.request.duration` has the meaning of the metric: seconds, up to the end of the
response.

Every request pays for what is done here, so all of it writes into one dict.
"""

from __future__ import annotations

from typing import Any

from logspan.fastapi.client import server_of
from logspan.fastapi.outcome import Ending
from logspan.fastapi.request import Request

Attributes = dict[str, Any]
Headers = dict[bytes, list[str]]


def attributes_of(request: Request, ending: Ending, route: str | None, seconds: float) -> Attributes:
    """All of them, in the order in which one reads them; `seconds` is the duration."""
    found: Attributes = {}
    scope, headers = request.scope, _picked(request)
    if not request.websocket:
        _add_method(found, request)
    if route is not None:
        found["http.route"] = route
    found["url.path"] = scope["path"]
    if query := scope.get("query_string"):
        found["url.query"] = str(query, "latin-1")
    found["url.scheme"] = scope.get("scheme")
    found["http.response.status_code"] = ending.status
    found["http.server.request.duration"] = seconds
    _add_stream(found, request)
    _add_ends(found, request, headers)
    if request.websocket:
        found["network.protocol.name"] = "websocket"
    found["network.protocol.version"] = scope.get("http_version")
    found["logspan.request.outcome"] = ending.outcome.value
    if ending.slow:
        found["logspan.request.slow"] = True
    if ending.error:
        found.update(ending.error)
    if None in found.values():
        found = {name: value for name, value in found.items() if value is not None}
    _add_what_was_asked_for(found, request, headers)
    return found


def _picked(request: Request) -> Headers:
    """The request headers that something is made of, in one pass."""
    wanted = {b"host", b"user-agent", request.config.proxies.header, *request.options.request_headers}
    found: Headers = {}
    for key, value in [pair for pair in request.scope.get("headers") or () if pair[0] in wanted]:
        found.setdefault(key, []).append(str(value, "latin-1"))
    return found


def _add_method(found: Attributes, request: Request) -> None:
    method = request.method
    if method in request.config.known_methods:
        found["http.request.method"] = method
    else:
        found["http.request.method"] = "_OTHER"
        found["http.request.method_original"] = method


def _add_stream(found: Attributes, request: Request) -> None:
    """Sizes in bytes, the time to the first byte in seconds."""
    if request.first_byte_at is not None:
        found["logspan.request.time_to_first_byte"] = round(request.first_byte_at - request.started_at, 6)
    if request.request_size is not None:
        found["http.request.body.size"] = request.request_size
    if request.websocket:
        if request.close_code is not None:
            found["logspan.websocket.close_code"] = request.close_code
    elif request.response_size is not None:
        found["http.response.body.size"] = request.response_size


def _add_ends(found: Attributes, request: Request, headers: Headers) -> None:
    proxies = request.config.proxies
    found["client.address"], found["client.port"] = proxies.client(request.scope, headers.get(proxies.header, []))
    host = headers[b"host"][0] if b"host" in headers else None
    found["server.address"], found["server.port"] = server_of(request.scope, host)
    if b"user-agent" in headers:
        found["user_agent.original"] = headers[b"user-agent"][0]


def _add_what_was_asked_for(found: Attributes, request: Request, headers: Headers) -> None:
    """Headers by their allow-lists, as arrays of strings, and bodies.

    A middleware may have read the body before the route was known: what the route says goes for what was kept.
    """
    options = request.options
    if options.request_headers:
        for name in sorted(options.request_headers & headers.keys()):
            found[f"http.request.header.{name.decode('latin-1')}"] = headers[name]
    if options.response_headers:
        for key, value in request.response_headers:
            if (name := key.lower()) in options.response_headers:
                found.setdefault(f"http.response.header.{name.decode('latin-1')}", []).append(str(value, "latin-1"))
    if request.request_content is not None and options.request_body:
        found["http.request.body.content"] = request.request_content.value(options.body_size)
    if request.response_content is not None and options.response_body:
        found["http.response.body.content"] = request.response_content.value(options.body_size)
