"""The part that every network exporter has in common: encode, send, and count what could not be encoded."""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.encoding import Rename, encode_logs_request
from logspan.outcome import Delivered, DeliveringExporter, Divisible, Outcome, Rejected


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

    def divisible(self, refusal: Rejected) -> Divisible:
        """Whether a smaller batch may be taken where this one was refused; none is, unless a subclass says so."""
        del refusal
        return "no"

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """Encode and send a batch; `timeout` can only shorten the exporter's own."""
        if self._is_shut_down:
            return _shut_down()
        return self._attempt(batch, time.monotonic() + self._limit(timeout))

    @property
    def takes_payloads(self) -> bool:
        """Bytes are what is sent, unless names have to be changed in them."""
        return self._rename is None

    def deliver_payload(self, payload: bytes, records: int, timeout: float | None = None) -> Outcome | None:
        """Send a batch that is encoded already; None when names would have to be changed in it."""
        if not self.takes_payloads:
            return None
        if self._is_shut_down:
            return _shut_down()
        return self._send(payload, records, self._limit(timeout))

    def _limit(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else min(timeout, self._timeout)

    def _attempt(self, batch: Sequence[ReadableLogRecord], deadline: float) -> Outcome:
        encoded = encode_logs_request(batch, self._rename)
        if not encoded.records:
            return Delivered(message=encoded.error, unencodable=encoded.failed)
        outcome = self._send(encoded.payload, encoded.records, max(deadline - time.monotonic(), 0))
        if encoded.failed and isinstance(outcome, Delivered):
            message = "; ".join(filter(None, (outcome.message, encoded.error)))
            return dataclasses.replace(outcome, message=message, unencodable=encoded.failed)
        return outcome

    def _send(self, payload: bytes, records: int, timeout: float) -> Outcome:
        outcome = self.send(payload, records, timeout)
        if not isinstance(outcome, Rejected):
            return outcome
        return dataclasses.replace(outcome, divisible=self.divisible(outcome))

    def shutdown(self) -> None:
        """Refuse batches from now on and close connections; a second time changes nothing."""
        if not self._is_shut_down:
            self._is_shut_down = True
            self.close()


def _shut_down() -> Rejected:
    return Rejected("already_shutdown", "the exporter was shut down")
