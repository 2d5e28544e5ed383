"""Peers that hang, drip or cannot be trusted: every wait has an end, and nothing falls back to plain text (R3.2)."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from logspan.pipeline import Pipeline
from logspan.testing import GrpcReply, OtlpGrpcSink, ReceivedRecord, Reply
from tests.exporters.raw_server import answering, raw_server, read_request
from tests.faults.support import GRPC, HTTP, Caller, Start, account, end_of, ids, sink_of
from tests.faults.test_outage import OK, records_of
from tests.waiting import until

SLOW = 15.0
"""Seconds by which a machine may be late; what is told apart is `returns` from `hangs`."""


# ---------------------------------------------------------------------------------- 15: the sink hangs


@pytest.mark.parametrize("client", ["logspan", pytest.param("stock", marks=pytest.mark.slow)])
def test_15_the_deadlines_hold_while_a_sink_hangs(start: Start, protocol: str, client: str) -> None:
    """Flush says False and shutdown comes back, each in its time; what was not taken is counted."""
    reply: Any = GrpcReply(delay=30) if protocol == GRPC else Reply(delay=30)
    with sink_of(protocol, decide=lambda request: reply) as sink:
        otlp = {"endpoint": sink.endpoint, "protocol": protocol, "client": client}
        pipeline = start("", otlp=otlp)
        caller = Caller(pipeline)
        caller.log(100)
        assert sink.wait_for(requests=1)
        began = time.monotonic()
        assert not pipeline.flush(0.2)
        _, exporter = account(pipeline, caller, [], timeout=0.3)
        assert time.monotonic() - began < 0.5 + SLOW
    assert exporter.dropped == {"shutdown_timeout": 100}
    end_of("logspan-outlet-otlp")


def test_15_after_its_timeout_a_batch_is_tried_again(start: Start, protocol: str) -> None:
    """The sink hangs once: the deadline of one attempt ends it, the second one delivers."""
    reply: Any = GrpcReply(delay=30) if protocol == GRPC else Reply(delay=30)
    with sink_of(protocol, replies=[reply]) as sink:
        pipeline = start("", otlp={"endpoint": sink.endpoint, "protocol": protocol, "timeout": 0.3})
        caller = Caller(pipeline)
        caller.log(100)
        assert pipeline.flush(30)
        account(pipeline, caller, ids(sink.records()))


# ---------------------------------------------------------------------------------- 16: slow-loris


@pytest.mark.parametrize("where", ["head", "body"])
def test_16_an_answer_that_drips_is_cut_off(start: Start, where: str) -> None:
    """A byte now and then does not extend the deadline: the attempt ends, and the next one delivers."""
    received: list[ReceivedRecord] = []
    connections: list[socket.socket] = []
    cut_off = threading.Event()

    def talk(connection: socket.socket, closing: threading.Event) -> None:
        connections.append(connection)
        first = len(connections) == 1
        taken = records_of(read_request(connection))
        if not first:
            received.extend(taken)
            connection.sendall(OK)
            return
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + (b"" if where == "head" else b"Content-Length: 9999\r\n\r\n"))
            while not closing.wait(0.02):
                connection.sendall(b"x")
        except OSError:
            cut_off.set()

    with raw_server(talk) as port:
        otlp = {"endpoint": f"http://127.0.0.1:{port}", "compression": "none", "timeout": 0.3}
        pipeline = start("", otlp=otlp)
        caller = Caller(pipeline)
        caller.log(20)
        assert pipeline.flush(30)
        assert cut_off.wait(10)
        account(pipeline, caller, ids(received))


# ---------------------------------------------------------------------------------- 19: TLS

FAULTS = ("self-signed", "expired", "wrong host")


def issue(authority: trustme.CA, fault: str) -> trustme.LeafCert:
    """A certificate with this fault; "self-signed" stands for an authority that nobody trusts."""
    if fault == "expired":
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        return authority.issue_cert("127.0.0.1", not_after=past)
    if fault == "wrong host":
        return authority.issue_cert("example.org")
    return trustme.CA().issue_cert("127.0.0.1")


def refused(pipeline: Pipeline) -> Caller:
    """Logs, and sees that nothing gets out and that health names TLS."""
    caller = Caller(pipeline)
    caller.log(10)
    assert not pipeline.flush(0.5)
    until(lambda: pipeline.health().causes != ())
    health = pipeline.health()
    assert health.status == "failing"
    assert any(word in health.causes[0].lower() for word in ("tls", "certificate", "ssl", "verification")), (
        health.causes
    )
    return caller


@pytest.mark.parametrize("fault", FAULTS)
def test_19_a_bad_certificate_over_http(start: Start, tmp_path: Path, fault: str) -> None:
    """Nothing is sent, health names TLS, the records wait and are counted at the end."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issue(authority, fault).configure_cert(context)
    with raw_server(answering(OK), context) as port:
        endpoint = f"https://127.0.0.1:{port}"
        pipeline = start("", otlp={"endpoint": endpoint, "certificate": tmp_path / "ca.pem"})
        _, exporter = account(pipeline, refused(pipeline), [], timeout=0.2)
    assert exporter.dropped == {"shutdown_timeout": 10}


@pytest.mark.parametrize("fault", FAULTS)
def test_19_a_bad_certificate_over_grpc(start: Start, tmp_path: Path, fault: str) -> None:
    """The same for the other protocol."""
    import grpc  # type: ignore[import-untyped]

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = issue(authority, fault)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])
    with OtlpGrpcSink(credentials=credentials) as sink:
        otlp = {"endpoint": sink.endpoint, "protocol": GRPC, "certificate": tmp_path / "ca.pem"}
        pipeline = start("", otlp=otlp)
        _, exporter = account(pipeline, refused(pipeline), ids(sink.records()), timeout=0.2)
    assert exporter.dropped == {"shutdown_timeout": 10}


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_19_https_never_becomes_plain_text(start: Start, tmp_path: Path, protocol: str) -> None:
    """A peer that speaks plain text on the port of an https endpoint sees no record."""
    authority, seen = trustme.CA(), bytearray()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def talk(connection: socket.socket, closing: threading.Event) -> None:
        seen.extend(connection.recv(65_536))

    with raw_server(talk) as port:
        endpoint = f"https://127.0.0.1:{port}"
        otlp = {"endpoint": endpoint, "protocol": protocol, "certificate": tmp_path / "ca.pem", "compression": "none"}
        pipeline = start("", otlp=otlp)
        caller = Caller(pipeline)
        caller.log(10)
        assert not pipeline.flush(0.5)
        until(lambda: seen)
        _, exporter = account(pipeline, caller, [], timeout=0.2)
    assert exporter.dropped == {"shutdown_timeout": 10}
    assert b"record 0" not in seen
    assert not seen.startswith((b"POST", b"PRI"))
