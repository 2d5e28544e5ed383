from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable

ERROR = 17  # of the severity numbers of OpenTelemetry


class ErrorFile(DeliveringExporter):
    """Appends what is ERROR or worse to a text file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = True

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        if not self._open:
            return Rejected("shut down")
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(f"{item.log_record.body!s}\n" for item in batch if _is_error(item))
        except OSError as error:
            return Retryable(str(error))  # the pipeline sends the batch again, later
        return Delivered()

    def shutdown(self) -> None:
        self._open = False


def _is_error(item: ReadableLogRecord) -> bool:
    severity = item.log_record.severity_number
    return severity is not None and severity.value >= ERROR
