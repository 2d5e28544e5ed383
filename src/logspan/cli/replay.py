"""Sending what dead processes left in the spool of one exporter."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.clock import SystemClock
from logspan.delivery.attempt import EXPORTER_ERROR, attempt
from logspan.delivery.batch import Batch
from logspan.delivery.retry import Retry, RetryPolicy
from logspan.outcome import Delivered, Division, Outcome, Rejected, Retryable
from logspan.plugins import create_exporter
from logspan.spool import Frame, Spool, SpoolConfig

if TYPE_CHECKING:
    from logspan.settings import Settings


@dataclass(slots=True)
class Counts:
    """In records, but for `batches` and `damaged`, which are batches."""

    owners: int = 0
    batches: int = 0
    delivered: int = 0
    rejected: int = 0
    damaged: int = 0
    left: int = 0

    def __str__(self) -> str:
        return (
            f"{self.owners} dead owners, {self.batches} batches sent; records: {self.delivered} delivered, "
            f"{self.rejected} rejected, {self.left} left; {self.damaged} damaged batches"
        )


class Replay:
    """One exporter's part of `logspan spool replay`.

    Each batch, or part of one that the peer takes in parts, is tried for `timeout` seconds. One that is refused for
    good ends the replay and stays, for a wrong password must not empty the spool; with `skip_rejected` it is deleted
    and counted.
    """

    def __init__(
        self, exporter: str, directory: Path, settings: Settings, *, timeout: float, skip_rejected: bool
    ) -> None:
        self._exporter = exporter
        self._settings = settings
        self._timeout = timeout
        self._skip_rejected = skip_rejected
        self._clock = SystemClock()
        self._spool = Spool(exporter, SpoolConfig(directory, max_size=sys.maxsize, fsync=None), clock=self._clock)
        self.counts = Counts()
        self.trouble: str | None = None
        """What ended the replay, or what was refused last."""

    def run(self) -> bool:
        """Adopt and send; whether everything was delivered. Raises `LogspanError` when there is no such exporter."""
        exporter = create_exporter(self._exporter, self._settings)
        try:
            self.counts.owners = self._spool.adopt().owners
            self.trouble = self._spool.trouble
            with suppress_instrumentation():
                while (frame := self._spool.peek()) is not None and self._send(exporter, frame):
                    self._spool.ack()
        finally:
            self.trouble = self.trouble or self._spool.trouble
            self.counts.left = self._spool.close().records
            self.counts.damaged += sum(loss.frames for loss in self._spool.take_losses())
            exporter.shutdown()
        return not (self.counts.left or self.counts.rejected or self.counts.damaged or self.trouble)

    def _send(self, exporter: LogRecordExporter, frame: Frame) -> bool:
        """Whether the frame is done with."""
        batch = Batch(frame=frame)
        try:
            _ = batch.records
        except ValueError:
            self.counts.damaged += 1
            return True
        return self._settle(self._deliver(exporter, batch), len(batch))

    def _deliver(self, exporter: LogRecordExporter, batch: Batch) -> Outcome:
        """What comes of a batch, in parts where the peer wants that: refused only if nothing of it was taken."""
        division, whole, lost = Division(len(batch)), len(batch), 0
        outcome: Delivered | Rejected = Delivered()
        while size := division.size:
            answer = self._answer(exporter, batch.first(size))
            if isinstance(answer, Retryable):
                return answer
            outcome = answer
            if division.settles(outcome):
                batch = batch.after(size)
                lost += outcome.lost if isinstance(outcome, Delivered) else size
        is_refused = isinstance(outcome, Rejected) and lost == whole
        return outcome if is_refused else Delivered(rejected=lost, message=outcome.message)

    def _answer(self, exporter: LogRecordExporter, batch: Batch) -> Outcome:
        deadline = self._clock.monotonic() + self._timeout
        retry = Retry(RetryPolicy(**self._settings.retry_on_failure.model_dump()), self._clock)
        while True:
            outcome = attempt(exporter, batch, max(deadline - self._clock.monotonic(), 0))
            if not isinstance(outcome, Retryable):
                return outcome
            delay = retry.next_delay(outcome.retry_after, deadline)
            if delay is None:
                return outcome
            time.sleep(delay)

    def _settle(self, outcome: Outcome, size: int) -> bool:
        if isinstance(outcome, Delivered):
            lost = min(outcome.lost, size)
            self.counts.batches += 1
            self.counts.delivered += size - lost
            self.counts.rejected += lost
            self.trouble = outcome.message or self.trouble
            return True
        if isinstance(outcome, Retryable):
            self.trouble = outcome.reason
            return False
        return self._refused(outcome, size)

    def _refused(self, outcome: Rejected, size: int) -> bool:
        self.trouble = f"{outcome.status} {outcome.message}".strip()
        if outcome.status == EXPORTER_ERROR or not self._skip_rejected:
            return False
        self.counts.batches += 1
        self.counts.rejected += size
        return True
