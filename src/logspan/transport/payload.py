"""The part that every network exporter has in common: encode, send, and count what could not be encoded."""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.encoding import encode_logs_request
from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected


class PayloadExporter(DeliveringExporter):
    """Delivers a batch as one serialised `ExportLogsServiceRequest`; subclasses say how bytes are sent.

    `timeout` is the longest time of one attempt, in seconds, encoding included.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._is_shut_down = False

    @abc.abstractmethod
    def send(self, payload: bytes, records: int, timeout: float) -> Outcome:
        """Send the bytes of `records` records within `timeout` seconds; never raises."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give up connections; never waits."""

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """Encode and send a batch; `timeout` can only shorten the exporter's own."""
        if self._is_shut_down:
            return Rejected("already_shutdown", "the exporter was shut down")
        limit = self._timeout if timeout is None else min(timeout, self._timeout)
        deadline = time.monotonic() + limit
        encoded = encode_logs_request(batch)
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
