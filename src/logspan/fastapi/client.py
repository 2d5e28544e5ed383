"""Who the client is: who is connected, or who a trusted proxy says.

A proxy appends to `X-Forwarded-For` (or to `Forwarded`, RFC 7239) who was connected to it. What stands left of the
entry of the last trusted proxy is the client's own word, and anybody can write anything there: so it is read from the
right, and only while who wrote it is trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from logspan.fastapi.asgi import Scope
from logspan.settings.requests import UNIX_PEER

Address = IPv4Address | IPv6Address

_NOT_IN_HOST = frozenset("/?#@ \\")
_MAX_HOPS = 32
"""More proxies than any request passes; each costs time."""


class Peer(NamedTuple):
    """One end of a connection, as OTel names it: an IP address, or whatever name the server has for it."""

    address: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that are trusted, and the header (lower case) that they write."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False
    header: bytes = b"x-forwarded-for"

    @classmethod
    def named(cls, names: Iterable[str], header: str) -> Proxies:
        """Of settings: networks, and `unix`. Raises ValueError for what is no network."""
        given = tuple(names)
        networks = tuple(ip_network(name) for name in given if name != UNIX_PEER)
        return cls(networks, UNIX_PEER in given, header.encode("latin-1"))

    def client(self, scope: Scope, forwarded: list[str]) -> Peer:
        """The client of a request. `forwarded` has the values of the header, in the order of its lines.

        A peer with port 0 is what uvicorn has made of the header already, having trusted the peer itself, which nobody
        knows any more. The header is read again then, and comes to the same end or farther, or nearer where uvicorn
        trusts everybody.
        """
        peer, rewritten = _peer(scope)
        if not (self.networks or self.unix):  # most services
            return peer
        if not (rewritten and forwarded) and not self._trusts_peer(scope, peer):
            return peer
        best = peer
        for hop, address in self._hops(forwarded):
            if address is None:
                break
            best = hop
            if not self._trusts(address):
                break
        return best

    def _trusts_peer(self, scope: Scope, peer: Peer) -> bool:
        if scope.get("client") is None:
            return self.unix
        address = _parsed(peer.address)
        return address is not None and self._trusts(address)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)

    def _hops(self, forwarded: list[str]) -> Iterator[tuple[Peer, Address | None]]:
        """From the right: each entry, and its address, or None where it has none that can be read."""
        for entry in reversed(",".join(forwarded).rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]):
            node = _forwarded_for(entry) if self.header == b"forwarded" else entry.strip()
            yield _split(node)


def _peer(scope: Scope) -> tuple[Peer, bool]:
    """Who the server says is connected, and whether uvicorn has that from a header, where anything may stand."""
    client = scope.get("client")
    if not client:
        return Peer(None, None), False
    if client[1] != 0:
        return Peer(client[0] or None, client[1]), False
    address = _parsed(client[0])
    return Peer(str(address) if address else None, None), True


def _forwarded_for(element: str) -> str:
    """The `for` of one element of `Forwarded`: `for="[2001:db8::1]:4711";proto=https`."""
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return value.strip().strip('"')
    return ""


def _split(node: str) -> tuple[Peer, Address | None]:
    """`192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`; anything else has no address (`unknown`)."""
    host, port = node, ""
    if node.startswith("["):
        host, _, port = node[1:].partition("]")
        port = port.removeprefix(":")
    elif node.count(":") == 1:
        host, _, port = node.partition(":")
    address = _parsed(host)
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    return Peer(str(address) if address else None, number if 0 < number < 65_536 else None), address


def _parsed(text: str | None) -> Address | None:
    """An IP address; one of version 4 that is written as version 6 (`::ffff:10.0.0.1`) as what it is.

    Without a zone (`fe80::1%eth0`), which says nothing elsewhere, and in which any text may stand.
    """
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return address
    return address.ipv4_mapped or (IPv6Address(int(address)) if address.scope_id else address)


def server_of(scope: Scope, host: str | None) -> Peer:
    """Who the client wanted to speak to: the `Host` header, else the address that the server listens on."""
    if host and _NOT_IN_HOST.isdisjoint(host):
        name, colon, port = host.partition(":") if host[0] != "[" else _bracketed(host)
        if name and (port.isdecimal() and port.isascii() and len(port) <= 5 if colon else not port):
            return Peer(name.lower(), int(port) if port else _default_port(scope))
    server = scope.get("server")
    return Peer(server[0], server[1]) if server else Peer(None, None)


def _bracketed(host: str) -> tuple[str, str, str]:
    """The parts of `[::1]:80`, as `partition` gives them."""
    name, _, rest = host[1:].partition("]")
    return name, rest[:1], rest[1:]


def _default_port(scope: Scope) -> int:
    return 443 if scope.get("scheme") in ("https", "wss") else 80
