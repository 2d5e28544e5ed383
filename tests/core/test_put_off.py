"""What a caller leaves to the delivery worker: the record of a request, which nobody waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource

from logspan.assemble import build_pipeline
from logspan.delivery.intake import in_time
from logspan.later import Make
from logspan.pipeline import Pipeline
from logspan.record import LateRecord, Record, severity
from logspan.settings import Settings
from logspan.testing import InMemoryExporter
from tests.core.conftest import Build
from tests.core.support import WorkersClock, bodies, log, record, rest
from tests.core.test_fork import run

WHERE: ContextVar[str] = ContextVar("where", default="nowhere")
RESTING = {"queue": {"schedule_delay": WorkersClock.REST}, "sending_queue": {"schedule_delay": 0.01}}
MOST = 256


class Calls:
    """Notes the thread and the context of each call."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.called = threading.Event()

    def __call__(self) -> None:
        self.seen.append((threading.current_thread().name, WHERE.get()))
        self.called.set()


def resting(build: Build, memory: InMemoryExporter) -> Pipeline:
    """A pipeline whose worker comes for nothing by itself; one record has been delivered."""
    clock = WorkersClock()
    pipeline = build(clock, RESTING, mem=memory)
    rest(pipeline, clock)
    assert memory.wait_for(1, 20)
    return pipeline


def put_off(pipeline: Pipeline, make: Make) -> None:
    pipeline.logger_provider.put_off(make)


def here() -> str:
    return threading.current_thread().name


def test_the_worker_does_it_soon_in_a_context_of_its_own(build: Build) -> None:
    """An idle worker is woken. The caller's context does not wait along, and the records count as the application's."""
    memory, calls = InMemoryExporter(), Calls()
    pipeline = build(mem=memory)

    def make() -> Record:
        calls()
        return record("later")

    token = WHERE.set("caller")
    put_off(pipeline, make)
    WHERE.reset(token)
    assert calls.called.wait(10)
    assert calls.seen == [("logspan-delivery", "nowhere")]
    assert pipeline.flush(10)
    assert bodies(memory.records()) == ["later"]


@pytest.mark.parametrize("end", ["flush", "shutdown"])
def test_a_flush_and_a_shutdown_wait_for_it(build: Build, end: str) -> None:
    """All of it, in its order, though the worker's next look is a minute away; the ledger balances."""
    memory = InMemoryExporter()
    pipeline = resting(build, memory)
    for number in range(5):
        put_off(pipeline, partial(record, number))
    assert bodies(memory.records()) == ["work"]
    assert pipeline.flush(10) if end == "flush" else pipeline.shutdown(10).complete
    assert bodies(memory.records()) == ["work", 0, 1, 2, 3, 4]
    assert pipeline.ledger.snapshot().balanced


def test_a_burst_is_not_put_off(build: Build) -> None:
    """What waits is bounded: more than that is done by whoever comes with it."""
    calls = Calls()
    pipeline = resting(build, InMemoryExporter())
    for _ in range(MOST):
        put_off(pipeline, calls)
    assert calls.seen == []
    put_off(pipeline, calls)
    assert calls.seen == [(here(), "nowhere")]
    assert pipeline.flush(10)
    assert len(calls.seen) == MOST + 1


def test_after_the_shutdown_nobody_would_come_for_it(build: Build) -> None:
    """It is done at once, so that the record is counted as too late."""
    pipeline = build(mem=InMemoryExporter())
    pipeline.shutdown(10)
    put_off(pipeline, record)
    assert pipeline.ledger.snapshot().dropped == {"after_shutdown": 1}


def _enriched() -> Pipeline:
    return build_pipeline(Settings(), exporters={"mem": InMemoryExporter()}, enrichers=[lambda record, context: None])


def _blocking() -> Pipeline:
    settings = Settings.model_validate({"queue": {"overflow": "block"}})
    return build_pipeline(settings, exporters={"mem": InMemoryExporter()})


def _with_baggage() -> Pipeline:
    settings = Settings.model_validate({"enrich": {"baggage": ["tenant"]}})
    return build_pipeline(settings, exporters={"mem": InMemoryExporter()})


def _delivering_at_once() -> Pipeline:
    pipeline = build_pipeline(Settings(), exporters={"mem": InMemoryExporter()})
    pipeline.deliver_at_once(lambda: None)
    return pipeline


@pytest.mark.parametrize("make", [_enriched, _with_baggage, _blocking, _delivering_at_once])
def test_what_counts_on_the_callers_thread_is_done_there(make: Callable[[], Pipeline]) -> None:
    """Enrichers that look at the context; a queue that may make its callers wait; whoever waits for the delivery."""
    pipeline, calls = make(), Calls()
    put_off(pipeline, calls)
    assert calls.seen == [(here(), "nowhere")]
    pipeline.shutdown(10)


