"""Records that go a step of the way together, and are counted once."""

from __future__ import annotations

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.spool.decoding import decode_logs_request
from logspan.spool.results import Frame


class Batch:
    """Records on their way. Settled once: by what came of them, or by a shutdown that waits no longer.

    With a `frame` they are on disk as well, and stay there until all of it is settled; without `records` of their own
    they are all that is in it, decoded when somebody asks, which raises `ValueError` if they are none of ours.
    """

    __slots__ = ("_records", "_unsettled", "frame", "payload")

    def __init__(self, records: list[ReadableLogRecord] | None = None, frame: Frame | None = None) -> None:
        self._records = records
        self.frame = frame
        self.payload = frame.payload if frame is not None and records is None else None
        """The batch as a serialised `ExportLogsServiceRequest`; None for one that is no whole frame."""
        self._unsettled = [None]

    @property
    def records(self) -> list[ReadableLogRecord]:
        """The records themselves."""
        if self._records is None:
            self._records = [] if self.frame is None else _decoded(self.frame)
        return self._records

    def first(self, size: int) -> Batch:
        """The oldest `size` records: the batch itself when there are no more."""
        return self if size >= len(self) else Batch(self.records[:size], self.frame)

    def after(self, size: int) -> Batch:
        """All but the oldest `size` records; those of a frame keep it, for it is on disk until they are settled."""
        return Batch(self.records[size:], self.frame)

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
        return self.frame.records if self.frame is not None and self.payload is not None else len(self.records)


def _decoded(frame: Frame) -> list[ReadableLogRecord]:
    records = decode_logs_request(frame.payload)
    if len(records) != frame.records:
        raise ValueError(f"{len(records)} records where {frame.records} were stored")
    return records
