"""Parts that fail: exporters, enrichers, processors. The rest goes on, and each failure has a count (R10.2)."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan import EnrichContext, Pipeline, RecordView, bind
from logspan.exporters.otlp_http import OtlpHttpExporter
from logspan.outcome import DeliveringExporter, Outcome
from logspan.record import Record
from logspan.testing import InMemoryExporter, OtlpSink, assert_balanced
from tests.faults.support import Caller, Start, account, ids
from tests.waiting import until

ERRORS = [ValueError("x"), SystemExit(1), KeyboardInterrupt(), MemoryError(), RecursionError(), GeneratorExit()]


class Raises(DeliveringExporter):
    """One of ours that raises every other time."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.calls = 0
        self.taken: list[ReadableLogRecord] = []

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        from logspan.outcome import Delivered

        self._raise_or_take(batch)
        return Delivered()

    def _raise_or_take(self, batch: Sequence[ReadableLogRecord]) -> None:
        self.calls += 1
        if self.calls % 2:
            raise self.error
        self.taken += batch

    def shutdown(self) -> None:
        pass


class RaisesToo(LogRecordExporter):
    """The same by the SDK's interface."""

    def __init__(self, error: BaseException) -> None:
        self.inner = Raises(error)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self.inner.deliver(batch)
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", [Raises, RaisesToo])
def test_27_28_an_exporter_that_raises(start: Start, error: BaseException, kind: type[Raises | RaisesToo]) -> None:
    """Its batch is counted, the next one is delivered by a worker that lives; the exporter beside it has everything."""
    bad = kind(error)
    with OtlpSink() as sink:
        exporters = {"bad": bad, "otlp": OtlpHttpExporter(sink.logs_endpoint)}
        pipeline = start.several(exporters, sending_queue={"schedule_delay": 60.0})  # ten leave at a time, and no fewer
        caller = Caller(pipeline)
        for round_ in range(4):
            caller.log(10)
            assert pipeline.flush(20) is (round_ % 2 == 1)
        assert pipeline.health().status == "degraded"
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
    taken = (bad.inner if isinstance(bad, RaisesToo) else bad).taken
    assert len(taken) == snapshot.exporters["bad"].delivered == 20
    assert snapshot.exporters["bad"].dropped == {"exporter_error": 20}


def fails(record: RecordView, context: EnrichContext) -> NoReturn:
    raise LookupError(record.body)


def region(record: RecordView, context: EnrichContext) -> dict[str, Any]:
    return {"region": "eu"}


def test_29_an_enricher_that_raises(start: Start) -> None:
    """The caller hears nothing, the record goes on without what it would have added, and the failure is counted."""
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, enrichers=[fails, region], enrich={"failure_threshold": 1000})
        caller = Caller(pipeline)
        caller.log(100)
        assert pipeline.flush(10)
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
        assert [record.attributes["region"] for record in sink.records()] == ["eu"] * 100
    assert dict(snapshot.processor_errors) == {"enricher:fails": 100}


def test_29_one_of_ours_that_raises(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is round the stages of this package as well."""

    def fail(record: Record) -> NoReturn:
        raise LookupError(record)

    monkeypatch.setattr("logspan.assemble.enrich_bound", fail)
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint)
        caller = Caller(pipeline)
        with bind(user=7):
            caller.log(100)
        assert pipeline.flush(10)
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
        assert not any("user" in record.attributes for record in sink.records())
    assert dict(snapshot.processor_errors) == {"bound": 100}


def test_29_an_enricher_that_keeps_raising_is_switched_off(
    start: Start, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4.4: after ten failures in a row, with one warning; health says which and why; every record arrives."""
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, enrichers={"billing": fails})
        caller = Caller(pipeline)
        caller.log(100)
        assert pipeline.flush(10)
        health = pipeline.health()
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
    reason = "enricher:billing is switched off: it failed 10 times in a row, last with LookupError"
    assert (health.status, health.causes) == ("degraded", (reason,))
    assert dict(snapshot.processor_errors) == {"enricher:billing": 10}
    assert capfd.readouterr().err.count(reason) == 1


def test_31_an_enricher_that_hangs_is_passed_by(start: Start) -> None:
    """On the caller's thread nothing can interrupt it: it has one thread; all others log on, with one warning."""
    reached, release = threading.Event(), threading.Event()

    def hangs(record: RecordView, context: EnrichContext) -> None:
        reached.set()
        release.wait(30)

    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, enrichers=[hangs, region], enrich={"budget": 0.05})
        caller = Caller(pipeline)
        stuck = threading.Thread(target=caller.log)
        stuck.start()
        try:
            assert reached.wait(10)
            threading.Event().wait(0.1)  # the budget is over, twice
            caller.log(100)  # would hang, if it went in there too
            assert sink.wait_for(100)
            (cause,) = pipeline.health().causes
            assert cause.startswith("enricher:hangs is switched off: it took")
        finally:
            release.set()
            stuck.join(10)
        assert pipeline.flush(10)
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
    assert dict(snapshot.processor_errors) == {"enricher:hangs": 1}
    assert {record.attributes["region"] for record in sink.records()} == {"eu"}