def test_when_nobody_waits_for_the_delivery_any_more_it_is_put_off_again(build: Build) -> None:
    """`deliver_at_once(None)` takes it back, but not what an enricher needs."""
    pipeline, calls = build(mem=InMemoryExporter()), Calls()
    pipeline.deliver_at_once(lambda: None)
    pipeline.deliver_at_once(None)
    put_off(pipeline, calls)
    assert calls.called.wait(10)
    assert calls.seen == [("logspan-delivery", "nowhere")]
    enriched, calls = _enriched(), Calls()
    enriched.deliver_at_once(None)
    put_off(enriched, calls)
    assert calls.seen == [(here(), "nowhere")]
    enriched.shutdown(10)


def test_a_processor_beside_the_pipeline_sees_it_on_the_callers_thread(build: Build) -> None:
    """It may look at what only that thread knows."""
    pipeline, calls = build(mem=InMemoryExporter()), Calls()
    beside: Any = type("Beside", (), {"on_emit": lambda *_: None, "shutdown": lambda _: None})()
    with pytest.warns(UserWarning, match="Beside"):
        pipeline.logger_provider.add_log_record_processor(beside)
    put_off(pipeline, calls)
    assert calls.seen == [(here(), "nowhere")]


def test_the_worker_does_not_wait_for_the_delivery_of_what_it_makes(build: Build) -> None:
    """Who logs at the very end waits for a flush; the worker, which makes what was put off before, would for itself."""
    memory, waited = InMemoryExporter(), []
    pipeline = resting(build, memory)
    for number in range(3):
        put_off(pipeline, partial(record, number))
    pipeline.deliver_at_once(lambda: waited.append(here()))
    assert pipeline.flush(10)
    assert bodies(memory.records()) == ["work", 0, 1, 2]
    put_off(pipeline, partial(record, 3))
    assert waited == [here()]


def test_what_nobody_makes_any_more_is_counted_at_the_end(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker hangs; whoever shuts down makes what it was left to make."""
    entered, free = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        entered.set()
        free.wait(30)

    monkeypatch.setattr("logspan.processors.redact.Redactor.__call__", hang)
    pipeline = build(mem=InMemoryExporter())
    log(pipeline)
    assert entered.wait(10)
    for _ in range(5):
        put_off(pipeline, record)
    report = pipeline.shutdown(0.2)
    free.set()
    assert report.ledger.emitted == 6
    assert report.ledger.dropped == {"shutdown_timeout": 6}


@pytest.mark.parametrize("at_once", [False, True])
def test_one_whose_making_is_interrupted_is_counted(build: Build, at_once: bool) -> None:
    """Ctrl-C on the main thread, which makes what waits when it shuts down, is the application's; others are made."""
    memory = InMemoryExporter()
    pipeline = resting(build, memory)

    def interrupted() -> Record:
        raise KeyboardInterrupt

    put_off(pipeline, partial(record, 1))
    with pytest.raises(KeyboardInterrupt):
        if at_once:
            pipeline.logger_provider.make_at_once(interrupted)
        else:
            put_off(pipeline, interrupted)
            pipeline.shutdown(10)
    report = pipeline.shutdown(10)
    assert report.ledger.dropped == {"interrupted": 1}
    assert report.ledger.balanced
    assert bodies(memory.records()) == ["work", 1]


def test_late_records_come_in_time_and_others_as_they_came() -> None:
    """Whatever a timestamp is: a clock that was set back, one of the future, or none after a processor beside."""

    def at(time: Any, body: str, *, late: bool = False) -> ReadableLogRecord:
        made = LateRecord(None, *severity(20), body, {}) if late else record(body)
        made.timestamp = time
        return ReadableLogRecord(made, Resource({}), None)

    batch = [at(10, "a"), at(30, "b"), at(5, "c"), at(None, "d"), at(40, "e"), at(20, "late", late=True)]
    assert bodies(in_time(batch)) == ["a", "late", "b", "c", "d", "e"]
    assert bodies(in_time(batch[:-1])) == ["a", "b", "c", "d", "e"]
    assert bodies(in_time([at(None, "none", late=True), at(2**63, "future"), at(7, "late", late=True)])) == [
        *("none", "late", "future")
    ]


def test_threads_that_put_off_while_it_shuts_down_lose_nothing_in_silence(build: Build) -> None:
    """Each record is delivered or counted, whichever side of the end it falls on."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    begun = threading.Barrier(5)

    def work() -> None:
        begun.wait()
        for _ in range(2_000):
            put_off(pipeline, record)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    while pipeline.ledger.snapshot().emitted < 200:
        threading.Event().wait(0.001)
    pipeline.shutdown(10)
    for thread in threads:
        thread.join()
    snapshot = pipeline.ledger.snapshot()
    assert snapshot.emitted == 8_000
    assert len(memory.records()) + sum(snapshot.dropped.values()) == 8_000
    assert snapshot.balanced


def test_a_forked_child_leaves_it_to_its_parent() -> None:
    """What the parent has put off is its own to do."""
    run(
        """
        p = pipeline(queue={"schedule_delay": 60.0})
        log(p, "work")
        assert p.flush(20)
        from tests.core.support import record
        p.logger_provider.put_off(lambda: record("parent"))
        def work():
            report = p.shutdown(20)
            assert report.complete and report.ledger.emitted == 0, report
        ended(child(work))
        assert p.shutdown(20).complete
        assert [line["body"] for line in delivered()] == ["work", "parent"]
        """
    )
