"""Memory and CPU of this process, looked at in the background: a record takes what is known, and asks nobody."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from time import time_ns
from typing import NamedTuple

from logspan.clock import Clock, Latch
from logspan.context import mark_pipeline_thread
from logspan.record import Record
from logspan.values import type_name

_NOTHING: tuple[int, Mapping[str, float]] = (0, {})
_STALE = 3
"""Intervals after which a snapshot is too old to be true, because the thread that takes them hangs or fails."""


class Usage(NamedTuple):
    """What the system says of the process: bytes in memory and of address space; CPU seconds so far."""

    memory: int
    virtual: int
    cpu_seconds: float


def read_usage() -> Usage:
    """Ask the system, by psutil: some tens of microseconds, and a few files of `/proc`."""
    import psutil

    process = psutil.Process()
    with process.oneshot():
        memory, cpu = process.memory_info(), process.cpu_times()
    return Usage(memory.rss, memory.vms, cpu.user + cpu.system)


class UsageSampler:
    """A thread that takes a snapshot every `interval` seconds, and an enricher that puts the last one on records.

    `process.memory.usage` and `process.memory.virtual` are bytes; `process.cpu.utilization` is the share of all
    processors that the process may use, between 0 and 1, since the snapshot before, so the first one has none:
    https://opentelemetry.io/docs/specs/semconv/system/process-metrics/. `count` and `say` hear of what fails.
    """

    def __init__(
        self,
        interval: float,
        clock: Clock,
        *,
        count: Callable[[str], object],
        say: Callable[[str, str], object],
        read: Callable[[], Usage] = read_usage,
    ) -> None:
        self._interval = interval
        self._fresh = int(_STALE * interval * 1e9)
        self._clock = clock
        self._count = count
        self._say = say
        self._read = read
        self._latest = _NOTHING

    def start(self) -> None:
        """Start the thread; again in a forked child, where there is none, and the parent's numbers mean nothing."""
        self._latest = _NOTHING
        self._before: tuple[float, float] | None = None
        self._latch = Latch()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="logspan-usage", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread, and wait for that `timeout` seconds at most."""
        self._stopped = True
        self._latch.ring()
        self._thread.join(max(timeout, 0))

    def __call__(self, record: Record) -> None:
        """Put the last snapshot on a record, unless it is too old; what the record has already is kept."""
        taken, snapshot = self._latest
        if record.observed_timestamp - taken < self._fresh:
            attributes = record.attributes
            for key, value in snapshot.items():
                if key not in attributes:
                    attributes[key] = value

    def _run(self) -> None:
        mark_pipeline_thread()
        while not self._stopped:
            try:
                self._latest = (time_ns(), self._snapshot())
            except Exception as error:
                self._count("usage")
                self._say("usage", f"memory and CPU could not be read: {type_name(error)}")
            self._clock.wait(self._latch, self._interval)

    def _snapshot(self) -> Mapping[str, float]:
        usage, now = self._read(), self._clock.monotonic()
        before, self._before = self._before, (now, usage.cpu_seconds)
        found: dict[str, float] = {"process.memory.usage": usage.memory, "process.memory.virtual": usage.virtual}
        if before is not None and now > before[0]:
            share = (usage.cpu_seconds - before[1]) / (now - before[0]) / _processors()
            found["process.cpu.utilization"] = round(min(max(share, 0.0), 1.0), 4)
        return found


def _processors() -> int:
    """How many this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
