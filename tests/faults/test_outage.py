"""The peer is away, flaky or unreachable: nothing is lost without a count, and callers do not notice (R3.2)."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from logspan.exporters.otlp_http import OtlpHttpExporter
from logspan.testing import FakeClock, GrpcReply, GrpcRequest, OtlpSink, ReceivedRecord, Reply, Request
from logspan.testing.sink import decode_logs
from tests.exporters.raw_server import raw_server, read_request
from tests.faults.support import (
    GRPC,
    HTTP,
    NO_JITTER,
    QUICK,
    Caller,
    Start,
    account,
    end_of,
    ids,
    port_of,
    running,
    sink_of,
)
from tests.ports import free_port
from tests.waiting import until

PATIENT: dict[str, Any] = {"stall_timeout": 1e6}
"""For clocks that run fast: on a busy machine an ordinary attempt takes minutes of them."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


# ---------------------------------------------------------------------------------- 6: the Collector is down


def test_6_an_outage_loses_exactly_what_the_queue_cannot_hold(start: Start, protocol: str) -> None:
    """Down for 400 records with room for 100: the newest hundred arrive afterwards, in order, the rest is counted."""
    port = free_port()
    with sink_of(protocol, port=port) as first:
        pipeline = start(first.endpoint, protocol, sending_queue={"queue_size": 100, "max_export_batch_size": 20})
        caller = Caller(pipeline)
        caller.log(50)
        assert pipeline.flush(10)
    for _ in range(40):
        caller.log(10)
    until(lambda: pipeline.ledger.snapshot().fanned_out == len(caller.ids))
    with sink_of(protocol, port=port) as second:
        assert pipeline.flush(20)
        arrived = ids(first.records()) + ids(second.records())
        _, exporter = account(pipeline, caller, arrived)
    assert arrived == sorted(arrived)
    assert arrived[-100:] == caller.ids[-100:]
    assert exporter.dropped == {"queue_full": 450 - len(arrived)}
    assert 300 - 20 <= exporter.dropped["queue_full"] <= 300  # a batch is out of the queue while it is tried


def test_6_an_outage_that_fits_the_queue_loses_nothing(start: Start, protocol: str) -> None:
    """With default bounds, all that was logged while the peer was away arrives once, in order."""
    port = free_port()
    scheme = f"http://127.0.0.1:{port}"
    pipeline = start(scheme, protocol)
    caller = Caller(pipeline)
    caller.log(3_000)
    assert not pipeline.flush(0.1)
    with sink_of(protocol, port=port) as sink:
        assert pipeline.flush(20)
        account(pipeline, caller, ids(sink.records()))
        assert ids(sink.records()) == caller.ids


@pytest.mark.slow
@pytest.mark.parametrize("rate", [50, 1_000])
def test_6_a_minute_at_this_rate(start: Start, rate: int) -> None:
    """60 s without a Collector, on a clock that runs fast, under default settings."""
    clock, port = FakeClock(), free_port()
    retry = {"initial_interval": 5.0, "max_interval": 30.0, "max_elapsed_time": 300.0}
    pipeline = start(f"http://127.0.0.1:{port}", HTTP, clock, retry_on_failure=retry, **PATIENT)
    caller = Caller(pipeline)
    with running(clock, 0.05) as reaches:
        for second in range(1, 61):
            caller.log(rate)
            assert reaches(1_000.0 + second)
        with OtlpSink(port=port) as sink:
            expected = min(60 * rate, 50_000)
            assert sink.wait_for(expected, timeout=50)
            assert pipeline.flush(100_000)  # of this clock
            arrived = ids(sink.records())
            _, exporter = account(pipeline, caller, arrived)
    assert arrived == sorted(arrived)
    assert len(arrived) - expected in range(513)
    assert dict(exporter.dropped) == ({"queue_full": 60 * rate - len(arrived)} if 60 * rate > len(arrived) else {})


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_6_a_minute_with_a_spool(start: Start, tmp_path: Path, mode: str) -> None:
    """60 s at 1,000 records/s, twice `max_elapsed_time`, ten times what memory holds: all arrive, in order."""
    clock, port = FakeClock(), free_port()
    pipeline = start(
        f"http://127.0.0.1:{port}",
        HTTP,
        clock,
        retry_on_failure={"initial_interval": 5.0, "max_interval": 30.0, "max_elapsed_time": 30.0},
        sending_queue={"queue_size": 6_000},
        file_storage={"directory": tmp_path / "spool", "mode": mode},
        **PATIENT,
    )
    caller = Caller(pipeline)
    with running(clock, 0.05) as reaches:
        for second in range(1, 61):
            caller.log(1_000)
            assert reaches(1_000.0 + second)
            until(lambda: pipeline.ledger.snapshot().exporters["otlp"].in_flight < 5_000)  # the disk's time is real
        with OtlpSink(port=port) as sink:
            assert sink.wait_for(60_000, timeout=50)
            assert pipeline.flush(100_000)
            _, exporter = account(pipeline, caller, ids(sink.records()))
    assert ids(sink.records()) == caller.ids
    assert (exporter.delivered, exporter.lost) == (60_000, 0)


