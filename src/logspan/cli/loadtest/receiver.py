"""An OTLP receiver in a process of its own: decodes what arrives and counts it, over HTTP or gRPC.

`python -m logspan.cli.loadtest.receiver PROTOCOL` prints its port, takes records until its standard input is closed,
and then prints its counts as one JSON object.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

NUMBER = "loadtest.number"
"""The attribute that tells the records of a run apart: 0, 1, 2, ..."""

_END = 30.0


@dataclass
class Counts:
    """What arrived: requests, their bytes without compression, records, different ones, those in a trace."""

    requests: int = 0
    bytes: int = 0
    received: int = 0
    distinct: int = 0
    in_trace: int = 0

    @property
    def duplicates(self) -> int:
        """Records that came again."""
        return self.received - self.distinct


class Receiver:
    """A context manager: the process, its `endpoint`, and `counts()`, which ends it."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "logspan.cli.loadtest.receiver", self._protocol]
        pipe = subprocess.PIPE
        # a session of its own: Ctrl-C in the terminal is for the load, not for its receiver
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True)  # noqa: S603 - our own module
        port = self._process.stdout.readline() if self._process.stdout else ""
        if not port.strip():
            self._process.wait(_END)
            raise RuntimeError("the receiver of the load test did not start")
        self.endpoint = f"http://127.0.0.1:{int(port)}"
        return self

    def counts(self) -> Counts:
        """End it, and take its counts."""
        out, _ = self._process.communicate(timeout=_END)
        return Counts(**json.loads(out))

    def __exit__(self, *exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


class _Counter:
    """Counts requests; which numbers were seen is one byte for each of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = bytearray()
        self._counts = Counts()

    def take(self, request: ExportLogsServiceRequest, size: int) -> None:
        records = [record for rl in request.resource_logs for sl in rl.scope_logs for record in sl.log_records]
        numbers = [item.value.int_value for record in records for item in record.attributes if item.key == NUMBER]
        with self._lock:
            counts = self._counts
            counts.requests += 1
            counts.bytes += size
            counts.received += len(numbers)
            counts.in_trace += sum(any(record.trace_id) for record in records)
            counts.distinct += sum(map(self._is_new, numbers))

    def _is_new(self, number: int) -> bool:
        missing = number + 1 - len(self._seen)
        if missing > 0:
            self._seen.extend(bytes(missing))
        if self._seen[number]:
            return False
        self._seen[number] = 1
        return True

    def as_json(self) -> str:
        with self._lock:
            return json.dumps(asdict(self._counts))


def _serve_http(counter: _Counter) -> tuple[int, object]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body in one packet

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            counter.take(ExportLogsServiceRequest.FromString(body), len(body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1]), server


def _serve_grpc(counter: _Counter) -> tuple[int, object]:
    from concurrent.futures import ThreadPoolExecutor

    import grpc  # type: ignore[import-untyped]

    def export(request: ExportLogsServiceRequest, context: object) -> ExportLogsServiceResponse:
        del context
        counter.take(request, request.ByteSize())
        return ExportLogsServiceResponse()

    method = grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=ExportLogsServiceRequest.FromString,
        response_serializer=ExportLogsServiceResponse.SerializeToString,
    )
    service = "opentelemetry.proto.collector.logs.v1.LogsService"
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return port, server


def main(protocol: str) -> None:
    """Serve until standard input is closed."""
    counter = _Counter()
    port, server = _serve_grpc(counter) if protocol == "grpc" else _serve_http(counter)
    print(port, flush=True)
    sys.stdin.read()
    print(counter.as_json(), flush=True)
    del server  # a server of gRPC lives as long as somebody holds it


if __name__ == "__main__":
    main(sys.argv[1])
