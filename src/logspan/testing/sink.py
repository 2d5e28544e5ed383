"""An OTLP receiver over HTTP on loopback: decodes and keeps what arrives, answers by a script."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = Any
"""None, bool, int, float, str, bytes, or lists and dictionaries of these."""


@dataclass(frozen=True, slots=True)
class ReceivedRecord:
    """One log record as it arrived: ids in lower-case hex ("" when unset), time in ns since the epoch."""

    body: Value
    attributes: Mapping[str, Value]
    severity_number: int
    severity_text: str
    trace_id: str
    span_id: str
    event_name: str
    time: int
    scope: str
    resource: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as it arrived; ids in lower-case hex, "" for no parent."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    attributes: Mapping[str, Value]
    resource: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the script: sent after `delay` seconds; records are kept only with a status of 200 or 204."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0

    @classmethod
    def partial_success(cls, rejected: int, message: str = "") -> Reply:
        """A success that refuses some of the records (the sink keeps them all the same)."""
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service

        partial = service.ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
        return cls(body=service.ExportLogsServiceResponse(partial_success=partial).SerializeToString())


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived, its body without compression; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def records(self) -> list[ReceivedRecord]:
        """The log records in it."""
        return decode_logs(self.body)


class OtlpSink:
    """A context manager: `with OtlpSink() as sink: Settings(otlp={"endpoint": sink.endpoint})`.

    Takes `/v1/logs`, `/otlp/v1/logs` (as Loki has it, answered with 204) and `/v1/traces`. `replies` are used up in
    order, then `decide` is asked for each request, and where that is None everything is a success.
    """

    def __init__(
        self,
        replies: Iterable[Reply] = (),
        *,
        decide: Callable[[Request], Reply | None] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._decide = decide
        self._replies = deque(replies)
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._records: list[ReceivedRecord] = []
        self._spans: list[ReceivedSpan] = []
        self._closing = threading.Event()
        self._server = _Server((host, port), self._answer, self._closing)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="otlp-sink", daemon=True)
        self.endpoint = f"http://{host}:{self._server.server_address[1]}"

    @property
    def logs_endpoint(self) -> str:
        """The full URL for logs."""
        return f"{self.endpoint}/v1/logs"

    def start(self) -> OtlpSink:
        """Begin to answer."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop answering, and end the connections that are open."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    __enter__ = start

    def __exit__(self, *exception: object) -> None:
        self.close()

    def reply_with(self, *replies: Reply) -> None:
        """Add to the script."""
        with self._changed:
            self._replies.extend(replies)

    def records(self) -> list[ReceivedRecord]:
        """The records that were kept, in the order of arrival."""
        with self._changed:
            return list(self._records)

    def spans(self) -> list[ReceivedSpan]:
        """The spans that were kept, in the order of arrival."""
        with self._changed:
            return list(self._spans)

    def requests(self) -> list[Request]:
        """Every request, also those that were refused."""
        with self._changed:
            return list(self._requests)

    def clear(self) -> None:
        """Forget what has arrived."""
        with self._changed:
            self._requests.clear()
            self._records.clear()
            self._spans.clear()

    def wait_for(self, records: int = 0, *, spans: int = 0, requests: int = 0, timeout: float = 10.0) -> bool:
        """Wait until at least so much has arrived; False when `timeout` seconds were not enough."""

        def arrived() -> bool:
            enough = len(self._records) >= records and len(self._spans) >= spans
            return enough and len(self._requests) >= requests

        with self._changed:
            return self._changed.wait_for(arrived, timeout)

    def _answer(self, request: Request) -> Reply:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            reply = self._replies.popleft() if self._replies else None
        if reply is None and self._decide is not None:
            reply = self._decide(request)
        reply = reply or Reply(204 if _is_loki(request) else 200)
        self._closing.wait(reply.delay) if reply.delay else None
        records, spans = _decode(request) if reply.status in (200, 204) else ([], [])
        with self._changed:
            self._records.extend(records)
            self._spans.extend(spans)
            self._changed.notify_all()
        return reply


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answer: Callable[[Request], Reply], closing: threading.Event) -> None:
        self.answer = answer
        self.closing = closing
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.answer(Request(self.path, headers, body))
        if self.server.closing.is_set():
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"content-type": "application/x-protobuf", **reply.headers}.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Say nothing."""


def _is_loki(request: Request) -> bool:
    return request.path.startswith("/otlp/")


def _decode(request: Request) -> tuple[list[ReceivedRecord], list[ReceivedSpan]]:
    if request.path.endswith("/v1/logs"):
        return decode_logs(request.body), []
    if request.path.endswith("/v1/traces"):
        return [], decode_spans(request.body)
    return [], []


def decode_logs(payload: bytes) -> list[ReceivedRecord]:
    """The records of a serialised `ExportLogsServiceRequest`."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    request.ParseFromString(payload)
    return [
        ReceivedRecord(
            body=_value(log.body),
            attributes=_attributes(log.attributes),
            severity_number=log.severity_number,
            severity_text=log.severity_text,
            trace_id=log.trace_id.hex(),
            span_id=log.span_id.hex(),
            event_name=log.event_name,
            time=log.time_unix_nano,
            scope=scope_logs.scope.name,
            resource=resource,
        )
        for resource_logs in request.resource_logs
        for resource in [_attributes(resource_logs.resource.attributes)]
        for scope_logs in resource_logs.scope_logs
        for log in scope_logs.log_records
    ]


def decode_spans(payload: bytes) -> list[ReceivedSpan]:
    """The spans of a serialised `ExportTraceServiceRequest`."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    request.ParseFromString(payload)
    return [
        ReceivedSpan(
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_span_id=span.parent_span_id.hex(),
            attributes=_attributes(span.attributes),
            resource=resource,
        )
        for resource_spans in request.resource_spans
        for resource in [_attributes(resource_spans.resource.attributes)]
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _attributes(items: Sequence[Any]) -> dict[str, Value]:
    return {item.key: _value(item.value) for item in items}


def _value(value: Any) -> Value:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