# ---------------------------------------------------------------------------------- 8: most requests fail


def test_8_seventy_percent_of_requests_fail(start: Start, protocol: str) -> None:
    """502, 503 and 504 (UNAVAILABLE and its like for gRPC): what was sent is what was received, once each."""
    chance = random.Random(8)

    def decide(request: Request | GrpcRequest) -> Any:
        if chance.random() >= 0.7:
            return None
        if protocol == GRPC:
            return GrpcReply(chance.choice(["UNAVAILABLE", "ABORTED", "DATA_LOSS"]))
        return Reply(chance.choice([502, 503, 504]))

    with sink_of(protocol, decide=decide) as sink:
        pipeline = start(sink.endpoint, protocol, sending_queue={"max_export_batch_size": 50})
        caller = Caller(pipeline)
        caller.log(2_000)
        assert pipeline.flush(30)
        account(pipeline, caller, ids(sink.records()))
        assert ids(sink.records()) == caller.ids
        assert len(sink.requests()) > 40


# ---------------------------------------------------------------------------------- 17: connections break


@pytest.mark.parametrize("answered", [False, True], ids=["reset in the body", "reset after the body"])
def test_17_connections_that_break_cost_nothing_and_repeat_little(start: Start, answered: bool) -> None:
    """Every other connection is reset: all arrive; only a batch whose answer was lost comes twice."""
    received: list[ReceivedRecord] = []
    connections: list[socket.socket] = []
    uncertain: list[int] = []

    def talk(connection: socket.socket, closing: threading.Event) -> None:
        connections.append(connection)
        if len(connections) % 2:
            if answered:
                taken = records_of(read_request(connection))
                received.extend(taken)
                uncertain.extend(ids(taken))
            else:
                connection.recv(100)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            return
        received.extend(records_of(read_request(connection)))
        connection.sendall(OK)  # and then it closes: a kept connection that has gone stale

    with raw_server(talk) as port:
        otlp = {"endpoint": f"http://127.0.0.1:{port}", "compression": "none"}
        pipeline = start("", otlp=otlp, sending_queue={"max_export_batch_size": 20})
        caller = Caller(pipeline)
        caller.log(200)
        assert pipeline.flush(20)
        account(pipeline, caller, ids(received))
    repeated = {number for number, times in Counter(ids(received)).items() if times > 1}
    assert repeated <= set(uncertain)
    assert len(received) <= 200 + len(uncertain)


def records_of(request: bytes) -> list[ReceivedRecord]:
    """Those in a request without compression."""
    return decode_logs(request.partition(b"\r\n\r\n")[2])


# ---------------------------------------------------------------------------------- 18: name resolution


def test_18_a_name_that_does_not_resolve(start: Start, protocol: str) -> None:
    """Records wait as in any outage; health names the cause; the end comes in time, and counts them."""
    pipeline = start("http://nowhere.invalid:4318", protocol)
    caller = Caller(pipeline)
    caller.log(100)
    assert not pipeline.flush(0.3)
    until(lambda: pipeline.health().causes != ())
    health = pipeline.health()
    assert health.status == "failing"
    snapshot, exporter = account(pipeline, caller, [], timeout=0.3)
    assert exporter.dropped == {"shutdown_timeout": 100}
    assert snapshot.dropped == {}


