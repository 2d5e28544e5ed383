"""Admission against a model: whatever is put, taken and given up in whatever order, each record has one end (R3.3)."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import SystemClock
from logspan.delivery.admission import OVERDRAFT, RESERVE, Admission, Overflow, QueueBound
from logspan.delivery.intake import Intake
from logspan.ledger import Ledger
from logspan.record import Record
from logspan.size import UNIT, weight
from tests.core.support import record

INFO, WARN, ERROR = 9, 13, 17


class AdmissionModel(RuleBasedStateMachine):
    """Records wait out of reach (in the SDK's queue), then in the intake, and are taken by the worker."""

    @initialize(
        size=st.integers(1, 12),
        units=st.integers(1, 40),
        overflow=st.sampled_from(["drop_oldest", "drop_newest", "sample", "block"]),
    )
    def begin(self, size: int, units: int, overflow: Overflow) -> None:
        self.bound = QueueBound(
            max_queue_size=size, max_queue_bytes=units * UNIT, overflow=overflow, block_timeout=0.0, high_water_mark=0.5
        )
        self.ledger, self.intake = Ledger(), Intake()
        self.admission = Admission(self.bound, self.ledger, self.evict, SystemClock())
        self.out_of_reach: list[Record] = []
        self.waiting: dict[Any, Record] = {}
        self.taken: list[int] = []
        self.put_count = 0

    @rule(severity=st.sampled_from([INFO, WARN, ERROR]), length=st.sampled_from([0, 3_000, 9_000]), reach=st.booleans())
    def put(self, severity: int, length: int, reach: bool) -> None:
        made = record(self.put_count, severity=severity, filler="x" * length)
        self.put_count += 1
        if self.admission.admit(made):
            self.out_of_reach.append(made)
            self.waiting[made.body] = made
        if reach:
            self.pull()

    def evict(self, protected_too: bool) -> Record | None:
        given_up = self.intake.drop_oldest(protected_too)
        if given_up is not None:
            del self.waiting[given_up.body]
        return given_up

    @rule()
    def pull(self) -> None:
        self.intake.export(cast("list[ReadableLogRecord]", self.out_of_reach))
        self.out_of_reach = []
        self.admission.repay()

    @rule(most=st.integers(1, 6))
    def take(self, most: int) -> None:
        self.pull()
        taken = cast("list[Record]", self.intake.take(most))
        for item in taken:
            del self.waiting[item.body]
        self.admission.release(len(taken), sum(item.weight for item in taken))
        self.taken += [cast("int", item.body) for item in taken]

    @invariant()
    def every_record_has_one_end(self) -> None:
        if not hasattr(self, "ledger"):
            return
        waiting = len(self.out_of_reach) + len(self.intake)
        dropped = sum(self.ledger.dropped.values().values())
        overdrawn = waiting + dropped + len(self.taken) - self.put_count
        assert 0 <= overdrawn <= OVERDRAFT  # let in, while the older one that is counted for it was out of reach
        assert self.ledger.queued.value() == waiting - overdrawn

    @invariant()
    def the_bound_holds(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert self.ledger.queued.value() <= self.bound.max_queue_size
        if not self.out_of_reach:
            assert len(self.intake) <= self.bound.max_queue_size

    @invariant()
    def the_bound_in_bytes_holds(self) -> None:
        """Records over the bound in number included, wherever they wait."""
        if not hasattr(self, "ledger"):
            return
        assert sum(weight(item) for item in self.waiting.values()) * UNIT <= self.bound.max_queue_bytes

    @invariant()
    def the_order_is_kept(self) -> None:
        assert getattr(self, "taken", []) == sorted(set(getattr(self, "taken", [])))

    def teardown(self) -> None:
        """When all is taken, every place and all room is free again: a full queue fits once more."""
        if not hasattr(self, "ledger"):
            return
        while True:
            before: Any = len(self.taken)
            self.take(6)
            if len(self.taken) == before:
                break
        assert self.ledger.queued.value() == 0
        assert len(self.taken) + sum(self.ledger.dropped.values().values()) == self.put_count
        units = self.bound.max_queue_bytes // UNIT
        fits = min(self.bound.max_queue_size, units - units // RESERVE)
        admitted = sum(self.admission.admit(record(n, severity=ERROR)) for n in range(fits))
        assert admitted == fits
        assert self.ledger.queued.value() == fits


AdmissionModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAdmission = AdmissionModel.TestCase
