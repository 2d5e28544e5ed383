"""Many threads, signals, finalizers: the ledger stays exact and nothing hangs (faults 35, 39, 41)."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from logspan.testing import InMemoryExporter
from tests.core.conftest import Build
from tests.core.support import WorkersClock, bodies, log, rest
from tests.waiting import until


def test_many_threads_lose_nothing(build: Build) -> None:
    """200 threads, 100 records each: all arrive, each once, in the order of its thread."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    start = threading.Barrier(200)

    def work(index: int) -> None:
        start.wait(30)
        for number in range(100):
            log(pipeline, [index, number])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pipeline.flush(30)
    assert pipeline.ledger.snapshot().balanced
    by_thread: dict[int, list[int]] = {}
    for index, number in bodies(memory.records()):
        by_thread.setdefault(index, []).append(number)
    assert by_thread == {index: list(range(100)) for index in range(200)}


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_overflow_is_exact(build: Build, overflow: str) -> None:
    """Eight threads into a small queue: what arrived and what was counted as dropped make up what was logged."""
    memory = InMemoryExporter()
    pipeline = build(settings={"queue": {"max_queue_size": 20, "overflow": overflow}}, mem=memory)

    def work(index: int) -> None:
        for number in range(2_000):
            log(pipeline, [index, number])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipeline.flush(30)
    snapshot = pipeline.ledger.snapshot()
    arrived = bodies(memory.records())
    assert snapshot.balanced
    assert snapshot.emitted == 16_000
    assert snapshot.queued == 0
    assert len(arrived) == snapshot.exporters["mem"].delivered == 16_000 - snapshot.dropped.get("queue_full", 0)
    assert len({tuple(body) for body in arrived}) == len(arrived)


def test_drop_oldest_keeps_the_newest_of_a_burst(build: Build) -> None:
    """A burst of ten times the bound, with the worker at rest: what it has in hand already cannot give way."""
    memory, clock = InMemoryExporter(), WorkersClock()
    queue = {"max_queue_size": 20, "overflow": "drop_oldest", "schedule_delay": clock.REST}
    pipeline = build(clock, {"queue": queue}, mem=memory)
    rest(pipeline, clock)
    for number in range(200):
        log(pipeline, number)
    pipeline.flush(30)
    arrived = bodies(memory.records())
    assert arrived == ["work", *range(180, 200)]
    assert pipeline.ledger.snapshot().dropped == {"queue_full": 180}


@contextmanager
def alarms(handler: object, seconds: float) -> Iterator[None]:
    """A storm of signals. They interrupt the handler too, but not without end where it takes longer than a pause."""
    assert callable(handler)
    depth = 0

    def interrupt(*_: object) -> None:
        nonlocal depth
        if depth < 5:
            depth += 1
            try:
                handler()
            finally:
                depth -= 1

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_logging_in_a_signal_handler(build: Build) -> None:
    """It interrupts a log call at any of its steps: no hang, and every record counted and delivered (fault 35)."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    logged = [0, 0]

    def handler() -> None:
        logged[0] += 1
        log(pipeline, "signal", scope=f"handler-{logged[0] % 50}")

    with alarms(handler, 0.0003):
        while logged[0] < 1_000:
            log(pipeline, "main", scope=f"main-{logged[1] % 50}")
            logged[1] += 1
    assert pipeline.flush(30)
    sent = bodies(memory.records())
    assert [sent.count("signal"), sent.count("main")] == logged
    assert pipeline.ledger.snapshot().balanced


def test_flushing_in_a_signal_handler(build: Build) -> None:
    """A SIGTERM handler flushes while the main thread is in the midst of a log call, or of a flush."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    answers: list[bool] = []

    inside: list[bool] = []

    def handler() -> None:
        if not inside:
            inside.append(True)
            log(pipeline)
            answers.append(pipeline.flush(30))
            inside.clear()

    with alarms(handler, 0.002):
        while len(answers) < 50:
            log(pipeline)
            assert pipeline.flush(30)
    assert all(answers)


def test_shutdown_in_a_signal_handler(build: Build) -> None:
    """It interrupts a log call: the call's own record is delivered or counted, and the shutdown is complete."""
    for _ in range(10):
        memory = InMemoryExporter()
        pipeline = build(mem=memory)
        done = threading.Event()
        logged = 0

        def handler(pipeline: object = pipeline, done: threading.Event = done) -> None:
            if not done.is_set():
                done.set()
                pipeline.shutdown(10)  # type: ignore[attr-defined]

        with alarms(handler, 0.003):
            while not done.is_set():
                log(pipeline)
                logged += 1
        snapshot = pipeline.ledger.snapshot()
        assert snapshot.balanced
        assert snapshot.queued == 0
        assert snapshot.emitted == logged
        assert len(memory.records()) == logged - sum(snapshot.dropped.values())
        assert sum(snapshot.dropped.values()) <= 1


def test_logging_in_finalizers(build: Build) -> None:
    """`__del__` runs wherever the garbage collector happens to be called, inside of a log call too."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    finalized = []

    class Noisy:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            finalized.append(1)
            log(pipeline, "finalized", scope=f"gc-{len(finalized)}")

    thresholds = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for number in range(500):
            Noisy()
            log(pipeline, "main", scope=f"main-{number}", nested={"a": [number]})
    finally:
        gc.set_threshold(*thresholds)
    until(lambda: gc.collect() >= 0 and len(finalized) == 500)  # while another thread collects, this does nothing
    assert pipeline.flush(30)
    sent = bodies(memory.records())
    assert sent.count("main") == 500
    snapshot = pipeline.ledger.snapshot()
    assert sent.count("finalized") + snapshot.suppressed_self_logs == 500
    assert snapshot.balanced
