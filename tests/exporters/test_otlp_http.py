"""OTLP over HTTP against real sockets: what is sent, what each answer means, and that every wait has an end."""

from __future__ import annotations

import datetime
import email.utils
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from opentelemetry.sdk._logs.export import LogRecordExportResult

from logspan.encoding import encode_logs_request
from logspan.errors import SettingsError
from logspan.exporters.otlp_http import OtlpHttpExporter
from logspan.outcome import Delivered, Outcome, Rejected, Retryable
from logspan.testing import OtlpSink, Reply, Request, check_exporter_contract
from logspan.testing.contract import hostile_batch, sample_batch
from logspan.transport import Answer
from tests.exporters.raw_server import answering, raw_server, read_request
from tests.ports import free_port

BATCH = sample_batch()
PROTOBUF = {"content-type": "application/x-protobuf"}


def deliver_to(port: int, timeout: float = 30.0) -> Outcome:
    """One attempt at a raw server."""
    exporter = OtlpHttpExporter(f"http://127.0.0.1:{port}/v1/logs", timeout=timeout)
    try:
        return exporter.deliver(BATCH)
    finally:
        exporter.shutdown()


def deliver_once(sink: OtlpSink, reply: Reply) -> Outcome:
    """One attempt at a sink that gives one answer."""
    sink.reply_with(reply)
    exporter = OtlpHttpExporter(sink.logs_endpoint)
    try:
        return exporter.deliver(BATCH)
    finally:
        exporter.shutdown()


def test_it_keeps_the_contract(sink: OtlpSink) -> None:
    """The rules of every exporter."""
    check_exporter_contract(lambda: OtlpHttpExporter(sink.logs_endpoint))


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_records_arrive_as_they_are(sink: OtlpSink, compression: str) -> None:
    """Body, attributes, ids, severity, scope and resource come out at the other end; the request is as OTLP says."""
    exporter = OtlpHttpExporter(
        sink.logs_endpoint,
        headers={"X-Key": "k", "Content-Type": "text/plain"},
        compression=compression,  # type: ignore[arg-type]
    )
    assert exporter.deliver(BATCH) == Delivered()
    exporter.shutdown()
    first = sink.records()[0]
    assert (first.body, first.severity_number, first.severity_text, first.scope) == (
        "order placed",
        9,
        "INFO",
        "contract",
    )
    assert first.attributes == {
        "order_id": 42,
        "total": 9.5,
        "paid": True,
        "items": ["a", "b"],
        "who": {"id": 1},
    }
    assert (first.trace_id, first.span_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert first.resource["service.name"] == "contract"
    headers = sink.requests()[0].headers
    assert headers["content-type"] == "application/x-protobuf"
    assert headers.get("content-encoding", "none") == compression
    assert headers["x-key"] == "k"


def test_hostile_values_arrive_with_their_neighbours(sink: OtlpSink) -> None:
    """R4 of the faults: nothing that a record can hold costs another record."""
    exporter = OtlpHttpExporter(sink.logs_endpoint)
    hostile = hostile_batch()
    assert exporter.deliver([*BATCH, *hostile, *BATCH]) == Delivered()
    exporter.shutdown()
    assert len(sink.records()) == 2 * len(BATCH) + len(hostile)


def test_one_connection_serves_many_batches() -> None:
    """The connection is kept between batches."""
    connections = []

    def talk(connection: socket.socket, closing: threading.Event) -> None:
        connections.append(connection)
        while read_request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with raw_server(talk) as port:
        exporter = OtlpHttpExporter(f"http://127.0.0.1:{port}/v1/logs")
        assert [exporter.deliver(BATCH) for _ in range(5)] == [Delivered()] * 5
        exporter.shutdown()
    assert len(connections) == 1


STATUSES = {
    **dict.fromkeys((429, 502, 503, 504), Retryable),
    **dict.fromkeys((400, 401, 403, 404, 405, 408, 413, 500, 501, 505), Rejected),
    **dict.fromkeys((201, 202, 206, 299), Rejected),
    **dict.fromkeys((300, 301, 302, 307, 308), Rejected),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_means_what_otlp_says(sink: OtlpSink, status: int) -> None:
    """429, 502, 503 and 504 may be sent again; every other status but 200 refuses the batch for good."""
    sink.reply_with(Reply(status))
    exporter = OtlpHttpExporter(sink.logs_endpoint)
    outcome = exporter.deliver(BATCH[:1])
    exporter.shutdown()
    assert isinstance(outcome, STATUSES[status])
    assert str(status) in (outcome.reason if isinstance(outcome, Retryable) else getattr(outcome, "status", ""))


def test_204_is_no_success_of_otlp(sink: OtlpSink) -> None:
    """OTLP's success is 200 with a message; the hint names the exporter for Loki."""
    outcome = deliver_once(sink, Reply(204))
    assert isinstance(outcome, Rejected)
    assert "loki" in outcome.message


def test_redirects_are_not_followed(sink: OtlpSink) -> None:
    """One request, and the outcome names where it would have gone, made safe to print."""
    outcome = deliver_once(sink, Reply(307, {"location": "http://elsewhere/\x1b[31m"}))
    assert outcome == Rejected("307", "redirects are not followed: http://elsewhere/\\x1b[31m")
    assert len(sink.requests()) == 1


def http_date(seconds: float) -> str:
    """So many seconds from now, as HTTP writes it."""
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(when, usegmt=True)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("30", 30, 30),
        (" 0 ", 0, 0),
        ("1000000000", 1e9, 1e9),
        ("9" * 400, 1e9, 1e9),
    ],
)
def test_retry_after_is_read(sink: OtlpSink, value: str, least: float, most: float) -> None:
    """A number of seconds. A cap is the outlet's business."""
    outcome = deliver_once(sink, Reply(429, {"retry-after": value}))
    assert isinstance(outcome, Retryable)
    assert outcome.retry_after is not None
    assert least <= outcome.retry_after <= most


