"""Exporters that somebody else wrote: from the SDK's base class, or from ours, which tells what came of a batch."""

from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan import build_pipeline
from logspan.outcome import Delivered, DeliveringExporter, Outcome, Retryable


class Printing(LogRecordExporter):
    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        for record in batch:
            print(record.log_record.body, record.log_record.trace_id)
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return timeout_millis > 0

    def shutdown(self) -> None: ...


class Telling(DeliveringExporter):
    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        return Delivered() if timeout is None else Retryable("busy", retry_after=1.0)

    def shutdown(self) -> None: ...


pipelines = [build_pipeline(exporters=[Printing(), Telling()]), build_pipeline(exporters={"mine": Telling()})]
