"""A worker that hangs or has died is replaced (R10.2, R13.5; faults 28, 31)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan.outcome import Outcome
from logspan.record import Record
from logspan.testing import InMemoryExporter
from tests.core.conftest import Build
from tests.core.support import bodies, log

PATIENCE = 1.0
"""Seconds; what does not hang has to be done in less, on a busy machine too."""


class Gate:
    """Lets one caller hang until the test is over."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def pass_through(self) -> None:
        self.reached.set()
        self.open.wait(50)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


class HangsOnce(LogRecordExporter):
    """An exporter of somebody else's that hangs for ever on its first batch."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.taken: list[ReadableLogRecord] = []

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        if not self.gate.reached.is_set():
            self.gate.pass_through()
        self.taken += batch
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def test_an_outlet_that_hangs_is_replaced(build: Build, gate: Gate) -> None:
    """Its batch is counted, the next ones are delivered by a new thread, and health tells."""
    exporter = HangsOnce(gate)
    pipeline = build(settings={"stall_timeout": PATIENCE}, hanging=exporter)
    log(pipeline, "lost")
    assert gate.reached.wait(20)
    while pipeline.ledger.snapshot().worker_restarts == 0:
        log(pipeline, "later")
        pipeline.flush(0.02)  # no flood: a slice of it would hold up the worker, on a busy machine
    assert pipeline.flush(20) is True
    snapshot = pipeline.ledger.snapshot()
    assert snapshot.worker_restarts == 1
    assert snapshot.exporters["hanging"].dropped == {"exporter_stuck": 1}
    assert snapshot.balanced
    assert set(bodies(exporter.taken)) <= {"later"}
    assert "1 workers replaced since the start" in pipeline.health().causes
    gate.open.set()
    assert pipeline.shutdown(5).ledger.balanced


def test_an_outlet_that_hangs_is_replaced_while_the_worker_waits_for_it(build: Build, gate: Gate) -> None:
    """With `block_on_overflow` the delivery worker, whose round the watchdog is, stands still with the exporter."""
    exporter = HangsOnce(gate)
    queue = {"queue_size": 20, "max_export_batch_size": 10, "schedule_delay": 0.01, "block_on_overflow": True}
    pipeline = build(settings={"stall_timeout": PATIENCE, "sending_queue": queue}, hanging=exporter)
    for number in range(200):
        log(pipeline, number)
    assert pipeline.flush(20) is False  # the batch it hung with is lost: ten, or fewer on a busy machine
    snapshot = pipeline.ledger.snapshot()
    assert snapshot.worker_restarts == 1
    lost = snapshot.exporters["hanging"].dropped["exporter_stuck"]
    assert snapshot.exporters["hanging"].dropped == {"exporter_stuck": lost}
    assert 1 <= lost <= 10
    assert bodies(exporter.taken) == list(range(lost, 200))
    assert snapshot.balanced


class HangsAlways(InMemoryExporter):
    """Hangs with each batch until the test is over."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.threads: set[threading.Thread] = set()

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        self.threads.add(threading.current_thread())
        self.gate.pass_through()
        return super().deliver(batch, timeout)


def test_threads_that_hang_are_left_behind_within_a_bound(build: Build, gate: Gate) -> None:
    """An exporter that never comes back does not cost one more thread each `stall_timeout`, for ever; health tells."""
    exporter = HangsAlways(gate)
    pipeline = build(settings={"stall_timeout": 0.2, "sending_queue": {"schedule_delay": 0.01}}, hanging=exporter)
    restarts = pipeline.ledger.exporter("hanging").restarts
    while restarts.value() < 8:
        log(pipeline)
        pipeline.flush(0.02)
    while "hanging: exporter_stuck" not in pipeline.health().causes:
        log(pipeline)
        pipeline.flush(0.05)
    pipeline.flush(0.2)  # some more rounds of the watchdog
    assert restarts.value() == 8
    gate.open.set()
    for thread in exporter.threads:
        thread.join(0.1)
    assert pipeline.flush(20) is True
    assert pipeline.shutdown(5).ledger.balanced


def test_a_delivery_worker_that_hangs_is_replaced(build: Build, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that never returns costs the slice at hand; what comes after is delivered (fault 31)."""

    def process(record: Record) -> None:
        if record.body == "hang":
            gate.pass_through()

    monkeypatch.setattr("logspan.assemble._processors", lambda *_: [("redact", process)])
    memory = InMemoryExporter()
    pipeline = build(settings={"stall_timeout": PATIENCE}, mem=memory)
    log(pipeline, "hang")
    assert gate.reached.wait(20)
    log(pipeline, "after")
    while pipeline.ledger.snapshot().worker_restarts == 0:
        pipeline.flush(0.05)
    assert pipeline.flush(20) is True
    snapshot = pipeline.ledger.snapshot()
    assert bodies(memory.records()) == ["after"]
    assert snapshot.dropped == {"worker_stuck": 1}
    assert snapshot.worker_restarts == 1
    assert snapshot.balanced
    gate.open.set()
    assert pipeline.shutdown(5).ledger.balanced
    assert bodies(memory.records()) == ["after"]