@pytest.mark.parametrize(("seconds", "least", "most"), [(60, 50, 61), (-3600, 0, 0)])
def test_a_date_to_retry_after_is_read(sink: OtlpSink, seconds: float, least: float, most: float) -> None:
    """A date is read as the time until then; a date in the past is now."""
    outcome = deliver_once(sink, Reply(429, {"retry-after": http_date(seconds)}))
    assert isinstance(outcome, Retryable)
    assert outcome.retry_after is not None
    assert least <= outcome.retry_after <= most


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5e", "Wed, 99 Foo 2026", "\u0663"])
def test_an_unreadable_retry_after_is_ignored(value: str) -> None:
    """Garbage is as good as nothing."""
    assert Answer(503, {"retry-after": value}).retry_after() is None


def test_partial_success_is_counted(sink: OtlpSink) -> None:
    """What the peer refuses is counted, and the SDK's view of it is a failure."""
    assert deliver_once(sink, Reply.partial_success(2, "too old")) == Delivered(2, "too old")
    sink.reply_with(Reply.partial_success(2, "too old"))
    exporter = OtlpHttpExporter(sink.logs_endpoint)
    assert exporter.export(BATCH) is LogRecordExportResult.FAILURE
    exporter.shutdown()


@pytest.mark.parametrize(("said", "counted"), [(0, 0), (-5, 0), (10**15, len(BATCH))])
def test_a_partial_success_cannot_refuse_more_than_was_sent(sink: OtlpSink, said: int, counted: int) -> None:
    """With nothing refused the message is a warning only."""
    assert deliver_once(sink, Reply.partial_success(said, "slow down")) == Delivered(counted, "slow down")


def test_partial_success_in_json_is_understood(sink: OtlpSink) -> None:
    """Some receivers answer protobuf with JSON."""
    body = b'{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}'
    assert deliver_once(sink, Reply(200, {"content-type": "application/json"}, body)) == Delivered(1, "no")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "text/html"}, b"<html>Sign in\x1b[2J</html>"),
        ({"content-type": "text/html"}, b""),
        (PROTOBUF, b"\xff\xff\xff\xff"),
        ({**PROTOBUF, "content-encoding": "gzip"}, b"\x1f\x8b\x08\x00"),
        ({"content-type": "application/json"}, b"[1]"),
    ],
)
def test_a_200_that_is_no_answer_of_otlp_is_no_success(sink: OtlpSink, headers: dict[str, str], body: bytes) -> None:
    """A captive portal's page is not a delivery; what is quoted of it is safe to print."""
    outcome = deliver_once(sink, Reply(200, headers, body))
    assert isinstance(outcome, Rejected)
    assert outcome.status == "200"
    assert outcome.message.isprintable()


def test_an_answer_is_read_up_to_4_mib() -> None:
    """A peer that sends for ever is cut off, and its 200 is no success."""
    sent = 0

    def talk(connection: socket.socket, closing: threading.Event) -> None:
        nonlocal sent
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n")
        while sent < 100 * 1024 * 1024:
            sent += connection.send(b"x" * 65_536)

    with raw_server(talk) as port:
        outcome = deliver_to(port)
    assert outcome == Rejected("200", "the answer is over 4 MiB: not an OTLP receiver")
    assert sent < 32 * 1024 * 1024


def hang(connection: socket.socket, closing: threading.Event) -> None:
    """Accepts, and says nothing."""
    closing.wait(20)


def drip_head(connection: socket.socket, closing: threading.Event) -> None:
    """The head of an answer, a byte at a time."""
    read_request(connection)
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: " + b"x" * 10_000:
        connection.sendall(bytes((byte,)))
        if closing.wait(0.05):
            return


