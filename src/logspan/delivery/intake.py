"""The "exporter" that the SDK's batch processor calls: it appends, never blocks and never raises."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import cast

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan.delivery.lanes import Lanes
from logspan.record import LateRecord, Record


class Intake(LogRecordExporter):
    """What stands between the SDK's queue and the outlets; the delivery worker takes, admission's eviction gives up."""

    def __init__(self, protected_severity: int = SeverityNumber.ERROR.value) -> None:
        self._protected_severity = protected_severity
        self.reset()

    def reset(self) -> None:
        """Forget everything, in a forked child: it is the parent's."""
        self._records = Lanes(self._protected_severity)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Append a batch."""
        self._records.extend(in_time(batch))
        return LogRecordExportResult.SUCCESS

    def take(self, most: int) -> list[ReadableLogRecord]:
        """The oldest records, `most` at most."""
        return self._records.take(most)

    def drop_oldest(self, protected_too: bool) -> Record | None:  # noqa: FBT001 - the only argument
        """Give up the oldest record, a protected one only when no other is left; None when there is none to give."""
        given_up = self._records.give_up_oldest(protected_too=protected_too)
        return None if given_up is None else cast("Record", given_up.log_record)

    def __len__(self) -> int:
        return len(self._records)

    def shutdown(self) -> None:
        """The delivery worker owns what is left; nothing to do."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is sent from here."""
        del timeout_millis
        return True


def in_time(batch: Sequence[ReadableLogRecord]) -> Sequence[ReadableLogRecord]:
    """The late records, which may come after what was logged later, where they belong; all others as they came."""
    if not any(type(record.log_record) is LateRecord for record in batch):
        return batch
    reached, keyed = 0, []
    for record in batch:
        time = record.log_record.timestamp
        if type(time) is not int:  # a processor of somebody else has been here
            time = reached
        if type(record.log_record) is not LateRecord:
            time = reached = max(reached, time)
        keyed.append((time, record))
    return [record for _, record in sorted(keyed, key=itemgetter(0))]
