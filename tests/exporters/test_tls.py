"""TLS of the HTTP and gRPC senders: verified, mutual where asked for, and never given up for plain text."""

from __future__ import annotations

import datetime
import ssl
import threading
from pathlib import Path

import pytest
import trustme

from logspan.exporters.otlp_http import OtlpHttpExporter
from logspan.outcome import Delivered, Outcome, Retryable
from logspan.testing.contract import sample_batch
from tests.exporters.raw_server import answering, raw_server

OK = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of this test's own."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate, for the client to trust."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A server that shows this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def deliver(context: ssl.SSLContext | None, certificate: Path | None, own: tuple[Path, Path] | None = None) -> Outcome:
    """One batch to a server with this context (None: one that speaks plain text)."""
    with raw_server(OK, context) as port:
        exporter = OtlpHttpExporter(
            f"https://127.0.0.1:{port}/v1/logs",
            certificate=certificate,
            client_certificate=own[0] if own else None,
            client_key=own[1] if own else None,
        )
        try:
            return exporter.deliver(sample_batch(), 10)
        finally:
            exporter.shutdown()


def test_a_trusted_certificate_is_accepted(authority: trustme.CA, ca_file: Path) -> None:
    """With the authority that was named, for the host that was asked for."""
    assert deliver(server_context(authority.issue_cert("127.0.0.1")), ca_file) == Delivered()


@pytest.mark.parametrize("fault", ["unknown authority", "expired", "wrong host"])
def test_a_bad_certificate_is_refused(authority: trustme.CA, ca_file: Path, fault: str) -> None:
    """The batch stays here, and the reason names TLS."""
    issued = {
        "unknown authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
        "expired": lambda: authority.issue_cert("127.0.0.1", not_after=PAST),
        "wrong host": lambda: authority.issue_cert("example.org"),
    }[fault]()
    outcome = deliver(server_context(issued), ca_file)
    assert isinstance(outcome, Retryable)
    assert outcome.reason.startswith("TLS: ")
    assert "certificate" in outcome.reason.lower()


def test_https_never_becomes_plain_text(ca_file: Path) -> None:
    """A peer that speaks plain HTTP on the port of an https endpoint gets no record."""
    seen = []

    def talk(connection: object, closing: object) -> None:
        seen.append(connection.recv(65_536))  # type: ignore[attr-defined]

    with raw_server(talk) as port:
        exporter = OtlpHttpExporter(f"https://127.0.0.1:{port}/v1/logs", certificate=ca_file)
        assert isinstance(exporter.deliver(sample_batch(), 10), Retryable)
        exporter.shutdown()
    assert all(not data.startswith(b"POST") for data in seen)
    assert seen


def test_a_client_shows_its_certificate(authority: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
    """Mutual TLS: without the client's certificate the server refuses, with it the batch is taken."""
    context = server_context(authority.issue_cert("127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    own = authority.issue_cert("client.example.org")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in own.cert_chain_pems))
    own.private_key_pem.write_to_path(key)
    assert isinstance(deliver(context, ca_file), Retryable)
    assert deliver(context, ca_file, (certificate, key)) == Delivered()


def test_a_handshake_that_stalls_ends_at_the_deadline(ca_file: Path) -> None:
    """A peer that never answers the client's hello."""

    def talk(connection: object, closing: threading.Event) -> None:
        closing.wait(20)

    with raw_server(talk) as port:
        exporter = OtlpHttpExporter(f"https://127.0.0.1:{port}/v1/logs", certificate=ca_file)
        assert exporter.deliver(sample_batch(), 0.3) == Retryable("timeout")
        exporter.shutdown()
