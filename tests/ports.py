"""Loopback ports for servers that a test starts in another process, or stops and starts again."""

import contextlib
import os
import random
import socket

FIRST, LAST = 10_000, 32_000  # below what Linux gives to outgoing connections and to whoever binds port 0
SLICES = 16


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on, from a part of the range that only this process of the tests takes from.

    A port that the kernel chose, and that was given back to it, can be the next client's or the next test's before the
    server listens, which then talks to a stranger. One of these can be lost only to a run of the tests beside this one.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SLICES
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(FIRST + worker, LAST, SLICES)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
