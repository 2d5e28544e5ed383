"""More than there is room for: each policy, exact counts, what is promised to outlive the rest (R3.3; 41, 44)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber

from logspan.testing import FakeClock, GrpcReply, OtlpSink, Reply
from tests.faults.support import GRPC, Caller, Gate, Sink, Start, account, ids, sink_of
from tests.waiting import until

BOUND = 200
POLICIES = ("block", "drop_newest", "drop_oldest", "sample")


def held(protocol: str, gate: Gate) -> Sink:
    """A sink that takes nothing until the gate is open."""

    def decide(request: object) -> Any:
        gate(request)
        return GrpcReply() if protocol == GRPC else Reply()

    return sink_of(protocol, decide=decide)


@pytest.mark.parametrize("policy", POLICIES)
def test_41_each_policy_is_exact(start: Start, protocol: str, policy: str) -> None:
    """A sink that hangs, a full queue behind a full queue: what arrived and what was counted is what was logged.

    Each twentieth record is an ERROR; there is room for them all, and all of them arrive, under every policy.
    """
    gate = Gate()
    with held(protocol, gate) as sink:
        pipeline = start(
            sink.endpoint,
            protocol,
            queue={"max_queue_size": BOUND, "overflow": policy, "block_timeout": 0.0001, "sampling_percentage": 0.0},
            sending_queue={
                "queue_size": 50,
                "max_export_batch_size": 50,
                "schedule_delay": 60.0,  # 50 leave at a time, and no fewer
                "block_on_overflow": True,
            },
        )
        caller, errors = Caller(pipeline), []
        first = caller.log(50)
        assert sink.wait_for(requests=1)
        for more in (50, 1):  # beyond the reach of an error that needs room; at the last one the worker waits for it
            first += caller.log(more)
            until(lambda: pipeline.ledger.snapshot().fanned_out == len(caller.ids))
        for _ in range(50):
            caller.log(19)
            errors += caller.log(1, SeverityNumber.ERROR)
        assert pipeline.ledger.snapshot().queued <= BOUND
        gate.open()
        pipeline.flush(20)
        arrived = set(ids(sink.records()))  # one batch may come twice: a machine that is busy takes its time
        snapshot, exporter = account(pipeline, caller, arrived)
    assert snapshot.emitted == 1_101
    assert exporter.dropped == {}
    assert set(snapshot.dropped) <= {"queue_full", "overflow_sampled"}
    assert 1_101 - len(arrived) == sum(snapshot.dropped.values()) > 500
    assert set(errors) <= set(arrived)
    assert set(first) <= set(arrived)
    others = [number for number in arrived if number not in set(errors) | set(first)]
    if policy in ("drop_newest", "block"):
        assert max(others) < 600  # the oldest are what was kept
    if policy == "drop_oldest":
        assert caller.ids[-2] in arrived  # the newest are
    if policy == "sample":
        assert snapshot.dropped["overflow_sampled"] > 0


def test_41_errors_outlive_the_rest_in_the_queue_of_an_exporter(start: Start, protocol: str) -> None:
    """An exporter that is away: its own queue gives up what is below ERROR first, and counts it."""
    gate = Gate()
    with held(protocol, gate) as sink:
        queue = {"queue_size": 100, "max_export_batch_size": 10}
        pipeline = start(sink.endpoint, protocol, otlp={"timeout": 60.0}, sending_queue=queue)  # nothing is sent twice
        caller, errors = Caller(pipeline), []
        for _ in range(50):
            errors += caller.log(1, SeverityNumber.ERROR)
            caller.log(19, SeverityNumber.INFO)
        until(lambda: pipeline.ledger.snapshot().fanned_out == 1_000)
        gate.open()
        assert pipeline.flush(20)
        _, exporter = account(pipeline, caller, ids(sink.records()))
    arrived = ids(sink.records())
    assert arrived == sorted(arrived)
    assert set(errors) <= set(arrived)
    assert exporter.dropped == {"queue_full": 1_000 - len(arrived)}
    assert Counter(record.severity_text for record in sink.records())["ERROR"] == 50


def test_44_large_records_are_bounded_by_bytes(start: Start, protocol: str) -> None:
    """50 records of 1 MB and a bound of 4 MiB: never more than that waits, the rest is counted, the last arrives."""
    gate = Gate()
    with held(protocol, gate) as sink:
        pipeline = start(
            sink.endpoint,
            protocol,
            sending_queue={"queue_bytes": 4 * 1024 * 1024, "max_export_batch_size": 1},
            queue={"max_queue_bytes": 4 * 1024 * 1024},
            limits={"max_value_length": 2_000_000},
        )
        caller = Caller(pipeline)
        parts: dict[str, Any] = {
            f"part{number}": "x" * 131_000 for number in range(8)
        }  # one value is captured up to 131,072
        most = 0
        for number in range(1, 51):
            caller.log(1, **parts)
            until(lambda number=number: settled(pipeline, number))  # type: ignore[misc]
            most = max(most, pipeline.ledger.snapshot().exporters["otlp"].in_flight)
        gate.open()
        assert pipeline.flush(20)
        _, exporter = account(pipeline, caller, ids(sink.records()))
    assert most <= 5  # three or four wait, one is being sent
    assert exporter.dropped["queue_full"] >= 45
    assert caller.ids[-1] in ids(sink.records())


def test_44_a_burst_of_large_records_is_bounded_before_the_fan_out(start: Start) -> None:
    """The queue behind the callers has a bound in bytes too: no more than it holds is ever queued."""
    gate = Gate()
    with held("http/protobuf", gate) as sink:
        pipeline = start(
            sink.endpoint,
            queue={"max_queue_bytes": 4 * 1024 * 1024, "overflow": "drop_newest", "schedule_delay": 0.2},
            sending_queue={"queue_size": 1, "max_export_batch_size": 1, "block_on_overflow": True},
        )
        caller = Caller(pipeline)
        parts: dict[str, Any] = {f"part{number}": "x" * 131_000 for number in range(8)}
        most = 0
        for _ in range(100):
            caller.log(1, **parts)
            most = max(most, pipeline.ledger.snapshot().queued)
        gate.open()
        pipeline.flush(20)
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
    assert most <= 4
    assert snapshot.dropped["queue_full"] >= 80


def settled(pipeline: Any, emitted: int) -> bool:
    """Whether so many records have reached the exporter's queue."""
    snapshot = pipeline.ledger.snapshot()
    return bool(snapshot.fanned_out == emitted and snapshot.queued == 0)


def test_41_a_small_queue_with_block_on_overflow_is_emptied_at_once(start: Start) -> None:
    """While the worker waits for room the exporter's thread is told that there is work: time need not pass."""
    clock = FakeClock()
    with OtlpSink() as sink:
        queue = {"queue_size": 5, "max_export_batch_size": 5, "block_on_overflow": True, "schedule_delay": 0.01}
        pipeline = start(sink.endpoint, clock=clock, sending_queue=queue)
        caller = Caller(pipeline)
        caller.log(50)

        def passed() -> bool:
            clock.advance(0.01)
            return len(sink.records()) == 50

        until(passed)
        assert clock.monotonic() - 1_000.0 < 5.0  # ten times a second's rest, if nobody had told it
        account(pipeline, caller, ids(sink.records()))
