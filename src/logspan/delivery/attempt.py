"""One attempt to deliver, whoever the exporter is and whatever it does."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable

EXPORTER_ERROR = "exporter_error"


def attempt(exporter: LogRecordExporter, records: Sequence[ReadableLogRecord], timeout: float | None) -> Outcome:
    """Deliver once. An exporter that raises, `SystemExit` included, has refused the batch as `exporter_error`."""
    try:
        if isinstance(exporter, DeliveringExporter):
            return _checked(exporter.deliver(records, timeout))
        return _of_sdk(exporter.export(records))
    except BaseException as error:
        return Rejected(EXPORTER_ERROR, type(error).__name__)


def _of_sdk(result: LogRecordExportResult) -> Outcome:
    """The SDK's FAILURE says nothing of the cause, so it may be tried again."""
    return Delivered() if result is LogRecordExportResult.SUCCESS else Retryable("the exporter returned FAILURE")


def _checked(outcome: object) -> Outcome:
    """What an exporter of somebody else returns is not ours to trust: counts must be counts."""
    if isinstance(outcome, Rejected | Retryable):
        return outcome
    if isinstance(outcome, Delivered):
        counts: tuple[object, ...] = (outcome.rejected, outcome.unencodable, *outcome.refused.values())
        if all(isinstance(count, int) for count in counts) and all(isinstance(name, str) for name in outcome.refused):
            return outcome
    return Rejected(EXPORTER_ERROR, f"returned {type(outcome).__name__}")
