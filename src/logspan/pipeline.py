"""The pipeline: one root processor that runs the stages in order, and the object that owns everything behind it."""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.clock import Clock
from logspan.context import inside_pipeline
from logspan.delivery.admission import Admission
from logspan.delivery.delivery import Delivery
from logspan.health import HealthReport, report
from logspan.ledger import ExporterSnapshot, Ledger, LedgerSnapshot, Tally
from logspan.notices import Notices
from logspan.record import Record

Decider = Callable[[Record], bool]
Enricher = Callable[[Record], None]


class UnredactedProcessorWarning(UserWarning):
    """A processor was added to a pipeline's provider: it sees records before redaction."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What runs on the caller's thread, each part with its name: `deciders` keep or drop, `enrichers` add."""

    filters: Sequence[tuple[str, Decider]] = ()
    samplers: Sequence[tuple[str, Decider]] = ()
    enrichers: Sequence[tuple[str, Enricher]] = ()


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


class RootProcessor(LogRecordProcessor):
    """The only processor of the pipeline's provider: filter, sample, enrich, admit, then the SDK's batch processor.

    A stage that raises is counted and skipped: the record goes on without it. Nothing reaches the caller.
    """

    def __init__(
        self, stages: Stages, admission: Admission, batch: LogRecordProcessor, ledger: Ledger, notices: Notices
    ) -> None:
        self._stages = stages
        self._admission = admission
        self._batch = batch
        self._ledger = ledger
        self._notices = notices
        self.resource = Resource.get_empty()
        self.closed = False
        self.wake: Callable[[], None] = _nothing
        self.pipeline: Callable[[], Pipeline | None] = _nothing

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take one record, from any thread; counted in at the start and out at the end."""
        if inside_pipeline():
            self._ledger.suppressed_self_logs.one()
            return
        self._ledger.emitted.one()
        try:
            self._take(log_record)
        except Exception as error:
            self._ledger.dropped.add("pipeline_error")
            self._notices.say("pipeline", f"a record could not be taken: {type(error).__name__}")
        finally:
            self._ledger.settled.one()

    def _take(self, log_record: ReadWriteLogRecord) -> None:
        if self.closed:
            self._ledger.dropped.add("after_shutdown")
            return
        record = log_record if type(log_record) is Record else Record.from_sdk(log_record)
        stages = self._stages
        if not self._keeps(record, stages.filters, self._ledger.filtered):
            return
        if not self._keeps(record, stages.samplers, self._ledger.sampled_out):
            return
        for name, enrich in stages.enrichers:
            try:
                enrich(record)
            except Exception as error:
                self._stage_failed(name, error)
        record.resource = self.resource
        if self._admission.admit():
            self._batch.on_emit(record)
            self.wake()

    def _keeps(self, record: Record, deciders: Sequence[tuple[str, Decider]], dropped: Tally) -> bool:
        for name, keeps in deciders:
            try:
                if keeps(record):
                    continue
            except Exception as error:
                self._stage_failed(name, error)
                continue
            dropped.one()
            return False
        return True

    def _stage_failed(self, name: str, error: Exception) -> None:
        self._ledger.processor_errors.add(name)
        self._notices.say(f"stage:{name}", f"{name} failed and was skipped for a record: {type(error).__name__}")

    def enabled(
        self,
        *,
        context: Context | None = None,
        instrumentation_scope: InstrumentationScope | None = None,
        severity_number: SeverityNumber | None = None,
        event_name: str | None = None,
    ) -> bool:
        """Whether a record would be taken at all; the filters look at it when it comes."""
        del context, instrumentation_scope, severity_number, event_name
        return not self.closed

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the whole pipeline, as whoever calls this on the provider expects."""
        pipeline = self.pipeline()
        return pipeline is None or pipeline.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Shut the whole pipeline down, within its own time."""
        pipeline = self.pipeline()
        if pipeline is not None:
            pipeline.shutdown()


class PipelineLoggerProvider(LoggerProvider):
    """The SDK's provider, with a look-up of loggers that is cheap enough for each log call."""

    def __init__(self, resource: Resource, root: RootProcessor) -> None:
        super().__init__(resource=resource, shutdown_on_exit=False, meter_provider=NoOpMeterProvider())
        self._known: dict[str, Logger] = {}
        super().add_log_record_processor(root)

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
            return known if known is not None else self._known.setdefault(name, super().get_logger(name))
        return super().get_logger(name, version, schema_url, attributes)  # type: ignore[arg-type]

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Add a processor beside the pipeline. It sees records before redaction, hence the warning."""
        warnings.warn(
            f"{type(log_record_processor).__name__} sees records before they are redacted; "
            "an exporter of the pipeline sees them after",
            UnredactedProcessorWarning,
            stacklevel=2,
        )
        super().add_log_record_processor(log_record_processor)


class Pipeline:
    """What `build_pipeline` returns. It touches nothing global, and two of them know nothing of each other."""

    def __init__(
        self,
        *,
        root: RootProcessor,
        delivery: Delivery,
        ledger: Ledger,
        clock: Clock,
        resource: Callable[[], Resource],
        shutdown_timeout: float,
    ) -> None:
        self._root = root
        self._delivery = delivery
        self._clock = clock
        self._build_resource = resource
        self._shutdown_timeout = shutdown_timeout
        self._report: DrainReport | None = None
        self._shutdown_lock = threading.RLock()
        self.ledger = ledger
        self.resource = root.resource = resource()
        self.logger_provider: LoggerProvider = PipelineLoggerProvider(self.resource, root)
        root.wake = delivery.worker.wake
        root.pipeline = weakref.ref(self)
        _reset_in_children(self)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything accepted before the call has left, `timeout` seconds at most.

        True only if all of it was delivered; False when time ran out, when some of it was lost meanwhile, or when the
        pipeline's own threads ask (they would wait for themselves).
        """
        if inside_pipeline():
            return False
        if self._report is not None:
            return self._report.complete
        deadline = self._clock.monotonic() + timeout
        lost = self.ledger.snapshot().lost
        return self._delivery.flush(deadline) and self.ledger.snapshot().lost == lost

    def shutdown(self, timeout: float | None = None) -> DrainReport:
        """Refuse new records, deliver what is there, `timeout` seconds at most (default: `shutdown_timeout`).

        What is left then is counted as `shutdown_timeout`. A second call returns the first one's report.
        """
        if inside_pipeline():
            return DrainReport(complete=False, ledger=self.ledger.snapshot())
        with self._shutdown_lock:
            if self._report is None:
                deadline = self._clock.monotonic() + (self._shutdown_timeout if timeout is None else timeout)
                self._close(deadline)
                self._report = self._drain_report()
            return self._report

    def _close(self, deadline: float) -> None:
        self._root.closed = True
        self._wait_for_callers(min(deadline, self._clock.monotonic() + 1.0))
        self._delivery.close(deadline)

    def _wait_for_callers(self, deadline: float) -> None:
        """Wait for the calls that were inside `on_emit` when the gate was closed: they still belong to the queue."""
        ledger = self.ledger
        pause = threading.Event()
        while ledger.settled.value() < ledger.emitted.value() and self._clock.monotonic() < deadline:
            pause.wait(0.001)

    def _drain_report(self) -> DrainReport:
        snapshot = self.ledger.snapshot()
        left = snapshot.dropped.get("shutdown_timeout", 0) + sum(
            exporter.dropped.get("shutdown_timeout", 0) for exporter in snapshot.exporters.values()
        )
        return DrainReport(complete=not left, ledger=snapshot)

    def health(self) -> HealthReport:
        """How the pipeline is: `ok`, `degraded` or `failing`, with the causes."""
        return report(
            workers_alive=self._delivery.alive or self._report is not None,
            troubles=self._delivery.troubles,
            lost=self.ledger.snapshot().lost,
        )

    def reset_after_fork(self) -> None:
        """Begin anew in a forked child: own counts, queues, threads, connections and process attributes."""
        if self._report is not None:
            return
        self._shutdown_lock = threading.RLock()
        self.ledger.reset()
        self.resource = self._root.resource = self._build_resource()
        self._delivery.reset_after_fork()


def _nothing() -> None:
    """Until the pipeline is put together."""


def _reset_in_children(pipeline: Pipeline) -> None:
    """Hooks run in the order of registration: this one after the SDK's, which was registered with its processor."""
    reference = weakref.ref(pipeline)

    def reset() -> None:
        alive = reference()
        if alive is not None:
            alive.reset_after_fork()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset)
