"""The pipeline from a log call to the exporters: stages, guards, counts, isolation (R3.1, R3.2, R13.1)."""

from __future__ import annotations

import io
import json
import threading
import time
import warnings
from asyncio import CancelledError
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest
from opentelemetry._logs import LogRecord, NoOpLogger, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    ConsoleLogRecordExporter,
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
)
from opentelemetry.sdk.resources import Resource

from logspan.binding import bind
from logspan.clock import SystemClock
from logspan.delivery.admission import Admission, QueueBound
from logspan.delivery.intake import Intake
from logspan.errors import UnknownExporterError
from logspan.ledger import Ledger
from logspan.notices import Notices
from logspan.outcome import Delivered, DeliveringExporter, Outcome
from logspan.pipeline import Pipeline, UnredactedProcessorWarning
from logspan.record import Record
from logspan.root import RootProcessor, Stages
from logspan.testing import InMemoryExporter
from tests.core.conftest import Build
from tests.core.support import attributes_of, bodies, built, log, record


def stock_memory() -> InMemoryLogRecordExporter:
    """The SDK's own."""
    return InMemoryLogRecordExporter()


def logspan_threads() -> list[str]:
    """Those of pipelines, the SDK's included."""
    names = ("logspan-delivery", "logspan-outlet", "logspan-spool", "OtelBatchLog")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]