def drip_body(connection: socket.socket, closing: threading.Event) -> None:
    """The body of an answer, a byte at a time."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while not closing.wait(0.05):
        connection.sendall(b"x")


def never_read(connection: socket.socket, closing: threading.Event) -> None:
    """Takes nothing of a request."""
    closing.wait(20)


@pytest.mark.parametrize("talk", [hang, drip_head, drip_body])
def test_the_deadline_holds_however_the_peer_stalls(talk: object) -> None:
    """The time-out is of wall-clock time for a whole attempt, not for each read (slow-loris)."""
    with raw_server(talk) as port:  # type: ignore[arg-type]
        started = time.monotonic()
        assert deliver_to(port, timeout=0.5) == Retryable("timeout")
        assert time.monotonic() - started < 15


def test_the_deadline_holds_while_sending() -> None:
    """A peer that reads nothing does not hold a large request (of bytes: to encode so much takes longer than that)."""
    with raw_server(never_read) as port:
        exporter = OtlpHttpExporter(f"http://127.0.0.1:{port}/v1/logs", compression="none", timeout=0.5)
        started = time.monotonic()
        assert exporter.deliver_payload(bytes(64 << 20), 1) == Retryable("timeout")
        assert 0.5 <= time.monotonic() - started < 15
        exporter.shutdown()


def test_a_shorter_timeout_of_the_caller_goes_first(sink: OtlpSink) -> None:
    """An outlet that is shutting down has less time than the exporter would take."""
    sink.reply_with(Reply(delay=10))
    exporter = OtlpHttpExporter(sink.logs_endpoint, timeout=60)
    assert exporter.deliver(BATCH, timeout=0.2) == Retryable("timeout")
    exporter.shutdown()


def test_shutdown_ends_a_request_that_is_under_way() -> None:
    """Nobody waits for a peer that hangs once the exporter is shut down."""
    arrived = threading.Event()

    def talk(connection: socket.socket, closing: threading.Event) -> None:
        read_request(connection)
        arrived.set()
        closing.wait(20)

    outcomes: list[Outcome] = []
    with raw_server(talk) as port:
        exporter = OtlpHttpExporter(f"http://127.0.0.1:{port}/v1/logs", timeout=60)
        thread = threading.Thread(target=lambda: outcomes.append(exporter.deliver(BATCH)))
        thread.start()
        assert arrived.wait(10)
        exporter.shutdown()
        thread.join(10)
    assert isinstance(outcomes[0], Retryable)


def reset(connection: socket.socket, closing: threading.Event) -> None:
    """Reads a part of the request and resets the connection."""
    connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def close(connection: socket.socket, closing: threading.Event) -> None:
    """Reads the request and closes without an answer."""
    read_request(connection)


@pytest.mark.parametrize("talk", [reset, close, answering(b"\0\xff garbage\r\n\r\n"), answering(b"HTTP/1.1 9\r\n\r\n")])
def test_a_broken_conversation_may_be_tried_again(talk: object) -> None:
    """A reset, an early end, an answer that is no HTTP: the batch did not arrive as far as anybody knows."""
    with raw_server(talk) as port:  # type: ignore[arg-type]
        assert isinstance(deliver_to(port), Retryable)


def test_nobody_there_may_be_tried_again() -> None:
    """A refused connection and an unknown name."""
    outcome = deliver_to(free_port())
    assert isinstance(outcome, Retryable)
    assert outcome.reason.startswith("ConnectionRefusedError")
    exporter = OtlpHttpExporter("http://nowhere.invalid:4318/v1/logs")
    assert isinstance(exporter.deliver(BATCH), Retryable)
    exporter.shutdown()


def test_a_connection_that_the_peer_has_closed_is_not_used_again() -> None:
    """A stale kept connection costs no attempt."""
    closed = threading.Event()

    def talk(connection: socket.socket, closing: threading.Event) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection.close()
        closed.set()

    with raw_server(talk) as port:
        exporter = OtlpHttpExporter(f"http://127.0.0.1:{port}/v1/logs")
        for _ in range(3):
            closed.clear()
            assert exporter.deliver(BATCH) == Delivered()
            assert closed.wait(10)
        exporter.shutdown()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # it is what is tested
def test_a_forked_child_uses_a_connection_of_its_own(sink: OtlpSink) -> None:
    """Parent and child both go on sending, each over its own connection."""
    exporter = OtlpHttpExporter(sink.logs_endpoint)
    assert exporter.deliver(BATCH) == Delivered()
    child = os.fork()
    if child == 0:
        os._exit(0 if exporter.deliver(BATCH) == Delivered() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert exporter.deliver(BATCH) == Delivered()
    exporter.shutdown()
    assert len(sink.records()) == 3 * len(BATCH)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "localhost:4318",
        "ftp://host/v1/logs",
        "http://",
        "http://host:99999",
        "http://host/a b",
        "http://h/\r\nX: y",
    ],
)
def test_an_endpoint_that_can_never_work_is_refused_at_once(endpoint: str) -> None:
    """Before anything is sent."""
    if endpoint.startswith("http://h/\r\n"):
        endpoint = "http://h/%0d%0a\x7f"
    with pytest.raises(SettingsError):
        OtlpHttpExporter(endpoint)


@pytest.mark.parametrize(
    "headers", [{"a": "x\r\nb: y"}, {"a\n": "x"}, {"": "x"}, {"a": "\u20ac"}, {"Content-Length": "1"}]
)
def test_a_header_cannot_break_out(headers: dict[str, str]) -> None:
    """Names and values that would change the request are refused, and the value is not shown."""
    with pytest.raises(SettingsError) as caught:
        OtlpHttpExporter(headers=headers)
    assert "b: y" not in str(caught.value)


def test_a_missing_certificate_is_refused_at_once(tmp_path: Path) -> None:
    """A path that is wrong is a mistake of the configuration."""
    with pytest.raises(SettingsError, match="nowhere"):
        OtlpHttpExporter("https://host", certificate=tmp_path / "nowhere.pem")


def test_credentials_of_a_url_become_basic_auth(sink: OtlpSink) -> None:
    """RFC 3986 allows them; they are sent as a header and decoded before."""
    exporter = OtlpHttpExporter(sink.logs_endpoint.replace("://", "://me:p%40ss@"))
    exporter.deliver(BATCH)
    exporter.shutdown()
    assert sink.requests()[0].headers["authorization"] == "Basic bWU6cEBzcw=="


def too_many(request: Request) -> Reply | None:
    """413 for more than 10 records."""
    return Reply(413) if len(request.records()) > 10 else None


def test_what_is_too_large_is_sent_in_parts() -> None:
    """413, to the SDK: the batch is halved until it is taken; every record arrives once."""
    with OtlpSink(decide=too_many) as sink:
        exporter = OtlpHttpExporter(sink.logs_endpoint)
        assert exporter.export(BATCH * 20) is LogRecordExportResult.SUCCESS
        exporter.shutdown()
        assert len(sink.records()) == 20 * len(BATCH)


def test_one_record_that_is_too_large_is_refused_alone() -> None:
    """Its neighbours are taken, and the SDK hears of a failure."""
    with OtlpSink(decide=lambda request: Reply(413) if b"plain" in request.body else None) as sink:
        exporter = OtlpHttpExporter(sink.logs_endpoint)
        assert exporter.export(BATCH[:2] * 20 + BATCH) is LogRecordExportResult.FAILURE
        exporter.shutdown()
        assert len(sink.records()) == 42


def test_one_attempt_is_one_request(sink: OtlpSink) -> None:
    """What is too large says so, and that it is for its size: the parts are sent by who counts them."""
    sink.reply_with(Reply(413), Reply(400))
    exporter = OtlpHttpExporter(sink.logs_endpoint)
    assert exporter.deliver(BATCH) == Rejected("413", divisible="size")
    assert exporter.deliver(BATCH) == Rejected("400")
    exporter.shutdown()
    assert len(sink.requests()) == 2


def test_a_part_that_may_be_tried_again_is_a_failure_to_the_sdk(sink: OtlpSink) -> None:
    """It has no word for it; nothing more is asked of the peer."""
    sink.reply_with(Reply(413), Reply(200), Reply(503, {"retry-after": "3"}))
    exporter = OtlpHttpExporter(sink.logs_endpoint)
    assert exporter.export(BATCH) is LogRecordExportResult.FAILURE
    exporter.shutdown()
    assert len(sink.requests()) == 3


def test_a_payload_is_sent_as_it_is(sink: OtlpSink) -> None:
    """What is encoded already, by the same rules: each time one request, also when it is too large."""
    payload = encode_logs_request(BATCH).payload
    exporter = OtlpHttpExporter(sink.logs_endpoint)
    assert exporter.takes_payloads
    assert exporter.deliver_payload(payload, len(BATCH)) == Delivered()
    sink.reply_with(Reply(413), Reply(413), Reply(503))
    assert exporter.deliver_payload(payload, len(BATCH)) == Rejected("413", divisible="size")
    assert exporter.deliver_payload(payload, 1) == Rejected("413", divisible="size")
    assert exporter.deliver_payload(payload, len(BATCH)) == Retryable("HTTP 503")
    exporter.shutdown()
    assert isinstance(exporter.deliver_payload(payload, len(BATCH)), Rejected)
    assert [request.body for request in sink.requests()] == [payload] * 4
