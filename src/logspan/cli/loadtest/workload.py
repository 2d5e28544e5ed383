"""The load: threads that log at a rate, and what is measured while they do."""

from __future__ import annotations

import itertools
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, perf_counter_ns, process_time, sleep

import psutil
from opentelemetry import trace

from logspan.cli.loadtest.histogram import Histogram
from logspan.cli.loadtest.receiver import NUMBER
from logspan.install import Handle, configure_logging
from logspan.ledger import LedgerSnapshot
from logspan.settings import Settings

_LOGGER = "loadtest"
_TICK = 0.002
"""Seconds that a thread rests when it is ahead of its rate."""

_LOOK = 0.05
_WARM_UP = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to do: `rate` in records a second (0: all that goes), `duration` in seconds, `size` in characters."""

    rate: float
    duration: float
    records: int
    threads: int
    attributes: int
    size: int


@dataclass
class Measured:
    """What came out: seconds, bytes of resident memory, nanoseconds in `calls`; `ledger` after the drain."""

    took: float = 0.0
    drained: float = 0.0
    cpu: float = 0.0
    memory_before: int = 0
    memory_peak: int = 0
    memory_after: int = 0
    logged: int = 0
    interrupted: bool = False
    complete: bool = False
    calls: Histogram = field(default_factory=Histogram)
    ledger: LedgerSnapshot = field(default_factory=LedgerSnapshot)


class _Stop:
    """A plain flag, which a signal handler may set wherever it strikes."""

    requested = False
    interrupted = False

    def interrupt(self, signum: int, frame: object) -> None:
        """Ctrl-C: end the load and report. The next one ends the program as usual."""
        del frame
        self.requested = self.interrupted = True
        signal.signal(signum, signal.default_int_handler)


def drive(load: Load, settings: Settings, drain: float) -> Measured:
    """Run the load through a pipeline of its own, drain it for `drain` seconds at most, and undo all of it."""
    measured, stop = Measured(), _Stop()
    with _interrupted_by_ctrl_c(stop), configure_logging(settings) as handle:
        _warm_up(load, handle)
        process = psutil.Process()
        measured.memory_before = measured.memory_peak = process.memory_info().rss
        cpu, started = process_time(), monotonic()
        writers = _start_writers(load, stop)
        while any(writer.thread.is_alive() for writer in writers):
            sleep(_LOOK)
            stop.requested = stop.requested or monotonic() - started >= load.duration
            measured.memory_peak = max(measured.memory_peak, process.memory_info().rss)
        ended = max(writer.ended for writer in writers)
        measured.took = ended - started
        report = handle.shutdown(drain)
        measured.cpu, measured.drained = process_time() - cpu, monotonic() - ended
        measured.memory_after = process.memory_info().rss
    measured.interrupted = stop.interrupted
    measured.complete, measured.ledger = report.complete, report.ledger
    measured.logged = 1 + sum(writer.logged for writer in writers)
    for writer in writers:
        measured.calls.add(writer.calls)
    return measured


@contextmanager
def _interrupted_by_ctrl_c(stop: _Stop) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, stop.interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _warm_up(load: Load, handle: Handle) -> None:
    """The first record opens the connection and imports what is imported at the first use; it is not timed."""
    _log_call(load)(0)
    handle.flush(_WARM_UP)


def _log_call(load: Load) -> Callable[[int], None]:
    """What logs the record of a number."""
    logger = logging.getLogger(_LOGGER)
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    attributes = {f"loadtest.attribute.{index}": "x" * load.size for index in range(load.attributes)}

    def log(number: int) -> None:
        logger.info("order placed", extra={NUMBER: number, **attributes})

    return log


def _start_writers(load: Load, stop: _Stop) -> list[_Writer]:
    numbers = itertools.count(1)  # one step of it is one call, which no other thread interrupts
    writers = [_Writer(load, stop, numbers) for _ in range(load.threads)]
    for writer in writers:
        writer.thread.start()
    return writers


class _Writer:
    """One thread that logs, inside a span, at its share of the rate."""

    def __init__(self, load: Load, stop: _Stop, numbers: Iterator[int]) -> None:
        self.thread = threading.Thread(target=self._run, name="loadtest-writer", daemon=True)
        self._load, self._stop, self._numbers = load, stop, numbers
        self.calls = Histogram()
        self.logged = 0
        self.ended = 0.0

    def _run(self) -> None:
        with trace.get_tracer(_LOGGER).start_as_current_span("load"):
            self._log_at_rate(_log_call(self._load))
        self.ended = monotonic()

    def _log_at_rate(self, log: Callable[[int], None]) -> None:
        share = self._load.rate / self._load.threads
        started, stop, load, logged = monotonic(), self._stop, self._load, 0
        clock, observe = perf_counter_ns, self.calls.observe
        while not stop.requested:
            passed = monotonic() - started
            due = int(passed * share) + 1 if share else logged + 100
            if passed >= load.duration:
                break
            while logged < due and not stop.requested:
                number = next(self._numbers)
                if number >= load.records:
                    stop.requested = True
                    break
                before = clock()
                log(number)
                observe(clock() - before)
                logged += 1
                self.logged = logged
            if share:
                sleep(_TICK)
