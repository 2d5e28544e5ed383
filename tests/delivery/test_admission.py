"""The bound before the fan-out: exact, by each policy, from any thread (R3.2, R3.3; faults 35, 41, 44)."""

from __future__ import annotations

import gc
import signal
import threading
from typing import Any, cast

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import SystemClock
from logspan.context import mark_pipeline_thread
from logspan.delivery.admission import OVERDRAFT, Admission, Overflow, QueueBound
from logspan.delivery.intake import Intake
from logspan.ledger import Ledger
from logspan.record import Record
from logspan.testing import FakeClock
from tests.core.support import bodies, record

ERROR, INFO, WARN = 17, 9, 13


class Queue:
    """An admission with its intake, and records that go straight from one to the other."""

    def __init__(self, size: int, overflow: Overflow, **bound: Any) -> None:
        self.ledger, self.intake, self.clock = Ledger(), Intake(), bound.pop("clock", SystemClock())
        self.bound = QueueBound(max_queue_size=size, overflow=overflow, **bound)
        self.admission = Admission(self.bound, self.ledger, self.intake.drop_oldest, self.clock)

    def admit(self, body: Any = "", severity: int = INFO) -> bool:
        """Whether a record gets a place, which then waits out of reach."""
        return self.admission.admit(record(body, severity=severity))

    def put(self, body: Any, severity: int = INFO) -> bool:
        """Whether a record gets a place; it then waits in the intake."""
        made = record(body, severity=severity)
        admitted = self.admission.admit(made)
        if admitted:
            self.intake.export([cast("ReadableLogRecord", made)])
        return admitted

    def take(self, most: int = 1_000) -> list[Any]:
        """What the worker takes, and gives the places back for."""
        taken = cast("list[Record]", self.intake.take(most))
        self.admission.release(len(taken), sum(item.weight for item in taken))
        return bodies(cast("list[ReadableLogRecord]", taken))

    @property
    def dropped(self) -> dict[str, int]:
        """Drops by reason."""
        return dict(self.ledger.dropped.values())

    @property
    def queued(self) -> int:
        """How many have a place."""
        return self.ledger.queued.value()


def test_drop_newest_refuses_what_comes_when_it_is_full() -> None:
    """And takes again when places are given back."""
    queue = Queue(2, "drop_newest")
    assert [queue.put(number) for number in range(4)] == [True, True, False, False]
    assert queue.dropped == {"queue_full": 2}
    assert queue.queued == 2
    assert queue.take(1) == [0]
    assert [queue.put(number) for number in (5, 6)] == [True, False]
    assert queue.queued == 2


def test_drop_oldest_gives_up_the_oldest_that_waits() -> None:
    """The newest are kept; as many are counted as dropped as were."""
    queue = Queue(3, "drop_oldest")
    assert all(queue.put(number) for number in range(10))
    assert queue.dropped == {"queue_full": 7}
    assert queue.queued == 3
    assert queue.take() == [7, 8, 9]
    assert queue.queued == 0


def test_drop_oldest_when_the_oldest_are_out_of_reach() -> None:
    """What is still in the SDK's queue cannot be given up, so the newest is let in, and the oldest goes afterwards."""
    queue = Queue(3, "drop_oldest")
    made = [record(number) for number in range(10)]
    assert all(queue.admission.admit(item) for item in made)
    queue.intake.export(cast("list[ReadableLogRecord]", made))
    queue.admission.repay()
    assert queue.dropped == {"queue_full": 7}
    assert queue.queued == 3
    assert queue.take() == [7, 8, 9]
    assert [queue.admit() for _ in range(3)] == [True] * 3
    assert queue.dropped == {"queue_full": 7}


def test_the_bound_is_overdrawn_by_so_much_and_no_more() -> None:
    """Whatever the policy, there is a hard bound, below the size of the SDK's own queue."""
    queue = Queue(10, "drop_oldest")
    assert sum(queue.admit() for _ in range(3 * OVERDRAFT)) == 10 + OVERDRAFT
    assert queue.queued == 10
    assert queue.dropped["queue_full"] == 3 * OVERDRAFT - 10


def test_the_bound_in_bytes() -> None:
    """Large records fill the queue long before their number does; what is given up makes as much room as it took."""
    queue = Queue(1_000, "drop_oldest", max_queue_bytes=100 * 1024)
    assert all(queue.put("x" * 9_000 + str(number)) for number in range(40))
    kept = queue.take()
    assert [text[9_000:] for text in kept] == [str(number) for number in range(32, 40)]  # an eighth is kept in reserve
    assert queue.dropped == {"queue_full": 32}
    assert all(queue.put("small") for _ in range(80))
    assert queue.dropped == {"queue_full": 32}


def test_a_record_larger_than_the_queue_is_refused_alone() -> None:
    """It does not push out everything else for nothing."""
    queue = Queue(100, "drop_oldest", max_queue_bytes=20 * 1024)
    assert all(queue.put(number) for number in range(5))
    assert not queue.put("x" * 50_000, severity=ERROR)
    assert queue.take() == [0, 1, 2, 3, 4]
    assert queue.dropped == {"queue_full": 1}


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "sample"])
def test_protected_records_are_the_last_to_go(overflow: Overflow) -> None:
    """An ERROR outlives DEBUG and INFO under every policy; what is kept stays in order."""
    queue = Queue(6, overflow)
    for number in range(40):
        queue.put(number, severity=ERROR if number % 10 == 3 else INFO)
    kept = queue.take()
    assert {3, 13, 23, 33} <= set(kept)
    assert kept == sorted(kept)
    assert len(kept) == 6
    assert sum(queue.dropped.values()) == 34


