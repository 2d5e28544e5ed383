"""The pipeline: the provider that applications log to, and the object that owns everything behind it."""

from __future__ import annotations

import contextvars
import inspect
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from opentelemetry._logs import Logger
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.resources import Resource

from logspan.clock import Clock
from logspan.context import inside_pipeline
from logspan.delivery.delivery import Delivery
from logspan.forks import in_children
from logspan.health import HealthReport, report
from logspan.later import Make
from logspan.ledger import ExporterSnapshot, Ledger, LedgerSnapshot
from logspan.processors.enrich import EnrichParts
from logspan.processors.redact import Redactor
from logspan.record import Record
from logspan.root import RootProcessor

_MOMENT = 0.1
"""Seconds that a thread of ours has to end which waits for nothing."""

_FOREVER = 1e8
"""Seconds; more than locks can wait for is cut to this."""


class UnredactedProcessorWarning(UserWarning):
    """A processor was added to a pipeline's provider: it sees records before redaction."""


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a shutdown left behind, in records.

    `complete` is True when nothing was left over: every record that was accepted is delivered or counted as refused by
    its peer. `ledger` has it all, before the fan-out and for each exporter.
    """

    complete: bool
    ledger: LedgerSnapshot

    @property
    def exporters(self) -> Mapping[str, ExporterSnapshot]:
        """The terms of each exporter: delivered, spooled, rejected, dropped by reason."""
        return self.ledger.exporters

    @property
    def dropped(self) -> Mapping[str, int]:
        """Drops by reason, of the whole pipeline and of every exporter, added up."""
        total = dict(self.ledger.dropped)
        for exporter in self.exporters.values():
            for reason, count in exporter.dropped.items():
                total[reason] = total.get(reason, 0) + count
        return total


def _no_pipeline() -> None:
    """Until there is one."""


class PipelineLoggerProvider(LoggerProvider):
    """The SDK's provider, with a look-up of loggers that is cheap enough for each log call, and safe inside another."""

    def __init__(self, resource: Resource, root: RootProcessor, redactor: Redactor | None = None) -> None:
        super().__init__(resource=resource, shutdown_on_exit=False, meter_provider=NoOpMeterProvider())
        super().add_log_record_processor(root)
        self._root = root
        self._later = root.later
        self._redactor = redactor
        self._known: dict[str, Logger] = {}
        self.pipeline: Callable[[], Pipeline | None] = _no_pipeline
        """Whose provider this is; None when that is gone."""
        self._beside: tuple[LogRecordProcessor, ...] = ()
        self._reentrant = super().get_logger("logspan.reentrant")
        self.begin()

    def begin(self) -> None:
        """Forget what threads are at, in a forked child."""
        self._making: set[int] = set()

    @property
    def resource(self) -> Resource:
        """The pipeline's, which the SDK's own handling of a fork does not touch."""
        return self._root.resource

    def get_logger(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> Logger:
        """The logger of an instrumentation scope."""
        if version is None and schema_url is None and attributes is None:
            known = self._known.get(name)
            if known is not None:
                return known
            logger = self._make(name, None, None, None)
            return logger if logger is self._reentrant else self._known.setdefault(name, logger)
        return self._make(name, version, schema_url, attributes)

    def emit(self, record: Record) -> None:
        """Take a record of ours that is whole: what the SDK's `Logger.emit` comes to, which would look at its parts."""
        self._root.on_emit(record)
        for processor in self._beside:
            processor.on_emit(record)

    def put_off(self, make: Make) -> None:
        """Take a record that is made a little later, by the delivery worker; at once where somebody counts on that."""
        if self._beside or not self._later.put(make):
            self.make_at_once(make)

    def make_at_once(self, make: Make) -> None:
        """Take a record that is made here and now; what making it sets in the context is gone after that."""
        contextvars.copy_context().run(self._make_and_emit, make)

    def _make_and_emit(self, make: Make) -> None:
        record = self._root.made(make)
        if record is not None:
            self.emit(record)

    def count_self_log(self) -> None:
        """Count a record that the pipeline has itself caused, and that goes no further."""
        self._root.count_self_log()

    def _make(
        self, name: str, version: str | None, schema_url: str | None, attributes: Mapping[str, object] | None
    ) -> Logger:
        """The SDK makes loggers under plain locks: a signal handler or `__del__` that logs in there would hang."""
        thread = threading.get_ident()
        if thread in self._making:
            return self._reentrant
        self._making.add(thread)
        try:
            return super().get_logger(*self._redacted(name, version, schema_url, attributes))  # type: ignore[arg-type]
        finally:
            self._making.discard(thread)

    def _redacted(
        self, name: str, version: str | None, schema_url: str | None, attributes: Mapping[str, object] | None
    ) -> tuple[str, str | None, str | None, Mapping[str, object] | None]:
        """A scope without secrets, once for all records of a logger; where that fails nothing of it is kept."""
        if self._redactor is None:
            return name, version, schema_url, attributes
        text = self._redactor.text
        try:
            safe = self._redactor.attributes(attributes) if attributes else attributes
            return text(name), version and text(version), schema_url and text(schema_url), safe
        except Exception:
            return "redaction_failed", None, None, None

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Add a processor beside the pipeline. It sees records before redaction, hence the warning."""
        warnings.warn(
            f"{type(log_record_processor).__name__} sees records before they are redacted; "
            "an exporter of the pipeline sees them after",
            UnredactedProcessorWarning,
            stacklevel=2,
        )
        super().add_log_record_processor(log_record_processor)
        self._beside = (*self._beside, log_record_processor)


class Pipeline:
    """What `build_pipeline` returns. It touches nothing global, and two of them know nothing of each other."""

    def __init__(
        self,
        *,
        root: RootProcessor,
        enrichers: EnrichParts,
        delivery: Delivery,
        ledger: Ledger,
        clock: Clock,
        resource: Resource,
        resource_of_child: Callable[[Resource], Resource],
        shutdown_timeout: float,
        redactor: Redactor | None,
    ) -> None:
        self._root = root
        self._enrichers = enrichers
        self._delivery = delivery
        self._clock = clock
        self._resource_of_child = resource_of_child
        self._shutdown_timeout = shutdown_timeout
        self._report: DrainReport | None = None
        self._shutdown_lock = threading.RLock()
        self.ledger = ledger
        self.redactor = redactor
        """What its records are redacted by, and its spans; None where redaction is off."""
        self.resource = root.resource = resource
        self.logger_provider = PipelineLoggerProvider(resource, root, redactor)
        self.logger_provider.pipeline = weakref.ref(self)
        root.wake = root.later.wake = delivery.worker.wake
        root.flush, root.close = self.flush, self.shutdown
        self.shared: Any = None
        """What is installed along with it in this process; kept here by `install`, as there is one of both."""
        in_children(self.reset_after_fork)  # after the SDK's own, which was registered with its processor
        enrichers.start()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything accepted before the call has left, `timeout` seconds at most.

        True only if all of it was delivered; False when time ran out, when some of it was lost meanwhile, or when the
        pipeline's own threads ask (they would wait for themselves).
        """
        if inside_pipeline():
            return False
        if self._report is not None:
            return self._report.complete
        deadline = self._clock.monotonic() + min(timeout, _FOREVER)
        lost = self.ledger.snapshot().lost
        return self._delivery.flush(deadline) and self.ledger.snapshot().lost == lost

    def shutdown(self, timeout: float | None = None) -> DrainReport:
        """Refuse new records, deliver what is there, `timeout` seconds at most (default: `shutdown_timeout`).

        A quarter of a second is there in any case. What is left then is counted as `shutdown_timeout`. A second call
        returns the first one's report.
        """
        if inside_pipeline():
            return DrainReport(complete=False, ledger=self.ledger.snapshot())
        timeout = min(self._shutdown_timeout if timeout is None else timeout, _FOREVER)
        deadline = self._clock.monotonic() + timeout
        if not self._shutdown_lock.acquire(timeout=max(timeout, 0)):
            return DrainReport(complete=False, ledger=self.ledger.snapshot())  # another thread is at it, and has longer
        try:
            if self._report is None:
                self._close(deadline)
                self._report = self._drain_report()
            return self._report
        finally:
            self._shutdown_lock.release()

    def end_late(self) -> DrainReport:
        """When the end may be at any moment: settle what exporters hold that do not keep up, and go on with the others.

        Their records go to the spool, or are counted as `shutdown_timeout`, as is what comes for them later.
        """
        if self._report is not None:
            return self._report
        self._delivery.end_late()
        return self._drain_report()

    def deliver_at_once(self, wait: Callable[[], object] | None) -> None:
        """Have each record's caller call `wait`, which must not raise, once the record is queued; None: as usual."""
        self._root.later.hurry(on=wait is not None or self._root.closed or self._root.stages.on_callers_thread)
        self._root.wake = self._delivery.worker.wake if wait is None else wait

    def after_emit(self, frame: FrameType | None, then: Callable[[], object]) -> bool:
        """For a signal handler that interrupted `frame`: have `then` called at the end of the emit it stands in.

        False if it stands in none: then nothing will call it. A record that is half-way can be counted only after that.
        """
        return self._root.defer(frame, then)

    def _close(self, deadline: float) -> None:
        self._root.later.hurry(on=True)
        self._root.later.catch_up()
        self._wait_while(self._root.later.is_behind, deadline)
        self._root.closed = True
        own = self._root.calls_under(inspect.currentframe())
        emitted, settled = self.ledger.emitted, self.ledger.settled
        self._wait_while(lambda: settled.value() + own < emitted.value(), deadline)
        self._root.sealed = True
        self._delivery.close(deadline)
        self._root.ended = True
        self._root.later.catch_up()  # of a thread that was held up, to be counted
        self._delivery.admission.write_off("after_shutdown")  # what came in while it was closing
        self._enrichers.stop(_MOMENT)

    def _wait_while(self, busy: Callable[[], bool], deadline: float) -> None:
        """Wait a second at most for threads that are inside already: what they have at hand still belongs here."""
        deadline = min(deadline, self._clock.monotonic() + 1.0)
        pause = threading.Event()
        while busy() and self._clock.monotonic() < deadline:
            pause.wait(0.001)

    def _drain_report(self) -> DrainReport:
        snapshot = self.ledger.snapshot()
        left = snapshot.dropped.get("shutdown_timeout", 0) + sum(
            exporter.dropped.get("shutdown_timeout", 0) for exporter in snapshot.exporters.values()
        )
        return DrainReport(complete=not left, ledger=snapshot)

    def health(self) -> HealthReport:
        """How the pipeline is: `ok`, `degraded` or `failing`, with the causes."""
        snapshot = self.ledger.snapshot()
        return report(
            workers_alive=self._delivery.alive or self._report is not None,
            troubles=self._delivery.troubles,
            spool_troubles=self._delivery.spool_troubles,
            lost=snapshot.lost,
            restarts=snapshot.worker_restarts,
            switched_off=self._enrichers.switched_off,
            redaction=() if self.redactor is None else self.redactor.troubles,
        )

    def reset_after_fork(self) -> None:
        """Begin anew in a forked child: own counts, queues, threads, connections and process attributes."""
        if self._report is not None:
            return
        self._shutdown_lock = threading.RLock()
        self.ledger.reset()
        if self.redactor is not None:
            self.redactor.reset_after_fork()
        self.resource = self._root.resource = self._resource_of_child(self.resource)
        self.logger_provider.begin()
        self._root.later.forget()
        self._enrichers.reset_after_fork()
        self._delivery.reset_after_fork()
