"""OTLP over gRPC: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from logspan.errors import SettingsError
from logspan.outcome import Delivered, Divisible, Outcome, Rejected, Retryable
from logspan.printable import escape
from logspan.transport import Compression, PayloadExporter
from logspan.values import safe_str

_METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_MAX_ANSWER_BYTES = 4 * 1024 * 1024

RETRYABLE = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"})
"""https://opentelemetry.io/docs/specs/otlp/#failures; `RESOURCE_EXHAUSTED` only where the peer says for how long."""


class OtlpGrpcExporter(PayloadExporter):
    """Sends each batch as one call of `LogsService/Export` to `target` (`localhost:4317`, `dns:///...`, `unix:...`).

    TLS unless `insecure`; the certificates are PEM files. `headers` become metadata, their names in lower case.
    `timeout` is the deadline of one call, in seconds. grpcio is imported and the channel opened with the first batch.
    Raises `SettingsError` when an argument can never work.
    """

    def __init__(
        self,
        target: str = "localhost:4317",
        *,
        insecure: bool = False,
        headers: Mapping[str, str] | None = None,
        compression: Compression = "gzip",
        timeout: float = 10.0,
        certificate: Path | None = None,
        client_certificate: Path | None = None,
        client_key: Path | None = None,
    ) -> None:
        super().__init__(timeout)
        self._target = target
        self._insecure = insecure
        self._metadata = _metadata(headers or {})
        self._compression = compression
        self._files = (certificate, client_key, client_certificate)
        self._channel: Any = None
        self._export: Callable[..., Any] | None = None
        self._inherited: list[Any] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()
        if not insecure:
            self._pem()  # a file that is missing is a mistake to be told at once

    def send(self, payload: bytes, records: int, timeout: float) -> Outcome:
        """One call; what its failure means is `read_error`'s to say."""
        import grpc  # type: ignore[import-untyped]

        try:
            response = self._call()(payload, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            return read_error(error)
        except Exception as error:
            return Retryable(f"{type(error).__name__}: {escape(safe_str(error))[:500]}")
        partial = response.partial_success
        rejected = min(max(partial.rejected_log_records, 0), records)
        return Delivered(rejected, escape(partial.error_message)[:500])

    def divisible(self, refusal: Rejected) -> Divisible:
        """The message is larger than the receiver takes; any other exhausted resource would only be used more."""
        is_large = refusal.status == "RESOURCE_EXHAUSTED" and "larger than max" in refusal.message
        return "size" if is_large else "no"

    def close(self) -> None:
        """Close the channel; a call under way fails at once."""
        channel = self._channel
        if channel is not None:
            channel.close()

    def reset_after_fork(self) -> None:
        """Leave the parent's channel as it is, uncollected too: gRPC does not survive a fork, not even its clean-up."""
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._inherited.append(self._channel)
        self._channel = self._export = None

    def _call(self) -> Callable[..., Any]:
        if os.getpid() != self._pid:
            self.reset_after_fork()
        with self._lock:
            if self._export is None:
                self._export = self._open()
            return self._export

    def _open(self) -> Callable[..., Any]:
        import grpc
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

        compression = grpc.Compression.Gzip if self._compression == "gzip" else grpc.Compression.NoCompression
        options = [
            ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
            ("grpc.enable_retries", 0),  # retrying is the outlet's, which counts
            ("grpc.max_reconnect_backoff_ms", 5_000),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self._insecure:
            self._channel = grpc.insecure_channel(self._target, options, compression)
        else:
            credentials = grpc.ssl_channel_credentials(*self._pem())
            self._channel = grpc.secure_channel(self._target, credentials, options, compression)
        return self._channel.unary_unary(  # type: ignore[no-any-return]
            _METHOD, request_serializer=None, response_deserializer=ExportLogsServiceResponse.FromString
        )

    def _pem(self) -> list[bytes | None]:
        try:
            return [path.read_bytes() if path else None for path in self._files]
        except OSError as error:
            raise SettingsError(f"cannot read a TLS file: {error}") from error


def read_error(error: Any) -> Rejected | Retryable:
    """What the status of a failed call means for its batch."""
    status = error.code().name
    message = escape(error.details() or "")[:500]
    delay = retry_delay(error.trailing_metadata() or ())
    if status in RETRYABLE or (status == "RESOURCE_EXHAUSTED" and delay is not None):
        return Retryable(f"{status}: {message}", delay)
    return Rejected(status, message)


def retry_delay(metadata: Any) -> float | None:
    """Seconds of the `RetryInfo` in the status details of a call's trailing metadata; None where there is none."""
    try:
        from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
        from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

        for key, value in metadata:
            if key == "grpc-status-details-bin":
                for detail in Status.FromString(value).details:
                    info = RetryInfo()
                    if detail.Unpack(info):
                        seconds: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                        return max(seconds, 0.0)
    except Exception:  # details that cannot be read say nothing
        return None
    return None


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for name, value in headers.items():
        if not name or not name.isascii() or not all(c.isalnum() or c in "-_." for c in name):
            raise SettingsError(f"{escape(name)!r} cannot be a key of gRPC metadata")
        if not value.isascii() or not value.isprintable():
            raise SettingsError(f"the value of header {name!r} has characters that gRPC metadata does not allow")
    return tuple((name.lower(), value) for name, value in headers.items())
