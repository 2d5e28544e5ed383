"""Flush and shutdown: what they promise, their deadlines, and that nothing is left uncounted (R3.2; faults 15, 45)."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator, Sequence

import psutil
import pytest
from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.delivery.outlet import Outlet
from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable
from logspan.pipeline import DrainReport, Pipeline
from logspan.record import Record
from logspan.testing import InMemoryExporter, assert_balanced
from tests.core.conftest import Build
from tests.core.support import bodies, built, log
from tests.core.test_pipeline import threads_left
from tests.waiting import until

SLOW = 15.0  # seconds by which a machine may be late, in checks that something does end


class Stuck(DeliveringExporter):
    """A peer that never answers, and a client that ignores its time-out."""

    def __init__(self) -> None:
        self.entered, self.free = threading.Event(), threading.Event()

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        self.entered.set()
        self.free.wait(30)
        return Delivered()

    def shutdown(self) -> None:
        pass


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """Freed after the test, so that its thread ends."""
    exporter = Stuck()
    yield exporter
    exporter.free.set()


def took_less_than(seconds: float, started: float) -> bool:
    """With room for a slow machine: what is told apart is `returns` from `hangs`."""
    return time.monotonic() - started < seconds + SLOW


# ---------------------------------------------------------------------------------- flush


def test_flush_is_true_when_all_was_delivered(build: Build) -> None:
    """Everything that was logged before the call is at the exporter when it returns."""
    memory = InMemoryExporter()
    pipeline = build(settings={"sending_queue": {"schedule_delay": 60.0}}, mem=memory)
    for round_ in range(1, 6):
        for number in range(700):
            log(pipeline, number)
        assert pipeline.flush(20)
        assert len(memory.records()) == 700 * round_


def test_flush_with_nothing_to_do_is_true(build: Build) -> None:
    """Also as the first thing, and with no exporter at all."""
    assert build(mem=InMemoryExporter()).flush()
    assert build().flush()


def test_flush_is_false_when_the_peer_is_stuck(build: Build, stuck: Stuck) -> None:
    """Back within its time, saying so; when the peer is free again, the next one says yes (fault 45)."""
    memory = InMemoryExporter()
    pipeline = build(stuck=stuck, mem=memory)
    log(pipeline)
    started = time.monotonic()
    assert not pipeline.flush(0.05)
    assert took_less_than(0.05, started)
    assert memory.wait_for(1)
    stuck.free.set()
    assert pipeline.flush(20)


def test_flush_is_false_when_records_were_lost(build: Build) -> None:
    """Gone is not delivered."""
    pipeline = build(mem=InMemoryExporter([Rejected("400"), Delivered(rejected=1), Delivered()]))
    for expected in (False, False, True):
        log(pipeline)
        assert pipeline.flush(30) is expected


def test_flush_of_no_time_or_endless_time(build: Build) -> None:
    """Zero, less than zero and infinity are times as well."""
    pipeline = build(mem=InMemoryExporter())
    log(pipeline)
    pipeline.flush(0)
    pipeline.flush(-1)
    assert pipeline.flush(float("inf"))
    assert pipeline.shutdown(float("inf")).complete


def test_flush_tries_a_waiting_batch_at_once(build: Build) -> None:
    """A back-off of minutes does not hold it up, unless the peer named the time."""
    memory = InMemoryExporter([Retryable("busy")])
    pipeline = build(
        settings={"retry_on_failure": {"initial_interval": 3_000, "max_interval": 3_000, "max_elapsed_time": 0}},
        mem=memory,
    )
    log(pipeline)
    assert memory.wait_for_attempts(1)
    assert pipeline.flush(20)
    assert memory.attempts == 2


def test_many_may_flush_at_once(build: Build) -> None:
    """Each gets its own answer."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    answers: list[bool] = []

    def work() -> None:
        for _ in range(20):
            log(pipeline)
            answers.append(pipeline.flush(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 160
    assert len(memory.records()) == 160


def test_flush_while_others_log_without_end(build: Build) -> None:
    """It waits for what was there before it, not for what comes after."""
    pipeline = build(mem=InMemoryExporter())
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            log(pipeline)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert pipeline.flush(30)
    finally:
        stop.set()
        thread.join()


# ---------------------------------------------------------------------------------- shutdown


def adds_up(report: DrainReport) -> bool:
    """Both equations hold, and nothing is on its way any more."""
    ledger = report.ledger
    in_flight = sum(exporter.in_flight for exporter in ledger.exporters.values())
    return ledger.balanced and ledger.queued == 0 and in_flight == 0


def test_shutdown_delivers_what_is_there(build: Build) -> None:
    """All of it, then the exporter is shut down, and no thread is left."""
    memory = InMemoryExporter()
    pipeline = build(settings={"sending_queue": {"schedule_delay": 60.0}}, mem=memory)
    for number in range(5_000):
        log(pipeline, number)
    report = pipeline.shutdown(20)
    assert report.complete
    assert adds_up(report)
    assert report.exporters["mem"].delivered == 5_000
    assert bodies(memory.records()) == list(range(5_000))
    assert memory.is_shut_down
    assert threads_left() == []


def test_shutdown_twice_gives_the_same_report(build: Build) -> None:
    """From several threads at once, too; the exporter is shut down once."""
    calls: list[int] = []

    class Counts(InMemoryExporter):
        def shutdown(self) -> None:
            calls.append(1)
            super().shutdown()

    pipeline = build(mem=Counts())
    log(pipeline)
    reports: list[DrainReport] = []
    threads = [threading.Thread(target=lambda: reports.append(pipeline.shutdown(20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(report is reports[0] for report in reports)
    assert pipeline.shutdown() is reports[0]
    assert pipeline.flush(30)
    assert calls == [1]


def test_records_after_shutdown_are_counted(build: Build) -> None:
    """They cannot be delivered; no traceback, no thread, one count (fault 37)."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    pipeline.shutdown()
    for _ in range(3):
        log(pipeline)
    assert not pipeline.logger_provider.get_logger("app").enabled()
    snapshot = pipeline.ledger.snapshot()
    assert snapshot.dropped == {"after_shutdown": 3}
    assert snapshot.balanced
    assert threads_left() == []


def test_shutdown_keeps_its_deadline_when_a_peer_is_stuck(build: Build, stuck: Stuck) -> None:
    """What is left is counted as `shutdown_timeout`; the other exporter has everything and was shut down (fault 15)."""
    memory = InMemoryExporter()
    queue = {"max_export_batch_size": 10, "schedule_delay": 0.01}
    pipeline = build(settings={"sending_queue": queue}, stuck=stuck, mem=memory)
    for number in range(95):
        log(pipeline, number)
    assert stuck.entered.wait(10)
    assert memory.wait_for(95, 20)
    started = time.monotonic()
    report = pipeline.shutdown(0.2)
    assert took_less_than(0.2, started)
    assert not report.complete
    assert adds_up(report)
    assert report.exporters["stuck"].dropped == {"shutdown_timeout": 95}
    assert report.exporters["mem"].delivered == 95
    assert report.dropped == {"shutdown_timeout": 95}
    until(lambda: memory.is_shut_down)  # by a thread that is waited for only as long as there is time
    stuck.free.set()


def test_what_a_stuck_exporter_delivers_too_late_changes_no_count(build: Build, stuck: Stuck) -> None:
    """A batch is counted once, by whoever settles it first."""
    earlier = set(threading.enumerate())
    pipeline = build(stuck=stuck)
    log(pipeline)
    assert stuck.entered.wait(10)
    (thread,) = [each for each in set(threading.enumerate()) - earlier if each.name == "logspan-outlet-stuck"]
    report = pipeline.shutdown(0.05)
    stuck.free.set()
    thread.join(10)
    assert not thread.is_alive()
    assert pipeline.ledger.snapshot() == report.ledger


def test_a_healthy_exporter_is_shut_down_before_a_stuck_one_times_out(build: Build, stuck: Stuck) -> None:
    """One that is done closes its file at once, and does not wait for its neighbour."""
    done = threading.Event()

    class Tells(InMemoryExporter):
        def shutdown(self) -> None:
            super().shutdown()
            done.set()

    pipeline = build(stuck=stuck, mem=Tells())
    log(pipeline)
    assert stuck.entered.wait(10)
    thread = threading.Thread(target=pipeline.shutdown, args=(30,))
    thread.start()
    assert done.wait(10)
    assert thread.is_alive()
    stuck.free.set()
    thread.join()


def test_an_exporter_that_hangs_in_its_shutdown(build: Build) -> None:
    """Is left behind at the deadline; nothing was lost."""
    free = threading.Event()

    class Hangs(InMemoryExporter):
        def shutdown(self) -> None:
            free.wait(30)

    pipeline = build(mem=Hangs())
    log(pipeline)
    assert pipeline.flush(20)
    started = time.monotonic()
    report = pipeline.shutdown(0.2)
    assert took_less_than(0.2, started)
    assert report.complete
    assert report.exporters["mem"].delivered == 1
    free.set()


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(), KeyboardInterrupt()])
def test_an_exporter_that_raises_in_its_shutdown(build: Build, error: BaseException) -> None:
    """Costs nothing."""

    class Raises(InMemoryExporter):
        def shutdown(self) -> None:
            raise error

    pipeline = build(mem=Raises())
    log(pipeline)
    assert pipeline.shutdown(20).complete
    assert threads_left() == []


def test_shutdown_in_no_time_counts_everything(build: Build, stuck: Stuck) -> None:
    """With a deadline of zero nothing can be promised, but nothing is lost in silence."""
    pipeline = build(stuck=stuck)
    for _ in range(1_000):
        log(pipeline)
    report = pipeline.shutdown(0)
    assert report.ledger.emitted == 1_000
    assert adds_up(report)
    stuck.free.set()


def test_shutdown_when_a_processor_hangs(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is stuck in redaction: what it has and what waits is counted once, whenever it wakes up."""
    entered, free = threading.Event(), threading.Event()

    def hang(_: Record) -> None:
        entered.set()
        free.wait(30)

    monkeypatch.setattr("logspan.assemble._processors", lambda *_: [("redact", hang)])
    memory, earlier = InMemoryExporter(), set(threading.enumerate())
    pipeline = build(mem=memory)
    for _ in range(500):
        log(pipeline)
    assert entered.wait(10)
    (thread,) = [each for each in set(threading.enumerate()) - earlier if each.name == "logspan-delivery"]
    started = time.monotonic()
    report = pipeline.shutdown(0.2)
    assert took_less_than(0.2, started)
    assert report.dropped == {"shutdown_timeout": 500}
    assert adds_up(report)
    free.set()
    thread.join(10)
    assert not thread.is_alive()
    assert pipeline.ledger.snapshot() == report.ledger
    assert memory.records() == []


BLOCKING = {"sending_queue": {"queue_size": 100, "block_on_overflow": True}}


def test_shutdown_while_the_worker_waits_for_room(build: Build) -> None:
    """`block_on_overflow` and a peer that is down: the waiting ends with the deadline, and each record counts once."""
    memory = InMemoryExporter([Retryable("down")] * 10_000)
    pipeline = build(settings=BLOCKING, mem=memory)
    for _ in range(2_000):
        log(pipeline)
    assert memory.wait_for_attempts(1)
    started = time.monotonic()
    report = pipeline.shutdown(0.3)
    assert took_less_than(0.3, started)
    assert_balanced(report.ledger)
    assert report.ledger.emitted == 2_000
    assert report.ledger.lost == 2_000
    assert not threads_left()
    assert pipeline.ledger.snapshot() == report.ledger


def test_shutdown_does_not_count_what_a_late_worker_hands_over(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is held up between the queue and the outlets, for long: its records are not written off as well."""
    put, entered, free = Outlet.put, threading.Event(), threading.Event()

    def late(outlet: Outlet, records: Sequence[ReadableLogRecord]) -> None:
        entered.set()
        free.wait(30)
        put(outlet, records)

    monkeypatch.setattr(Outlet, "put", late)
    pipeline = build(mem=InMemoryExporter())
    for _ in range(500):
        log(pipeline)
    assert entered.wait(10)
    report = pipeline.shutdown(0.1)
    assert_balanced(report.ledger, idle=False)
    in_hand = report.exporters["mem"].in_flight
    assert report.dropped == {"shutdown_timeout": 500 - in_hand}
    free.set()
    after = assert_balanced(pipeline)
    assert after.exporters["mem"].dropped == {"shutdown_timeout": in_hand}


def test_a_call_that_is_inside_when_the_gate_closes_is_counted(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is still delivered or comes too late, it is in the ledger, and no place in the queue stays taken."""
    entered, free = threading.Event(), threading.Event()

    def hang(_: Record) -> None:
        entered.set()
        free.wait(30)

    monkeypatch.setattr("logspan.assemble.enrich_bound", hang)
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    caller = threading.Thread(target=log, args=(pipeline,))
    caller.start()
    assert entered.wait(10)
    report = pipeline.shutdown(0.05)
    assert report.ledger.emitted == 1
    free.set()
    caller.join()
    snapshot = pipeline.ledger.snapshot()
    assert snapshot.dropped == {"after_shutdown": 1}
    assert snapshot.balanced
    assert snapshot.queued == 0


def test_shutdown_under_load_strands_nothing(build: Build) -> None:
    """Eight threads log while it closes: every record is delivered or counted, none is both."""
    for _ in range(5):
        memory = InMemoryExporter()
        pipeline = built({"mem": memory})
        start, logged = threading.Barrier(9), [0] * 8

        def work(
            index: int, pipeline: Pipeline = pipeline, start: threading.Barrier = start, logged: list[int] = logged
        ) -> None:
            start.wait(30)
            for number in range(500):
                log(pipeline, f"{index}-{number}")
                logged[index] += 1

        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        start.wait(30)
        report = pipeline.shutdown(20)
        for thread in threads:
            thread.join()
        snapshot = pipeline.ledger.snapshot()
        assert snapshot.emitted == sum(logged)
        assert snapshot.balanced
        assert snapshot.queued == 0
        assert report.complete
        arrived = bodies(memory.records())
        assert len(arrived) == len(set(arrived)) == snapshot.emitted - snapshot.dropped.get("after_shutdown", 0)
        assert snapshot.fanned_out == len(arrived)
        for index in range(8):  # of each thread the first ones, and not one that came later than one that did not
            mine = [body for body in arrived if str(body).startswith(f"{index}-")]
            assert mine == [f"{index}-{number}" for number in range(len(mine))]


def test_a_second_thread_does_not_wait_longer_than_it_said(build: Build, stuck: Stuck) -> None:
    """Another thread is shutting down and has half a minute; a short shutdown still comes back, saying so."""
    pipeline = build(stuck=stuck)
    log(pipeline)
    assert stuck.entered.wait(10)
    first = threading.Thread(target=pipeline.shutdown, args=(30,))
    first.start()
    until(lambda: not pipeline.logger_provider.get_logger("app").enabled())  # it is at it, and has begun to refuse
    started = time.monotonic()
    assert not pipeline.shutdown(0.05).complete
    assert took_less_than(0.05, started)
    stuck.free.set()
    first.join()
    assert pipeline.shutdown().complete


@pytest.mark.slow
def test_a_hundred_pipelines_leave_nothing_behind() -> None:
    """Threads and descriptors are as before, and the pipelines can be collected (fault 40)."""
    process = psutil.Process()
    built({"mem": InMemoryExporter()}).shutdown()
    gc.collect()
    before = process.num_fds()
    last: weakref.ref[Pipeline] | None = None
    for _ in range(100):
        pipeline = built({"mem": InMemoryExporter()})
        log(pipeline)
        assert pipeline.shutdown(20).complete
        last = weakref.ref(pipeline)
    del pipeline
    assert threads_left() == []
    assert process.num_fds() <= before  # those of another test may be closed just now
    gc.collect()
    assert last is not None
    assert last() is None