def threads_left() -> list[str]:
    """Those that do not end: another test's may need a moment to see that they were let go."""
    deadline = time.monotonic() + 20
    while (left := logspan_threads()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def test_a_record_arrives_as_it_was_logged(build: Build) -> None:
    """One record, one copy at each exporter, with the pipeline's resource; both equations hold."""
    one, other = InMemoryExporter(), InMemoryExporter()
    pipeline = build(one=one, other=other)
    log(pipeline, {"order": 1}, key=[1, "a"])
    assert pipeline.flush(30)
    for exporter in (one, other):
        (item,) = exporter.records()
        assert item.log_record.body == {"order": 1}
        assert attributes_of(item) == {"key": [1, "a"]}
        assert item.resource is pipeline.resource
        assert item.instrumentation_scope is not None
        assert item.instrumentation_scope.name == "app"
    snapshot = pipeline.ledger.snapshot()
    assert snapshot.balanced
    assert (snapshot.emitted, snapshot.fanned_out, snapshot.queued) == (1, 1, 0)
    assert {name: counts.delivered for name, counts in snapshot.exporters.items()} == {"one": 1, "other": 1}


def test_the_order_of_records_is_kept_for_each_exporter(build: Build) -> None:
    """Also across batches, and when a batch has to be sent again."""
    steady, shaky = InMemoryExporter(), stock_memory()
    pipeline = build(settings={"sending_queue": {"max_export_batch_size": 7}}, steady=steady, shaky=shaky)
    for number in range(1_000):
        log(pipeline, number)
    assert pipeline.flush(30)
    assert bodies(steady.records()) == list(range(1_000))
    assert bodies(shaky.get_finished_logs()) == list(range(1_000))
    assert max(len(batch) for batch in steady.batches()) == 7


def test_the_plain_api_is_enough(build: Build) -> None:
    """What an application emits through the OTel API is cleaned, redacted and counted like our own records."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    logger = pipeline.logger_provider.get_logger("api", "1.0")
    logger.emit(
        body="from the api", severity_number=SeverityNumber.WARN, attributes={"password": "hunter2", "n": (1, 2)}
    )
    logger.emit(LogRecord(body={"nested": {"token": "abc"}}, event_name="happened"))
    assert pipeline.flush(30)
    first, second = memory.records()
    assert type(first.log_record) is Record
    assert attributes_of(first) == {"password": "[REDACTED:password]", "n": [1, 2]}
    assert second.log_record.body == {"nested": {"token": "[REDACTED:token]"}}
    assert second.log_record.event_name == "happened"
    assert pipeline.ledger.snapshot().emitted == 2


def test_hostile_neighbours_do_not_matter(build: Build) -> None:
    """A record that is hard to write costs nobody else anything (fault 32)."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    log(pipeline, "before")
    log(pipeline, "\ud800" * 1_000_000, nul="\0", nested=[[[object()]]], nan={"\udfff": float("nan")})
    log(pipeline, "after")
    assert pipeline.flush(30)  # a busy machine redacts a megabyte in more than the five seconds of a flush
    sent = bodies(memory.records())
    assert (sent[0], sent[2], len(sent)) == ("before", "after", 3)
    sent[1].encode()


def test_what_is_bound_is_on_the_record_and_the_call_wins(build: Build) -> None:
    """Bound when the call was made, not when it is delivered."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    with bind(user=1, order=2):
        log(pipeline, order=3)
    log(pipeline)
    assert pipeline.flush(30)
    assert [attributes_of(item) for item in memory.records()] == [{"order": 3, "user": 1}, {}]


def test_filtered_and_sampled_records_are_counted(build: Build) -> None:
    """What is dropped on purpose has a term of its own."""
    memory = InMemoryExporter()
    settings = {"level": "WARNING", "sampling": {"sampling_percentage": 0}}
    pipeline = build(settings=settings, mem=memory)
    log(pipeline, "filtered")
    traced = record("sampled out", severity=17)
    traced.trace_id = 5
    pipeline.logger_provider.get_logger("app").emit(traced)
    log(pipeline, "kept", severity=SeverityNumber.ERROR)
    assert pipeline.flush(30)
    snapshot = pipeline.ledger.snapshot()
    assert (snapshot.filtered, snapshot.sampled_out, snapshot.fanned_out) == (1, 1, 1)
    assert snapshot.balanced
    assert bodies(memory.records()) == ["kept"]


# ---------------------------------------------------------------------------------- stages that fail


class Batch(LogRecordProcessor):
    """Stands where the SDK's queue stands."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.records: list[ReadWriteLogRecord] = []
        self.error = error

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        if self.error is not None:
            raise self.error
        self.records.append(log_record)

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def root_with(stages: Stages, batch: Batch | None = None, size: int = 10) -> tuple[RootProcessor, Ledger, Batch]:
    """A root processor with stages of the test's own."""
    ledger, batch = Ledger(), batch or Batch()
    bound = QueueBound(max_queue_size=size, overflow="drop_newest")
    admission = Admission(bound, ledger, Intake().drop_oldest, SystemClock())
    return RootProcessor(stages, admission, batch, ledger, Notices(lambda: None)), ledger, batch


def raising(error: BaseException) -> Any:
    """A stage that does."""

    def stage(_: Record) -> NoReturn:
        raise error

    return stage


def test_a_stage_that_raises_is_skipped_and_counted() -> None:
    """Filter, sampler, enricher: the record goes on without it, and the caller hears nothing (fault 29)."""
    stages = Stages(
        filters=[("filter", raising(KeyError("x"))), ("second", lambda _: True)],
        samplers=[("sample", raising(ValueError("x")))],
        enrichers=[
            ("enrich", raising(RecursionError("x"))),
            ("good", lambda made: made.attributes.update(good=True)),
        ],
    )
    root, ledger, batch = root_with(stages)
    root.on_emit(record())
    assert ledger.snapshot().processor_errors == {"enrich": 1, "filter": 1, "sample": 1}
    assert len(batch.records) == 1
    assert batch.records[0].log_record.attributes == {"good": True}
    assert ledger.snapshot().balanced


@pytest.mark.parametrize("kind", [CancelledError, GeneratorExit])
@pytest.mark.parametrize("where", ["filters", "samplers", "enrichers"])
def test_what_would_cancel_the_caller_is_a_failure_of_the_stage(kind: type[BaseException], where: str) -> None:
    """A plain function has raised it by itself: the stage is skipped, and the record goes its way."""

    def stage(_: Record) -> bool:
        raise kind

    stages: dict[str, Any] = {where: [("stage", stage)]}
    root, ledger, batch = root_with(Stages(**stages))
    root.on_emit(record())
    assert (ledger.snapshot().processor_errors, len(batch.records)) == ({"stage": 1}, 1)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["filters", "samplers", "enrichers"])
