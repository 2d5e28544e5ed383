"""The composition root: reads top to bottom as a record travels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.util.types import AnyValue

from logspan.clock import Clock, SystemClock
from logspan.delivery.account import Account
from logspan.delivery.admission import OVERDRAFT, Admission, QueueBound
from logspan.delivery.delivery import Delivery
from logspan.delivery.intake import Intake
from logspan.delivery.outlet import Outlet, OutletConfig
from logspan.delivery.retry import BreakerPolicy, RetryPolicy
from logspan.delivery.sending_queue import SendingQueueConfig
from logspan.delivery.transit import SpoolPolicy
from logspan.delivery.worker import Decider, DeliveryWorker, Pace, Processor, WorkerStages
from logspan.errors import SettingsError
from logspan.expressions import pattern_set
from logspan.ledger import Ledger
from logspan.notices import Notices
from logspan.pipeline import Pipeline
from logspan.plugins import create_detectors, create_enricher, create_exporter
from logspan.processors.enrich import (
    BaggageEnricher,
    Enrichers,
    EnrichParts,
    OwnEnrichers,
    enrich_bound,
    enrich_request,
    enrich_user,
    leave_out_code_location,
    named_enrichers,
)
from logspan.processors.filter import AttributeFilter, Lists, RecordFilter, SeverityFilter
from logspan.processors.limit import Limiter
from logspan.processors.redact import Redactor
from logspan.processors.sample import TraceIdSampler
from logspan.record import Record, severity_named
from logspan.resource import build_resource, redacted_resource, resource_of_child
from logspan.resource.detection import detect
from logspan.root import RootProcessor, Stages
from logspan.settings import Settings, given_settings
from logspan.spool import Spool, SpoolConfig, why_unusable
from logspan.usage import UsageSampler

if TYPE_CHECKING:
    from logspan.settings import FileStorageSettings, FilterSettings, QueueSettings

Exporters = Mapping[str, LogRecordExporter] | Sequence[LogRecordExporter]

_LOCAL = frozenset({"console", "file"})
_HOUR_MS = 3_600_000
_SDK_SLACK = 2 * OVERDRAFT


def build_pipeline(
    settings: Settings | None = None,
    *,
    exporters: Exporters | None = None,
    enrichers: Enrichers = (),
    clock: Clock | None = None,
) -> Pipeline:
    """Build a pipeline and start its workers. Touches nothing global.

    `exporters` stand in for those that the settings name; in a sequence each goes by the name of its class. `enrichers`
    run after those that the settings name. Raises `SettingsError` for settings that are wrong, and
    `UnknownPluginError` (`UnknownExporterError` for an exporter) for a name that nobody registered.
    """
    settings = given_settings(settings)
    clock = clock or SystemClock()
    ledger, notices = Ledger(), Notices()
    _check_spool(settings.file_storage, notices)
    own = _own_enrichers(settings, enrichers, ledger, notices)
    usage = UsageSampler(settings.enrich.snapshot_interval, clock, count=ledger.count_error, say=notices.say)
    named, stages, redactor = _exporters(settings, exporters), _stages(settings, usage, own), _redactor(settings)
    detected = _detected(settings, ledger, notices)

    bound = _queue_bound(settings.queue)
    intake = Intake(bound.protected_severity)
    admission = Admission(bound, ledger, intake.drop_oldest, clock)
    batch = _batch_processor(intake, settings.queue.max_queue_size)
    root = RootProcessor(stages, admission, batch, ledger, notices)

    outlets = [
        _outlet(exporter, Account(name, ledger.exporter(name), notices), settings, clock)
        for name, exporter in named.items()
    ]
    worker = DeliveryWorker(
        _pull(root, batch),
        intake,
        admission,
        WorkerStages(_record_filter(settings.filter), _processors(settings, redactor, ledger)),
        outlets,
        ledger,
        pace=Pace(settings.queue.schedule_delay, settings.stall_timeout),
        clock=clock,
        notices=notices,
    )
    return Pipeline(
        root=root,
        enrichers=EnrichParts(own, usage if settings.enrich.snapshot else None),
        delivery=Delivery(admission, batch, intake, worker, outlets, ledger, clock, notices),
        ledger=ledger,
        clock=clock,
        resource=_resource(settings, detected, redactor),
        resource_of_child=lambda parent: resource_of_child(parent, settings, detected),
        shutdown_timeout=settings.shutdown_timeout,
        redactor=redactor,
    )


def _own_enrichers(settings: Settings, given: Enrichers, ledger: Ledger, notices: Notices) -> OwnEnrichers:
    """The enrichers that are not ours: those of packages, then those of the application."""
    registered = [create_enricher(name, settings) for name in settings.enrich.enrichers]
    return OwnEnrichers(
        named_enrichers([*registered, *named_enrichers(given)]),
        budget=settings.enrich.budget,
        failure_threshold=settings.enrich.failure_threshold,
        count=ledger.count_error,
        say=notices.say,
    )


def _stages(settings: Settings, usage: UsageSampler, own: OwnEnrichers) -> Stages:
    """What runs before the queue; a stage that would change nothing is left out."""
    severity = _filter(settings.level, settings.filter)
    sampling = settings.sampling
    samplers = [("sample", TraceIdSampler(sampling.sampling_percentage, sampling.hash_seed))]
    enrich = settings.enrich
    enrichers: list[tuple[str, Callable[[Record], None], bool]] = [
        ("user", enrich_user, enrich.request_identity),
        ("bound", enrich_bound, enrich.bound_context),
        ("request", enrich_request, enrich.request_identity),
        ("baggage", BaggageEnricher(enrich.baggage), bool(enrich.baggage)),
        ("code", leave_out_code_location, not enrich.code_location),
        ("usage", usage, enrich.snapshot),
        ("enrichers", own, own.any),
    ]
    return Stages(
        filters=[("filter", severity)],
        samplers=samplers if sampling.sampling_percentage < 100 else [],
        enrichers=[(name, enrich) for name, enrich, wanted in enrichers if wanted],
        enabled=severity.enabled,
        on_callers_thread=own.any or bool(enrich.baggage) or settings.queue.overflow == "block",
    )


def _filter(level: str, settings: FilterSettings) -> SeverityFilter:
    return SeverityFilter(
        severity_named(level),
        settings.excluded_scopes,
        {scope: severity_named(least) for scope, least in settings.scope_levels.items()},
        included_scopes=settings.included_scopes,
        excluded_levels=[severity_named(excluded) for excluded in settings.excluded_levels],
    )


def _record_filter(settings: FilterSettings) -> list[tuple[str, Decider]]:
    """What has to read a record runs on the delivery worker; left out where there is nothing to look for."""
    body = _lists(settings.included_bodies, settings.excluded_bodies)
    keys = {**settings.included_by_attribute, **settings.excluded_by_attribute}
    by_attribute = {
        key: _lists(_patterns(settings.included_by_attribute, key), _patterns(settings.excluded_by_attribute, key))
        for key in keys
    }
    wanted = body != Lists() or by_attribute
    return [("filter", RecordFilter(body, by_attribute))] if wanted else []


def _patterns(by_attribute: Mapping[str, str], key: str) -> list[str]:
    return [by_attribute[key]] if key in by_attribute else []


def _lists(included: Sequence[str], excluded: Sequence[str]) -> Lists:
    return Lists(
        pattern_set(tuple(included)) if included else None,
        pattern_set(tuple(excluded)) if excluded else None,
    )


def _batch_processor(intake: Intake, max_queue_size: int) -> BatchLogRecordProcessor:
    """The SDK's async queue, sized above our bound: it never drops, and its callers never wake its thread."""
    size = max_queue_size + _SDK_SLACK
    return BatchLogRecordProcessor(
        intake,
        schedule_delay_millis=_HOUR_MS,
        max_export_batch_size=size,
        max_queue_size=size,
        meter_provider=NoOpMeterProvider(),
    )


