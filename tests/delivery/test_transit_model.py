"""Who has which records, against lists: memory, the disk and the outlet may take turns in any order (R3.2, B2)."""

from __future__ import annotations

import itertools
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from logspan.clock import SystemClock
from logspan.delivery.batch import Batch
from logspan.delivery.sending_queue import SendingQueue, SendingQueueConfig
from logspan.delivery.transit import Mode, Transit
from logspan.spool import Frame
from tests.core.support import bodies, record


class TransitMachine(RuleBasedStateMachine):
    """A disk that is a list, an outlet that is a rule: nothing is lost, given out twice, or overtaken."""

    @initialize(mode=st.sampled_from(["overflow", "always"]))
    def begin(self, mode: Mode) -> None:
        memory = SendingQueue(SendingQueueConfig(max_export_batch_size=3), SystemClock())
        self.transit = Transit(memory, mode)
        self.numbers = itertools.count()
        self.waiting: list[int] = []
        """What was put and is not done with, in order."""
        self.disk: list[Batch] = []
        self.writing: Batch | None = None
        self.reading: Batch | None = None
        self.sending: Batch | None = None

    @rule(count=st.integers(1, 7))
    def put(self, count: int) -> None:
        made = [record(next(self.numbers)) for _ in range(count)]
        assert self.transit.memory.put(cast("Any", made)) == 0
        self.waiting += bodies(cast("Any", made))

    # ------------------------------------------------------------------------------ the outlet

    @precondition(lambda self: self.sending is None)
    @rule(disk_hangs=st.booleans())
    def take(self, disk_hangs: bool) -> None:
        hangs = disk_hangs and self.writing is not None
        batch = self.transit.take(disk_hangs=hangs)
        if not batch:
            assert hangs or self.disk or self.writing or self.transit.mode == "always" or not self.waiting
            return
        if not hangs:
            assert bodies(batch.records) == self.waiting[: len(batch)]
        self.sending = batch

    @precondition(lambda self: self.sending is not None)
    @rule()
    def done(self) -> None:
        assert self.sending is not None
        assert self.sending.settle()
        self.transit.done(self.sending)
        for number in bodies(self.sending.records):
            self.waiting.remove(number)
        self.sending = None

    @precondition(lambda self: self.sending is not None and len(self.sending) > 1)
    @rule()
    def settle_the_first(self) -> None:
        assert self.sending is not None
        part, rest = self.sending.first(1), self.sending.after(1)
        assert self.transit.replace(self.sending, rest)
        assert not self.transit.replace(self.sending, rest)
        self.transit.done(part)
        self.waiting.remove(bodies(part.records)[0])
        if self.sending is self.reading:
            self.disk[0] = self.reading = rest
            assert self.transit.settled_of_head > 0
        self.sending = rest

    # ------------------------------------------------------------------------------ the disk

    @precondition(lambda self: self.writing is None)
    @rule(is_time=st.booleans())
    def begin_writing(self, is_time: bool) -> None:
        self.writing = self.transit.begin_writing(is_time=is_time)

    @precondition(lambda self: self.writing is not None)
    @rule(refused=st.booleans())
    def end_writing(self, refused: bool) -> None:
        assert self.writing is not None
        if not refused:
            assert self.writing.settle()
            self.disk.append(Batch(self.writing.records, Frame(b"", len(self.writing), 0, 0)))
        self.transit.refused = refused
        self.transit.end_writing(is_over=not refused, holds=bool(self.disk))
        self.writing = None

    @precondition(lambda self: self.writing is None)
    @rule()
    def read(self) -> None:
        if self.transit.take_acknowledgement():
            assert self.disk.pop(0) is self.reading
            self.reading = None
        self.transit.hold(holds=bool(self.disk))
        if self.transit.needs_head():
            self.reading = self.disk[0]
            self.transit.offer(self.reading)

    # ------------------------------------------------------------------------------ what holds throughout

    @invariant()
    def there_is_something_to_do(self) -> None:
        """A worker that is about to end must not find nothing while the disk has records in hand."""
        if self.waiting and (self.sending is None or len(self.sending) < len(self.waiting)):
            assert len(self.transit) > 0

    @invariant()
    def what_is_settled_is_counted(self) -> None:
        assert self.transit.memory.position - self.transit.memory.settled == len(self.waiting)

    def teardown(self) -> None:
        """The end: what is on no disk is in the rest, once and in order, and the outlet's hand comes first."""
        if not hasattr(self, "transit"):
            return
        if self.transit.take_acknowledgement():
            self.disk.pop(0)
        in_hand = self.sending
        rest = [batch for batch in self.transit.rest() if batch.settle()]
        assert self.transit.rest() == self.transit.rest()
        assert len(self.transit) == 0
        assert not self.transit.take(disk_hangs=True)
        left = [number for batch in rest for number in bodies(batch.records)]
        stored = [number for batch in self.disk for number in bodies(batch.records)]
        assert sorted(left + stored) == self.waiting
        if in_hand is not None:
            assert not in_hand.settle()
            if not in_hand.spooled:
                assert left[: len(in_hand)] == bodies(in_hand.records)


TestTransit = TransitMachine.TestCase