def test_an_interrupt_in_a_stage_is_the_callers(kind: type[BaseException], where: str) -> None:
    """Ctrl-C passes through; the record that it cost is counted, and the next one goes its way."""
    interrupts = [kind()]

    def stage(_: Record) -> bool:
        if interrupts:
            raise interrupts.pop()
        return True

    stages: dict[str, Any] = {where: [("stage", stage)]}
    root, ledger, batch = root_with(Stages(**stages))
    with pytest.raises(kind):
        root.on_emit(record())
    root.on_emit(record())
    snapshot = ledger.snapshot()
    assert snapshot.dropped == {"interrupted": 1}
    assert (snapshot.emitted, snapshot.queued, len(batch.records)) == (2, 1, 1)
    assert snapshot.balanced
    assert ledger.settled.value() == 2


def test_a_queue_that_raises_gives_the_place_back() -> None:
    """Otherwise the bound would shrink with each failure; the record is counted."""
    root, ledger, batch = root_with(Stages(), Batch(MemoryError()), size=1)
    for _ in range(5):
        root.on_emit(record())
    assert ledger.snapshot().dropped == {"pipeline_error": 5}
    batch.error = None
    root.on_emit(record())
    assert ledger.snapshot().queued == 1
    assert ledger.snapshot().balanced


def test_a_record_that_cannot_be_taken_is_counted() -> None:
    """Something that is no record at all, given to `on_emit`."""
    root, ledger, _ = root_with(Stages())
    root.on_emit(object())  # type: ignore[arg-type]
    assert ledger.snapshot().dropped == {"pipeline_error": 1}
    assert ledger.snapshot().balanced


def test_logging_at_the_end_of_the_stack_leaves_the_ledger_right(build: Build) -> None:
    """Each frame of an endless recursion logs on its way out; only where there is no room left it cannot."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    logger = pipeline.logger_provider.get_logger("app")
    made = [record(number) for number in range(3_000)]
    refused = []

    def fall(depth: int) -> None:
        try:
            fall(depth + 1)
        finally:
            try:
                logger.emit(made[depth])
            except RecursionError:
                refused.append(depth)

    with pytest.raises(RecursionError):
        fall(0)
    assert pipeline.flush(30)
    snapshot = pipeline.ledger.snapshot()
    assert snapshot.queued <= 1
    assert len(refused) <= 10
    assert len(memory.records()) > 500
    log(pipeline, "afterwards")
    assert pipeline.flush(30)
    assert bodies(memory.records())[-1] == "afterwards"


class Redactor:
    """One that fails on some records."""

    def __call__(self, made: Record) -> None:
        if made.body == "secret":
            raise ValueError(made.body)


def test_a_redactor_that_fails_drops_the_record(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the raw text: it fails closed, and the loss is counted (fault 30)."""
    monkeypatch.setattr("logspan.assemble._processors", lambda *_: [("redact", Redactor())])
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    for body in ("before", "secret", "after"):
        log(pipeline, body)
    pipeline.flush(30)
    snapshot = pipeline.ledger.snapshot()
    assert bodies(memory.records()) == ["before", "after"]
    assert snapshot.dropped == {"redact_failed": 1}
    assert snapshot.processor_errors == {"redact": 1}
    assert snapshot.balanced


# ---------------------------------------------------------------------------------- the provider


def test_the_provider_is_the_sdks(build: Build) -> None:
    """Whoever expects a LoggerProvider of the SDK has one, with the pipeline's resource."""
    pipeline = build(mem=InMemoryExporter())
    provider = pipeline.logger_provider
    assert isinstance(provider, LoggerProvider)
    assert provider.resource is pipeline.resource
    logger = provider.get_logger("app")
    assert provider.get_logger("app") is logger
    assert provider.get_logger("app", "1.0") is not logger
    assert logger.enabled(severity_number=SeverityNumber.INFO)
    assert not isinstance(logger, NoOpLogger)