def test_when_only_protected_records_are_left_the_oldest_of_them_goes() -> None:
    """And an unprotected one is refused rather than push one of them out."""
    queue = Queue(3, "drop_oldest")
    assert all(queue.put(number, severity=ERROR) for number in range(5))
    queue.put("info")
    queue.admission.repay()
    kept = queue.take()
    assert [body for body in kept if body != "info"] in ([2, 3, 4], [3, 4])
    assert queue.queued == 0


def test_sample_thins_out_above_the_mark() -> None:
    """Above `high_water_mark` WARN and above stay, and about `sampling_percentage` of the rest; drops are counted."""
    queue = Queue(10_000, "sample", high_water_mark=0.5, sampling_percentage=20.0, max_queue_bytes=64 * 1024 * 1024)
    assert all(queue.admit() for _ in range(5_000))
    kept = sum(queue.admit() for _ in range(4_000))
    assert 500 < kept < 1_100
    assert queue.dropped == {"overflow_sampled": 4_000 - kept}
    assert all(queue.admit(severity=WARN) for _ in range(1_000))


def test_block_waits_for_a_place() -> None:
    """The caller goes on as soon as the worker has given one back; nothing is dropped."""
    queue = Queue(1, "block", block_timeout=30.0)
    assert queue.put("first")
    admitted: list[bool] = []
    thread = threading.Thread(target=lambda: admitted.append(queue.put("second")))
    thread.start()
    assert queue.take() == ["first"]
    thread.join(20)
    assert admitted == [True]
    assert queue.take() == ["second"]
    assert queue.dropped == {}


def test_block_waits_no_longer_than_its_time_out() -> None:
    """Then the record at hand goes, counted."""
    clock = FakeClock()
    queue = Queue(1, "block", block_timeout=5.0, clock=clock)
    assert queue.put("first")
    admitted: list[bool] = []
    thread = threading.Thread(target=lambda: admitted.append(queue.put("second")))
    thread.start()
    while thread.is_alive():
        clock.wait_for_waiters(1) if thread.is_alive() else None
        clock.advance(6)
        thread.join(0.05)
    assert admitted == [False]
    assert queue.dropped == {"queue_full": 1}


async def test_block_never_blocks_an_event_loop() -> None:
    """There it drops the newest at once."""
    queue = Queue(1, "block", block_timeout=3_600.0)
    assert queue.put("first")
    assert not queue.put("second")
    assert queue.dropped == {"queue_full": 1}


def test_block_never_blocks_a_signal_handler() -> None:
    """It may have interrupted the very code that would make room (fault 35)."""
    queue = Queue(1, "block", block_timeout=3_600.0)
    assert queue.put("first")
    admitted: list[bool] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: admitted.append(queue.put("second")))
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert admitted == [False]


def test_block_never_blocks_a_finaliser() -> None:
    """`__del__` runs wherever the last reference goes, also while a lock is held (fault 35)."""
    queue = Queue(1, "block", block_timeout=3_600.0)
    assert queue.put("first")
    admitted: list[bool] = []

    class Finalised:
        def __del__(self) -> None:
            admitted.append(queue.put("second"))

    Finalised()
    gc.collect()
    assert admitted == [False]


def test_block_never_blocks_the_pipeline_itself() -> None:
    """Its workers would wait for themselves."""
    queue = Queue(1, "block", block_timeout=3_600.0)
    assert queue.put("first")

    def worker() -> None:
        mark_pipeline_thread()
        admitted.append(queue.put("second"))

    admitted: list[bool] = []
    thread = threading.Thread(target=worker)
    thread.start()
    thread.join(20)
    assert admitted == [False]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_the_bound_is_exact_under_threads(overflow: Overflow) -> None:
    """Eight threads against one worker that takes and gives back: nothing lost, nothing twice, never over the bound."""
    queue = Queue(50, overflow)
    taken, most, done = [], 0, threading.Event()
    start = threading.Barrier(9)

    def produce(first: int) -> None:
        start.wait(30)
        for number in range(first, first + 2_000):
            queue.put(number)

    def consume() -> None:
        nonlocal most
        start.wait(30)
        while not done.is_set() or len(queue.intake):
            queue.admission.repay()
            most = max(most, len(queue.intake))
            taken.extend(queue.take(16))

    producers = [threading.Thread(target=produce, args=(index * 2_000,)) for index in range(8)]
    consumer = threading.Thread(target=consume)
    for thread in (*producers, consumer):
        thread.start()
    for thread in producers:
        thread.join()
    done.set()
    consumer.join()
    queue.admission.repay()
    dropped = queue.dropped.get("queue_full", 0)
    assert len(taken) == len(set(taken)) == 16_000 - dropped
    assert queue.queued == 0
    assert most <= 50 + (OVERDRAFT if overflow == "drop_oldest" else 0)
    assert sum(queue.admit() for _ in range(50)) == 50
    assert queue.dropped.get("queue_full", 0) == dropped


def test_the_intake_keeps_the_order_and_gives_what_there_is() -> None:
    """It never raises and never waits."""
    intake = Intake()
    assert intake.take(5) == []
    assert intake.drop_oldest(protected_too=True) is None
    intake.export([cast("ReadableLogRecord", record(number)) for number in range(5)])
    assert bodies(intake.take(2)) == [0, 1]
    assert intake.drop_oldest(protected_too=False) is not None
    assert bodies(intake.take(100)) == [3, 4]
    intake.export([cast("ReadableLogRecord", record(9))])
    intake.reset()
    assert len(intake) == 0
    assert intake.force_flush()
    intake.shutdown()
