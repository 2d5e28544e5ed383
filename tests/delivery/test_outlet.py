"""An outlet: what it does with every outcome, and that each record is counted once (R3.2; faults 7, 9, 10, 27, 28)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan.delivery.retry import MOST_RETRY_AFTER, Retry, RetryPolicy, honoured
from logspan.ledger import ExporterSnapshot
from logspan.outcome import Delivered, Divisible, Outcome, Rejected, Retryable
from logspan.testing import FakeClock, InMemoryExporter
from tests.core.support import bodies
from tests.delivery.support import NO_JITTER, Kit

Make = Callable[..., Kit]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes outlets, and ends them after the test."""
    kits: list[Kit] = []

    def kit(exporter: LogRecordExporter, **options: Any) -> Kit:
        kits.append(Kit(exporter, **options))
        return kits[-1]

    yield kit
    for each in kits:
        each.close(0)


def counts(kit: Kit) -> ExporterSnapshot:
    """The ledger, which must balance."""
    snapshot = kit.ledger.snapshot()
    assert snapshot.balanced
    return snapshot


# ---------------------------------------------------------------------------------- outcomes


def test_delivered_is_counted_and_clears_the_trouble(make: Make) -> None:
    """The last attempt decides how the exporter is."""
    kit = make(InMemoryExporter([Rejected("401", "no token")]))
    troubles = []
    for count in (2, 3):
        kit.put(count)
        assert kit.drain()
        troubles.append(kit.outlet.trouble)
    assert troubles == ["401 no token", None]
    assert (counts(kit).delivered, counts(kit).rejected) == (3, {"401": 2})


def test_rejected_is_not_sent_again(make: Make) -> None:
    """One attempt, counted by the peer's status (fault 9)."""
    memory = InMemoryExporter([Rejected("400"), Rejected("INVALID_ARGUMENT")])
    kit = make(memory, max_export_batch_size=2)
    kit.put(4)
    assert kit.drain()
    assert memory.attempts == 2
    assert counts(kit).rejected == {"400": 2, "INVALID_ARGUMENT": 2}


def test_partial_success_splits_the_count(make: Make) -> None:
    """Seven of ten refused: three delivered, no retry; none refused with a message: all delivered (fault 10)."""
    memory = InMemoryExporter([Delivered(rejected=7, message="too old"), Delivered(message="slow down")])
    kit = make(memory)
    kit.put(10)
    assert kit.drain()
    kit.put(10)
    assert kit.drain()
    assert memory.attempts == 2
    assert (counts(kit).delivered, counts(kit).rejected) == (13, {"partial_success": 7})


def test_unencodable_records_are_counted_apart(make: Make) -> None:
    """They never left, whatever the peer says of the rest."""
    kit = make(InMemoryExporter([Delivered(unencodable=2, rejected=1)]))
    kit.put(5)
    assert kit.drain()
    snapshot = counts(kit)
    assert (snapshot.delivered, snapshot.rejected, snapshot.dropped) == (2, {"partial_success": 1}, {"unencodable": 2})


def test_what_was_refused_apart_is_counted_by_its_status(make: Make) -> None:
    """A batch that was sent in parts: each refusal has its own reason (fault 11)."""
    kit = make(InMemoryExporter([Delivered(rejected=1, refused={"413": 2, "401": 3})]))
    kit.put(10)
    assert kit.drain()
    assert (counts(kit).delivered, counts(kit).rejected) == (4, {"401": 3, "413": 2, "partial_success": 1})


def test_the_parts_of_a_divided_batch_are_settled_one_by_one(make: Make) -> None:
    """Each half has an end of its own: taken at once; in vain at first, then refused."""
    too_large = Rejected("413", divisible="size")
    memory = InMemoryExporter([too_large, Delivered(rejected=1), Retryable("away"), Rejected("400")])
    kit = make(memory, retry=RetryPolicy(initial_interval=0.01))
    kit.put(11)
    assert kit.drain()
    assert [bodies(batch) for batch in memory.batches()] == [[0, 1, 2, 3, 4]]
    assert (counts(kit).delivered, counts(kit).rejected) == (4, {"partial_success": 1, "400": 6})


