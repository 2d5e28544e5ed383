"""OTLP over gRPC against a real server of grpcio."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
import trustme
from google.protobuf.any_pb2 import Any as AnyMessage  # type: ignore[import-untyped]
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as messages
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as service

from logspan.errors import SettingsError
from logspan.exporters.otlp_grpc import OtlpGrpcExporter
from logspan.outcome import Delivered, Outcome, Rejected, Retryable
from logspan.testing import ReceivedRecord, check_exporter_contract
from logspan.testing.contract import hostile_batch, sample_batch
from logspan.testing.sink import decode_logs
from tests.ports import free_port

BATCH = sample_batch()
Answer = Callable[[Any], messages.ExportLogsServiceResponse]


class Receiver(service.LogsServiceServicer):
    """Keeps what arrives; `answer` may abort the call."""

    def __init__(self) -> None:
        self.records: list[ReceivedRecord] = []
        self.metadata: list[dict[str, str]] = []
        self.answer: Answer = lambda context: messages.ExportLogsServiceResponse()
        self.target = ""

    def Export(self, request: Any, context: Any) -> messages.ExportLogsServiceResponse:  # noqa: N802
        self.metadata.append({item.key: item.value for item in context.invocation_metadata()})
        answer = self.answer(context)
        self.records += decode_logs(request.SerializeToString())
        return answer


@contextlib.contextmanager
def receiving(credentials: Any = None) -> Iterator[Receiver]:
    """A server on loopback, with TLS when there are credentials."""
    server = grpc.server(ThreadPoolExecutor(4))
    receiver = Receiver()
    service.add_LogsServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    receiver.target = f"127.0.0.1:{port}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None).wait(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes everything."""
    with receiving() as receiver:
        yield receiver


def deliver(receiver: Receiver, timeout: float | None = 30) -> Outcome:
    """One attempt."""
    exporter = OtlpGrpcExporter(receiver.target, insecure=True)
    try:
        return exporter.deliver(BATCH, timeout)
    finally:
        exporter.shutdown()


def test_it_keeps_the_contract(receiver: Receiver) -> None:
    """The rules of every exporter."""
    check_exporter_contract(lambda: OtlpGrpcExporter(receiver.target, insecure=True))


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_records_arrive_as_they_are(receiver: Receiver, compression: str) -> None:
    """Ours and hostile ones; headers become metadata in lower case."""
    exporter = OtlpGrpcExporter(
        receiver.target,
        insecure=True,
        headers={"X-Key": "k"},
        compression=compression,  # type: ignore[arg-type]
    )
    hostile = hostile_batch()
    assert exporter.deliver([*BATCH, *hostile]) == Delivered()
    exporter.shutdown()
    assert len(receiver.records) == len(BATCH) + len(hostile)
    assert receiver.records[0].attributes["who"] == {"id": 1}
    assert receiver.records[0].trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert receiver.metadata[0]["x-key"] == "k"


RETRYABLE = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_a_status_means_what_otlp_says(receiver: Receiver, code: Any) -> None:
    """The list of the specification; a full resource alone is no reason to try again."""
    receiver.answer = lambda context: context.abort(code, "because\x1b[2J")
    outcome = deliver(receiver)
    if code.name in RETRYABLE:
        assert outcome == Retryable(f"{code.name}: because\\x1b[2J")
    else:
        assert outcome == Rejected(code.name, "because\\x1b[2J")


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE])
def test_retry_info_is_read(receiver: Receiver, code: Any) -> None:
    """`google.rpc.RetryInfo` in the details names the delay, and makes RESOURCE_EXHAUSTED retryable."""
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=7, nanos=500_000_000)))
    status = Status(code=code.value[0], message="busy", details=[detail]).SerializeToString()

    def answer(context: Any) -> Any:
        context.set_trailing_metadata((("grpc-status-details-bin", status),))
        context.abort(code, "busy")

    receiver.answer = answer
    assert deliver(receiver) == Retryable(f"{code.name}: busy", 7.5)


