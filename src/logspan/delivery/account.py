"""What becomes of one exporter's records: each end has its place in the ledger, and its notice when it is a loss."""

from __future__ import annotations

from collections.abc import Mapping

from logspan.delivery.attempt import EXPORTER_ERROR
from logspan.delivery.batch import Batch
from logspan.ledger import ExporterLedger, Level
from logspan.notices import Notices
from logspan.outcome import Delivered, Rejected

PARTIAL_SUCCESS = "partial_success"


class Account:
    """Counts for one outlet. A record is in flight or in the spool, and leaves one of them exactly once."""

    def __init__(self, name: str, ledger: ExporterLedger, notices: Notices) -> None:
        self.name = name
        self.ledger = ledger
        self._notices = notices
        self.trouble: str | None = None
        """What the last attempt failed on; None when it did not."""

    def took_in(self, number: int) -> None:
        """Records have come from the delivery worker."""
        self.ledger.fanned_out.add(number)
        self.ledger.in_flight.enter(number)

    def settled(self, batch: Batch, outcome: Delivered | Rejected) -> None:
        """The peer has answered."""
        if isinstance(outcome, Delivered):
            self._delivered(batch, outcome)
        else:
            self._rejected(batch, outcome)

    def _delivered(self, batch: Batch, outcome: Delivered) -> None:
        self.trouble = None
        refused = _within(len(batch), {**outcome.refused, PARTIAL_SUCCESS: outcome.rejected})
        taken = len(batch) - sum(refused.values())
        unencodable = max(min(outcome.unencodable, taken), 0)
        self.ledger.delivered.add(taken - unencodable)
        self._level(batch).leave(len(batch) - unencodable)
        for status, number in refused.items():
            self.ledger.rejected.add(status, number)
            self._tell_rejected(status, outcome.message)
        if outcome.message and not refused:
            self.say("warning", f"the peer says: {outcome.message}")
        if unencodable:
            self._drop(self._level(batch), "unencodable", unencodable)

    def _rejected(self, batch: Batch, outcome: Rejected) -> None:
        self.trouble = f"{outcome.status} {outcome.message}".strip()
        if outcome.status == EXPORTER_ERROR:
            self._drop(self._level(batch), EXPORTER_ERROR, len(batch), outcome.message)
            return
        self.ledger.rejected.add(outcome.status, len(batch))
        self._level(batch).leave(len(batch))
        self._tell_rejected(outcome.status, outcome.message)

    def _tell_rejected(self, status: str, message: str) -> None:
        total = self.ledger.rejected.value(status)
        self._notices.lost(f"refused by the peer of {self.name} ({status})", total, message)

    def gave_up(self, batch: Batch, reason: str, detail: str = "") -> None:
        """Nobody will send this batch any more."""
        self._drop(self._level(batch), reason, len(batch), detail)

    def dropped(self, reason: str, number: int, detail: str = "") -> None:
        """Records in flight are gone."""
        self._drop(self.ledger.in_flight, reason, number, detail)

    def spooled(self, number: int) -> None:
        """Records in flight are on disk now."""
        self.ledger.spooled.enter(number)
        self.ledger.in_flight.leave(number)

    def adopted(self, number: int) -> None:
        """Records of an earlier process have been taken over with its spool."""
        self.ledger.adopted.add(number)
        self.ledger.spooled.enter(number)

    def lost_in_spool(self, reason: str, number: int) -> None:
        """Records in the spool are gone: dropped at its limit, damaged, deleted."""
        if number:
            self._drop(self.ledger.spooled, reason, number)

    def failed(self, reason: str) -> None:
        """An attempt has failed in a way that may pass: said once, when it begins."""
        if self.trouble is None:
            self.say("failed", f"cannot deliver now, will go on trying: {reason}")
        self.trouble = reason

    def say(self, kind: str, text: str) -> None:
        """A notice about this exporter."""
        self._notices.say(f"{self.name}:{kind}", f"{self.name}: {text}")

    def _level(self, batch: Batch) -> Level:
        return self.ledger.spooled if batch.spooled else self.ledger.in_flight

    def _drop(self, level: Level, reason: str, number: int, detail: str = "") -> None:
        self.ledger.dropped.add(reason, number)
        level.leave(number)
        self._notices.lost(f"dropped by {self.name} ({reason})", self.ledger.dropped.value(reason), detail)


def _within(size: int, numbers: Mapping[str, int]) -> dict[str, int]:
    """The same counts, none below zero, and no more in all than `size`: what a peer says must not break the ledger."""
    kept: dict[str, int] = {}
    for name, number in numbers.items():
        fits = max(min(number, size - sum(kept.values())), 0)
        kept |= {name: fits} if fits else {}
    return kept
