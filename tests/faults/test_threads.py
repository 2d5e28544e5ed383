"""Threads, tasks, forks, signals, finalizers, `dictConfig`: no deadlock, and an exact ledger (R3.3, R10.2)."""

from __future__ import annotations

import asyncio
import gc
import logging
import logging.config
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from logspan import configure_logging
from logspan.install import Handle
from logspan.pipeline import Pipeline
from logspan.sources.stdlib import LogspanHandler
from logspan.testing import OtlpSink, Reply, assert_balanced
from tests.faults.support import Caller, Gate, Start, account, ids, settings_for, sink_of
from tests.waiting import until

QUIET: dict[str, Any] = {"tracing": {"export": False}, "metrics": {"enabled": False}}


# ---------------------------------------------------------------------------------- 26: fork

FORKING = """
import logging, os, sys, threading
from logspan import Settings, configure_logging

settings = Settings(service_name="faults", exporters=["otlp"], otlp={"endpoint": sys.argv[1]}, shutdown_timeout=20)
handle = configure_logging(settings)
log, stop, logged = logging.getLogger("app"), threading.Event(), [0] * 4

def work(index):
    while not stop.is_set():
        log.info("parent", extra={"id": f"parent-{index}-{logged[index]}"})
        logged[index] += 1
        if logged[index] % 50 == 0:
            handle.flush(5)

threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
for thread in threads:
    thread.start()
children = []
for number in range(10):
    pid = os.fork()
    if pid == 0:
        log.info("child", extra={"id": f"child-{number}"})
        complete = handle.shutdown(20).complete and handle.pipeline.ledger.snapshot().balanced
        os._exit(0 if complete and handle.pipeline.ledger.snapshot().emitted == 1 else 1)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
stop.set()
for thread in threads:
    thread.join()
snapshot = handle.shutdown(20).ledger
assert codes == [0] * 10, codes
assert snapshot.balanced
print(sum(logged), snapshot.emitted, snapshot.exporters["otlp"].delivered)
"""


def test_26_a_fork_while_other_threads_log_and_flush() -> None:
    """Ten forks in the midst of it: every child logs, delivers its own record and ends; the parent loses none."""
    with OtlpSink() as sink:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(FORKING), sink.endpoint]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=os.environ)
        assert done.returncode == 0, done.stderr
        logged, emitted, delivered = map(int, done.stdout.split())
        arrived = ids(record for record in sink.records() if record.scope == "app")
    assert sorted(number for number in arrived if number.startswith("child")) == sorted(
        f"child-{number}" for number in range(10)
    )
    assert logged == emitted == delivered
    assert len(arrived) == len(set(arrived)) == logged + 10


# ---------------------------------------------------------------------------------- 34: dictConfig

CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"null": {"class": "logging.NullHandler"}},
    "root": {"handlers": ["null"], "level": "INFO"},
}


def test_34_dict_config_while_exporting() -> None:
    """200 times, while four threads log: no deadlock, no record lost, and the handler is still there."""
    with OtlpSink() as sink:
        settings = settings_for(sink.endpoint, **QUIET)
        with restored(), configure_logging(settings) as handle:
            stop, logged = threading.Event(), [0] * 4

            def work(index: int) -> None:
                log = logging.getLogger(f"app.{index}")
                while not stop.is_set():
                    log.info("x", extra={"id": (index, logged[index])})
                    logged[index] += 1

            threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(200):
                logging.config.dictConfig(CONFIG)
            stop.set()
            for thread in threads:
                thread.join(20)
            logging.getLogger("app").info("after", extra={"id": "after"})
            assert any(isinstance(handler, LogspanHandler) for handler in logging.root.handlers)
            assert handle.flush(30)
            snapshot = assert_balanced(handle.pipeline)
        arrived = [record for record in sink.records() if record.scope.startswith("app")]
    assert "after" in ids(arrived)
    assert len(arrived) == sum(logged) + 1
    assert snapshot.emitted == snapshot.exporters["otlp"].delivered == len(sink.records())


@contextmanager
def restored() -> Iterator[None]:
    """The root logger's own handlers are as before in the end: `dictConfig` takes pytest's away as well."""
    handlers, level = list(logging.root.handlers), logging.root.level
    try:
        yield
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)


# ---------------------------------------------------------------------------------- 35: signals, finalizers, the GC


@contextmanager
def full(policy: str = "block") -> Iterator[tuple[Handle, Gate, OtlpSink]]:
    """A pipeline whose queue is full, with a policy that makes callers wait for half a minute."""
    gate = Gate()

    def decide(request: object) -> Reply:
        gate(request)
        return Reply()

    with OtlpSink(decide=decide) as sink:
        settings = settings_for(
            sink.endpoint,
            otlp={"timeout": 60.0},  # nothing is sent twice
            queue={"max_queue_size": 10, "overflow": policy, "block_timeout": 30.0},
            sending_queue={"queue_size": 5, "max_export_batch_size": 5, "block_on_overflow": True},
            **QUIET,
        )
        with configure_logging(settings) as handle:
            pipeline = handle.pipeline
            provider = pipeline.logger_provider
            assert provider is not None
            logger = logging.getLogger("app")

            def fill() -> None:
                for number in range(40):
                    logger.info("fill", extra={"id": number})

            filler = threading.Thread(target=fill)
            filler.start()
            until(lambda: _is_stuck(pipeline))
            yield handle, gate, sink
            gate.open()
            filler.join(30)
            assert handle.flush(30) or pipeline.ledger.snapshot().lost > 0
            snapshot = assert_balanced(pipeline)
        arrived = len(sink.records())
    assert snapshot.exporters["otlp"].delivered == arrived
    assert snapshot.emitted == arrived + sum(snapshot.dropped.values())


