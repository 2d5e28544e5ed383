"""Clocks that jump, and set-ups that are repeated: no hot loop, one copy, nothing left behind (faults 38, 40)."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from logspan import configure_logging, instrument_app
from logspan.testing import FakeClock, OtlpSink, Reply, assert_balanced
from tests.faults.support import HTTP, NO_JITTER, Caller, Start, account, ids, settings_for
from tests.waiting import until

HOUR, DAY = 3_600.0, 86_400.0
ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------------------------- 38: the clock jumps


@pytest.mark.parametrize("jump", [-HOUR, DAY], ids=["back an hour", "ahead a day"])
def test_38_the_wall_clock_jumps_while_a_batch_waits(
    start: Start, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an early attempt nor a late one, nothing given up for its age, and no loop that spins."""
    clock, now, now_ns = FakeClock(), time.time, time.time_ns
    with OtlpSink([Reply(503)]) as sink:
        retry = {"initial_interval": 20.0, "max_interval": 20.0, "max_elapsed_time": 300.0, **NO_JITTER}
        pipeline = start(sink.endpoint, HTTP, clock, retry_on_failure=retry)
        caller = Caller(pipeline)
        caller.log(10)
        advance_until(clock, lambda: bool(sink.requests()))
        assert clock.wait_for_waiters(least=15.0)
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(jump * 1e9))
        caller.log(10)
        assert not sink.wait_for(requests=2, timeout=0.1)
        spent = time.process_time()
        assert not sink.wait_for(requests=2, timeout=0.3)
        assert time.process_time() - spent < 0.25  # a loop that spins would take all of it
        clock.advance(20.1)
        assert sink.wait_for(records=10)
        advance_until(clock, lambda: len(sink.records()) == 20)
        assert_balanced(pipeline)
        account(pipeline, caller, ids(sink.records()))
    assert ids(sink.records()) == caller.ids


def test_38_the_monotonic_clock_leaps_ahead_a_day(start: Start) -> None:
    """As after a suspended machine: waits are over once, nothing is lost, and delivery goes on."""
    clock = FakeClock()
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint, HTTP, clock)
        caller = Caller(pipeline)
        for _ in range(5):
            arrived = len(caller.log(10)) + len(sink.records())
            clock.advance(DAY)
            advance_until(clock, lambda arrived=arrived: len(sink.records()) == arrived)  # type: ignore[misc]
            until(lambda: pipeline.ledger.snapshot().exporters["otlp"].in_flight == 0)  # the answer is read as well
        assert_balanced(pipeline)
        account(pipeline, caller, ids(sink.records()))
    assert ids(sink.records()) == caller.ids


def advance_until(clock: FakeClock, condition: Callable[[], bool]) -> None:
    """Let time pass, a little at a time."""

    def passed() -> bool:
        clock.advance(0.01)
        return condition()

    until(passed)


# ---------------------------------------------------------------------------------- 40: again and again

QUIET: dict[str, Any] = {"tracing": {"export": False}, "metrics": {"enabled": False}}


def threads() -> set[threading.Thread]:
    """Those of pipelines. A test of hanging peers may have left some in this process, which nobody can end."""
    return {thread for thread in threading.enumerate() if thread.name.startswith(("logspan", "Otel"))}


def test_40_instrumented_twice() -> None:
    """Both ways, twice each: one copy of each record."""
    with OtlpSink() as sink:
        settings = settings_for(sink.endpoint, **QUIET)
        app = FastAPI()
        first = instrument_app(app, settings)
        assert instrument_app(app, settings) is first
        with configure_logging(settings) as other, configure_logging(settings) as third:
            for number in range(10):
                logging.getLogger("app").info("x", extra={"id": number})
            for handle in (first, other, third):
                assert handle.flush(10)
        first.uninstrument()
        emitted = sum(handle.pipeline.ledger.snapshot().emitted for handle in (first, other, third))
        mine = [record for record in sink.records() if record.scope == "app"]
    assert ids(mine) == list(range(10))
    assert emitted == len(sink.records())
    for handle in (first, other, third):
        assert_balanced(handle.pipeline)


def test_40_a_module_that_sets_up_is_reloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a notebook or a development server does it: one copy of each record, with the pipeline that was first."""
    source = "from logspan import configure_logging\nhandles = globals().get('handles', [])\n"
    (tmp_path / "set_up_again.py").write_text(source + "handles.append(configure_logging(settings))\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = threads()
    with OtlpSink() as sink:
        import builtins

        monkeypatch.setattr(builtins, "settings", settings_for(sink.endpoint, **QUIET), raising=False)
        module = importlib.import_module("set_up_again")
        for _ in range(3):
            importlib.reload(module)
        for number in range(10):
            logging.getLogger("app").info("x", extra={"id": number})
        assert len(module.handles) == 4
        for handle in module.handles:
            assert handle.flush(10)
            handle.uninstrument()
            assert_balanced(handle.pipeline)
        mine = [record for record in sink.records() if record.scope == "app"]
    sys.modules.pop("set_up_again")
    assert ids(mine) == list(range(10))
    until(lambda: threads() <= before)


def test_40_shut_down_twice(start: Start) -> None:
    """The same report, and what comes afterwards is counted."""
    with OtlpSink() as sink:
        pipeline = start(sink.endpoint)
        caller = Caller(pipeline)
        caller.log(10)
        report = pipeline.shutdown(10)
        assert pipeline.shutdown(10) is report
        assert report.complete
        caller.log(5)
        snapshot = assert_balanced(pipeline)
    assert ids(sink.records()) == caller.ids[:10]
    assert snapshot.dropped == {"after_shutdown": 5}


A_HUNDRED = """
import gc, logging, sys
import psutil
from logspan import configure_logging
from logspan.testing import assert_balanced
from tests.faults.support import ids, settings_for, sink_of
from tests.faults.test_lifecycle import QUIET, threads

process, protocol = psutil.Process(), sys.argv[1]

def once(number):
    with configure_logging(settings_for(sink.endpoint, protocol, **QUIET)) as handle:
        logging.getLogger("app").info("x", extra={"id": number})
        assert handle.flush(10)
    snapshot = assert_balanced(handle.pipeline)
    assert snapshot.exporters["otlp"].delivered == snapshot.emitted
    if number % 10 == 0:
        gc.collect()  # a pipeline is a cycle: what waits for the collector is no leak

with sink_of(protocol) as sink:
    for number in range(20):
        once(number)
    gc.collect()
    descriptors, memory = process.num_fds(), process.memory_info().rss
    for number in range(20, 120):
        once(number)
    gc.collect()
    mine = [record for record in sink.records() if record.scope == "app"]
    assert ids(mine) == list(range(120))
    assert threads() == set()
    assert process.num_fds() <= descriptors + 4  # the sink's own side closes when it likes
    grown = process.memory_info().rss - memory
    assert grown < 16 * 1024 * 1024, grown
"""


@pytest.mark.slow
def test_40_a_hundred_starts_and_stops(protocol: str) -> None:
    """Threads, descriptors and memory are as they were; each delivers its record. In a process that does only this."""
    command = [sys.executable, "-c", A_HUNDRED, protocol]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, cwd=ROOT)
    assert done.returncode == 0, done.stderr
