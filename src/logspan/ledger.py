"""The loss ledger: what became of every record, counted where it happens. No I/O.

Whole pipeline, before the fan-out:
    emitted = filtered + sampled_out + dropped{reason} + held + queued + fanned_out
For each exporter:
    fanned_out + adopted = routed_away + delivered + rejected{status} + dropped{reason} + spooled + in_flight

Both hold exactly when the pipeline is idle; no term is computed from the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


class Tally:
    """A count that any thread adds to, without a lock.

    A C iterator counts: each step, or run of steps, and each look at it is one call that neither another thread nor a
    signal handler can interrupt. (With a lock, a handler that waits for a worker could hold what the worker needs.)
    """

    __slots__ = ("_counter", "one")

    def __init__(self) -> None:
        self._counter = itertools.count()
        self.one: Callable[[], int] = self._counter.__next__
        """Count one. It has no Python frame, so the end of the stack cannot make it wrong; returns nothing of use."""

    def add(self, number: int) -> None:
        """Count several at once; some 15 ns for each."""
        next(itertools.islice(self._counter, number, number), None)

    def value(self) -> int:
        """What was counted so far: `count(7)` shows where it is without moving it."""
        return int(repr(self._counter)[6:-1])


class Level:
    """A number that goes up and down: what came in and what went out, each counted on its own."""

    __slots__ = ("_in", "_out", "one")

    def __init__(self) -> None:
        self._in, self._out = Tally(), Tally()
        self.one = self._in.one
        """Count one in, as a tally does."""

    def enter(self, number: int = 1) -> None:
        """Count `number` in."""
        self._in.add(number)

    def leave(self, number: int = 1) -> None:
        """Count `number` out."""
        self._out.one() if number == 1 else self._out.add(number)

    def value(self) -> int:
        """How many are inside; out is read first, so that a race shows one too many, never a negative number."""
        out = self._out.value()
        return self._in.value() - out


class TallyMap:
    """Tallies by name: the reasons of drops, the statuses of rejections."""

    __slots__ = ("_tallies",)

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def add(self, name: str, number: int = 1) -> None:
        """Count `number` under a name."""
        tally = self._tallies.get(name) or self._tallies.setdefault(name, Tally())
        tally.one() if number == 1 else tally.add(number)

    def value(self, name: str) -> int:
        """The count under one name."""
        tally = self._tallies.get(name)
        return tally.value() if tally is not None else 0

    def values(self) -> Mapping[str, int]:
        """The counts by name, sorted, zeros left out."""
        counts = {name: tally.value() for name, tally in sorted(self._tallies.copy().items())}
        return MappingProxyType({name: count for name, count in counts.items() if count})


@dataclass(frozen=True, slots=True)
class ExporterSnapshot:
    """The terms of one exporter, in records."""

    fanned_out: int = 0
    adopted: int = 0
    routed_away: int = 0
    delivered: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    spooled: int = 0
    in_flight: int = 0
    replayed: int = 0
    """Of those adopted: records that an earlier process may have sent already. No term of the equation."""
    spool_errors: Mapping[str, int] = field(default_factory=dict)
    """Writes that the disk has refused; their records stayed in memory. No term of the equation either."""

    @property
    def lost(self) -> int:
        """Records that this exporter will never deliver: rejected and dropped."""
        return sum(self.rejected.values()) + sum(self.dropped.values())

    @property
    def balanced(self) -> bool:
        """Whether the exporter's equation holds, and no term is negative; it must when the pipeline is idle."""
        lost = (*self.rejected.values(), *self.dropped.values())
        ends = (self.routed_away, self.delivered, *lost, self.spooled, self.in_flight)
        return self.fanned_out + self.adopted == sum(ends) and min(ends) >= 0


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """The whole ledger at one moment, in records."""

    emitted: int = 0
    filtered: int = 0
    sampled_out: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    held: int = 0
    queued: int = 0
    fanned_out: int = 0
    processor_errors: Mapping[str, int] = field(default_factory=dict)
    suppressed_self_logs: int = 0
    worker_restarts: int = 0
    cut: int = 0
    """Records that were delivered with a value cut or an attribute left out, by the limits. No term of the equation."""
    exporters: Mapping[str, ExporterSnapshot] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether both equations hold, and no term is negative; they must when the pipeline is idle."""
        ends = (self.filtered, self.sampled_out, *self.dropped.values(), self.held, self.queued, self.fanned_out)
        whole = self.emitted == sum(ends) and min(ends) >= 0
        return whole and all(exporter.balanced for exporter in self.exporters.values())

    @property
    def lost(self) -> int:
        """Records that will not arrive everywhere they should: dropped before the fan-out, or lost by an exporter."""
        return sum(self.dropped.values()) + sum(exporter.lost for exporter in self.exporters.values())


class ExporterLedger:
    """The counts of one exporter."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, in a forked child: what the parent counted is the parent's."""
        self.fanned_out, self.delivered, self.in_flight = Tally(), Tally(), Level()
        self.restarts = Tally()
        self.adopted, self.spooled, self.replayed, self.spool_errors = Tally(), Level(), Tally(), TallyMap()
        self.rejected, self.dropped = TallyMap(), TallyMap()

    def snapshot(self) -> ExporterSnapshot:
        """The counts at this moment."""
        return ExporterSnapshot(
            fanned_out=self.fanned_out.value(),
            adopted=self.adopted.value(),
            delivered=self.delivered.value(),
            rejected=self.rejected.values(),
            dropped=self.dropped.values(),
            spooled=self.spooled.value(),
            in_flight=self.in_flight.value(),
            replayed=self.replayed.value(),
            spool_errors=self.spool_errors.values(),
        )


class Ledger:
    """The counts of one pipeline."""

    def __init__(self) -> None:
        self._exporters: dict[str, ExporterLedger] = {}
        self.reset()

    def reset(self) -> None:
        """Begin anew, in a forked child: what the parent counted is the parent's."""
        self.emitted, self.settled = Tally(), Tally()
        self.filtered, self.sampled_out, self.fanned_out = Tally(), Tally(), Tally()
        self.dropped, self.processor_errors = TallyMap(), TallyMap()
        self.queued = Level()
        self.suppressed_self_logs, self.worker_restarts, self.cut = Tally(), Tally(), Tally()
        for exporter in self._exporters.values():
            exporter.reset()

    def count_cut(self) -> None:
        """Count a record that the limits have cut."""
        self.cut.one()

    def count_error(self, processor: str) -> None:
        """Count a call of a processor that failed."""
        self.processor_errors.add(processor)

    def exporter(self, name: str) -> ExporterLedger:
        """The counts of one exporter, made at the first call."""
        return self._exporters.setdefault(name, ExporterLedger())

    def snapshot(self) -> LedgerSnapshot:
        """The counts at this moment; exact when the pipeline is idle."""
        each = dict(self._exporters)
        exporters = {name: exporter.snapshot() for name, exporter in each.items()}
        return LedgerSnapshot(
            emitted=self.emitted.value(),
            filtered=self.filtered.value(),
            sampled_out=self.sampled_out.value(),
            dropped=self.dropped.values(),
            queued=self.queued.value(),
            fanned_out=self.fanned_out.value(),
            processor_errors=self.processor_errors.values(),
            cut=self.cut.value(),
            suppressed_self_logs=self.suppressed_self_logs.value(),
            worker_restarts=self.worker_restarts.value() + sum(one.restarts.value() for one in each.values()),
            exporters=MappingProxyType(exporters),
        )
