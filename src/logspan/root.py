"""The one processor of a pipeline's provider: it owns the order of the stages before the queue."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.context import inside_pipeline
from logspan.delivery.admission import Admission
from logspan.failing import OWN_FAILURES
from logspan.later import Later, Make, calls_under
from logspan.ledger import Ledger
from logspan.notices import Notices
from logspan.record import Record

Decider = Callable[[Record], bool]
Enricher = Callable[[Record], None]


def _always(scope: str | None, severity_number: int) -> bool:
    del scope, severity_number
    return True


@dataclass(frozen=True, slots=True)
class Stages:
    """What runs before the queue, each part with its name: `filters` and `samplers` keep or drop, `enrichers` add.

    That is on the caller's thread, for all but the records that are put off.
    """

    filters: Sequence[tuple[str, Decider]] = ()
    samplers: Sequence[tuple[str, Decider]] = ()
    enrichers: Sequence[tuple[str, Enricher]] = ()
    enabled: Callable[[str | None, int], bool] = _always
    """Whether a record of this scope and severity number would pass the filters: asked before one is made."""
    on_callers_thread: bool = False
    """Whether a part of these has to run where a record is made: it looks at more than what is bound there."""


class RootProcessor(LogRecordProcessor):
    """The only processor of the pipeline's provider: filter, sample, enrich, admit, then the SDK's batch processor.

    A stage that raises is counted and skipped: the record goes on without it. Nothing reaches the caller.
    """

    def __init__(
        self, stages: Stages, admission: Admission, batch: LogRecordProcessor, ledger: Ledger, notices: Notices
    ) -> None:
        self.stages = stages
        self._enabled = stages.enabled
        self._deciders = (
            *((name, keeps, False) for name, keeps in stages.filters),
            *((name, keeps, True) for name, keeps in stages.samplers),
        )
        self._enrichers = tuple(stages.enrichers)
        self._admission = admission
        self._batch = batch
        self._ledger = ledger
        self._notices = notices
        self.resource = Resource.get_empty()
        self.later = Later(self._take_late)
        self.later.hurry(on=stages.on_callers_thread)
        self.closed = self.sealed = self.ended = False
        """Closed lets in the calls that were inside already; sealed, a second later, does not; at last all is over."""
        self.wake: Callable[[], object] = _nothing
        self.flush: Callable[[float], bool] = _nothing_to_flush
        self.close: Callable[[], object] = _nothing
        self._deferred: tuple[int, Callable[[], object]] | None = None

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take one record, from any thread; counted in at the start and out at the end."""
        if inside_pipeline():
            self._ledger.suppressed_self_logs.one()
        else:
            self._take(log_record, self.wake)

    def _take(self, log_record: ReadWriteLogRecord, then: Callable[[], object]) -> None:
        """Take it, and call `then` once it is queued."""
        self._ledger.emitted.one()
        try:
            record = self._staged(log_record)
            if record is not None and self._admission.admit(record):
                self._enqueue(record, then)
        except Exception as error:
            self._lose(error)
        finally:
            self._ledger.settled.one()
            if self._deferred is not None:
                self._run_deferred(*self._deferred)

    def _take_late(self, make: Make) -> None:
        record = self.made(make)
        if record is not None:
            self._take(record, _nothing)

    def made(self, make: Make) -> Record | None:
        """The record that `make` makes; one whose making is interrupted, by Ctrl-C say, is counted as dropped."""
        try:
            return make()
        except BaseException:
            self._ledger.emitted.one()
            self._ledger.dropped.add("interrupted")
            self._ledger.settled.one()
            raise

    def count_self_log(self) -> None:
        """Count a record that was suppressed on its way here."""
        self._ledger.suppressed_self_logs.one()

    def _staged(self, log_record: ReadWriteLogRecord) -> Record | None:
        """The record as the stages leave it; None when it has to go, which is counted."""
        if self.closed:
            self._ledger.dropped.add("after_shutdown")
            return None
        record = log_record if isinstance(log_record, Record) else Record.from_sdk(log_record)
        try:
            kept = self._run_stages(record)
        except BaseException:  # Ctrl-C in a stage: it is the caller's, and the record goes with it
            self._ledger.dropped.add("interrupted")
            raise
        if kept and self.sealed:
            self._ledger.dropped.add("after_shutdown")
            return None
        record.resource = self.resource
        return record if kept else None

    def _run_stages(self, record: Record) -> bool:
        """Whether the record is kept; one that is not is counted."""
        for name, keeps, samples in self._deciders:
            try:
                if keeps(record):
                    continue
            except OWN_FAILURES as error:
                self._stage_failed(name, error)
                continue
            (self._ledger.sampled_out if samples else self._ledger.filtered).one()
            return False
        for name, enrich in self._enrichers:
            try:
                enrich(record)
            except OWN_FAILURES as error:
                self._stage_failed(name, error)
        return True

    def _enqueue(self, record: Record, then: Callable[[], object]) -> None:
        """Hand it to the SDK's queue. A Ctrl-C in there leaves it counted as queued, until the shutdown settles it."""
        try:
            self._batch.on_emit(record)
        except Exception:
            self._admission.release(1, record.weight)
            raise
        then()
        if self.ended:  # the shutdown ran while this call stood still: in a signal handler, say
            self._admission.write_off("after_shutdown")

    def _lose(self, error: Exception) -> None:
        self._ledger.dropped.add("pipeline_error")
        self._notices.say("pipeline", f"a record could not be taken: {type(error).__name__}")

    def calls_under(self, frame: FrameType | None) -> int:
        """How many records the caller is taking, in a signal handler: to wait for them would be in vain."""
        return calls_under(frame, RootProcessor._take, self)

    def defer(self, frame: FrameType | None, then: Callable[[], object]) -> bool:
        """Have `then` called when the emit that `frame` stands in is over, on this thread; False if it is in none."""
        if not self.calls_under(frame):
            return False
        self._deferred = (threading.get_ident(), then)
        return True

    def _run_deferred(self, thread: int, then: Callable[[], object]) -> None:
        own = inspect.currentframe()
        if thread == threading.get_ident() and self.calls_under(own) == 1:  # the call that is ending
            self._deferred = None
            then()

    def _stage_failed(self, name: str, error: BaseException) -> None:
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
        """Whether a record of this scope and severity would pass the filters: https://opentelemetry.io/docs/specs/otel/logs/sdk/#enabled-1."""
        del context, event_name
        if self.closed:
            return False
        scope = None if instrumentation_scope is None else instrumentation_scope.name
        try:
            return self._enabled(scope, 0 if severity_number is None else severity_number.value)
        except Exception as error:
            self._stage_failed("filter", error)
            return True

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the whole pipeline, as whoever calls this on the provider expects."""
        return self.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Shut the whole pipeline down, within its own time."""
        self.close()


def _nothing() -> None:
    """Until the pipeline is put together."""


def _nothing_to_flush(timeout: float) -> bool:
    del timeout
    return True
