"""An OTLP/HTTP sink in a process of its own: decodes every request and counts the distinct records of each run.

python -m benchmarks.sink      prints its port, then answers POST /v1/logs, POST /v1/traces and GET /counts, until its
stdin is closed.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
import zlib
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Counts:
    """Distinct record numbers by run, with their trace ids counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, set[int]] = defaultdict(set)
        self._received: dict[str, int] = defaultdict(int)
        self._traced: dict[str, int] = defaultdict(int)

    def add(self, body: bytes) -> None:
        request = ExportLogsServiceRequest.FromString(body)
        records = [record for rl in request.resource_logs for sl in rl.scope_logs for record in sl.log_records]
        with self._lock:
            for record in records:
                attributes = {item.key: item.value for item in record.attributes}
                if "n" not in attributes or attributes["n"].int_value < 0:  # warming up, or not of ours
                    continue
                run = attributes["run"].string_value
                self._seen[run].add(attributes["n"].int_value)
                self._received[run] += 1
                self._traced[run] += any(record.trace_id)

    def as_dict(self) -> dict[str, dict[str, int]]:
        with self._lock:
            return {
                run: {"distinct": len(seen), "received": self._received[run], "traced": self._traced[run]}
                for run, seen in self._seen.items()
            }


def handler(counts: Counts) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            encoding = self.headers.get("content-encoding", "")
            body = gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body) if encoding else body
            if self.path.endswith("/v1/traces"):
                ExportTraceServiceRequest.FromString(body)
            else:
                counts.add(body)
            self._answer(b"", "application/x-protobuf")

        def do_GET(self) -> None:
            self._answer(json.dumps(counts.as_dict()).encode(), "application/json")

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Counts()))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