def test_the_search_for_what_is_refused_is_bounded(make: Make) -> None:
    """By size every record is tried alone; by content a batch of bad records costs some fifty requests."""
    answers: dict[Divisible, int] = {"size": 1_023, "content": 49}
    for divisible, attempts in answers.items():
        memory = InMemoryExporter([Rejected("400", divisible=divisible)] * 1_023)
        kit = make(memory, schedule_delay=30.0)
        kit.put(512)
        assert kit.drain()
        assert (memory.attempts, counts(kit).rejected) == (attempts, {"400": 512})


@pytest.mark.parametrize(
    "outcome",
    [
        Delivered(rejected=99),
        Delivered(rejected=-5),
        Delivered(unencodable=99),
        Delivered(-1, "", -1),
        Delivered(refused={"413": 99, "400": 2}),
        Delivered(rejected=2, refused={"413": -1}),
    ],
)
def test_impossible_counts_are_put_right(make: Make, outcome: Outcome) -> None:
    """A peer that refuses more than it got, or less than nothing, does not break the ledger."""
    kit = make(InMemoryExporter([outcome]))
    kit.put(3)
    assert kit.drain()
    snapshot = counts(kit)
    assert snapshot.delivered + snapshot.lost == 3


class Answers(LogRecordExporter):
    """An exporter of the SDK's kind, which returns or raises what it is told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.batches: list[list[Any]] = []

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        answer = self.answers.pop(0) if self.answers else LogRecordExportResult.SUCCESS
        if isinstance(answer, BaseException):
            raise answer
        if answer is LogRecordExportResult.SUCCESS:
            self.batches.append(bodies(batch))
        return answer

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(1), KeyboardInterrupt(), MemoryError(), GeneratorExit(), RecursionError()]
)
@pytest.mark.parametrize("ours", [True, False])
def test_an_exporter_that_raises_costs_its_batch_and_no_more(make: Make, error: BaseException, ours: bool) -> None:
    """Counted; the worker lives, and the next batch is delivered (faults 27 and 28)."""
    kit = make(InMemoryExporter([error]) if ours else Answers(error))
    kit.put(2)
    assert kit.drain()
    assert kit.outlet.trouble == f"exporter_error {type(error).__name__}"
    kit.put(3)
    assert kit.drain()
    assert kit.outlet.alive
    assert (counts(kit).delivered, counts(kit).dropped) == (3, {"exporter_error": 2})


class SaysNonsense(InMemoryExporter):
    """An exporter whose answer is none of the three."""

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers = list(answers)

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        return self.answers.pop(0) if self.answers else super().deliver(batch, timeout)


WRONG: Any = "x"


@pytest.mark.parametrize("answer", [None, True, "ok", LogRecordExportResult.SUCCESS, Delivered(rejected=WRONG)])
def test_an_answer_that_is_none_costs_the_batch(make: Make, answer: Any) -> None:
    """It is not known to be delivered, so it is not counted as delivered."""
    kit = make(SaysNonsense(answer))
    kit.put(2)
    kit.put(2)
    assert kit.drain()
    assert counts(kit).dropped["exporter_error"] in (2, 4)
    kit.put(1)
    assert kit.drain()
    assert counts(kit).delivered >= 1


def test_a_failure_of_an_sdk_exporter_is_tried_again(make: Make) -> None:
    """It says nothing of the cause, so it may pass; the order is kept."""
    exporter = Answers(LogRecordExportResult.FAILURE, LogRecordExportResult.FAILURE)
    kit = make(exporter, retry=RetryPolicy(initial_interval=0.01), max_export_batch_size=2)
    kit.put(4)
    assert kit.drain()
    assert exporter.batches == [[0, 1], [2, 3]]
    assert counts(kit).delivered == 4


# ---------------------------------------------------------------------------------- retry


def waiting(clock: FakeClock, memory: InMemoryExporter, attempts: int) -> None:
    """The outlet has failed so often and waits for its next attempt."""
    assert memory.wait_for_attempts(attempts)
    assert clock.wait_for_waiters(1)


def test_retries_come_after_the_interval_which_grows(make: Make) -> None:
    """5 s, 7.5 s, ...: not a moment before, and then delivered (no jitter here)."""
    clock, memory = FakeClock(), InMemoryExporter([Retryable("503"), Retryable("503")])
    kit = make(memory, clock=clock, max_export_batch_size=1)
    kit.put()
    for attempts, interval in ((1, 5.0), (2, 7.5)):
        waiting(clock, memory, attempts)
        clock.advance(interval - 0.1)
        assert not memory.wait_for_attempts(attempts + 1, timeout=0.05)
        assert kit.outlet.trouble == "503"
        clock.advance(0.2)
    assert memory.wait_for(1)
    assert kit.drain()
    assert counts(kit).delivered == 1


def test_a_peer_names_the_least_delay(make: Make) -> None:
    """Retry-After: not before it, also when a flush or a new batch is in a hurry (fault 7)."""
    clock, memory = FakeClock(), InMemoryExporter([Retryable("429", retry_after=60)])
    kit = make(memory, clock=clock, max_export_batch_size=1)
    kit.put()
    waiting(clock, memory, 1)
    clock.advance(30)
    kit.put()
    kit.outlet.hurry()
    assert not memory.wait_for_attempts(2, timeout=0.05)
    clock.advance(29)
    assert not memory.wait_for_attempts(2, timeout=0.05)
    clock.advance(2)
    assert memory.wait_for(2)


def test_a_flush_does_not_wait_for_the_interval(make: Make) -> None:
    """Where the peer named no time, the next attempt comes at once, and only the next."""
    clock, memory = FakeClock(), InMemoryExporter([Retryable("503")] * 2)
    kit = make(memory, clock=clock, max_export_batch_size=1)
    kit.put()
    waiting(clock, memory, 1)
    kit.outlet.hurry()
    waiting(clock, memory, 2)
    assert not memory.wait_for_attempts(3, timeout=0.05)


def test_an_earlier_flush_does_not_shorten_a_later_wait(make: Make) -> None:
    """A flush that found all delivered leaves nothing behind that would cut the next back-off short."""
    clock, memory = FakeClock(), InMemoryExporter([Delivered(), Retryable("503")])
    kit = make(memory, clock=clock, max_export_batch_size=1)
    kit.put()
    assert kit.drain()
    kit.outlet.hurry()
    kit.put()
    waiting(clock, memory, 2)
    assert not memory.wait_for_attempts(3, timeout=0.05)
    clock.advance(6)
    assert memory.wait_for(2)


def test_a_batch_is_given_up_when_its_time_is_over(make: Make) -> None:
    """`max_elapsed_time` after the first attempt: counted, and the next batch gets its own time."""
    clock, memory = FakeClock(), InMemoryExporter([Retryable("503")] * 3)
    retry = RetryPolicy(randomization_factor=0.0, initial_interval=5, multiplier=1, max_interval=5, max_elapsed_time=12)
    kit = make(memory, clock=clock, retry=retry, max_export_batch_size=1)
    kit.put()
    for attempts in (1, 2):
        waiting(clock, memory, attempts)
        clock.advance(5)
    assert kit.drain()
    assert counts(kit).dropped == {"retry_exhausted": 1}
    kit.put()
    assert memory.wait_for(1)


def test_retry_switched_off_gives_up_at_once(make: Make) -> None:
    """One attempt, and an honest count."""
    memory = InMemoryExporter([Retryable("503")])
    kit = make(memory, retry=RetryPolicy(enabled=False))
    kit.put(2)
    assert kit.drain()
    assert memory.attempts == 1
    assert counts(kit).dropped == {"retry_exhausted": 2}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, 0.0),
        (30.0, 30.0),
        (0.0, 0.0),
        (-5.0, 0.0),
        (1e9, MOST_RETRY_AFTER),
        (float("inf"), MOST_RETRY_AFTER),
        (float("nan"), 0.0),
    ],
)
def test_what_a_peer_asks_for_is_honoured_within_reason(asked: float | None, given: float) -> None:
    """A date in the past is now; years are cut, and the batch is not given up for it (fault 7)."""
    assert honoured(asked) == given
    retry = Retry(NO_JITTER, FakeClock())
    assert retry.next_delay(asked, None) == max(given, 5.0)


def test_delays_grow_to_the_longest_and_stay_within_the_jitter() -> None:
    """The Collector's formula."""
    clock = FakeClock()
    retry = Retry(RetryPolicy(max_elapsed_time=0), clock)
    interval = 5.0
    for _ in range(50):
        delay = retry.next_delay(None, None)
        assert delay is not None
        assert interval * 0.5 <= delay <= interval * 1.5
        interval = min(interval * 1.5, 30.0)
        clock.advance(delay)


