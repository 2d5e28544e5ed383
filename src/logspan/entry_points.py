"""Our exporters for the OpenTelemetry SDK without a logspan pipeline: `OTEL_LOGS_EXPORTER=logspan_loki`.

They take no arguments and read the settings (environment, `logspan.toml`) when they are made. **Outside of a logspan
pipeline nothing is redacted**, limited, retried or counted: they export what they are given, as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan.outcome import Delivered, DeliveringExporter, Outcome, Retryable
from logspan.plugins import create_exporter
from logspan.settings import Settings


class _FromSettings(DeliveringExporter):
    """Builds the exporter of that name and passes everything on to it."""

    exporter_name: ClassVar[str]

    def __init__(self) -> None:
        self._exporter: LogRecordExporter = create_exporter(self.exporter_name, Settings())

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """As the exporter that it stands for; one of the SDK's knows no more than success and failure."""
        if isinstance(self._exporter, DeliveringExporter):
            return self._exporter.deliver(batch, timeout)
        taken = self._exporter.export(batch) is LogRecordExportResult.SUCCESS
        return Delivered() if taken else Retryable("FAILURE")

    def shutdown(self) -> None:
        """Shut it down."""
        self._exporter.shutdown()

    def reset_after_fork(self) -> None:
        """Use connections of this process's own."""
        if isinstance(self._exporter, DeliveringExporter):
            self._exporter.reset_after_fork()


class OtlpExporter(_FromSettings):
    """`logspan_otlp`: OTLP over HTTP or gRPC, by `Settings().otlp`. Redacts nothing outside of a pipeline."""

    exporter_name = "otlp"


class LokiExporter(_FromSettings):
    """`logspan_loki`: Loki's native OTLP endpoint, by `Settings().loki`. Redacts nothing outside of a pipeline."""

    exporter_name = "loki"


class FileExporter(_FromSettings):
    """`logspan_file`: rotated OTLP/JSON lines, by `Settings().file`. Redacts nothing outside of a pipeline."""

    exporter_name = "file"


class ConsoleExporter(_FromSettings):
    """`logspan_console`: pretty or JSON lines, by `Settings().console`. Redacts nothing outside of a pipeline."""

    exporter_name = "console"
