"""Records that go a step of the way together, and are counted once."""

from __future__ import annotations

from opentelemetry.sdk._logs import ReadableLogRecord


class Batch:
    """Records on their way. Settled once: by what came of them, or by a shutdown that waits no longer.

    `spooled`: they are on disk as well, and stay there until they are settled; `adopted`: an earlier process put them
    there.
    """

    __slots__ = ("_unsettled", "adopted", "records", "spooled")

    def __init__(self, records: list[ReadableLogRecord], *, spooled: bool = False, adopted: bool = False) -> None:
        self.records = records
        self.spooled = spooled
        self.adopted = adopted
        self._unsettled = [None]

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