def test_details_that_cannot_be_read_say_nothing(receiver: Receiver) -> None:
    """Garbage in the details of a status."""

    def answer(context: Any) -> Any:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "")

    receiver.answer = answer
    assert deliver(receiver) == Rejected("RESOURCE_EXHAUSTED", "")


def test_partial_success_is_counted(receiver: Receiver) -> None:
    """What the peer refuses, at most what was sent."""
    partial = messages.ExportLogsPartialSuccess(rejected_log_records=2, error_message="too old")
    receiver.answer = lambda context: messages.ExportLogsServiceResponse(partial_success=partial)
    assert deliver(receiver) == Delivered(2, "too old")
    partial.rejected_log_records = 10**9
    assert deliver(receiver) == Delivered(len(BATCH), "too old")


def test_the_deadline_holds(receiver: Receiver) -> None:
    """A server that hangs."""
    done = threading.Event()

    def answer(context: Any) -> Any:
        done.wait(20)
        return messages.ExportLogsServiceResponse()

    receiver.answer = answer
    outcome = deliver(receiver, timeout=0.3)
    done.set()
    assert isinstance(outcome, Retryable)
    assert outcome.reason.startswith("DEADLINE_EXCEEDED")


def test_nobody_there_may_be_tried_again() -> None:
    """A connection that is refused."""
    exporter = OtlpGrpcExporter(f"127.0.0.1:{free_port()}", insecure=True)
    outcome = exporter.deliver(BATCH, 30)
    exporter.shutdown()
    assert isinstance(outcome, Retryable)
    assert outcome.reason.startswith("UNAVAILABLE")


def test_tls_is_verified_and_never_given_up(receiver: Receiver, tmp_path: Path) -> None:
    """With the named authority it delivers; with another one, or to a plain server, nothing is sent."""
    authority, stranger = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    stranger.cert_pem.write_to_path(tmp_path / "stranger.pem")
    with receiving(credentials) as secure:
        for target, certificate, taken in (
            (secure.target, "ca.pem", True),
            (secure.target, "stranger.pem", False),
            (receiver.target, "ca.pem", False),
        ):
            exporter = OtlpGrpcExporter(target, certificate=tmp_path / certificate)
            outcome = exporter.deliver(BATCH, 30)
            exporter.shutdown()
            assert isinstance(outcome, Delivered) is taken, outcome
    assert len(secure.records) == len(BATCH)
    assert receiver.records == []


@pytest.mark.parametrize("headers", [{"a b": "x"}, {"": "x"}, {"a": "x\r\ny"}, {"a": "\u20ac"}])
def test_metadata_that_grpc_refuses_is_refused_at_once(headers: dict[str, str]) -> None:
    """Rather than with every batch."""
    with pytest.raises(SettingsError):
        OtlpGrpcExporter(headers=headers)


def test_a_missing_certificate_is_refused_at_once(tmp_path: Path) -> None:
    """A path that is wrong is a mistake of the configuration."""
    with pytest.raises(SettingsError, match="nowhere"):
        OtlpGrpcExporter("host:4317", certificate=tmp_path / "nowhere.pem")


FORKING = """
import os, sys
from logspan.exporters.otlp_grpc import OtlpGrpcExporter
from logspan.outcome import Delivered
from logspan.testing.contract import sample_batch

exporter = OtlpGrpcExporter(sys.argv[1], insecure=True)
assert "grpc" not in sys.modules, "grpcio is imported with the first batch"
child = os.fork()
if child == 0:
    outcome = exporter.deliver(sample_batch(), 10)
    os._exit(0 if outcome == Delivered() else 1)
assert os.waitpid(child, 0)[1] == 0
assert exporter.deliver(sample_batch(), 10) == Delivered()
exporter.shutdown()
"""


def test_a_fork_before_the_first_batch_is_safe(receiver: Receiver) -> None:
    """Nothing of gRPC exists before the first batch, so that both sides of a fork can send."""
    subprocess.run([sys.executable, "-c", FORKING, receiver.target], check=True, timeout=50, env=os.environ)
    assert len(receiver.records) == 2 * len(BATCH)