def _pull(root: RootProcessor, batch: BatchLogRecordProcessor) -> Callable[[], None]:
    """How the worker comes by what there is: first what it is left to make, so that this is among the rest."""

    def pull() -> None:
        root.later.catch_up()
        batch.force_flush()

    return pull


def _redactor(settings: Settings) -> Redactor | None:
    return Redactor.from_settings(settings.redaction) if settings.redaction.enabled else None


def _detected(settings: Settings, ledger: Ledger, notices: Notices) -> Mapping[str, AnyValue]:
    """Where the process runs; a detector that fails is counted and said."""
    detection = detect(create_detectors(settings), settings.resource.timeout)
    for name, problem in detection.problems.items():
        ledger.count_error(f"detector:{name}")
        notices.say(f"detector:{name}", f"resource detector {name!r} {problem}: what it would have found is missing")
    return detection.attributes


def _resource(settings: Settings, detected: Mapping[str, AnyValue], redactor: Redactor | None) -> Resource:
    """Redacted once, here, for all that carries it: records, spans, metrics."""
    resource = build_resource(settings, detected)
    return resource if redactor is None else redacted_resource(resource, redactor.attributes)


def _processors(settings: Settings, redactor: Redactor | None, ledger: Ledger) -> list[tuple[str, Processor]]:
    """What changes records on the delivery worker, each once; what would change nothing is left out."""
    names = settings.filter
    processors: list[tuple[str, Processor]] = []
    if names.included_attributes or names.excluded_attributes:
        processors.append(("attributes", AttributeFilter(names.included_attributes, names.excluded_attributes)))
    if redactor is not None:
        processors.append(("redact", redactor))
    return [*processors, ("limit", Limiter(**settings.limits.model_dump(), cut=ledger.count_cut))]


