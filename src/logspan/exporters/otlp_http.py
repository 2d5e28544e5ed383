"""OTLP over HTTP, binary protobuf: https://opentelemetry.io/docs/specs/otlp/#otlphttp."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from logspan.outcome import Delivered, Divisible, Outcome, Rejected
from logspan.printable import escape
from logspan.transport import Answer, Compression, HttpSender, PayloadExporter, Tls

RETRYABLE = frozenset({429, 502, 503, 504})
"""https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes"""

_PROTOBUF = "application/x-protobuf"


class OtlpHttpExporter(PayloadExporter):
    """Sends each batch as one POST to `endpoint`, a full URL (`http://localhost:4318/v1/logs`).

    `timeout` is the wall-clock time of one attempt, in seconds. The certificates are PEM files; TLS is used for
    `https://` and never given up. Raises `SettingsError` when an argument can never work.
    """

    def __init__(
        self,
        endpoint: str = "http://localhost:4318/v1/logs",
        *,
        headers: Mapping[str, str] | None = None,
        compression: Compression = "gzip",
        timeout: float = 10.0,
        certificate: Path | None = None,
        client_certificate: Path | None = None,
        client_key: Path | None = None,
    ) -> None:
        # Imported now, not by the worker: a fork meanwhile would leave the child an import lock that nobody releases.
        import opentelemetry.proto.collector.logs.v1.logs_service_pb2  # noqa: F401

        super().__init__(timeout)
        self._sender = HttpSender(
            endpoint,
            headers={**(headers or {}), "content-type": _PROTOBUF, "user-agent": "logspan"},
            compression=compression,
            timeout=timeout,
            tls=Tls(certificate, client_certificate, client_key),
        )

    def send(self, payload: bytes, records: int, timeout: float) -> Outcome:
        """Post one request; what the answer means is `read_answer`'s to say."""
        answer = self._sender.post(payload, timeout)
        return read_answer(answer, records) if isinstance(answer, Answer) else answer

    def divisible(self, refusal: Rejected) -> Divisible:
        """413: the batch is too large for the receiver."""
        return "size" if refusal.status == "413" else "no"

    def close(self) -> None:
        """Close the connection; a request under way fails at once."""
        self._sender.close()

    def reset_after_fork(self) -> None:
        """Use a connection of this process's own."""
        self._sender.reset_after_fork()


def read_answer(answer: Answer, records: int) -> Outcome:
    """Success is a 200 that carries an `ExportLogsServiceResponse`, and nothing else."""
    if answer.status != 200:
        return answer.refusal(RETRYABLE, _hint(answer))
    if not answer.complete:
        return Rejected("200", "the answer is over 4 MiB: not an OTLP receiver")
    try:
        rejected, message = _partial_success(answer)
    except Exception:
        kind = escape(answer.content_type)[:100] or "of no content type"
        return Rejected("200", f"the answer is no ExportLogsServiceResponse but {kind}: {answer.text()[:100]}")
    return Delivered(min(max(rejected, 0), records), escape(message)[:500])


def _partial_success(answer: Answer) -> tuple[int, str]:
    """(rejected records, message); raises on anything that is not the message that OTLP asks for."""
    if not answer.body and answer.content_type in ("", _PROTOBUF):
        return 0, ""
    if answer.content_type == "application/json":  # out of line with the specification, but common and clear
        response = json.loads(answer.body or b"{}")
        if response.keys() - {"partialSuccess"}:
            raise ValueError("some other JSON")
        partial = response.get("partialSuccess") or {}
        return int(partial.get("rejectedLogRecords") or 0), str(partial.get("errorMessage") or "")
    if answer.content_type != _PROTOBUF:
        raise ValueError(answer.content_type)
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    response = ExportLogsServiceResponse()
    response.ParseFromString(answer.body)
    return response.partial_success.rejected_log_records, response.partial_success.error_message


def _hint(answer: Answer) -> str:
    if answer.status == 204:
        return "success without the answer that OTLP asks for; for Loki's own endpoint there is the loki exporter"
    return answer.status_message()