def _is_stuck(pipeline: Pipeline) -> bool:
    """Whether the queue is full and stays so: at first the worker may still make room in it."""
    before = pipeline.ledger.snapshot()
    time.sleep(0.2)  # ten of the worker's looks
    now = pipeline.ledger.snapshot()
    return before.queued >= 10 and now.queued >= 10 and before.emitted == now.emitted


def test_35_block_does_not_block_in_a_signal_handler() -> None:
    """A real signal interrupts the main thread, whose handler logs into a full queue: it comes back at once."""
    returned: list[int] = []

    def handler(number: int, frame: object) -> None:
        logging.getLogger("app").info("signal", extra={"id": "signal"})
        returned.append(number)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with full() as (handle, _, _sink):
            os.kill(os.getpid(), signal.SIGUSR1)
            until(lambda: bool(returned))
            assert handle.pipeline.ledger.snapshot().dropped == {"queue_full": 1}
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_35_block_does_not_block_in_a_finalizer() -> None:
    """`__del__` logs into a full queue."""
    returned: list[int] = []

    class Noisy:
        def __del__(self) -> None:
            logging.getLogger("app").info("finalizer", extra={"id": "finalizer"})
            returned.append(1)

    with full() as (handle, _, _sink):
        Noisy()
        assert returned == [1]
        assert handle.pipeline.ledger.snapshot().dropped == {"queue_full": 1}


def test_35_block_does_not_block_in_a_callback_of_the_gc() -> None:
    """A function in `gc.callbacks` logs into a full queue."""
    returned: list[str] = []

    def callback(phase: str, info: dict[str, int]) -> None:
        if not returned and threading.current_thread() is threading.main_thread():
            returned.append(phase)
            logging.getLogger("app").info("gc", extra={"id": "gc"})

    with full() as (handle, _, _sink):
        gc.callbacks.append(callback)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(callback)
        assert returned
        assert handle.pipeline.ledger.snapshot().dropped == {"queue_full": 1}


def test_35_block_does_not_block_the_event_loop() -> None:
    """A task logs into a full queue: the loop goes on."""

    async def work() -> None:
        logging.getLogger("app").info("task", extra={"id": "task"})

    with full() as (handle, _, _sink):
        asyncio.run(work())
        assert handle.pipeline.ledger.snapshot().dropped == {"queue_full": 1}


# ---------------------------------------------------------------------------------- 39: threads and tasks


def roomy() -> dict[str, Any]:
    """Bounds above what is logged."""
    bytes_ = 1024 * 1024 * 1024
    return {
        "queue": {"max_queue_size": 200_000, "max_queue_bytes": bytes_},
        "sending_queue": {"queue_size": 200_000, "queue_bytes": bytes_, "schedule_delay": 0.01},
    }


@pytest.mark.slow
def test_39_ten_thousand_threads(start: Start) -> None:
    """Ten records each, 500 threads at a time: all arrive, once, in the order of their thread."""
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, **roomy())

        def work(wave: int, index: int, ready: threading.Barrier) -> None:
            logger = pipeline.logger_provider.get_logger("app")
            ready.wait(60)
            for number in range(10):
                logger.emit(body="x", attributes={"id": f"{wave}-{index}-{number}"})

        whole = Caller(pipeline)
        for wave in range(20):
            ready = threading.Barrier(500)
            threads = [threading.Thread(target=work, args=(wave, index, ready)) for index in range(500)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        whole.ids = [f"{w}-{i}-{n}" for w in range(20) for i in range(500) for n in range(10)]  # type: ignore[misc]
        assert pipeline.flush(120)
        arrived = ids(sink.records())
        account(pipeline, whole, arrived)
    assert len(arrived) == 100_000
    last: dict[str, int] = {}
    for name in arrived:
        thread_name, _, number = name.rpartition("-")
        assert int(number) == last.get(thread_name, -1) + 1
        last[thread_name] = int(number)


@pytest.mark.slow
def test_39_ten_thousand_tasks(start: Start) -> None:
    """Ten records each, all tasks at once on one event loop: all arrive, once."""
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, **roomy())
        whole = Caller(pipeline)

        async def work() -> None:
            for _ in range(10):
                whole.log(1)
                await asyncio.sleep(0)

        async def main() -> None:
            await asyncio.gather(*(work() for _ in range(10_000)))

        asyncio.run(main())
        assert pipeline.flush(120)
        arrived = ids(sink.records())
        account(pipeline, whole, arrived)
    assert arrived == list(range(100_000))


def test_39_a_hundred_threads_and_tasks(start: Start, protocol: str) -> None:
    """The same, small, each time."""
    with sink_of(protocol) as sink:
        pipeline = start(sink.endpoint, protocol)
        callers = Caller(pipeline)

        def thread() -> None:
            callers.log(10)

        async def task() -> None:
            for _ in range(10):
                callers.log(1)
                await asyncio.sleep(0)

        async def main() -> None:
            await asyncio.gather(*(task() for _ in range(100)))

        threads = [threading.Thread(target=thread) for _ in range(100)]
        for one in threads:
            one.start()
        asyncio.run(main())
        for one in threads:
            one.join()
        assert pipeline.flush(20)
        account(pipeline, callers, ids(sink.records()))
    assert sorted(ids(sink.records())) == list(range(2_000))
