"""The ledger counts exactly, from any thread and inside signal handlers (R13.1; faults 35 and 39)."""

from __future__ import annotations

import signal
import threading

import pytest

from logspan.ledger import ExporterSnapshot, Ledger, LedgerSnapshot, Level, Tally, TallyMap

THREADS, EACH = 16, 10_000


def in_threads(work: object) -> None:
    """Run it in all of them at once."""
    assert callable(work)
    start = threading.Barrier(THREADS)

    def run() -> None:
        start.wait(30)
        work()

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_tally_is_exact_under_threads() -> None:
    """Ones, several at a time, and reading in between, which must not count."""
    tally = Tally()

    def work() -> None:
        for number in range(EACH):
            tally.one()
            if number % 100 == 0:
                tally.add(3)
                tally.value()

    in_threads(work)
    assert tally.value() == tally.value() == THREADS * (EACH + 3 * EACH // 100)


def test_named_tallies_are_exact_under_threads() -> None:
    """Also when all of them make the same name for the first time."""
    tallies = TallyMap()

    def work() -> None:
        for number in range(1_000):
            tallies.add(f"reason-{number % 7}")
            tallies.add("several", 2)

    in_threads(work)
    counts = tallies.values()
    assert counts["several"] == THREADS * 2_000
    assert sum(counts.values()) == THREADS * 3_000
    assert list(counts) == sorted(counts)


def test_a_level_never_shows_less_than_nothing() -> None:
    """Read while records go in and out, it may be one too high, not negative."""
    level, seen = Level(), []

    def work() -> None:
        for _ in range(1_000):
            level.enter()
            level.leave()
            seen.append(level.value())

    in_threads(work)
    assert level.value() == 0
    assert min(seen) >= 0


def test_a_tally_is_exact_inside_signal_handlers() -> None:
    """A handler that counts interrupts the very same counting, thousands of times."""
    tally, bulk, counted = Tally(), Tally(), [0, 0]

    def handler(*_: object) -> None:
        tally.one()
        bulk.add(2)
        counted[0] += 1

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        while counted[0] < 2_000:
            tally.one()
            bulk.add(2)
            counted[1] += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert tally.value() == sum(counted)
    assert bulk.value() == 2 * sum(counted)


def test_zeros_are_left_out() -> None:
    """A reason that never came about is not in the report."""
    tallies = TallyMap()
    tallies.add("nothing", 0)
    assert tallies.values() == {}


def test_the_equations() -> None:
    """A ledger balances when each side of both equations is the same, and only then."""
    good = ExporterSnapshot(fanned_out=10, adopted=1, delivered=5, rejected={"400": 2}, dropped={"x": 1}, in_flight=3)
    assert good.balanced
    assert good.lost == 3
    whole = LedgerSnapshot(
        emitted=20, filtered=3, sampled_out=2, dropped={"queue_full": 4}, queued=1, fanned_out=10, exporters={"a": good}
    )
    assert whole.balanced
    assert whole.lost == 7
    assert not LedgerSnapshot(emitted=1).balanced
    assert not ExporterSnapshot(fanned_out=1).balanced
    assert not LedgerSnapshot(exporters={"a": ExporterSnapshot(delivered=1)}).balanced


def test_what_is_counted_twice_does_not_balance() -> None:
    """A term below zero would make up for one that is too high."""
    assert not LedgerSnapshot(emitted=5, dropped={"shutdown_timeout": 7}, queued=-2).balanced
    assert not ExporterSnapshot(fanned_out=5, delivered=7, in_flight=-2).balanced
    assert not ExporterSnapshot(fanned_out=5, delivered=7, spooled=-2).balanced


def test_a_snapshot_stays_as_it_is() -> None:
    """It shows one moment, and cannot be changed."""
    ledger = Ledger()
    ledger.emitted.one()
    ledger.dropped.add("x")
    ledger.exporter("a").fanned_out.add(2)
    snapshot = ledger.snapshot()
    ledger.dropped.add("x")
    assert snapshot.dropped == {"x": 1}
    assert snapshot.exporters["a"].fanned_out == 2
    with pytest.raises(TypeError):
        snapshot.exporters["b"] = ExporterSnapshot()  # type: ignore[index]


def test_a_child_begins_at_nothing() -> None:
    """After `reset` everything is zero, and the exporters' counts that others hold are the new ones."""
    ledger = Ledger()
    exporter = ledger.exporter("a")
    for tally in (ledger.emitted, ledger.filtered, exporter.delivered):
        tally.add(5)
    ledger.queued.enter()
    exporter.in_flight.enter(3)
    ledger.reset()
    assert ledger.snapshot() == LedgerSnapshot(exporters={"a": ExporterSnapshot()})
    exporter.delivered.one()
    assert ledger.snapshot().exporters["a"].delivered == 1
