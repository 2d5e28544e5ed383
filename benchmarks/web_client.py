"""A client on plain sockets, so that it costs little beside what it measures.

python -m benchmarks.web_client PORT CONNECTIONS SECONDS     prints one JSON object
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

REQUEST = b"GET /orders/42 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n"


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._sent = 0

    def send(self) -> None:
        self._received = b""
        self._sent = time.perf_counter_ns()
        self.socket.sendall(REQUEST)

    def receive(self) -> int:
        """The nanoseconds that the request took; 0 while the answer is not complete."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the service closed the connection")
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return 0
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(head.decode())
        return time.perf_counter_ns() - self._sent


def drive(port: int, connections: int, seconds: float) -> tuple[list[int], float]:
    """The durations of all requests, in nanoseconds, and the time it took in seconds."""
    took: list[int] = []
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            for key, _ in selector.select(5):
                if duration := key.data.receive():
                    took.append(duration)
                    key.data.send()
        return took, time.perf_counter() - started


def main(port: str, connections: str, seconds: str) -> None:
    took, passed = drive(int(port), int(connections), float(seconds))
    took.sort()
    print(
        json.dumps(
            {
                "requests": len(took),
                "per_second": len(took) / passed,
                "p50_us": took[len(took) // 2] / 1e3,
                "p99_us": took[len(took) * 99 // 100] / 1e3,
                "longest_ms": took[-1] / 1e6,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
