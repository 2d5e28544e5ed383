"""Records that go a step of the way together, and are counted once."""

from __future__ import annotations

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.spool.decoding import decode_logs_request
from logspan.spool.results import Frame


class Batch:
    """Records on their way. Settled once: by what came of them, or by a shutdown that waits no longer.

    With a `frame` they are on disk as well, and stay there until they are settled; they are decoded when somebody asks
    for `records`, which raises `ValueError` if they are none of ours.
    """

    __slots__ = ("_records", "_unsettled", "frame")

    def __init__(self, records: list[ReadableLogRecord] | None = None, frame: Frame | None = None) -> None:
        self._records = records
        self.frame = frame
        self._unsettled = [None]

    @property
    def records(self) -> list[ReadableLogRecord]:
        """The records themselves."""
        if self._records is None:
            self._records = [] if self.frame is None else decode_logs_request(self.frame.payload)
        return self._records

    @property
    def spooled(self) -> bool:
        """Whether they are on disk as well."""
        return self.frame is not None

    @property
    def adopted(self) -> bool:
        """Whether an earlier process put them there."""
        return self.frame is not None and self.frame.adopted

    def is_older_than(self, seconds: float) -> bool:
        """Whether they have been on disk for longer than that, by the clock on the wall; False when they are not."""
        return self.frame is not None and self.frame.age > seconds

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
        return self.frame.records if self.frame is not None else len(self.records)
