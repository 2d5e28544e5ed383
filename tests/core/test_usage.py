"""Snapshots of memory and CPU (R4.2): taken in the background, put on records as they are known, off by default."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from logspan import Settings, SettingsError, build_pipeline
from logspan.clock import Clock, SystemClock
from logspan.testing import FakeClock, InMemoryExporter
from logspan.usage import Usage, UsageSampler, read_usage
from tests.core.support import attributes_of, log, record
from tests.core.test_fork import run

MEMORY, VIRTUAL, CPU = "process.memory.usage", "process.memory.virtual", "process.cpu.utilization"


class Watched:
    """A sampler whose readings a test gives; it says when it has read, and notes on which thread."""

    def __init__(self, clock: Clock, interval: float = 10.0) -> None:
        self.readings: list[Usage | Exception] = []
        self.threads: set[str] = set()
        self.counted: list[str] = []
        self.said: list[str] = []
        self.sampler = UsageSampler(
            interval,
            clock,
            count=self.counted.append,
            say=lambda _, text: self.said.append(text),
            read=self._read,
        )

    def _read(self) -> Usage:
        self.threads.add(threading.current_thread().name)
        reading = self.readings.pop(0)
        if isinstance(reading, Exception):
            raise reading
        return reading

    def attributes(self, **given: Any) -> dict[str, Any]:
        """What is on a record that is made now."""
        made = record(**given)
        self.sampler(made)
        return made.attributes


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def watched(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """On a machine with two processors; not started."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1}, raising=False)
    made = Watched(clock)
    yield made
    made.sampler.stop(5.0)


def look(watched: Watched, clock: FakeClock, *readings: Usage | Exception) -> None:
    """Have the sampler look so many times, an interval apart."""
    for number, reading in enumerate(readings):
        watched.readings.append(reading)
        if number or watched.threads:
            clock.advance(10.0)
        else:
            watched.sampler.start()
        assert clock.wait_for_waiters(1, least=10.0)


def test_a_record_has_what_was_last_seen(watched: Watched, clock: FakeClock) -> None:
    """R4.2: bytes, and CPU as a share of all processors since the look before; the first look knows no share."""
    assert watched.attributes(a=1) == {"a": 1}
    look(watched, clock, Usage(100, 1000, 50.0))
    assert watched.attributes(a=1) == {"a": 1, MEMORY: 100, VIRTUAL: 1000}
    look(watched, clock, Usage(200, 2000, 55.0))
    assert watched.attributes() == {MEMORY: 200, VIRTUAL: 2000, CPU: 0.25}  # 5 s of 10 s on two processors
    assert watched.attributes(**{CPU: "own"})[CPU] == "own"


def test_the_share_is_one(watched: Watched, clock: FakeClock) -> None:
    """Between 0 and 1, whatever the clocks of the system disagree on."""
    look(watched, clock, Usage(1, 1, 0.0), Usage(1, 1, 100.0))
    assert watched.attributes()[CPU] == 1.0
    look(watched, clock, Usage(1, 1, 90.0))
    assert watched.attributes()[CPU] == 0.0


def test_only_its_own_thread_reads(watched: Watched, clock: FakeClock) -> None:
    """R4.2: never on the caller's path."""
    look(watched, clock, Usage(1, 1, 0.0))
    for _ in range(100):
        watched.attributes()
    assert watched.threads == {"logspan-usage"}


def test_a_failure_is_counted_and_the_next_look_is_taken(watched: Watched, clock: FakeClock) -> None:
    """R10.2: what was seen last stays until it is too old."""
    look(watched, clock, Usage(1, 1, 0.0), psutil.AccessDenied(), Usage(3, 3, 4.0))
    assert watched.counted == ["usage"]
    assert watched.said == ["memory and CPU could not be read: AccessDenied"]
    assert watched.attributes() == {MEMORY: 3, VIRTUAL: 3, CPU: 0.1}  # since the last look that has seen something


def test_what_is_too_old_is_left_out(watched: Watched, clock: FakeClock) -> None:
    """A thread that hangs or fails must not make records say what is no longer true."""
    look(watched, clock, Usage(1, 1, 0.0))
    late = record()
    late.observed_timestamp += 31 * 10**9
    watched.sampler(late)
    assert late.attributes == {}
    in_time = record()
    in_time.observed_timestamp += 25 * 10**9
    watched.sampler(in_time)
    assert in_time.attributes == {MEMORY: 1, VIRTUAL: 1}


def test_the_system_says_what_is_plausible() -> None:
    """psutil, for real: some megabytes, more address space than memory, CPU that grows."""
    before = read_usage()
    assert before.virtual > before.memory > 1_000_000
    end = before.cpu_seconds + 0.02
    while read_usage().cpu_seconds < end:
        pass


def test_it_is_off_by_default() -> None:
    """R4.2: no thread, no attribute."""
    memory = InMemoryExporter()
    pipeline = build_pipeline(Settings(), exporters={"memory": memory})
    assert "logspan-usage" not in {thread.name for thread in threading.enumerate()}
    log(pipeline)
    assert pipeline.shutdown().complete
    assert attributes_of(memory.records()[0]) == {}


def test_a_pipeline_takes_them_until_it_is_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.2: switched on by a setting; the thread ends with the pipeline."""
    monkeypatch.setenv("LOGSPAN_ENRICH__SNAPSHOT", "true")
    monkeypatch.setenv("LOGSPAN_ENRICH__SNAPSHOT_INTERVAL", "3600")
    seen = threading.Event()

    class Noting(SystemClock):
        def wait(self, latch: Any, timeout: float) -> bool:
            if timeout == 3600:
                seen.set()
            return super().wait(latch, timeout)

    memory = InMemoryExporter()
    pipeline = build_pipeline(Settings(), exporters={"memory": memory}, clock=Noting())
    assert seen.wait(10)
    log(pipeline)
    assert pipeline.shutdown().complete
    attributes = attributes_of(memory.records()[0])
    assert attributes[MEMORY] > 1_000_000
    assert attributes[VIRTUAL] > attributes[MEMORY]
    assert "logspan-usage" not in {thread.name for thread in threading.enumerate()}


def test_the_interval_is_bounded() -> None:
    """No loop that spins."""
    with pytest.raises(SettingsError, match="snapshot_interval"):
        Settings(enrich={"snapshot_interval": 0.01})  # type: ignore[arg-type]


def test_a_forked_child_has_a_thread_of_its_own() -> None:
    """Fault 25: it begins anew, and knows nothing of the parent's."""
    run(
        """
        from logspan.usage import UsageSampler
        def names():
            return [thread.name for thread in threading.enumerate()]
        p = pipeline(enrich={"snapshot": True})
        assert "logspan-usage" in names()
        def work():
            assert names().count("logspan-usage") == 1
            assert p.shutdown(5).complete
            assert "logspan-usage" not in names()
        ended(child(work))
        assert p.shutdown(5).complete
        """
    )