def test_31_an_enricher_that_overruns_is_switched_off(start: Start) -> None:
    """Once is enough: the call that it held up is the last one."""
    pause = threading.Event()

    def slow(record: RecordView, context: EnrichContext) -> dict[str, Any]:
        pause.wait(0.05)
        return {"slow": True}

    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, enrichers=[slow], enrich={"budget": 0.02})
        caller = Caller(pipeline)
        caller.log(100)
        assert pipeline.flush(10)
        assert [cause.split(" took ")[0] for cause in pipeline.health().causes] == ["enricher:slow is switched off: it"]
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
    assert sum("slow" in record.attributes for record in sink.records()) == 1
    assert dict(snapshot.processor_errors) == {"enricher:slow": 1}


VAULT: list[Callable[[str, str], str]] = []


def tokenizer(rule: str, secret: str) -> str:
    """Named in settings below: whatever the test has put there."""
    return VAULT[-1](rule, secret)


def test_31_a_tokenizer_that_hangs_is_left_behind(start: Start) -> None:
    """Health says so at once, the watchdog replaces the worker, and what comes later leaves without its value."""
    reached, release = threading.Event(), threading.Event()

    def hangs(rule: str, secret: str) -> str:
        reached.set()
        release.wait(30)
        return "token"

    VAULT[:] = [hangs]
    redaction = {"actions": {"email": "tokenize"}, "tokenizer": f"{__name__}:tokenizer", "timeout": 0.5}
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, stall_timeout=2.0, redaction=redaction)
        logger = pipeline.logger_provider.get_logger("app")
        try:
            logger.emit(body="first kim@example.com")
            assert reached.wait(10)
            until(lambda: any("tokenizer has not answered" in cause for cause in pipeline.health().causes))
            for number in range(100):
                logger.emit(body="later kim@example.com", attributes={"number": number})
            assert sink.wait_for(100, timeout=30)
        finally:
            release.set()
        assert pipeline.flush(10)
        snapshot = assert_balanced(pipeline.ledger.snapshot())
        causes = pipeline.health().causes
    assert {record.body for record in sink.records()} == {"[REDACTED:email-failed]"}
    assert len(sink.records()) == 100
    assert (snapshot.worker_restarts, dict(snapshot.dropped)) == (1, {"worker_stuck": 1})
    assert any("rules failed 10" in cause for cause in causes)  # the one that hung may be back by now


def test_33_an_enricher_that_logs(start: Start) -> None:
    """What an enricher logs would come back to it: it is counted, and goes nowhere."""
    with OtlpSink() as sink:
        pipeline: Pipeline

        def logs(record: RecordView, context: EnrichContext) -> None:
            pipeline.logger_provider.get_logger("app").emit(body="again")

        pipeline = start(sink.endpoint, enrichers=[logs])
        caller = Caller(pipeline)
        caller.log(100)
        assert pipeline.flush(10)
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
    assert snapshot.suppressed_self_logs == 100


class Gate:
    """Lets the first record hang, until the test is over."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, record: Record) -> None:
        if not self.reached.is_set():
            self.reached.set()
            self.open.wait(50)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened in the end."""
    made = Gate()
    yield made
    made.open.set()


def test_31_a_processor_that_hangs_is_left_behind(start: Start, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog replaces the worker: the slice at hand is counted, all that comes later arrives."""
    monkeypatch.setattr("logspan.assemble._processors", lambda *_: [("hangs", gate)])
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, stall_timeout=1.0)  # a request has to be over in less, on a busy machine too
        caller = Caller(pipeline)
        caller.log(1)
        assert gate.reached.wait(10)
        later = caller.log(100)
        assert sink.wait_for(100, timeout=30)
        assert pipeline.flush(10)
        snapshot, _ = account(pipeline, caller, ids(sink.records()))
    assert ids(sink.records()) == later
    assert snapshot.worker_restarts == 1
    assert sum(snapshot.dropped.values()) == 1


def test_31_shutdown_is_bounded_while_a_processor_hangs(
    start: Start, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the watchdog has seen it: the end comes at its deadline, and everything is counted."""
    monkeypatch.setattr("logspan.assemble._processors", lambda *_: [("hangs", gate)])
    memory = InMemoryExporter()
    pipeline = start.several({"memory": memory}, stall_timeout=60.0)
    caller = Caller(pipeline)
    caller.log(100)
    assert gate.reached.wait(10)
    snapshot = assert_balanced(pipeline.shutdown(0.2).ledger)
    assert (snapshot.emitted, sum(snapshot.dropped.values())) == (100, 100)
    assert memory.records() == []
