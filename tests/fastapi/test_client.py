"""R6.1: who the client is. A forwarded header is believed only where a proxy that is trusted has written it."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from logspan import Settings, SettingsError
from logspan.fastapi.client import Peer, Proxies, server_of
from logspan.settings import RequestSettings
from tests.fastapi.driver import scope_of
from tests.fastapi.support import TestClient, watched

PROXY, INNER, CLIENT = "10.0.0.1", "10.0.0.2", "203.0.113.7"
TRUSTED = Proxies.named(["10.0.0.0/8", "fd00::/8"], "x-forwarded-for")
STANDARD = Proxies.named(["10.0.0.0/8"], "forwarded")


def client(proxies: Proxies, peer: Any, *forwarded: str) -> tuple[str | None, int | None]:
    return proxies.client(scope_of(client=peer), list(forwarded))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ((CLIENT, 1234), [], (CLIENT, 1234)),
        ((CLIENT, 1234), ["1.2.3.4"], (CLIENT, 1234)),
        ((PROXY, 1234), [], (PROXY, 1234)),
        ((PROXY, 1234), [CLIENT], (CLIENT, None)),
        ((PROXY, 1234), [f"{CLIENT}:4711"], (CLIENT, 4711)),
        ((PROXY, 1234), [f"1.2.3.4, {CLIENT}"], (CLIENT, None)),
        ((PROXY, 1234), ["1.2.3.4", CLIENT], (CLIENT, None)),
        ((PROXY, 1234), [f"{CLIENT}, {INNER}"], (CLIENT, None)),
        ((PROXY, 1234), [f"{CLIENT},{INNER} , {INNER}"], (CLIENT, None)),
        ((PROXY, 1234), [f"{INNER}, {INNER}"], (INNER, None)),
        ((PROXY, 1234), [f"{CLIENT}, bogus, {INNER}"], (INNER, None)),
        ((PROXY, 1234), ["bogus"], (PROXY, 1234)),
        ((PROXY, 1234), ["unknown"], (PROXY, 1234)),
        ((PROXY, 1234), [""], (PROXY, 1234)),
        ((PROXY, 1234), ["2001:db8::1"], ("2001:db8::1", None)),
        ((PROXY, 1234), ["[2001:db8::1]:4711"], ("2001:db8::1", 4711)),
        ((PROXY, 1234), ["fe80::1%eth0 junk <x>"], ("fe80::1", None)),
        ((PROXY, 1234), ["[fe80::1%25x]:80"], ("fe80::1", 80)),
        (("fd00::1%eth0", 1234), [CLIENT], (CLIENT, None)),
        ((PROXY, 1234), [f"{CLIENT}:99999"], (CLIENT, None)),
        (("::ffff:10.0.0.1", 1234), [f"::ffff:{CLIENT}"], (CLIENT, None)),
        (("fd00::1", 1234), [CLIENT], (CLIENT, None)),
        (None, [CLIENT], (None, None)),
        (("testclient", 50000), [CLIENT], ("testclient", 50000)),
    ],
)
def test_the_header_is_read_from_the_right(peer: Any, forwarded: list[str], found: Any) -> None:
    """Up to the first address that is no trusted proxy, or that is none; what is left of it is the client's word."""
    assert client(TRUSTED, peer, *forwarded) == found


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        (["for=203.0.113.7"], (CLIENT, None)),
        (["For=1.2.3.4, FOR=203.0.113.7;proto=https;by=10.0.0.1"], (CLIENT, None)),
        (['for="203.0.113.7:4711"'], (CLIENT, 4711)),
        (['proto=https;for="[2001:db8::1]:4711"'], ("2001:db8::1", 4711)),
        (["for=203.0.113.7", 'for="10.0.0.2"'], (CLIENT, None)),
        (["for=203.0.113.7, for=_hidden"], (PROXY, 1234)),
        (["for=unknown"], (PROXY, 1234)),
        (["proto=https"], (PROXY, 1234)),
    ],
)
def test_the_standard_header(forwarded: list[str], found: Any) -> None:
    """RFC 7239, with its quotes, its brackets and its obfuscated nodes."""
    assert client(STANDARD, (PROXY, 1234), *forwarded) == found


def test_a_unix_socket_is_trusted_by_name() -> None:
    """Its peer has no address; a proxy on the same machine is at its other end."""
    assert client(Proxies.named(["unix"], "x-forwarded-for"), None, CLIENT) == (CLIENT, None)
    assert client(Proxies.named(["unix"], "x-forwarded-for"), ("10.0.0.1", 1), CLIENT) == ("10.0.0.1", 1)


