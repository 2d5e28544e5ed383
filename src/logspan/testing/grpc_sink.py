"""An OTLP receiver over gRPC on loopback: decodes and keeps what arrives, answers by a script."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from logspan.testing.sink import ReceivedRecord, decode_logs

_SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"


@dataclass(frozen=True, slots=True)
class GrpcReply:
    """One answer of the script, sent after `delay` seconds; records are kept only with the status `OK`.

    `status` is the name of a gRPC status code; `retry_delay`, in seconds, becomes the `google.rpc.RetryInfo` of its
    details. `rejected` and `message` make a partial success.
    """

    status: str = "OK"
    message: str = ""
    retry_delay: float | None = None
    rejected: int = 0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class GrpcRequest:
    """A call as it arrived: the serialised `ExportLogsServiceRequest`, and the metadata with lower-case keys."""

    body: bytes
    metadata: Mapping[str, str] = field(default_factory=dict)

    def records(self) -> list[ReceivedRecord]:
        """The log records in it."""
        return decode_logs(self.body)


class OtlpGrpcSink:
    """A context manager: `with OtlpGrpcSink() as sink: Settings(otlp={"endpoint": sink.endpoint, "protocol": "grpc"})`.

    `replies` are used up in order, then `decide` is asked for each call, and where that is None all is a success.
    A message over `max_receive_bytes` is refused by gRPC itself. Needs grpcio.
    """

    def __init__(
        self,
        replies: Iterable[GrpcReply] = (),
        *,
        decide: Callable[[GrpcRequest], GrpcReply | None] | None = None,
        port: int = 0,
        credentials: Any = None,
        max_receive_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        import grpc  # type: ignore[import-untyped]

        self._decide = decide
        self._replies = deque(replies)
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._requests: list[GrpcRequest] = []
        self._records: list[ReceivedRecord] = []
        self._pool = ThreadPoolExecutor(8)
        options = [("grpc.max_receive_message_length", max_receive_bytes), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(self._pool, options=options)
        call = grpc.unary_unary_rpc_method_handler(self._export)  # bytes in, bytes out
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": call}),))
        address = f"127.0.0.1:{port}"
        secure = credentials is not None
        add = self._server.add_secure_port if secure else self._server.add_insecure_port
        self.port: int = add(address, credentials) if secure else add(address)
        self.target = f"127.0.0.1:{self.port}"
        self.endpoint = f"{'https' if secure else 'http'}://{self.target}"

    def start(self) -> OtlpGrpcSink:
        """Begin to answer."""
        self._server.start()
        return self

    def close(self) -> None:
        """Stop answering, and end the calls that are open."""
        self._closing.set()
        self._server.stop(None).wait()
        self._pool.shutdown()

    __enter__ = start

    def __exit__(self, *exception: object) -> None:
        self.close()

    def reply_with(self, *replies: GrpcReply) -> None:
        """Add to the script."""
        with self._changed:
            self._replies.extend(replies)

    def records(self) -> list[ReceivedRecord]:
        """The records that were kept, in the order of arrival."""
        with self._changed:
            return list(self._records)

    def requests(self) -> list[GrpcRequest]:
        """Every call that got through to the service, also those that were refused."""
        with self._changed:
            return list(self._requests)

    def wait_for(self, records: int = 0, *, requests: int = 0, timeout: float = 10.0) -> bool:
        """Wait until at least so much has arrived; False when `timeout` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._records) >= records and len(self._requests) >= requests, timeout
            )

    def _export(self, body: bytes, context: Any) -> bytes:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        reply = self._reply(GrpcRequest(body, metadata))
        if reply.delay:
            self._closing.wait(reply.delay)
        if reply.status != "OK":
            _abort(context, reply)
        with self._changed:
            self._records.extend(decode_logs(body))
            self._changed.notify_all()
        return _response(reply)

    def _reply(self, request: GrpcRequest) -> GrpcReply:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            reply = self._replies.popleft() if self._replies else None
        if reply is None and self._decide is not None:
            reply = self._decide(request)
        return reply or GrpcReply()


def _response(reply: GrpcReply) -> bytes:
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service

    response = service.ExportLogsServiceResponse()
    if reply.rejected or reply.message:
        response.partial_success.rejected_log_records = reply.rejected
        response.partial_success.error_message = reply.message
    return bytes(response.SerializeToString())


def _abort(context: Any, reply: GrpcReply) -> None:
    import grpc

    code = grpc.StatusCode[reply.status]
    if reply.retry_delay is not None:
        from google.protobuf.any_pb2 import Any as AnyMessage  # type: ignore[import-untyped]
        from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
        from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
        from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

        seconds = int(reply.retry_delay)
        nanos = int((reply.retry_delay - seconds) * 1e9)
        detail = AnyMessage()
        detail.Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
        status = Status(code=code.value[0], message=reply.message, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, reply.message)
