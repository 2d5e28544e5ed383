"""A real Collector, killed in the middle of a run: with a spool nothing is missing, without one the ledger knows.

The Collector writes to its file exporter with `rotation`, and has no batch processor and no queue in memory before it.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from logspan import LedgerSnapshot, Settings, build_pipeline
from logspan.record import Record, severity
from tests.e2e.backends.run import Collector, collector

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RATE, SECONDS = 1_000, 30
KILL_AT, START_AT = 5, 25


def run(gate: Collector, **sections: Any) -> LedgerSnapshot:
    """Log `RATE` records a second, numbered, while the Collector is killed with -9 and started again."""
    settings = Settings.load(
        exporters=["otlp"],
        otlp={"endpoint": gate.http_endpoint},
        sending_queue={"queue_size": 4_000},
        retry_on_failure={"initial_interval": 0.5, "max_interval": 2.0},
        circuit_breaker={"open_interval": 1.0},
        **sections,
    )
    pipeline = build_pipeline(settings)
    logger = pipeline.logger_provider.get_logger("outage")
    number, text = severity(20)
    started = time.monotonic()
    for index in range(RATE * SECONDS):
        if index == RATE * KILL_AT:
            gate.kill()
        if index == RATE * START_AT:
            gate.start()
        logger.emit(Record(None, number, text, "record", {"index": index}))
        if index % 10 == 0:
            time.sleep(max(started + index / RATE - time.monotonic(), 0))
    pipeline.flush(60)
    report = pipeline.shutdown(30)
    assert report.ledger.balanced
    assert report.ledger.emitted == RATE * SECONDS
    return report.ledger


def arrived(gate: Collector) -> Counter[int]:
    """How often each record is in the Collector's file."""
    return Counter(record["attributes"]["index"] for record in gate.records())


def test_with_a_spool_every_record_arrives(tmp_path: Path) -> None:
    """Killed for 20 of 30 s at 1,000 records/s: all arrive in order, at most a batch in flight twice."""
    with collector(tmp_path) as gate:
        ledger = run(gate, file_storage={"directory": tmp_path / "spool"})
        found = arrived(gate)
    assert ledger.exporters["otlp"].delivered == RATE * SECONDS
    assert list(found) == list(range(RATE * SECONDS))  # each for the first time, in this order
    assert found.total() - len(found) <= 512


def test_without_a_spool_as_many_are_missing_as_the_ledger_says(tmp_path: Path) -> None:
    """The same outage with 4,000 records of memory: what is missing is what was counted as dropped, exactly."""
    with collector(tmp_path) as gate:
        ledger = run(gate)
        found = arrived(gate)
    otlp = ledger.exporters["otlp"]
    assert otlp.dropped["queue_full"] > RATE * 10
    assert RATE * SECONDS - len(found) == otlp.lost == otlp.dropped["queue_full"]
    assert len(found) == otlp.delivered
    assert found.total() - len(found) <= 512
