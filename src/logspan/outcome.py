"""What came of one attempt to deliver a batch: a small closed set, so that nobody has to read meaning into a bool.

The OTel SDK's exporters know SUCCESS and FAILURE only; what the peer said (its status, how many records it refused,
when it wants to be asked again) is lost there. Exporters of logspan return an `Outcome` from `deliver`; the SDK's
`export` is derived from it, so that each of them is a complete `LogRecordExporter` as well.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult


@dataclass(frozen=True, slots=True)
class Delivered:
    """The peer took the batch, apart from `rejected` records that it named as refused (OTLP partial success).

    `refused`: records of a batch that was sent in parts, by the status with which their part was refused for good.
    `message` is the peer's own warning, which may come with no rejection at all. `unencodable` records never left: no
    bytes could be made of them, and they are lost for this exporter whatever the peer says.
    """

    rejected: int = 0
    message: str = ""
    unencodable: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Records that will never arrive, for whatever reason."""
        return self.rejected + self.unencodable + sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Rejected:
    """The peer refused the whole batch for good; `status` is its word for it (`"400"`, `"INVALID_ARGUMENT"`)."""

    status: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Retryable:
    """The batch did not arrive and may be sent again, not before `retry_after` seconds when the peer said so."""

    reason: str
    retry_after: float | None = None


Outcome = Delivered | Rejected | Retryable


class DeliveringExporter(LogRecordExporter):
    """Base of the exporters that can tell what came of a batch."""

    @abc.abstractmethod
    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """Deliver a batch, within `timeout` seconds of wall-clock time (None: the exporter's own)."""

    @property
    def takes_payloads(self) -> bool:
        """Whether `deliver_payload` is worth a try."""
        return False

    def deliver_payload(self, payload: bytes, records: int, timeout: float | None = None) -> Outcome | None:
        """`deliver` for a batch that is a serialised `ExportLogsServiceRequest` already, of so many records.

        None: it has to come as records.
        """
        del payload, records, timeout
        return None

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """`deliver` in the terms of the SDK: SUCCESS only when every record was taken."""
        outcome = self.deliver(batch)
        taken = isinstance(outcome, Delivered) and not outcome.lost
        return LogRecordExportResult.SUCCESS if taken else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits inside an exporter of logspan, so there is nothing to flush."""
        del timeout_millis
        return True

    def reset_after_fork(self) -> None:
        """Forget connections and descriptors that belong to the parent process, without closing them."""
