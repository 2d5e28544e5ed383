"""The delivery worker: pulls the SDK's queue into the intake, redacts and limits once, and fans out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import Clock, Latch
from logspan.context import mark_pipeline_thread
from logspan.delivery.admission import Admission
from logspan.delivery.intake import Intake
from logspan.delivery.outlet import Outlet
from logspan.ledger import Ledger
from logspan.notices import Notices
from logspan.record import Record

Processor = Callable[[Record], None]

_SLICE = 128
_IDLE = 1.0


class DeliveryWorker:
    """One thread, which alone calls `pull` (the SDK's `force_flush`).

    It does so about every `schedule_delay` seconds while there is work; a caller wakes it only when it is idle.
    """

    def __init__(
        self,
        pull: Callable[[], object],
        intake: Intake,
        admission: Admission,
        processors: Sequence[tuple[str, Processor]],
        outlets: Sequence[Outlet],
        ledger: Ledger,
        *,
        schedule_delay: float,
        clock: Clock,
        notices: Notices,
    ) -> None:
        self._pull = pull
        self._intake = intake
        self._admission = admission
        self._processors = processors
        self._outlets = outlets
        self._ledger = ledger
        self._schedule_delay = schedule_delay
        self._clock = clock
        self._notices = notices
        self.begin()

    def begin(self) -> None:
        """Start the thread; again in a forked child, where threads and locks of the parent are of no use."""
        self._latch = Latch()
        self._idle = False
        self._stopped = False
        self._sweeps: deque[threading.Event] = deque()
        self._thread = threading.Thread(target=self._run, name="logspan-delivery", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is a record; free when the worker is at work. Safe in a signal handler."""
        if self._idle:
            self._idle = False
            self._latch.ring()

    def sweep(self, timeout: float) -> bool:
        """Wait until everything emitted before this call is with the outlets; False when it took over `timeout` s."""
        done = threading.Event()
        self._sweeps.append(done)
        self._latch.ring()
        return done.wait(max(timeout, 0))

    def stop(self, timeout: float) -> None:
        """End the thread, after what it is at."""
        self._stopped = True
        self._latch.ring()
        self._thread.join(max(timeout, 0))

    @property
    def alive(self) -> bool:
        """Whether the worker is running."""
        return self._thread.is_alive()

    def _run(self) -> None:
        mark_pipeline_thread()
        while not self._stopped:
            try:
                worked = self._turn()
                self._rest(worked=worked)
            except BaseException as error:
                self._ledger.processor_errors.add("delivery")
                self._notices.say("delivery", f"delivery worker: {type(error).__name__}")
                self._clock.wait(self._latch, self._schedule_delay)

    def _turn(self) -> bool:
        """Move everything that is there now; whether there was anything."""
        asked = len(self._sweeps)
        worked = False
        self._pull()
        while records := self._intake.take(_SLICE):
            self._hand_over(records)
            worked = True
        for _ in range(asked):
            self._sweeps.popleft().set()
        return worked

    def _rest(self, *, worked: bool) -> None:
        """Short while there is work. Before a long rest, one more look: a caller that saw us busy did not ring."""
        if worked or self._sweeps:
            self._clock.wait(self._latch, self._schedule_delay)
            return
        self._idle = True
        self._pull()
        if not len(self._intake):
            self._clock.wait(self._latch, _IDLE)
        self._idle = False

    def _hand_over(self, records: Sequence[ReadableLogRecord]) -> None:
        ready: list[ReadableLogRecord] = []
        try:
            ready = [record for record in records if self._process(record)]
            for outlet in self._outlets:
                outlet.put(ready)
            self._ledger.fanned_out.add(len(ready))
        finally:
            self._admission.release(len(records))

    def _process(self, readable: ReadableLogRecord) -> bool:
        """Redact and limit; a record on which one of them fails is dropped, never sent as it is."""
        for name, process in self._processors:
            try:
                process(readable.log_record)  # type: ignore[arg-type]  # the root processor lets nothing else in
            except BaseException as error:
                self._ledger.processor_errors.add(name)
                self._ledger.dropped.add(f"{name}_failed")
                self._notices.say(
                    f"processor:{name}", f"{name} failed on a record, which is dropped: {type(error).__name__}"
                )
                return False
        return True
