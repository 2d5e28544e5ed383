"""The settings of what is added: to the resource of the process, and to each record."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from logspan.settings.fields import FilePath, each_once
from logspan.settings.section import Section


class ResourceSettings(Section):
    """What is found out about where the process runs, once, when it starts."""

    detectors: list[str] = Field(
        default_factory=lambda: ["host", "os", "process", "container", "k8s"],
        description="Resource detectors, in the order in which they are merged: those of the default, and every name "
        "that a package has registered under `opentelemetry_resource_detector` (`aws_ec2`, `gcp`, `azure_vm`, ...); "
        "`*`: all there are; `none` alone: none. `otel` and `service_instance` are always in effect.",
    )
    timeout: float = Field(
        default=2.0,
        gt=0,
        allow_inf_nan=False,
        description="How long the start waits for all of them together, in seconds; what comes later is left out.",
    )
    command_args: bool = Field(
        default=False,
        description="Whether `process.command_args` and `process.command_line` are detected: they may hold secrets, of "
        "which redaction masks what it recognises.",
    )
    podinfo: FilePath = Field(
        default=Path("/etc/podinfo"),
        description="Where a downward API volume is mounted; read are `name`, `namespace`, `uid` and `labels`.",
    )

    @field_validator("detectors")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        return each_once(names, "names of resource detectors")


class EnrichSettings(Section):
    """What is added to each record."""

    code_location: bool = Field(default=True, description="`code.function.name`, `code.file.path`, `code.line.number`.")
    bound_context: bool = Field(default=True, description="What was put there with `bind`.")
    request_identity: bool = Field(
        default=True,
        description="`http.request.id`, the attributes of the user, and `logspan.background` on what is logged when "
        "the response is out.",
    )
    baggage: list[str] = Field(
        default_factory=list,
        description="Entries of the W3C baggage that are put on records, by name; a `*` at the end stands for any "
        "rest. A caller may write there what it likes.",
    )
    snapshot: bool = Field(
        default=False,
        description="Memory and CPU of the process on each record, as they were when a thread last looked: "
        "`process.memory.usage` and `process.memory.virtual` in bytes, `process.cpu.utilization` as a share of the "
        "processors.",
    )
    snapshot_interval: float = Field(
        default=5.0, ge=0.1, allow_inf_nan=False, description="Time between two such looks, in seconds."
    )
    enrichers: list[str] = Field(
        default_factory=list,
        description="Enrichers of installed packages, in the order in which they run: names of entry points of the "
        "group `logspan_enricher`.",
    )
    budget: float = Field(
        default=0.25,
        gt=0,
        allow_inf_nan=False,
        description="Longest time that an enricher of your own may take, in seconds; one that takes longer once is "
        "switched off.",
    )
    failure_threshold: int = Field(
        default=10, gt=0, description="Failures in a row after which an enricher of your own is switched off."
    )

    @field_validator("enrichers")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        return each_once(names, "names of enrichers")
