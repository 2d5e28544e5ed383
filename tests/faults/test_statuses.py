"""What a peer answers: which answers are tried again, when, and what each is counted as (R3.2)."""

from __future__ import annotations

import datetime
import email.utils
import gzip
import socket
import threading
from typing import Any

import pytest

from logspan.exporters.otlp_http import OtlpHttpExporter
from logspan.testing import (
    FakeClock,
    GrpcReply,
    InMemoryExporter,
    OtlpGrpcSink,
    OtlpSink,
    Reply,
    assert_balanced,
)
from tests.exporters.raw_server import answering, raw_server, read_request
from tests.faults.support import GRPC, HTTP, NO_JITTER, Caller, Sink, Start, account, ids, sink_of
from tests.waiting import until

GENTLE = {"initial_interval": 2.0, "max_interval": 2.0, "max_elapsed_time": 3_600.0, **NO_JITTER}
"""So that whatever comes later than two seconds is the peer's wish."""


def http_date(seconds: float) -> str:
    """So many seconds from now, as HTTP writes it."""
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(when, usegmt=True)


# ---------------------------------------------------------------------------------- 7: Retry-After

WISHES = {
    "seconds": ("30", 29.9, 0.2),
    "a date": ("date:60", 55.0, 6.0),
    "a past date": ("date:-3600", 1.9, 0.2),  # as good as none: our own interval
    "garbage": ("soon", 1.9, 0.2),
    "a billion seconds": ("1000000000", 119.9, 0.2),  # cut to two minutes
}


@pytest.mark.parametrize("wish", WISHES)
def test_7_retry_after_is_honoured_up_to_a_cap(start: Start, wish: str) -> None:
    """No attempt before its time, not for a flush either; then one, and all arrive: a 429 drops nothing."""
    value, early, rest = WISHES[wish]
    clock = FakeClock()
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, HTTP, clock, retry_on_failure=GENTLE)
        caller = Caller(pipeline)
        said = http_date(float(value[5:])) if value.startswith("date:") else value
        sink.reply_with(Reply(429, {"retry-after": said}))
        caller.log(1)
        first_attempt(clock, sink)
        clock.advance(early)
        assert not sink.wait_for(requests=2, timeout=0.1)
        clock.advance(rest)
        assert sink.wait_for(records=1)
        assert_balanced(pipeline)
        _, exporter = account(pipeline, caller, ids(sink.records()))
    assert len(sink.requests()) == 2
    assert exporter.lost == 0


def test_7_retry_info_is_honoured(start: Start) -> None:
    """The same for gRPC: RESOURCE_EXHAUSTED with a delay of 30 s in its details."""
    clock = FakeClock()
    with OtlpGrpcSink([GrpcReply("RESOURCE_EXHAUSTED", "busy", retry_delay=30)]) as sink:
        pipeline = start(sink.endpoint, GRPC, clock, retry_on_failure=GENTLE)
        caller = Caller(pipeline)
        caller.log(1)
        first_attempt(clock, sink)
        clock.advance(29.9)
        assert not sink.wait_for(requests=2, timeout=0.1)
        clock.advance(0.2)
        assert sink.wait_for(records=1)
        assert_balanced(pipeline)
        account(pipeline, caller, ids(sink.records()))
    assert len(sink.requests()) == 2


def first_attempt(clock: FakeClock, sink: Sink) -> None:
    """Until it has failed, and the outlet waits for the time of the second."""

    def tried() -> bool:
        clock.advance(0.01)
        return bool(sink.requests())

    until(tried)
    assert clock.wait_for_waiters(least=1.5)


# ---------------------------------------------------------------------------------- 9: refused for good

REFUSALS = [(HTTP, str(status)) for status in (400, 401, 403, 404, 501)]
REFUSALS += [(GRPC, status) for status in ("INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED")]


