"""The settings of one pipeline: a frozen tree, `Settings`, and its sections.

The descriptions are the documentation: `python -m logspan.settings.reference` prints the reference page from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from logspan.errors import SettingsError
from logspan.settings.endpoints import LokiSettings, OtlpSettings
from logspan.settings.enrichment import EnrichSettings, ResourceSettings
from logspan.settings.fields import Choice, FilePath, Level, OptionalHeader, broken_rule, each_once
from logspan.settings.loading import LoadedSettings
from logspan.settings.redaction import Expression, RedactionSettings
from logspan.settings.requests import RequestIdSettings, RequestSettings, UserSettings
from logspan.settings.section import Section


class FileSettings(Section):
    """The file exporter: OTLP JSON lines, rotated by size."""

    path: FilePath = Field(
        default=Path("logs/logspan.jsonl"), description="The file; its folder is made when it is missing."
    )
    max_bytes: int = Field(default=104_857_600, gt=0, description="Size at which the file is rotated, in bytes.")
    backup_count: int = Field(default=5, ge=0, description="Rotated files that are kept.")


class ConsoleSettings(Section):
    """The console exporter."""

    format: Annotated[Literal["auto", "pretty", "json"], Choice] = Field(
        default="auto",
        description="`pretty` for people, `json` for one JSON object a line; `auto`: pretty on a terminal.",
    )
    stream: Annotated[Literal["stdout", "stderr"], Choice] = Field(default="stdout", description="Where it writes.")
    color: Annotated[Literal["auto", "always", "never"], Choice] = Field(
        default="auto", description="Colour of the pretty form; `auto`: on a terminal."
    )


class QueueSettings(Section):
    """The queue between the callers and the delivery worker."""

    max_queue_size: int = Field(default=50_000, gt=0, description="Records that wait at most.")
    max_queue_bytes: int = Field(
        default=67_108_864, ge=1_048_576, description="Estimated memory of the records that wait, at most, in bytes."
    )
    schedule_delay: float = Field(
        default=0.02,
        gt=0,
        allow_inf_nan=False,
        description="Time between two looks of the delivery worker, in seconds.",
    )
    overflow: Annotated[Literal["block", "drop_newest", "drop_oldest", "sample"], Choice] = Field(
        default="drop_oldest",
        description="Which record gives way when the queue is full; each one is counted. `block` makes the caller wait "
        "first, `block_timeout` at most (on an event loop and in signal handlers not at all), and then drops the "
        "newest. `sample` thins out records below WARNING from `high_water_mark` on, and then drops the oldest.",
    )
    block_timeout: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="How long a caller waits under `block`, in seconds."
    )
    high_water_mark: float = Field(
        default=0.8, ge=0, le=1, description="How full the queue is when `sample` begins, as a share."
    )
    sampling_percentage: float = Field(
        default=10.0, ge=0, le=100, description="Share that `sample` still takes above the mark, in percent."
    )
    protected_severity: Level = Field(
        default="ERROR", description="Records of this level and above are the last to give way, here and below."
    )


class SendingQueueSettings(Section):
    """The queue in front of each exporter."""

    queue_size: int = Field(default=50_000, gt=0, description="Records that wait at most, for each exporter.")
    queue_bytes: int = Field(
        default=67_108_864,
        ge=1_048_576,
        description="Estimated memory of the records that wait, at most, for each exporter, in bytes.",
    )
    overflow: Annotated[Literal["drop_newest", "drop_oldest"], Choice] = Field(
        default="drop_oldest", description="Which record gives way when an exporter's queue is full; each is counted."
    )
    block_on_overflow: bool = Field(
        default=False,
        description="Have all exporters wait for room in the queue of a slow one instead; the queue before them then "
        "fills up, and its own `overflow` decides.",
    )
    max_export_batch_size: int = Field(default=512, gt=0, description="Records in one batch at most.")
    schedule_delay: float = Field(
        default=0.2,
        gt=0,
        allow_inf_nan=False,
        description="How long a batch waits to fill up, in seconds (`OTEL_BLRP_SCHEDULE_DELAY`: in milliseconds).",
    )


class RetrySettings(Section):
    """Sending again after a failure that may pass, with exponential backoff."""

    enabled: bool = Field(default=True, description="Whether to send again at all.")
    initial_interval: float = Field(
        default=5.0, gt=0, allow_inf_nan=False, description="Wait after the first failure, in seconds."
    )
    multiplier: float = Field(default=1.5, ge=1, allow_inf_nan=False, description="By what the wait grows each time.")
    randomization_factor: float = Field(
        default=0.5, ge=0, le=1, description="Share of the wait that is left to chance."
    )
    max_interval: float = Field(default=30.0, gt=0, allow_inf_nan=False, description="Longest wait, in seconds.")
    max_elapsed_time: float = Field(
        default=300.0,
        ge=0,
        allow_inf_nan=False,
        description="When a batch is given up, in seconds; 0: never, nor with a spool (`file_storage.max_age`).",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_interval < self.initial_interval:
            text = f"max_interval ({self.max_interval:g}) must be at least initial_interval ({self.initial_interval:g})"
            raise broken_rule(text, "max_interval", "initial_interval")
        return self


class BreakerSettings(Section):
    """Sparing a peer that is down: a new batch waits for its turn to probe instead of trying at once."""

    failure_threshold: int = Field(default=5, gt=0, description="Failed attempts in a row that open the circuit.")
    open_interval: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="Time between two probes while it is open, in seconds."
    )


class FileStorageSettings(Section):
    """The spool: a queue on disk for each exporter that sends over a network."""

    directory: FilePath | None = Field(
        default=None, description="Where the spools lie; made with mode 0700 when it is missing. Unset: no spool."
    )
    mode: Annotated[Literal["always", "overflow"], Choice] = Field(
        default="overflow",
        description="`overflow`: what memory cannot hold, or a shutdown leaves behind, goes to disk. `always`: every "
        "record is on disk within `fsync` seconds, before it is sent.",
    )
    max_size: int = Field(
        default=1_073_741_824,
        ge=1_048_576,
        description="Size on disk at most, for each exporter and process, in bytes.",
    )
    fsync: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="Longest time until what was written is on stable storage, in seconds; 0: after each write.",
    )
    drop: Annotated[Literal["oldest", "newest"], Choice] = Field(
        default="oldest", description="Which end gives way when `max_size` is reached; each record is counted."
    )
    required: bool = Field(
        default=False,
        description="Whether start-up fails when the directory cannot be used; else it warns, and delivery goes on "
        "without it until it can be.",
    )
    max_age: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Age at which a batch is given up instead of sent, in seconds by the wall clock, counted as "
        "`spool_expired`. Unset: never, however long the receiver is away.",
    )


class FilterSettings(Section):
    """What is not wanted at all: whole records, and attributes of the others. What is excluded wins.

    Levels and loggers are looked at where a record is made. Bodies, values and attributes are looked at behind the
    queue, so that no caller pays for it; what is dropped there has taken a place in the queue before.
    """

    excluded_scopes: list[str] = Field(
        default_factory=list, description="Logger names; each stands for itself and all loggers below it."
    )
    included_scopes: list[str] = Field(
        default_factory=list, description="Logger names: the only ones whose records are kept. Empty: all."
    )
    scope_levels: dict[str, Level] = Field(
        default_factory=dict, description="Least level for a logger and all below it, `name=level`."
    )
    excluded_levels: list[Level] = Field(default_factory=list, description="Levels whose records are dropped.")
    excluded_bodies: list[Expression] = Field(
        default_factory=list,
        description="Regular expressions (RE2): a record in whose body one of them is found is dropped.",
    )
    included_bodies: list[Expression] = Field(
        default_factory=list,
        description="Regular expressions (RE2), one of which must be found in the body. Empty: any.",
    )
    excluded_by_attribute: dict[str, Expression] = Field(
        default_factory=dict,
        description="`name=pattern`: a record is dropped if the regular expression is found in that attribute.",
    )
    included_by_attribute: dict[str, Expression] = Field(
        default_factory=dict,
        description="`name=pattern`: it must be found in that attribute, or the record is dropped; so each of several.",
    )
    excluded_attributes: list[str] = Field(
        default_factory=list,
        description="Names of attributes that are taken off each record; a `*` at the end stands for any rest.",
    )
    included_attributes: list[str] = Field(
        default_factory=list, description="Names of attributes, as above: the only ones that stay. Empty: all."
    )


class SamplingSettings(Section):
    """Keeping a share of the records; those of one trace stay together."""

    sampling_percentage: float = Field(
        default=100.0, ge=0, le=100, description="Share of the traces that is kept, in percent."
    )
    hash_seed: int = Field(
        default=0, ge=0, le=0xFFFF_FFFF, description="Seed of the decision; all services of a trace use the same."
    )


class LimitSettings(Section):
    """How large a record may be."""

    max_attributes: int = Field(default=128, gt=0, description="Attributes of a record; more are left off and counted.")
    max_value_length: int = Field(default=32_768, gt=0, description="Characters of one value; longer ones are cut.")
    max_depth: int = Field(default=8, gt=0, description="Levels of nesting of one value; deeper ones are cut.")
    max_record_size: int = Field(
        default=262_144, ge=1_024, description="Estimated size of a record in bytes; the values of larger ones are cut."
    )


class SourceSettings(Section):
    """Where records come from."""

    stdlib: bool = Field(default=True, description="The standard library's `logging`.")
    structlog: bool = Field(default=True, description="structlog, where it is installed.")
    loguru: bool = Field(default=True, description="loguru, where it is installed.")
    warnings: bool = Field(default=True, description="Python warnings.")
    uncaught_exceptions: bool = Field(default=True, description="Exceptions that nobody caught, in any thread.")
    servers: bool = Field(default=True, description="The loggers of uvicorn and gunicorn.")


class TracingSettings(Section):
    """Request spans, and the trace id in the response."""

    instrumentation: Annotated[Literal["auto", "native", "contrib", "off"], Choice] = Field(
        default="auto",
        description="Who makes request spans: FastAPI's own telemetry (`native`), "
        "opentelemetry-instrumentation-fastapi (`contrib`), what is there (`auto`), or nobody (`off`).",
    )
    export: bool = Field(default=True, description="Whether spans are sent to the OTLP endpoint.")
    response_header: OptionalHeader = Field(
        default="x-trace-id", description="Response header that carries the trace id; `none`: no header."
    )


class MetricsSettings(Section):
    """The pipeline's metrics about itself."""

    enabled: bool = Field(default=True, description="Whether they are recorded.")


