"""Records that go a step of the way together, and are counted once."""

from __future__ import annotations

import time

from opentelemetry.sdk._logs import ReadableLogRecord


class Batch:
    """Records on their way. Settled once: by what came of them, or by a shutdown that waits no longer.

    `stored` (ns since 1970): they are on disk as well since then, and stay there until they are settled; `adopted`: an
    earlier process put them there.
    """

    __slots__ = ("_unsettled", "adopted", "records", "stored")

    def __init__(self, records: list[ReadableLogRecord], *, stored: int | None = None, adopted: bool = False) -> None:
        self.records = records
        self.stored = stored
        self.adopted = adopted
        self._unsettled = [None]

    @property
    def spooled(self) -> bool:
        """Whether they are on disk as well."""
        return self.stored is not None

    def is_older_than(self, seconds: float) -> bool:
        """Whether they have been on disk for longer than that, by the clock on the wall; False when they are not."""
        return self.stored is not None and time.time_ns() - self.stored > seconds * 1e9

    def settle(self) -> bool:
        """Whether the caller is the first to settle it, and so the one to count it. One uninterruptible step."""
        try:
            self._unsettled.pop()
        except IndexError:
            return False
        return True

    def is_settled(self) -> bool:
        """Whether somebody has counted it already."""
        return not self._unsettled

    def __len__(self) -> int:
        return len(self.records)
