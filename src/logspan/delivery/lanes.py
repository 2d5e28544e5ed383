"""Records in order, of which the protected ones are the last to be given up."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable

from opentelemetry.sdk._logs import ReadableLogRecord

_Numbered = tuple[int, ReadableLogRecord]


class Lanes:
    """Two deques, for records of `protected_severity` (a severity number) and above and for all others.

    A running number puts both back into one order. Each pop is one uninterruptible step, so whoever takes and whoever
    gives up may do so at the same time without a lock; only one thread at a time may `extend`.
    """

    def __init__(self, protected_severity: int) -> None:
        self._protected_severity = protected_severity
        self._number = itertools.count()
        self._others: deque[_Numbered] = deque()
        self._protected: deque[_Numbered] = deque()

    def __len__(self) -> int:
        return len(self._others) + len(self._protected)

    def extend(self, records: Iterable[ReadableLogRecord]) -> None:
        """Append records."""
        for record in records:
            number = record.log_record.severity_number
            protected = number is not None and number._value_ >= self._protected_severity
            (self._protected if protected else self._others).append((next(self._number), record))

    def take(self, most: int) -> list[ReadableLogRecord]:
        """The oldest records, `most` at most, in the order in which they came."""
        taken: list[_Numbered] = []
        while len(taken) < most and (numbered := self._pop_oldest()):
            taken.append(numbered)
        return [record for _, record in taken]

    def _pop_oldest(self) -> _Numbered | None:
        if not self._protected:
            return _pop(self._others)
        first = self._others if _first(self._others) < _first(self._protected) else self._protected
        return _pop(first)

    def give_up_oldest(self, *, protected_too: bool) -> ReadableLogRecord | None:
        """Take the oldest record out, a protected one only when no other is left; None when there is none to give."""
        numbered = _pop(self._others) or (_pop(self._protected) if protected_too else None)
        return None if numbered is None else numbered[1]


def _pop(records: deque[_Numbered]) -> _Numbered | None:
    try:
        return records.popleft()
    except IndexError:
        return None


def _first(records: deque[_Numbered]) -> float:
    """The number of the oldest; it may be gone by the time that it is looked at."""
    try:
        return records[0][0]
    except IndexError:
        return math.inf