def test_towards_the_end_attempts_come_quicker() -> None:
    """A shutdown has a deadline: a fifth of what is left each time, and none that would come too late."""
    clock = FakeClock()
    retry = Retry(RetryPolicy(), clock)
    deadline, delays = clock.monotonic() + 5.0, []
    while (delay := retry.next_delay(None, deadline)) is not None:
        delays.append(delay)
        clock.advance(delay)
    assert delays[0] == pytest.approx(1.0)
    assert delays == sorted(delays, reverse=True)
    assert sum(delays) < 5.0
    assert retry.next_delay(60.0, clock.monotonic() + 5.0) is None


# ---------------------------------------------------------------------------------- the queue


def test_drop_oldest_keeps_the_newest(make: Make) -> None:
    """The queue of an exporter that is stuck holds the last records; each one dropped is counted (fault 41)."""
    memory = InMemoryExporter()
    memory.hold()
    kit = make(memory, queue_size=5, max_export_batch_size=1)
    kit.put()
    assert memory.wait_for_attempts(1)
    kit.put(3)
    kit.put(20)
    assert counts(kit).dropped == {"queue_full": 18}
    memory.release()
    assert kit.drain()
    assert bodies(memory.records()) == [0, 19, 20, 21, 22, 23]
    assert counts(kit).delivered == 6