async def rewritten(trusted: str, peer: Any, forwarded: str) -> dict[str, Any]:
    """The scope as uvicorn's middleware hands it on."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    scope = scope_of(client=peer, headers=[(b"x-forwarded-for", forwarded.encode())])
    middleware: Any = ProxyHeadersMiddleware(app, trusted_hosts=trusted)
    await middleware(scope, None, None)
    return seen


@pytest.mark.parametrize(
    ("trusted", "forwarded", "found"),
    [
        ("10.0.0.1", CLIENT, CLIENT),
        ("10.0.0.1", f"1.2.3.4, {CLIENT}", CLIENT),
        ("10.0.0.1", f"1.2.3.4, {CLIENT}, {INNER}", CLIENT),  # uvicorn ends at the inner proxy, we know that one too
        ("*", f"1.2.3.4, {CLIENT}", CLIENT),  # uvicorn believes what the client made up
        ("*", "bogus", None),
    ],
)
async def test_what_uvicorn_has_rewritten_comes_to_the_same(trusted: str, forwarded: str, found: str | None) -> None:
    """Its own middleware is on by default, and takes the peer's address away."""
    scope = await rewritten(trusted, (PROXY, 1234), forwarded)
    assert scope["client"][1] == 0
    assert TRUSTED.client(scope, [forwarded]) == Peer(found, None)


async def test_without_trusted_proxies_the_server_is_believed() -> None:
    """Whatever it made of the header, without the port that it invented."""
    scope = await rewritten("*", (PROXY, 1234), CLIENT)
    assert Proxies().client(scope, [CLIENT]) == Peer(CLIENT, None)


@pytest.mark.parametrize("forwarded", ["bogus", "<script>", "unknown", "fe80::1%<x>"])
async def test_what_the_server_has_taken_over_and_is_no_address_is_not_told(forwarded: str) -> None:
    """Uvicorn takes any text from a header for the client, by default of everybody on this machine."""
    scope = await rewritten("127.0.0.1", ("127.0.0.1", 1234), forwarded)
    assert scope["client"][0].startswith(forwarded[:5])
    found = Peer("fe80::1" if forwarded.startswith("fe80") else None, None)
    assert Proxies().client(scope, [forwarded]) == found
    assert Proxies.named(["unix"], "x-forwarded-for").client(scope, []) == found


@given(st.lists(st.text(max_size=40), max_size=5), st.sampled_from([TRUSTED, STANDARD]))
def test_no_header_breaks_it(forwarded: list[str], proxies: Proxies) -> None:
    """Whatever somebody writes there, an address comes out, or what was there before."""
    address, port = client(proxies, (PROXY, 1234), *forwarded)
    assert address
    assert port is None or 0 < port < 65_536


def test_a_long_header_costs_no_more_than_a_short_one() -> None:
    """The client may send 64 KiB of addresses that look like trusted proxies: the last few are read."""
    assert client(TRUSTED, (PROXY, 1234), ", ".join([CLIENT, *[INNER] * 5_000])) == (INNER, None)


@pytest.mark.parametrize(
    ("host", "scheme", "found"),
    [
        ("example.org", "http", ("example.org", 80)),
        ("Example.org", "https", ("example.org", 443)),
        ("example.org:8000", "http", ("example.org", 8000)),
        ("[::1]:8000", "ws", ("::1", 8000)),
        ("[::1]", "wss", ("::1", 443)),
        ("user@example.org", "http", ("127.0.0.1", 8000)),
        ("example.org/x?y", "http", ("127.0.0.1", 8000)),
        ("example.org:http", "http", ("127.0.0.1", 8000)),
        (":80", "http", ("127.0.0.1", 8000)),
        ("", "http", ("127.0.0.1", 8000)),
        (None, "http", ("127.0.0.1", 8000)),
    ],
)
def test_the_server_is_who_the_client_asked_for(host: str | None, scheme: str, found: Any) -> None:
    """`server.address` and `server.port` by the `Host` header; a malformed one counts for nothing."""
    assert server_of(scope_of(scheme=scheme), host) == found


def test_a_server_on_a_unix_socket() -> None:
    """Its address is the path, and it has no port."""
    assert server_of(scope_of(server=("/run/app.sock", None)), None) == ("/run/app.sock", None)
    assert server_of(scope_of(server=None), None) == (None, None)


def test_the_settings_reach_the_record() -> None:
    """`request.trusted_proxies` and `request.forwarded_header`."""
    app = FastAPI()
    headers = {"x-forwarded-for": f"1.2.3.4, {CLIENT}", "forwarded": "for=198.51.100.1"}
    for settings, found in (
        ({}, "10.0.0.1"),
        ({"trusted_proxies": ["10.0.0.0/8"]}, CLIENT),
        ({"trusted_proxies": ["10.0.0.0/8"], "forwarded_header": "Forwarded"}, "198.51.100.1"),
        ({"trusted_proxies": ["192.168.0.0/16"]}, "10.0.0.1"),
    ):
        with watched(app, request=settings) as seen:
            TestClient(app, client=("10.0.0.1", 1234)).get("/", headers=headers)
            assert seen.requests()[0].attributes["client.address"] == found


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "proxy.internal", ""])
def test_what_is_no_network_is_refused_in_words(wrong: str) -> None:
    """R10.3: the message says what is allowed."""
    with pytest.raises(SettingsError, match="must be an address or a network"):
        Settings(request=RequestSettings(trusted_proxies=[wrong]))