def test_flush_and_shutdown_through_the_provider(build: Build) -> None:
    """The SDK's own calls reach the whole pipeline, also when nobody holds the pipeline itself."""
    memory = InMemoryExporter()
    provider = build(mem=memory).logger_provider
    provider.get_logger("app").emit(record("x"))
    assert provider.force_flush(30_000)
    assert bodies(memory.records()) == ["x"]
    provider.shutdown()
    assert memory.is_shut_down


def test_a_provider_keeps_its_pipeline_alive() -> None:
    """`provider = build_pipeline().logger_provider` is enough to flush and shut down."""
    import gc

    memory = InMemoryExporter()
    provider = built({"mem": memory}).logger_provider
    gc.collect()
    provider.get_logger("app").emit(record("x"))
    assert provider.force_flush(30_000)
    assert len(memory.records()) == 1
    provider.shutdown()
    assert memory.is_shut_down


def test_a_logger_asked_for_while_one_is_made_does_not_hang(build: Build) -> None:
    """A signal handler or `__del__` that logs inside of `get_logger` meets the SDK's plain locks: it must not wait."""
    memory = InMemoryExporter()
    pipeline = build(mem=memory)
    provider = pipeline.logger_provider
    seen: list[str] = []

    class Name(str):
        """Asks for another logger while the SDK looks for this one, under its lock."""

        __slots__ = ()

        def __hash__(self) -> int:
            if not seen:
                seen.append("busy")
                provider.get_logger("inner").emit(record("from inside"))
            return super().__hash__()

        __eq__ = str.__eq__

    provider.get_logger("x", Name("version")).emit(record("from outside"))
    assert seen
    assert pipeline.flush(30)
    assert sorted(bodies(memory.records())) == ["from inside", "from outside"]
    again = provider.get_logger("inner")
    assert again.instrumentation_scope.name == "inner"  # type: ignore[attr-defined]


def test_a_processor_that_a_user_adds_warns(build: Build) -> None:
    """It sees what redaction has not seen yet."""
    pipeline = build(mem=InMemoryExporter())
    added = Batch()
    with pytest.warns(UnredactedProcessorWarning, match="Batch sees records before they are redacted"):
        pipeline.logger_provider.add_log_record_processor(added)
    log(pipeline, "x", password="y")
    assert pipeline.flush(30)
    assert len(added.records) == 1


# ---------------------------------------------------------------------------------- exporters of others


def test_the_stock_console_exporter_works(build: Build) -> None:
    """Any LogRecordExporter of the SDK gets records that it can read."""
    out = io.StringIO()
    pipeline = build(console=ConsoleLogRecordExporter(out=out))
    log(pipeline, "hello", n=1)
    assert pipeline.flush(30)
    shown = json.loads(out.getvalue())
    assert (shown["body"], shown["attributes"], shown["severity_text"]) == ("hello", {"n": 1}, "INFO")


def test_the_stock_in_memory_exporter_works(build: Build) -> None:
    """The same for the one that tests use."""
    memory = stock_memory()
    pipeline = build(mem=memory)
    log(pipeline, "hello")
    assert pipeline.flush(30)
    (item,) = memory.get_finished_logs()
    assert item.log_record.body == "hello"
    assert item.resource.attributes["service.name"] == "test"


# ---------------------------------------------------------------------------------- feedback


class LogsWhileExporting(DeliveringExporter):
    """Logs through the pipeline that it is part of, as an HTTP client under DEBUG does."""

    def __init__(self) -> None:
        self.pipeline: Pipeline | None = None
        self.batches = 0

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        self.batches += 1
        assert self.pipeline is not None
        log(self.pipeline, "sending")
        return Delivered()

    def shutdown(self) -> None:
        assert self.pipeline is not None
        log(self.pipeline, "bye")


def test_what_an_exporter_logs_does_not_feed_itself(build: Build) -> None:
    """It is dropped and counted, or each delivery would cause the next (fault 33)."""
    exporter = LogsWhileExporting()
    pipeline = exporter.pipeline = build(mem=exporter)
    log(pipeline, "one")
    assert pipeline.flush(30)
    report = pipeline.shutdown()
    assert exporter.batches == 1
    assert report.ledger.emitted == 1
    assert report.ledger.suppressed_self_logs == 2
    assert report.ledger.balanced


