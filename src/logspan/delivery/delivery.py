"""All that stands between admission and the exporters, started, flushed, closed and forked as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.sdk._logs import LogRecordProcessor

from logspan.clock import Clock
from logspan.delivery.admission import Admission
from logspan.delivery.intake import Intake
from logspan.delivery.outlet import Outlet
from logspan.delivery.worker import DROPPED, DeliveryWorker
from logspan.ledger import Ledger
from logspan.notices import Notices

_GRACE = 0.1
"""Seconds after the deadline for threads that are not stuck to end, and to shut their exporters down."""
_LEAST = 0.25
"""Seconds that a shutdown has in any case: exporters that keep up lose nothing to one that took all the time."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """In the order in which a record travels: admission, the SDK's queue, intake, worker, outlets."""

    admission: Admission
    batch: LogRecordProcessor
    intake: Intake
    worker: DeliveryWorker
    outlets: Sequence[Outlet]
    ledger: Ledger
    clock: Clock
    notices: Notices

    def flush(self, deadline: float) -> bool:
        """Wait until all that was emitted has left every outlet; False when `deadline` (monotonic s) came first."""
        if not self.worker.sweep(deadline - self.clock.monotonic()):
            return False
        hurried = [(outlet, outlet.hurry()) for outlet in self.outlets]
        return all(outlet.wait_for(position, deadline) for outlet, position in hurried)

    def close(self, deadline: float) -> None:
        """Deliver what is there until `deadline`; count as `shutdown_timeout` what is left then."""
        deadline = max(deadline, self.clock.monotonic() + _LEAST)
        for outlet in self.outlets:
            outlet.end_at(deadline)
        self.worker.sweep(deadline - self.clock.monotonic())
        self.batch.shutdown()
        self.worker.sweep(deadline - self.clock.monotonic())  # what a late caller has put in between
        self.worker.stop(deadline - self.clock.monotonic())
        self.admission.write_off("shutdown_timeout")
        self._end(self.outlets, deadline)

    def end_late(self) -> None:
        """End the outlets that do not keep up, the others go on. What comes for the late is stored, or counted."""
        deadline = self.clock.monotonic() + _GRACE
        late = [outlet for outlet in self.outlets if not (outlet.is_closed or outlet.wait(deadline))]
        for outlet in late:
            outlet.end_at(deadline)
        self._end(late, deadline)

    def _end(self, outlets: Sequence[Outlet], deadline: float) -> None:
        for outlet in outlets:
            outlet.finish(deadline)
        for outlet in outlets:
            outlet.wait(deadline)
        for outlet in outlets:
            outlet.give_up()
        for outlet in outlets:
            outlet.close(deadline)
        last = max(deadline, self.clock.monotonic() + _GRACE)
        for outlet in outlets:
            outlet.join(last)
        self._tell_losses()

    def _tell_losses(self) -> None:
        """Nothing is lost in silence: what was not said of losses yet is said now."""
        for reason, total in self.ledger.dropped.values().items():
            self.notices.lost(DROPPED.format(reason), total)
        self.notices.last_words()

    def reset_after_fork(self) -> None:
        """Begin anew in a forked child: own queues, threads and connections."""
        self.intake.reset()
        self.admission.reset()
        for outlet in self.outlets:
            outlet.reset_after_fork()
        self.worker.begin()

    @property
    def alive(self) -> bool:
        """Whether every worker is running."""
        return self.worker.alive and all(outlet.alive for outlet in self.outlets)

    @property
    def troubles(self) -> Mapping[str, str | None]:
        """What each exporter's last attempt failed on; None where it did not."""
        return {outlet.name: outlet.trouble for outlet in self.outlets}

    @property
    def spool_troubles(self) -> Mapping[str, str | None]:
        """What is the matter with the disk of each exporter's spool; None where nothing is."""
        return {outlet.name: outlet.spool_trouble for outlet in self.outlets}