def test_18_a_resolver_that_hangs_holds_up_nobody(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log calls and flush come back while the system looks the name up; all arrive once it has."""
    asked, answer, resolve = threading.Event(), threading.Event(), socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **more: Any) -> Any:
        if host != "slow.example":
            return resolve(host, *arguments, **more)
        asked.set()
        answer.wait(30)
        return resolve("127.0.0.1", *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)  # the system's resolver has no other seam
    with OtlpSink() as sink:
        pipeline = start(f"http://slow.example:{port_of(sink)}")
        caller = Caller(pipeline)
        caller.log(1)
        assert asked.wait(10)
        caller.log(500)  # returns, or the test hangs
        assert not pipeline.flush(0.1)
        assert sink.records() == []
        answer.set()
        assert pipeline.flush(20)
        account(pipeline, caller, ids(sink.records()))


def test_18_the_end_does_not_wait_for_a_resolver_that_hangs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shutdown comes back at its deadline; what waits is counted."""
    asked, answer = threading.Event(), threading.Event()

    def hang(*arguments: Any, **more: Any) -> Any:
        asked.set()
        answer.wait(30)
        raise socket.gaierror("at last")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    pipeline = start("http://slow.example:4318")
    caller = Caller(pipeline)
    caller.log(30)
    assert asked.wait(10)
    started = time.monotonic()
    _, exporter = account(pipeline, caller, [], timeout=0.2)
    assert time.monotonic() - started < 15
    assert exporter.dropped == {"shutdown_timeout": 30}
    answer.set()
    end_of("logspan-outlet-otlp")


# ---------------------------------------------------------------------------------- 43: one of three is down


def test_43_one_of_three_down_for_an_hour(start: Start) -> None:
    """On a clock that runs fast: the other two get all at once, the queue of the third keeps its bound, in order."""
    clock, port = FakeClock(), free_port()
    with OtlpSink() as one, OtlpSink() as two:
        exporters = {
            "one": OtlpHttpExporter(one.logs_endpoint),
            "two": OtlpHttpExporter(two.logs_endpoint),
            "three": OtlpHttpExporter(f"http://127.0.0.1:{port}/v1/logs"),
        }
        queue = {"queue_size": 500, "max_export_batch_size": 100}
        retry = {"initial_interval": 5.0, "max_interval": 30.0, "max_elapsed_time": 300.0, **NO_JITTER}
        pipeline = start.several(exporters, clock, sending_queue=queue, retry_on_failure=retry, **PATIENT)
        caller = Caller(pipeline)
        with running(clock, 3.0) as reaches:
            for minute in range(1, 61):
                caller.log(50)
                assert one.wait_for(50 * minute)
                assert two.wait_for(50 * minute)
                assert pipeline.ledger.snapshot().exporters["three"].in_flight <= 600
                assert reaches(1_000.0 + 60 * minute)
            assert pipeline.health().status == "degraded"
            assert any(cause.startswith("three: ") for cause in pipeline.health().causes)
            with OtlpSink(port=port) as three:
                assert three.wait_for(500, timeout=20)
                pipeline.flush(100_000)  # of this clock
                snapshot, exporter = account(pipeline, caller, ids(three.records()), name="three")
    arrived = ids(three.records())
    assert arrived == sorted(arrived)
    assert arrived[-1] == caller.ids[-1]
    assert set(exporter.dropped) <= {"queue_full", "retry_exhausted"}
    for sink, name in ((one, "one"), (two, "two")):
        assert ids(sink.records()) == caller.ids
        assert snapshot.exporters[name].delivered == 3_000


# ---------------------------------------------------------------------------------- 45: flush with the sink down


@pytest.mark.parametrize("client", ["logspan", "stock"])
def test_45_flush_says_false_in_time(start: Start, protocol: str, client: str) -> None:
    """Nobody listens: False, when its time is up and not much later (the best of some, for a busy machine)."""
    pipeline = start(
        f"http://127.0.0.1:{free_port()}",
        protocol,
        otlp={"endpoint": f"http://127.0.0.1:{free_port()}", "protocol": protocol, "client": client},
        retry_on_failure=QUICK,
    )
    caller = Caller(pipeline)
    caller.log(100)
    took: list[float] = []
    while len(took) < 20 and min(took, default=1.0) >= 0.3:
        began = time.monotonic()
        assert pipeline.flush(0.2) is False
        took.append(time.monotonic() - began)
    assert min(took) < 0.3
    _, exporter = account(pipeline, caller, [], timeout=0.3)
    assert exporter.dropped == {"shutdown_timeout": 100}


def test_45_flush_keeps_its_time_with_a_peer_that_hangs(start: Start) -> None:
    """It accepts the connection, and says nothing."""
    with OtlpSink(decide=lambda request: Reply(delay=30)) as sink:
        pipeline = start(sink.endpoint)
        caller = Caller(pipeline)
        caller.log(100)
        began = time.monotonic()
        assert pipeline.flush(0.2) is False
        assert time.monotonic() - began < 15
        _, exporter = account(pipeline, caller, [], timeout=0.2)
    assert exporter.dropped == {"shutdown_timeout": 100}
