"""The delivery worker: pulls the SDK's queue into the intake, filters, redacts and limits once, and fans out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import Clock, Latch
from logspan.context import mark_pipeline_thread
from logspan.delivery.admission import Admission
from logspan.delivery.batch import Batch
from logspan.delivery.intake import Intake
from logspan.delivery.outlet import Outlet
from logspan.delivery.thread import WorkerThread
from logspan.ledger import Ledger
from logspan.notices import Notices
from logspan.record import Record

Decider = Callable[[Record], bool]
Processor = Callable[[Record], None]

DROPPED = "dropped before any exporter ({})"
_SLICE = 128
_IDLE = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: `schedule_delay` between two looks, `stall_timeout` until a thread that hangs is replaced."""

    schedule_delay: float = 0.02
    stall_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class WorkerStages:
    """What runs on the worker, each part with its name: `filters` keep or drop, and then `processors` change."""

    filters: Sequence[tuple[str, Decider]] = ()
    processors: Sequence[tuple[str, Processor]] = ()


class DeliveryWorker:
    """One thread, which alone calls `pull` (the SDK's `force_flush`).

    It does so about every `schedule_delay` seconds while there is work; a caller wakes it only when it is idle.
    """

    def __init__(
        self,
        pull: Callable[[], object],
        intake: Intake,
        admission: Admission,
        stages: WorkerStages,
        outlets: Sequence[Outlet],
        ledger: Ledger,
        *,
        pace: Pace,
        clock: Clock,
        notices: Notices,
    ) -> None:
        self._pull = pull
        self._intake = intake
        self._admission = admission
        self._stages = stages
        self._outlets = outlets
        self._ledger = ledger
        self._pace = pace
        self._clock = clock
        self._notices = notices
        for outlet in outlets:
            outlet.watch = self.revive
        self.begin()

    def begin(self) -> None:
        """Start the thread; again in a forked child, where threads and locks of the parent are of no use."""
        self._latch = Latch()
        self._idle = False
        self._stopped = False
        self._tell_at = 0.0
        self._sweeps: deque[Latch] = deque()
        self._current, self._weight = Batch([]), 0
        self._reviving = threading.Lock()
        self._thread = WorkerThread("logspan-delivery", self._run, self._clock)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is a record; free when the worker is at work. Safe in a signal handler."""
        if self._idle:
            self._idle = False
            self._latch.ring()

    def sweep(self, timeout: float) -> bool:
        """Wait until everything emitted before this call is with the outlets; False when it took over `timeout` s."""
        done = Latch()
        self._sweeps.append(done)
        self._latch.ring()
        return done.wait(max(timeout, 0))

    def stop(self, timeout: float) -> None:
        """End the thread. A slice of records that it does not finish within `timeout` seconds is taken from it."""
        self._stopped = True
        self._latch.ring()
        self._thread.join(timeout)
        if self._thread.alive and not self._current.settle():
            self._thread.join(_IDLE)  # it is past the processors: an outlet that it waits for ends that at its deadline

    @property
    def alive(self) -> bool:
        """Whether the worker is running."""
        return self._thread.alive

    def revive(self) -> None:
        """Replace the thread if it has died, or hangs in a processor; called by the outlets' threads."""
        trouble = "" if self._stopped else self._thread.trouble(self._pace.stall_timeout)
        if trouble and self._reviving.acquire(blocking=False):
            try:
                self._claim(f"worker_{trouble}")
                self._ledger.worker_restarts.one()
                self._notices.say("delivery:revived", f"the delivery worker {trouble}: a new one goes on")
                self._thread.start()
            finally:
                self._reviving.release()

    def _run(self) -> None:
        mark_pipeline_thread()
        while not self._stopped and self._thread.is_current():
            try:
                worked = self._turn()
                self._rest(worked=worked)
            except BaseException as error:
                self._give_up(error)
                self._clock.wait(self._latch, self._pace.schedule_delay)

    def _turn(self) -> bool:
        """Move everything that is there now, and no more, or a flush would never end; whether there was anything."""
        asked = len(self._sweeps)
        worked = left = self._look()
        while left > 0 and self._goes_on() and (records := self._intake.take(min(left, _SLICE))):
            self._hand_over(Batch(records))
            left -= len(records)
            self._look()
        if self._goes_on():
            for _ in range(asked):
                self._sweeps.popleft().ring()
        return worked > 0

    def _goes_on(self) -> bool:
        return not self._stopped and self._thread.is_current()

    def _look(self) -> int:
        """Have all that was emitted in the intake, where the oldest can give way to newer ones; how many these are."""
        self._pull()
        self._admission.repay()
        return len(self._intake)

    def _rest(self, *, worked: bool) -> None:
        """Short while there is work. Before a long rest, one more look: a caller that saw us busy did not ring."""
        for outlet in self._outlets:
            outlet.revive()
        self._tell_losses()
        if worked or self._sweeps:
            self._clock.wait(self._latch, self._pace.schedule_delay)
            return
        self._idle = True
        self._pull()
        if not len(self._intake):
            self._clock.wait(self._latch, _IDLE)
        self._idle = False

    def _tell_losses(self) -> None:
        """Say what was dropped before the exporters, at most once a second."""
        now = self._clock.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + _IDLE
            for reason, total in self._ledger.dropped.values().items():
                self._notices.lost(DROPPED.format(reason), total)

    def _hand_over(self, batch: Batch) -> None:
        self._current, self._weight = batch, sum(record.log_record.weight for record in batch.records)  # type: ignore[attr-defined]
        if not self._goes_on():
            return
        ready: list[ReadableLogRecord] = []
        failed: list[str] = []
        self._thread.busy()
        wanted = [record for record in batch.records if self._wants(record)] if self._stages.filters else batch.records
        for record in wanted:
            failure = self._process(record)
            failed.append(failure) if failure else ready.append(record)
        self._thread.idle()
        if batch.settle():  # else a shutdown did not wait for it, and has counted it
            self._ledger.filtered.add(len(batch) - len(wanted))
            for name in failed:
                self._ledger.dropped.add(f"{name}_failed")
            self._fan_out(ready, len(batch))

    def _fan_out(self, records: Sequence[ReadableLogRecord], places: int) -> None:
        """All are the outlets' before any has to wait for room: a shutdown meanwhile writes off what is queued."""
        self._ledger.fanned_out.add(len(records))
        for outlet in self._outlets:
            outlet.expect(len(records))
        self._admission.release(places, self._weight)
        for outlet in self._outlets:
            outlet.put(records)

    def _give_up(self, error: BaseException) -> None:
        """Whatever went wrong, the records at hand are counted and their places are free again."""
        self._ledger.processor_errors.add("delivery")
        self._notices.say("delivery", f"delivery worker: {type(error).__name__}")
        if self._thread.is_current():
            self._claim("worker_error")

    def _claim(self, reason: str) -> None:
        """Take the slice at hand from the thread that has it, and count it as dropped."""
        if self._current.settle():
            self._ledger.dropped.add(reason, len(self._current))
            self._admission.release(len(self._current), self._weight)

    def _wants(self, readable: ReadableLogRecord) -> bool:
        """Whether the filters keep a record. One that fails is counted and skipped: it keeps nothing back."""
        for name, keeps in self._stages.filters:
            try:
                if not keeps(readable.log_record):  # type: ignore[arg-type]  # as below
                    return False
            except Exception as error:
                self._ledger.processor_errors.add(name)
                self._notices.say(
                    f"stage:{name}", f"{name} failed and was skipped for a record: {type(error).__name__}"
                )
        return True

    def _process(self, readable: ReadableLogRecord) -> str:
        """Redact and limit. A record on which one of them fails is never sent as it is: the name of that one, or ""."""
        for name, process in self._stages.processors:
            try:
                process(readable.log_record)  # type: ignore[arg-type]  # the root processor lets nothing else in
            except BaseException as error:
                self._ledger.processor_errors.add(name)
                text = f"{name} failed on a record, which is dropped: {type(error).__name__}"
                self._notices.say(f"processor:{name}", text)
                return name
        return ""
