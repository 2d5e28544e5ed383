"""One attempt to deliver, whoever the exporter is and whatever it does."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable

EXPORTER_ERROR = "exporter_error"


class Batch:
    """Records on their way to the peer. Settled once: by what came of it, or by a shutdown that waits no longer."""

    __slots__ = ("_unsettled", "records")

    def __init__(self, records: list[ReadableLogRecord]) -> None:
        self.records = records
        self._unsettled = [None]

    def settle(self) -> bool:
        """Whether the caller is the first to settle it, and so the one to count it. One uninterruptible step."""
        try:
            self._unsettled.pop()
        except IndexError:
            return False
        return True

    @property
    def settled(self) -> bool:
        """Whether somebody has counted it already."""
        return not self._unsettled

    def __len__(self) -> int:
        return len(self.records)


def attempt(exporter: LogRecordExporter, records: Sequence[ReadableLogRecord], timeout: float | None) -> Outcome:
    """Deliver once. An exporter that raises, `SystemExit` included, has refused the batch as `exporter_error`."""
    try:
        if isinstance(exporter, DeliveringExporter):
            return exporter.deliver(records, timeout)
        return _of_sdk(exporter.export(records))
    except BaseException as error:
        return Rejected(EXPORTER_ERROR, type(error).__name__)


def _of_sdk(result: LogRecordExportResult) -> Outcome:
    """The SDK's FAILURE says nothing of the cause, so it may be tried again."""
    return Delivered() if result is LogRecordExportResult.SUCCESS else Retryable("the exporter returned FAILURE")