def _queue_bound(settings: QueueSettings) -> QueueBound:
    return QueueBound(
        max_queue_size=settings.max_queue_size,
        max_queue_bytes=settings.max_queue_bytes,
        overflow=settings.overflow,
        block_timeout=settings.block_timeout,
        high_water_mark=settings.high_water_mark,
        sampling_percentage=settings.sampling_percentage,
        protected_severity=severity_named(settings.protected_severity).value,
    )


def _outlet(exporter: LogRecordExporter, account: Account, settings: Settings, clock: Clock) -> Outlet:
    config = OutletConfig(
        queue=_sending_queue(settings),
        retry=RetryPolicy(**settings.retry_on_failure.model_dump()),
        breaker=BreakerPolicy(**settings.circuit_breaker.model_dump()),
        stall_timeout=settings.stall_timeout,
        spool=_spool_policy(settings),
    )
    return Outlet(exporter, account, config, clock, spool=_spool(account.name, settings.file_storage, clock))


def _spool_policy(settings: Settings) -> SpoolPolicy:
    storage = settings.file_storage
    return SpoolPolicy(
        storage.mode,
        gather=min(settings.sending_queue.schedule_delay, storage.fsync),
        max_age=storage.max_age,
        stall_timeout=settings.stall_timeout,
    )


def _check_spool(settings: FileStorageSettings, notices: Notices) -> None:
    """Before anything is started: whether what is left over could be written down."""
    trouble = None if settings.directory is None else why_unusable(settings.directory)
    if trouble and settings.required:
        raise SettingsError(f"file_storage.directory cannot be used: {trouble} ({settings.directory})")
    if trouble:
        notices.say("spool", f"the spool cannot be used now, delivery goes on without it: {trouble}")


def _spool(name: str, settings: FileStorageSettings, clock: Clock) -> Spool | None:
    """The spool of an exporter; what is written to the console or to a file has no use for one."""
    if settings.directory is None or name in _LOCAL:
        return None
    config = SpoolConfig(settings.directory, settings.max_size, settings.fsync, settings.drop)
    return Spool(name, config, clock=clock)


def _sending_queue(settings: Settings) -> SendingQueueConfig:
    protected = severity_named(settings.queue.protected_severity).value
    return SendingQueueConfig(**settings.sending_queue.model_dump(), protected_severity=protected)


def _exporters(settings: Settings, given: Exporters | None) -> Mapping[str, LogRecordExporter]:
    if given is None:
        return {name: create_exporter(name, settings) for name in settings.effective_exporters()}
    named = given if isinstance(given, Mapping) else _named(given)
    for name, exporter in named.items():
        _check_exporter(name, exporter)
    return named


def _check_exporter(name: str, exporter: object) -> None:
    if not isinstance(exporter, LogRecordExporter):
        kind = type(exporter).__name__
        hint = "; names of exporters go into Settings(exporters=[...])" if isinstance(exporter, str) else ""
        raise SettingsError(f"exporters: {name!r} is a {kind}, which is no opentelemetry LogRecordExporter{hint}")


def _named(exporters: Sequence[LogRecordExporter]) -> Mapping[str, LogRecordExporter]:
    """Each under its class's name, numbered when there are several of a class."""
    named: dict[str, LogRecordExporter] = {}
    for exporter in exporters:
        name = type(exporter).__name__
        number = sum(known.split("-")[0] == name for known in named)
        named[f"{name}-{number + 1}" if number else name] = exporter
    return named