class Settings(LoadedSettings):
    """All settings of one pipeline.

    `Settings(...)` reads the environment and the TOML file below the arguments that it is given; see `load` for a
    `.env` file. Raises `SettingsError`, with a line for each setting that is wrong.
    """

    service_name: str | None = Field(
        default=None, description="`service.name` of the resource. Unset: `unknown_service`, as the OTel SDK has it."
    )
    service_namespace: str | None = Field(default=None, description="`service.namespace` of the resource.")
    service_version: str | None = Field(default=None, description="`service.version` of the resource.")
    service_instance_id: str | None = Field(
        default=None, description="`service.instance.id` of the resource. Unset: one is made for each process."
    )
    deployment_environment_name: str | None = Field(
        default=None, description="`deployment.environment.name` of the resource: `production`, `staging`, ..."
    )
    resource_attributes: dict[str, str] = Field(
        default_factory=dict,
        description="More attributes of the resource, `name=value` with percent-encoding. The five above may come here "
        "under their OTel names.",
    )
    level: Level = Field(default="INFO", description="Least level of the records that are taken.")
    exporters: list[str] | None = Field(
        default=None,
        description="Names of the exporters; `none` alone: no exporter. Unset: `console`, and `otlp` when an OTLP "
        "endpoint is set.",
    )
    sdk_disabled: bool = Field(default=False, description="Touch nothing, send nothing.")
    shutdown_timeout: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="How long the end of the process may wait for delivery, in seconds.",
    )
    signals: bool = Field(default=True, description="Whether what waits is delivered before SIGTERM ends the process.")
    stall_timeout: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a worker may hang in a processor or an exporter before another takes its place, in "
        "seconds; more than any exporter's own time-out.",
    )
    otlp: OtlpSettings = Field(default_factory=OtlpSettings)
    loki: LokiSettings = Field(default_factory=LokiSettings)
    file: FileSettings = Field(default_factory=FileSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    sending_queue: SendingQueueSettings = Field(default_factory=SendingQueueSettings)
    retry_on_failure: RetrySettings = Field(default_factory=RetrySettings)
    circuit_breaker: BreakerSettings = Field(default_factory=BreakerSettings)
    file_storage: FileStorageSettings = Field(default_factory=FileStorageSettings)
    filter: FilterSettings = Field(default_factory=FilterSettings)
    sampling: SamplingSettings = Field(default_factory=SamplingSettings)
    resource: ResourceSettings = Field(default_factory=ResourceSettings)
    enrich: EnrichSettings = Field(default_factory=EnrichSettings)
    redaction: RedactionSettings = Field(default_factory=RedactionSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    sources: SourceSettings = Field(default_factory=SourceSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    request: RequestSettings = Field(default_factory=RequestSettings)
    request_id: RequestIdSettings = Field(default_factory=RequestIdSettings)
    user: UserSettings = Field(default_factory=UserSettings)

    @field_validator("exporters")
    @classmethod
    def _names(cls, names: list[str] | None) -> list[str] | None:
        return None if names is None else each_once(names, "names of exporters")

    def effective_exporters(self) -> tuple[str, ...]:
        """The names of the exporters that records go to."""
        if self.exporters is not None:
            return tuple(self.exporters)
        return ("console", "otlp") if self.otlp.has_logs_endpoint else ("console",)


def given_settings(settings: object) -> Settings:
    """What a caller gives, else those of environment and files; raises `SettingsError` for what is no `Settings`."""
    if settings is None:
        return Settings()
    if not isinstance(settings, Settings):
        hint = "; Settings(**...) makes one of a mapping" if isinstance(settings, Mapping) else ""
        raise SettingsError(f"settings must be a logspan.Settings, not a {type(settings).__name__}{hint}")
    return settings