def test_drop_newest_keeps_the_oldest(make: Make) -> None:
    """The other policy, as exactly."""
    memory = InMemoryExporter()
    memory.hold()
    kit = make(memory, queue_size=5, max_export_batch_size=1, overflow="drop_newest")
    kit.put()
    assert memory.wait_for_attempts(1)
    kit.put(3)
    kit.put(20)
    assert counts(kit).dropped == {"queue_full": 18}
    memory.release()
    assert kit.drain()
    assert bodies(memory.records()) == [0, 1, 2, 3, 4, 5]


def test_batches_fill_up_or_leave_in_time(make: Make) -> None:
    """A full batch goes at once; the rest when its time has come."""
    clock, memory = FakeClock(), InMemoryExporter()
    kit = make(memory, clock=clock, max_export_batch_size=4, schedule_delay=10.0)
    kit.put(9)
    assert memory.wait_for(8)
    assert clock.wait_for_waiters(1)
    assert not memory.wait_for(9, timeout=0.05)
    clock.advance(11)
    assert memory.wait_for(9)
    assert [len(batch) for batch in memory.batches()] == [4, 4, 1]


def test_the_end_comes_at_the_deadline_whatever_the_peer_wants(make: Make) -> None:
    """Retry-After of a minute, a deadline of a moment: given up and counted, the exporter shut down."""
    memory = InMemoryExporter([Retryable("429", retry_after=60)])
    kit = make(memory)
    kit.put(3)
    assert memory.wait_for_attempts(1)
    kit.close(0.1)
    assert counts(kit).dropped == {"shutdown_timeout": 3}
    kit.outlet.join(kit.clock.monotonic() + 10)
    assert not kit.outlet.alive
    assert memory.is_shut_down


def test_at_the_end_a_failing_peer_is_tried_again_within_the_deadline(make: Make) -> None:
    """A restart of the peer just then need not cost the last records."""
    memory = InMemoryExporter([Retryable("503")] * 3)
    kit = make(memory)
    kit.put(3)
    assert memory.wait_for_attempts(1)
    kit.close(5)
    assert counts(kit).delivered == 3


@pytest.mark.slow
def test_closing_while_batches_are_under_way_counts_each_once(make: Make) -> None:
    """The race of the worker that takes a batch with the closing that gives everything up, many times."""
    for _ in range(100):
        memory = InMemoryExporter()
        kit = Kit(memory, max_export_batch_size=3, schedule_delay=0.0001)
        putting = threading.Thread(target=lambda kit=kit: [kit.put(2) for _ in range(20)])
        putting.start()
        putting.join()
        kit.close(0)
        kit.outlet.join(kit.clock.monotonic() + 10)
        snapshot = counts(kit)
        assert snapshot.in_flight == 0
        assert snapshot.delivered == len(memory.records()) or snapshot.dropped
        assert snapshot.delivered + snapshot.lost == 40
