"""The bound before the fan-out: exact, by either policy, from any thread (R3.2; fault 41)."""

from __future__ import annotations

import threading
from typing import cast

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.delivery.admission import OVERDRAFT, Admission, Overflow
from logspan.delivery.intake import Intake
from logspan.ledger import Ledger
from tests.core.support import bodies, record


def readable(number: int) -> ReadableLogRecord:
    """A record as the SDK's queue hands it over."""
    return cast("ReadableLogRecord", record(number))


def admission_of(size: int, overflow: Overflow) -> tuple[Admission, Ledger, Intake]:
    """An admission with its intake."""
    ledger, intake = Ledger(), Intake()
    return Admission(size, overflow, ledger, intake.drop_oldest), ledger, intake


def test_drop_newest_refuses_what_comes_when_it_is_full() -> None:
    """And takes again when places are given back."""
    admission, ledger, _ = admission_of(2, "drop_newest")
    assert [admission.admit() for _ in range(4)] == [True, True, False, False]
    assert ledger.dropped.values() == {"queue_full": 2}
    assert ledger.queued.value() == 2
    admission.release(1)
    assert [admission.admit() for _ in range(2)] == [True, False]
    assert ledger.queued.value() == 2


def test_drop_oldest_gives_up_the_oldest_that_waits() -> None:
    """The newest are kept; as many are counted as dropped as were."""
    admission, ledger, intake = admission_of(3, "drop_oldest")
    for number in range(10):
        assert admission.admit()
        intake.export([readable(number)])
    assert bodies(intake.take(100)) == [7, 8, 9]
    assert ledger.dropped.values() == {"queue_full": 7}
    assert ledger.queued.value() == 3


def test_drop_oldest_when_the_oldest_are_out_of_reach() -> None:
    """What is still in the SDK's queue cannot be given up, so the newest is let in, and the oldest goes afterwards."""
    admission, ledger, intake = admission_of(3, "drop_oldest")
    batch = []
    for number in range(10):
        assert admission.admit()
        batch.append(readable(number))
    intake.export(batch)
    admission.repay()
    assert bodies(intake.take(100)) == [7, 8, 9]
    assert ledger.dropped.values() == {"queue_full": 7}
    assert ledger.queued.value() == 3
    admission.release(3)
    assert [admission.admit() for _ in range(3)] == [True] * 3
    assert ledger.dropped.values() == {"queue_full": 7}


def test_the_bound_is_overdrawn_by_so_much_and_no_more() -> None:
    """Whatever the policy, there is a hard bound, below the size of the SDK's own queue."""
    admission, ledger, _ = admission_of(10, "drop_oldest")
    admitted = sum(admission.admit() for _ in range(3 * OVERDRAFT))
    assert admitted == 10 + OVERDRAFT
    assert ledger.queued.value() == 10
    assert ledger.dropped.values()["queue_full"] == 3 * OVERDRAFT - 10


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_the_bound_is_exact_under_threads(overflow: Overflow) -> None:
    """Eight threads against one worker that takes and gives back: nothing lost, nothing twice, never over the bound."""
    admission, ledger, intake = admission_of(50, overflow)
    taken, most, done = [], 0, threading.Event()
    start = threading.Barrier(9)

    def produce(first: int) -> None:
        start.wait(10)
        for number in range(first, first + 2_000):
            if admission.admit():
                intake.export([readable(number)])

    def consume() -> None:
        nonlocal most
        start.wait(10)
        while not done.is_set() or len(intake):
            admission.repay()
            most = max(most, len(intake))
            slice_ = intake.take(16)
            taken.extend(bodies(slice_))
            admission.release(len(slice_))

    producers = [threading.Thread(target=produce, args=(index * 2_000,)) for index in range(8)]
    consumer = threading.Thread(target=consume)
    for thread in (*producers, consumer):
        thread.start()
    for thread in producers:
        thread.join()
    done.set()
    consumer.join()
    admission.repay()
    dropped = ledger.dropped.values().get("queue_full", 0)
    assert len(taken) == len(set(taken)) == 16_000 - dropped
    assert ledger.queued.value() == 0
    assert most <= 50 + (OVERDRAFT if overflow == "drop_oldest" else 0)
    assert sum(admission.admit() for _ in range(50)) == 50
    assert ledger.dropped.values().get("queue_full", 0) == dropped


def test_the_intake_keeps_the_order_and_gives_what_there_is() -> None:
    """It never raises and never waits."""
    intake = Intake()
    assert intake.take(5) == []
    assert not intake.drop_oldest()
    intake.export([readable(number) for number in range(5)])
    assert bodies(intake.take(2)) == [0, 1]
    assert intake.drop_oldest()
    assert bodies(intake.take(100)) == [3, 4]
    intake.export([readable(9)])
    intake.reset()
    assert len(intake) == 0
    assert intake.force_flush()
    intake.shutdown()
