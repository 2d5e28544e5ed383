"""One attempt to deliver, whoever the exporter is and whatever it does."""

from __future__ import annotations

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan.delivery.batch import Batch
from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable

EXPORTER_ERROR = "exporter_error"


def attempt(exporter: LogRecordExporter, batch: Batch, timeout: float | None) -> Outcome:
    """Deliver once. An exporter that raises, `SystemExit` included, has refused the batch as `exporter_error`."""
    try:
        if not isinstance(exporter, DeliveringExporter):
            return _of_sdk(exporter.export(batch.records))
        if batch.payload is not None and takes_payloads(exporter):  # as it is: neither decoded nor encoded again
            outcome = exporter.deliver_payload(batch.payload, len(batch), timeout)
            if outcome is not None:
                return _checked(outcome)
        return _checked(exporter.deliver(batch.records, timeout))
    except BaseException as error:
        return Rejected(EXPORTER_ERROR, type(error).__name__)


def takes_payloads(exporter: LogRecordExporter) -> bool:
    """Whether an exporter may be given what a spool has stored, without a look into it."""
    return isinstance(exporter, DeliveringExporter) and exporter.takes_payloads


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
