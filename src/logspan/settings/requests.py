"""The sections about requests: the record that is made of each, its id, its user."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from logspan.settings.fields import Choice, HeaderName, OptionalHeader
from logspan.settings.section import Section

HEALTH_CHECKS = (
    "/health",
    "/health/*",
    "/healthz",
    "/live",
    "/livez",
    "/metrics",
    "/ready",
    "/readyz",
    "/startupz",
)
METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
"""Those that RFC 9110, PATCH and QUERY define: what the semantic conventions call known."""
UNIX_PEER = "unix"


def _network(text: str) -> str:
    text = text.strip()
    if text.lower() == UNIX_PEER:
        return UNIX_PEER
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(
            "must be an address or a network without bits below its prefix (10.0.0.0/8, ::1), or `unix`"
        ) from None


def _media_type(text: str) -> str:
    kind, slash, rest = (part.strip().lower() for part in text.partition("/"))
    if not (kind and slash and rest) or ";" in rest:
        raise ValueError("must be a media type without parameters, such as application/json or text/*")
    return f"{kind}/{rest}"


Network = Annotated[str, AfterValidator(_network)]
MediaType = Annotated[str, AfterValidator(_media_type)]


class RequestSettings(Section):
    """The record that is made for each request."""

    record: bool = Field(default=True, description="Whether there is one.")
    excluded_paths: list[str] = Field(
        default=list(HEALTH_CHECKS),
        description="Paths, without the server's root path, whose requests get one only when it is WARN or above: when "
        "they fail, are cancelled or slow; a `*` at the end stands for any rest.",
    )
    slow_threshold: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="From how long on a request is slow, in seconds; 0: never. WebSockets and event streams never are.",
    )
    trusted_proxies: list[Network] = Field(
        default_factory=list,
        description="Addresses and networks (CIDR) of the proxies whose word about the client is believed; `unix` for "
        "what comes over a Unix socket. Unset: the client is who is connected, or who the server says.",
    )
    forwarded_header: Annotated[Literal["x-forwarded-for", "forwarded"], Choice] = Field(
        default="x-forwarded-for",
        description="The one header that these proxies write; any other may come from the client.",
    )
    known_methods: list[str] = Field(
        default=list(METHODS),
        description="Request methods that are named on the record; others are `_OTHER` there, and the method itself is "
        "in `http.request.method_original`.",
    )
    request_headers: list[HeaderName] = Field(
        default_factory=list, description="Request headers on the record, as `http.request.header.<name>`."
    )
    response_headers: list[HeaderName] = Field(
        default_factory=list, description="Response headers on the record, as `http.response.header.<name>`."
    )
    request_body: bool = Field(
        default=False, description="Whether the beginning of the request's body is on the record."
    )
    response_body: bool = Field(
        default=False, description="Whether the beginning of the response's body is on the record."
    )
    body_size: int = Field(
        default=4_096, gt=0, le=65_536, description="How much of a body is kept for the record, in bytes."
    )
    body_content_types: list[MediaType] = Field(
        default=["application/json", "application/x-www-form-urlencoded", "text/plain"],
        description="Media types of the bodies that are kept; `application/json` stands for `application/*+json` too, "
        "`text/*` for all text. Compressed bodies are not kept.",
    )


class RequestIdSettings(Section):
    """The id of each request: on its records, in its response, along with the calls that it makes."""

    header: OptionalHeader = Field(
        default="x-request-id", description="The header that carries it, in and out; `none`: requests have no id."
    )
    accept: bool = Field(
        default=True,
        description="Whether the id that a client gives is taken: a single one, of 1 to 128 letters, digits and "
        "`._~:/+=@#-`. Otherwise, and for all others, one is made.",
    )
    propagate: bool = Field(
        default=True, description="Whether it goes along where the OTel propagators put a `traceparent`."
    )


class UserSettings(Section):
    """Who makes a request: what the application's own authentication has found out, nothing else."""

    state: str | None = Field(
        default=None,
        description="Name in `request.state` where the application keeps a verified user: an id, a mapping, or an "
        "object with an `id`.",
    )
    scope: bool = Field(
        default=True,
        description="Whether `request.user` is looked at, which Starlette's `AuthenticationMiddleware` sets.",
    )