class FlushesWhileExporting(InMemoryExporter):
    """Asks its own pipeline to flush, and to shut down."""

    pipeline: Pipeline

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        assert not self.pipeline.flush(60)
        assert not self.pipeline.shutdown(60).complete
        return super().deliver(batch, timeout)


def test_the_pipelines_own_threads_do_not_wait_for_themselves(build: Build) -> None:
    """Flush and shutdown from inside an exporter come back at once, saying no."""
    exporter = FlushesWhileExporting()
    pipeline = exporter.pipeline = build(mem=exporter)
    log(pipeline)
    assert pipeline.flush(20)
    assert len(exporter.records()) == 1


# ---------------------------------------------------------------------------------- isolation


def test_two_pipelines_do_not_touch(build: Build) -> None:
    """Each has its own records, counts, level and end."""
    one, other = InMemoryExporter(), InMemoryExporter()
    first, second = build(mem=one), build(settings={"level": "ERROR"}, mem=other)
    for pipeline in (first, second):
        log(pipeline, "info")
        log(pipeline, "error", severity=SeverityNumber.ERROR)
        assert pipeline.flush(30)
    assert bodies(one.records()) == ["info", "error"]
    assert bodies(other.records()) == ["error"]
    assert first.shutdown().complete
    log(second, "still", severity=SeverityNumber.ERROR)
    assert second.flush(30)
    assert bodies(other.records()) == ["error", "still"]
    assert first.resource.attributes["service.instance.id"] != second.resource.attributes["service.instance.id"]


def test_building_touches_nothing_global() -> None:
    """No handler, no OTel global, no hook; after shutdown no thread (R13.1)."""
    import atexit
    import logging
    import sys

    from opentelemetry._logs import get_logger_provider

    assert threads_left() == []
    before = (list(logging.root.handlers), sys.excepthook, get_logger_provider(), atexit._ncallbacks())
    pipeline = built({"mem": InMemoryExporter()})
    assert len(logspan_threads()) == 3
    after = (list(logging.root.handlers), sys.excepthook, get_logger_provider(), atexit._ncallbacks())
    assert after == before
    pipeline.shutdown()
    assert threads_left() == []


def test_a_pipeline_that_cannot_be_built_leaves_no_thread() -> None:
    """An unknown exporter is an error at the start, and nothing is left behind."""
    with pytest.raises(UnknownExporterError):
        from logspan.assemble import build_pipeline
        from logspan.settings import Settings

        build_pipeline(Settings(service_name="test", exporters=["no such exporter"]))
    assert threads_left() == []


def test_exporters_in_a_sequence_are_named_by_their_class() -> None:
    """Numbered when there are several of one class."""
    from logspan.assemble import build_pipeline
    from logspan.settings import Settings

    exporters = [InMemoryExporter(), stock_memory(), InMemoryExporter()]
    pipeline = build_pipeline(Settings(service_name="test"), exporters=exporters)
    assert list(pipeline.ledger.snapshot().exporters) == [
        "InMemoryExporter",
        "InMemoryLogRecordExporter",
        "InMemoryExporter-2",
    ]
    pipeline.shutdown()


def test_the_resource_says_who_speaks(build: Build) -> None:
    """What is configured comes first, also when it is configured as a resource attribute."""
    settings = {
        "service_namespace": "shop",
        "service_version": "1.2",
        "deployment_environment_name": "prod",
        "resource_attributes": {"team": "a", "service.instance.id": "seven"},
    }
    attributes = build(settings=settings, mem=InMemoryExporter()).resource.attributes
    expected = {
        "service.name": "test",
        "service.namespace": "shop",
        "service.version": "1.2",
        "service.instance.id": "seven",
        "deployment.environment.name": "prod",
        "team": "a",
    }
    assert {key: attributes[key] for key in expected} == expected
    assert "process.pid" in attributes


# ---------------------------------------------------------------------------------- health