@pytest.mark.parametrize(("protocol", "status"), REFUSALS)
def test_9_a_refusal_is_final_and_counted_by_its_status(start: Start, protocol: str, status: str) -> None:
    """One attempt for each batch, none counted as delivered, and health names the status."""
    reply: Any = GrpcReply(status, "no") if protocol == GRPC else Reply(int(status), body=b"no")
    with sink_of(protocol, decide=lambda request: reply) as sink:
        pipeline = start(sink.endpoint, protocol)
        caller = Caller(pipeline)
        caller.log(10)
        assert not pipeline.flush(10)
        health = pipeline.health()
        assert health.status == "failing"  # nothing gets out
        assert any(status in cause for cause in health.causes)
        _, exporter = account(pipeline, caller, ids(sink.records()))
    logged = [number for request in sink.requests() for number in ids(request.records())]
    assert logged == caller.ids
    assert exporter.rejected == {status: 10}
    assert exporter.delivered == 0


@pytest.mark.parametrize("status", [401, 403])
def test_9_beside_a_healthy_exporter_health_is_degraded(start: Start, status: int) -> None:
    """Wrong credentials at one of two: the other delivers, and health says which one is refused."""
    memory = InMemoryExporter()
    with OtlpSink(decide=lambda request: Reply(status)) as sink:
        pipeline = start.several({"otlp": OtlpHttpExporter(sink.logs_endpoint), "memory": memory})
        caller = Caller(pipeline)
        caller.log(10)
        assert not pipeline.flush(10)
        health = pipeline.health()
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
    assert health.status == "degraded"
    assert any(cause.startswith(f"otlp: {status}") for cause in health.causes)
    assert snapshot.exporters["memory"].delivered == 10


# ---------------------------------------------------------------------------------- 10: partial success


