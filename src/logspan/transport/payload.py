"""The part that every network exporter has in common: encode, send, and count what could not be encoded."""

from __future__ import annotations

import abc
import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.encoding import Rename, encode_logs_request
from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable

_MAX_DIVISIONS = 24
"""Enough to find two bad records in a batch of 512; more requests for one batch would be a burden on the peer."""


class PayloadExporter(DeliveringExporter):
    """Delivers a batch as one serialised `ExportLogsServiceRequest`; subclasses say how bytes are sent.

    `timeout` is the longest time of one attempt, in seconds, encoding included; `rename` is applied to the attributes
    of each record, scope and resource.
    """

    def __init__(self, timeout: float, rename: Rename | None = None) -> None:
        self._timeout = timeout
        self._rename = rename
        self._is_shut_down = False

    @abc.abstractmethod
    def send(self, payload: bytes, records: int, timeout: float) -> Outcome:
        """Send the bytes of `records` records within `timeout` seconds; never raises."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give up connections; never waits."""

    def is_divisible(self, refusal: Rejected) -> bool:
        """Whether a smaller batch may be taken where this one was refused; none is, unless a subclass says so."""
        del refusal
        return False

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """Encode and send a batch; `timeout` can only shorten the exporter's own."""
        if self._is_shut_down:
            return _shut_down()
        return self._deliver(batch, time.monotonic() + self._limit(timeout), iter(range(_MAX_DIVISIONS)))

    @property
    def takes_payloads(self) -> bool:
        """Bytes are what is sent, unless names have to be changed in them."""
        return self._rename is None

    def deliver_payload(self, payload: bytes, records: int, timeout: float | None = None) -> Outcome | None:
        """Send a batch that is encoded already; None when it would have to be taken apart."""
        if not self.takes_payloads:
            return None
        if self._is_shut_down:
            return _shut_down()
        outcome = self.send(payload, records, self._limit(timeout))
        return None if isinstance(outcome, Rejected) and records > 1 and self.is_divisible(outcome) else outcome

    def _limit(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else min(timeout, self._timeout)

    def _deliver(self, batch: Sequence[ReadableLogRecord], deadline: float, divisions: Iterator[int]) -> Outcome:
        """Send a batch; what is refused for its size, or for one record in it, is sent in halves."""
        outcome = self._attempt(batch, deadline)
        if not isinstance(outcome, Rejected) or len(batch) < 2 or not self.is_divisible(outcome):
            return outcome
        if next(divisions, None) is None:
            return outcome
        middle = len(batch) // 2
        parts: list[tuple[int, Delivered | Rejected]] = []
        for half in (batch[:middle], batch[middle:]):
            part = self._deliver(half, deadline, divisions)
            if isinstance(part, Retryable):  # all of it again: a part twice is better than a part not at all
                return part
            parts.append((len(half), part))
        return _together(parts)

    def _attempt(self, batch: Sequence[ReadableLogRecord], deadline: float) -> Outcome:
        encoded = encode_logs_request(batch, self._rename)
        if not encoded.records:
            return Delivered(message=encoded.error, unencodable=encoded.failed)
        outcome = self.send(encoded.payload, encoded.records, max(deadline - time.monotonic(), 0))
        if encoded.failed and isinstance(outcome, Delivered):
            message = "; ".join(filter(None, (outcome.message, encoded.error)))
            return dataclasses.replace(outcome, message=message, unencodable=encoded.failed)
        return outcome

    def shutdown(self) -> None:
        """Refuse batches from now on and close connections; a second time changes nothing."""
        if not self._is_shut_down:
            self._is_shut_down = True
            self.close()


def _together(parts: Sequence[tuple[int, Delivered | Rejected]]) -> Delivered | Rejected:
    """The outcome of a batch from those of its parts; a refusal only if nothing was taken, for one reason."""
    refused: Counter[str] = Counter()
    for size, part in parts:
        refused.update({part.status: size} if isinstance(part, Rejected) else part.refused)
    refusals = [part for _, part in parts if isinstance(part, Rejected)]
    if len(refusals) == len(parts) and len(refused) == 1:
        return refusals[0]
    texts = (
        part.message if isinstance(part, Delivered) else f"{part.status} {part.message}".strip() for _, part in parts
    )
    return Delivered(
        rejected=sum(part.rejected for _, part in parts if isinstance(part, Delivered)),
        message=next(filter(None, texts), ""),
        unencodable=sum(part.unencodable for _, part in parts if isinstance(part, Delivered)),
        refused=refused,
    )


def _shut_down() -> Rejected:
    return Rejected("already_shutdown", "the exporter was shut down")