class Broken(LogRecordExporter):
    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        raise OSError("no route")

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def test_health_names_the_causes(build: Build) -> None:
    """All delivered: ok. One exporter in trouble: degraded. All of them: failing; with the causes."""
    good, broken = build(mem=InMemoryExporter()), build(broken=Broken())
    mixed = build(mem=InMemoryExporter(), broken=Broken())
    for pipeline in (good, broken, mixed):
        assert pipeline.health().status == "ok"
        log(pipeline)
        pipeline.flush(30)
    assert good.health().status == "ok"
    assert mixed.health().status == "degraded"
    assert broken.health().status == "failing"
    assert any("broken: exporter_error OSError" in cause for cause in mixed.health().causes)
    assert good.shutdown().complete
    assert good.health().status == "ok"


def test_no_warning_and_no_output_in_the_ordinary_course(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    """A pipeline that works says nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = build(mem=InMemoryExporter())
        for number in range(100):
            log(pipeline, number)
        assert pipeline.flush(30)
        pipeline.shutdown()
    assert capfd.readouterr() == ("", "")


def test_a_batch_processor_of_the_sdk_beside_the_pipeline(build: Build) -> None:
    """Whoever wants the stock way as well may add it; the records are then seen by both."""
    memory, stock = InMemoryExporter(), stock_memory()
    pipeline = build(mem=memory)
    with pytest.warns(UnredactedProcessorWarning):
        pipeline.logger_provider.add_log_record_processor(BatchLogRecordProcessor(stock))
    log(pipeline, "x")
    assert pipeline.logger_provider.force_flush()
    assert bodies(memory.records()) == bodies(stock.get_finished_logs()) == ["x"]
    pipeline.logger_provider.shutdown()


def test_a_record_without_scope_or_resource_is_taken(build: Build) -> None:
    """The filter, the processors and the exporters all cope."""
    memory = InMemoryExporter()
    pipeline = build(settings={"filter": {"excluded_scopes": ["x"]}}, mem=memory)
    made = Record(None, SeverityNumber.INFO, "INFO", "x", {})
    pipeline.logger_provider.get_logger("app").emit(made)
    assert pipeline.flush(30)
    assert isinstance(memory.records()[0].resource, Resource)


def test_a_scope_is_redacted_once_for_all_its_records(build: Build) -> None:
    """R7.1: a logger's name and attributes stand on each of its records; with redaction off they stay as they are."""
    dsn, attributes = "pool.redis://:s3cr3t-pw@cache:6379", {"password": "hunter2", "region": "eu"}
    memory, raw = InMemoryExporter(), InMemoryExporter()
    redacting, plain = build(memory=memory), build(raw=raw, settings={"redaction": {"enabled": False}})
    for pipeline in (redacting, plain):
        logger = pipeline.logger_provider.get_logger(dsn, attributes=attributes)
        logger.emit(body="one", severity_number=SeverityNumber.INFO)
        assert pipeline.flush(30)
    scope, as_given = (exporter.records()[0].instrumentation_scope for exporter in (memory, raw))
    assert scope is not None
    assert as_given is not None
    assert "s3cr3t-pw" not in scope.name
    assert scope.name.startswith("pool.redis://")
    assert scope.attributes == {"password": "[REDACTED:password]", "region": "eu"}
    assert (as_given.name, as_given.attributes) == (dsn, attributes)


def test_a_scope_that_cannot_be_redacted_says_nothing(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails closed: the records go on, under another name, and the caller notices nothing."""

    def fail(redactor: object, text: str) -> str:
        raise RuntimeError(text)

    memory = InMemoryExporter()
    pipeline = build(memory=memory)
    with monkeypatch.context() as patched:
        patched.setattr("logspan.processors.redact.Redactor.text", fail)
        logger = pipeline.logger_provider.get_logger("secret", attributes={"password": "hunter2"})
    logger.emit(body="one", severity_number=SeverityNumber.INFO)
    assert pipeline.flush(30)
    (scope,) = {record.instrumentation_scope for record in memory.records()}
    assert scope is not None
    assert (scope.name, dict(scope.attributes or {})) == ("redaction_failed", {})