@pytest.mark.parametrize("rejected", [7, 0])
def test_10_a_partial_success_is_counted_and_not_sent_again(
    start: Start, protocol: str, rejected: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """7 of 10 refused: rejected is 7; none refused, but a message: a warning on standard error and nothing more."""
    reply: Any = GrpcReply(rejected=rejected, message="too old")
    if protocol == HTTP:
        reply = Reply.partial_success(rejected, "too old")
    with sink_of(protocol, decide=lambda request: reply) as sink:
        pipeline = start(sink.endpoint, protocol)
        caller = Caller(pipeline)
        caller.log(10)
        assert pipeline.flush(10) is (rejected == 0)
        snapshot = assert_balanced(pipeline.shutdown().ledger)
        sent = [number for request in sink.requests() for number in ids(request.records())]
    exporter = snapshot.exporters["otlp"]
    assert sent == caller.ids
    assert sum(exporter.rejected.values()) == min(rejected * len(sink.requests()), 10)
    assert exporter.delivered == 10 - exporter.lost
    assert "too old" in capfd.readouterr().err


# ---------------------------------------------------------------------------------- 11: too large


def test_11_a_batch_that_is_too_large_is_split(start: Start) -> None:
    """413 for more than 60 records: all arrive, once, in order."""
    with OtlpSink(decide=lambda request: Reply(413) if len(request.records()) > 60 else None) as sink:
        pipeline = start(sink.endpoint, sending_queue={"schedule_delay": 30.0})
        caller = Caller(pipeline)
        caller.log(512)
        assert pipeline.flush(20)
        account(pipeline, caller, ids(sink.records()))
    assert ids(sink.records()) == caller.ids


def test_11_one_record_that_is_too_large_costs_only_itself(start: Start) -> None:
    """A peer with a limit in bytes: the neighbours of an oversize record arrive, it is counted by the peer's status."""
    with OtlpSink(decide=lambda request: Reply(413) if len(request.body) > 20_000 else None) as sink:
        pipeline = start(sink.endpoint, sending_queue={"schedule_delay": 30.0})
        caller = Caller(pipeline)
        caller.log(50)
        (oversize,) = caller.log(1, text="x" * 30_000)
        caller.log(50)
        assert not pipeline.flush(20)
        _, exporter = account(pipeline, caller, ids(sink.records()))
    assert exporter.rejected == {"413": 1}
    assert ids(sink.records()) == [number for number in caller.ids if number != oversize]


def test_11_a_message_over_the_limit_of_grpc_is_split(start: Start) -> None:
    """The server itself refuses messages over 20,000 bytes: all arrive but the record that is larger alone."""
    with OtlpGrpcSink(max_receive_bytes=20_000) as sink:
        pipeline = start(sink.endpoint, GRPC, sending_queue={"schedule_delay": 30.0})
        caller = Caller(pipeline)
        caller.log(200)
        (oversize,) = caller.log(1, text="x" * 30_000)
        caller.log(200)
        assert not pipeline.flush(20)
        _, exporter = account(pipeline, caller, ids(sink.records()))
    assert exporter.rejected == {"RESOURCE_EXHAUSTED": 1}
    assert ids(sink.records()) == [number for number in caller.ids if number != oversize]


# ---------------------------------------------------------------------------------- 14: answers that are none

FOREIGN = {
    "301": Reply(301, {"location": "http://elsewhere.example/v1/logs"}),
    "307": Reply(307, {"location": "http://elsewhere.example/v1/logs"}),
    "204": Reply(204),
    "200 of another service": Reply(200, {"content-type": "application/json"}, b'{"error": "no such route"}'),
    "200 of a portal": Reply(200, {"content-type": "text/html"}, b"<html>Sign in</html>"),
    "200 of garbage": Reply(200, body=b"\xff\xff\xff\xff"),
    "200 with a gzip bomb": Reply(200, {"content-encoding": "gzip"}, gzip.compress(b"\0" * 50_000_000)),
}


@pytest.mark.parametrize("answer", FOREIGN)
def test_14_success_is_only_where_the_protocol_says_so(start: Start, answer: str) -> None:
    """Redirects, another's success, a portal's page, garbage, a bomb: one request, refused by status."""
    with OtlpSink(decide=lambda request: FOREIGN[answer]) as sink:
        pipeline = start(sink.endpoint)
        caller = Caller(pipeline)
        caller.log(10)
        assert not pipeline.flush(10)
        snapshot = assert_balanced(pipeline.shutdown().ledger)
        asked = [number for request in sink.requests() for number in ids(request.records())]
    exporter = snapshot.exporters["otlp"]
    assert asked == caller.ids
    assert (snapshot.emitted, exporter.delivered) == (10, 0)
    assert exporter.rejected == {answer[:3]: 10}


def test_14_an_endless_answer_is_cut_off(start: Start) -> None:
    """100 MB after a 200: read up to 4 MiB, and no success."""
    sent = 0

    def talk(connection: socket.socket, closing: threading.Event) -> None:
        nonlocal sent
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n")
        while sent < 100_000_000:
            sent += connection.send(b"x" * 65_536)

    with raw_server(talk) as port:
        pipeline = start(f"http://127.0.0.1:{port}", sending_queue={"schedule_delay": 30.0})
        caller = Caller(pipeline)
        caller.log(10)
        assert not pipeline.flush(10)
        _, exporter = account(pipeline, caller, [])
    assert exporter.rejected == {"200": 10}
    assert sent < 32_000_000


def test_14_bytes_that_are_no_http_are_tried_again(start: Start) -> None:
    """Nobody knows whether the batch arrived: it waits, and at the end it is counted."""
    with raw_server(answering(b"\0\xff garbage\r\n\r\n")) as port:
        pipeline = start(f"http://127.0.0.1:{port}")
        caller = Caller(pipeline)
        caller.log(10)
        assert not pipeline.flush(0.2)
        _, exporter = account(pipeline, caller, [], timeout=0.2)
    assert exporter.dropped == {"shutdown_timeout": 10}
