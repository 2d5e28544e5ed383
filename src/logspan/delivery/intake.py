"""The "exporter" that the SDK's batch processor calls: it appends, never blocks and never raises."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult


class Intake(LogRecordExporter):
    """A flat deque between the SDK's queue and the outlets.

    Its ends are popped by the delivery worker and by admission's eviction at the same time; each pop is one
    uninterruptible step, so neither needs a lock.
    """

    def __init__(self) -> None:
        self._records: deque[ReadableLogRecord] = deque()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Append a batch."""
        self._records.extend(batch)
        return LogRecordExportResult.SUCCESS

    def take(self, most: int) -> list[ReadableLogRecord]:
        """The oldest records, `most` at most."""
        taken: list[ReadableLogRecord] = []
        try:
            for _ in range(most):
                taken.append(self._records.popleft())  # noqa: PERF401 - what was taken must survive the IndexError
        except IndexError:
            pass
        return taken

    def drop_oldest(self) -> bool:
        """Give up the oldest record; whether there was one."""
        try:
            self._records.popleft()
        except IndexError:
            return False
        return True

    def reset(self) -> None:
        """Forget everything, in a forked child: it is the parent's."""
        self._records = deque()

    def __len__(self) -> int:
        return len(self._records)

    def shutdown(self) -> None:
        """The delivery worker owns what is left; nothing to do."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is sent from here."""
        del timeout_millis
        return True
