"""A socket whose operations share one deadline, however many of them there are.

A socket's own timeout starts anew with each read: a peer that sends a byte now and then would hold a reader for ever.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - `getaddrinfo` would import it; a fork meanwhile leaves the child its lock, held
import io
import socket
import ssl
import time
from collections.abc import Callable

_SLICE = 262_144


def connect(host: str, port: int, context: ssl.SSLContext | None, deadline: float) -> socket.socket:
    """A connected socket, after the TLS handshake if there is a context; `deadline` is of `time.monotonic`."""
    sock = _connect_tcp(host, port, deadline)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            return sock
        sock.settimeout(remaining(deadline))
        secure = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    try:
        secure.do_handshake()
    except BaseException:
        secure.close()
        raise
    return secure


def _connect_tcp(host: str, port: int, deadline: float) -> socket.socket:
    """Try each address of the name; the time that is left is shared among those that are left."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(f"no address for {host}")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(remaining(deadline) / (len(addresses) - index))
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure


def remaining(deadline: float) -> float:
    """Seconds until the deadline; `TimeoutError` when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


class DeadlineSocket:
    """What `http.client` needs of a socket: to send, to be read as a file, to be closed."""

    def __init__(self, sock: socket.socket, deadline: Callable[[], float]) -> None:
        self._sock = sock
        self._deadline = deadline

    def fileno(self) -> int:
        """For selectors."""
        return self._sock.fileno()

    def sendall(self, data: bytes) -> None:
        """Send everything before the deadline."""
        view = memoryview(data)
        while view:
            self._sock.settimeout(remaining(self._deadline()))
            view = view[self._sock.send(view[:_SLICE]) :]

    def makefile(self, mode: str = "rb") -> io.BufferedReader:
        """A buffered reader; like a socket's own it keeps the descriptor open until both are closed."""
        del mode
        raw = self._sock.makefile("rb", buffering=0)
        return io.BufferedReader(_Reader(raw, self._sock, self._deadline))

    def abort(self) -> None:
        """End the connection for whoever is waiting on it."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended already
            pass

    def close(self) -> None:
        """Give the descriptor back, once its files are closed too."""
        self._sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, raw: socket.SocketIO, sock: socket.socket, deadline: Callable[[], float]) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        self._sock.settimeout(remaining(self._deadline()))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
