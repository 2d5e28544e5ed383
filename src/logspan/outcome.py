"""What came of one attempt to deliver a batch: a small closed set, so that nobody has to read meaning into a bool.

The OTel SDK's exporters know SUCCESS and FAILURE only; what the peer said (its status, how many records it refused,
when it wants to be asked again) is lost there. Exporters of logspan return an `Outcome` from `deliver`; the SDK's
`export` is derived from it, so that each of them is a complete `LogRecordExporter` as well.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult


@dataclass(frozen=True, slots=True)
class Delivered:
    """The peer took the batch, apart from `rejected` records that it named as refused (OTLP partial success).

    `refused`: records that an exporter which sends in parts of its own knows to be refused for good, by status.
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


Divisible = Literal["no", "size", "content"]
"""Whether a part may be taken where the whole was not: it was too large, or some record in it was at fault."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The peer refused the whole batch for good; `status` is its word for it (`"400"`, `"INVALID_ARGUMENT"`).

    One that is `divisible` is sent again in parts, each of them an attempt of its own (see `Division`).
    """

    status: str
    message: str = ""
    divisible: Divisible = "no"


@dataclass(frozen=True, slots=True)
class Retryable:
    """The batch did not arrive and may be sent again, not before `retry_after` seconds when the peer said so."""

    reason: str
    retry_after: float | None = None


Outcome = Delivered | Rejected | Retryable

_MOST_SEARCHES = 24
"""Enough to find two bad records in a batch of 512; more requests for one batch would be a burden on the peer."""


class Division:
    """How a batch goes out in parts, oldest first: `size` is the number of records of the next one, 0 when all are out.

    What is too large is halved down to single records, fewer than two requests for each; what is refused for its
    content only so many times that a few bad records are found.
    """

    def __init__(self, records: int) -> None:
        self._sizes = [records] if records else []
        self._searches = 0

    @property
    def size(self) -> int:
        """Records of the part that is next."""
        return self._sizes[-1] if self._sizes else 0

    def settles(self, outcome: Delivered | Rejected) -> bool:
        """Whether the next part is settled by what came of it; if not, it has been divided."""
        size = self._sizes.pop()
        if not self._divides(size, outcome):
            return True
        self._sizes += [size - size // 2, size // 2]
        return False

    def _divides(self, size: int, outcome: Delivered | Rejected) -> bool:
        if size < 2 or not isinstance(outcome, Rejected):
            return False
        self._searches += outcome.divisible == "content"
        return outcome.divisible == "size" or (outcome.divisible == "content" and self._searches <= _MOST_SEARCHES)


class DeliveringExporter(LogRecordExporter):
    """Base of the exporters that can tell what came of a batch."""

    @abc.abstractmethod
    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """Try once to deliver a batch, within `timeout` seconds of wall-clock time (None: the exporter's own)."""

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
        """`deliver` in the terms of the SDK: SUCCESS only when every record was taken, in one part or in several."""
        division = Division(len(batch))
        position, lost = 0, 0
        while size := division.size:
            outcome = self.deliver(batch[position : position + size])
            if isinstance(outcome, Retryable):
                return LogRecordExportResult.FAILURE
            if division.settles(outcome):
                position += size
                lost += outcome.lost if isinstance(outcome, Delivered) else size
        return LogRecordExportResult.FAILURE if lost else LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits inside an exporter of logspan, so there is nothing to flush."""
        del timeout_millis
        return True

    def reset_after_fork(self) -> None:
        """Forget connections and descriptors that belong to the parent process, without closing them."""
