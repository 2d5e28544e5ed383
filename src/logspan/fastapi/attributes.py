"""The attributes of a request's record.

Names are those of https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span, and `logspan.*` for
what they have no name for. `http.server.request.duration` has the meaning of the metric: seconds, up to the end of the
response.
"""

from __future__ import annotations

from typing import Any

from opentelemetry._logs import SeverityNumber

from logspan.fastapi.client import server_of
from logspan.fastapi.failure import Outcome
from logspan.fastapi.outcome import SEVERITIES
from logspan.fastapi.request import Request

_HOST, _USER_AGENT = b"host", b"user-agent"

Headers = dict[bytes, list[str]]


def attributes_of(request: Request, outcome: Outcome, route: str | None, seconds: float) -> dict[str, Any]:
    """All of them, in the order in which one reads them; `seconds` is the duration."""
    headers = _picked(request)
    found = {
        **_method(request),
        "http.route": route,
        **_url(request),
        "http.response.status_code": request.final_status(),
        "http.server.request.duration": seconds,
        **_stream(request),
        **_ends(request, headers),
        "user_agent.original": headers[_USER_AGENT][0] if _USER_AGENT in headers else None,
        "network.protocol.name": "websocket" if request.websocket else None,
        "network.protocol.version": request.scope.get("http_version"),
        "logspan.request.outcome": outcome.value,
        "logspan.request.slow": True if request.slow else None,
        **_error(request, outcome),
        **_asked_for(request, headers),
    }
    return {name: value for name, value in found.items() if value is not None}


def _picked(request: Request) -> Headers:
    """The request headers that something is made of, in one pass."""
    wanted = request.options.request_headers
    forwarded = request.config.proxies.header
    found: Headers = {}
    for key, value in request.scope.get("headers") or ():
        if key in (_HOST, _USER_AGENT, forwarded) or key in wanted:
            found.setdefault(key, []).append(str(value, "latin-1"))
    return found


def _method(request: Request) -> dict[str, Any]:
    if request.websocket:
        return {}
    method = request.method
    if method in request.config.known_methods:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def _url(request: Request) -> dict[str, Any]:
    query = request.scope.get("query_string")
    return {
        "url.path": request.path,
        "url.query": str(query, "latin-1") if query else None,
        "url.scheme": request.scope.get("scheme"),
    }


def _stream(request: Request) -> dict[str, Any]:
    """Sizes in bytes, the time to the first byte in seconds."""
    first = request.first_byte_at
    return {
        "logspan.request.time_to_first_byte": None if first is None else round(first - request.started_at, 6),
        "http.request.body.size": request.request_size,
        "http.response.body.size": None if request.websocket else request.response_size,
        "logspan.websocket.close_code": request.close_code if request.websocket else None,
    }


def _ends(request: Request, headers: Headers) -> dict[str, Any]:
    proxies = request.config.proxies
    client = proxies.client(request.scope, headers.get(proxies.header, []))
    server = server_of(request.scope, headers[_HOST][0] if _HOST in headers else None)
    return {
        "client.address": client.address,
        "client.port": client.port,
        "server.address": server.address,
        "server.port": server.port,
    }


def _error(request: Request, outcome: Outcome) -> dict[str, Any]:
    if request.failure is not None:
        return dict(request.failure.attributes)
    if SEVERITIES[outcome][0] is not SeverityNumber.ERROR:
        return {}
    status = request.status
    return {"error.type": str(status) if status is not None and status >= 500 else "incomplete_response"}


def _asked_for(request: Request, headers: Headers) -> dict[str, Any]:
    """Headers by their allow-lists, as arrays of strings, and bodies."""
    options = request.options
    found: dict[str, Any] = {
        f"http.request.header.{name.decode()}": headers[name] for name in options.request_headers if name in headers
    }
    if options.response_headers:
        for key, value in request.response_headers:
            if (name := key.lower()) in options.response_headers:
                found.setdefault(f"http.response.header.{name.decode()}", []).append(str(value, "latin-1"))
    if request.request_content is not None:
        found["http.request.body.content"] = request.request_content.value()
    if request.response_content is not None:
        found["http.response.body.content"] = request.response_content.value()
    return found
