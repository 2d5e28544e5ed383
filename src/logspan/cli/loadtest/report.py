"""The report of a load test, for people and for machines, and what is wrong with it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logspan.cli.loadtest.receiver import Counts
from logspan.cli.loadtest.workload import Load, Measured
from logspan.ledger import ExporterSnapshot
from logspan.settings import Settings

_MIB = 1024 * 1024
_PERCENTS = (50, 90, 99)
_MAYBE_ARRIVED = ("shutdown_timeout", "retry_exhausted", "worker_error")
"""Reasons of drops after an attempt whose answer never came: the receiver may have the records all the same."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known of one run; `counts` are the embedded receiver's, None when there was another."""

    load: Load
    settings: Settings
    endpoint: str
    measured: Measured
    counts: Counts | None

    @property
    def otlp(self) -> ExporterSnapshot:
        """The terms of the only exporter."""
        return self.measured.ledger.exporters.get("otlp", ExporterSnapshot())

    @property
    def faults(self) -> list[str]:
        """What does not add up; empty when all is well. A record that was lost and counted is none."""
        found = []
        if not self.measured.ledger.balanced:
            found.append("the ledger does not balance")
        if self.measured.ledger.emitted < self.measured.logged:
            found.append(
                f"{self.measured.logged:,} records were logged, the ledger has {self.measured.ledger.emitted:,}"
            )
        if self.counts is not None and not self._agrees(self.counts):
            found.append(f"the ledger has {self.otlp.delivered:,} delivered, the receiver {self.counts.distinct:,}")
        return found

    def _agrees(self, counts: Counts) -> bool:
        certain = self.otlp.delivered - self.otlp.adopted  # what was adopted is of another run
        uncertain = sum(self.otlp.dropped.get(reason, 0) for reason in _MAYBE_ARRIVED)
        return certain <= counts.distinct <= self.otlp.delivered + uncertain


def as_json(report: Report) -> dict[str, Any]:
    """One object: durations in seconds (of log calls in microseconds), memory in bytes."""
    load, measured, ledger, otlp = report.load, report.measured, report.measured.ledger, report.otlp
    receiver = None
    if report.counts is not None:
        counts = report.counts
        receiver = {
            "requests": counts.requests,
            "bytes": counts.bytes,
            "received": counts.received,
            "distinct": counts.distinct,
            "duplicates": counts.duplicates,
            "in_trace": counts.in_trace,
        }
    return {
        "machine": {"python": platform.python_version(), "system": platform.system()},
        "load": {name: getattr(load, name) for name in Load.__dataclass_fields__},
        "endpoint": report.endpoint,
        "protocol": report.settings.otlp.protocol,
        "queue": {
            "overflow": report.settings.queue.overflow,
            "max_queue_size": report.settings.queue.max_queue_size,
        },
        "rate": _rate(measured),
        "seconds": measured.took,
        "drain_seconds": measured.drained,
        "interrupted": measured.interrupted,
        "call_us": {
            **{f"p{percent}": measured.calls.percentile(percent) / 1e3 for percent in _PERCENTS},
            "max": measured.calls.longest / 1e3,
        },
        "cpu_us_per_record": _cpu(measured),
        "memory": {
            "before": measured.memory_before,
            "peak": measured.memory_peak,
            "after": measured.memory_after,
        },
        "records": {
            "logged": measured.logged,
            "emitted": ledger.emitted,
            "filtered": ledger.filtered,
            "sampled_out": ledger.sampled_out,
            "dropped": dict(ledger.dropped),
            "fanned_out": ledger.fanned_out,
        },
        "otlp": {
            "delivered": otlp.delivered,
            "rejected": dict(otlp.rejected),
            "dropped": dict(otlp.dropped),
            "spooled": otlp.spooled,
        },
        "receiver": receiver,
        "faults": report.faults,
    }


def _rate(measured: Measured) -> float:
    return (measured.logged - 1) / measured.took if measured.took else 0.0


def _cpu(measured: Measured) -> float:
    return measured.cpu / measured.logged * 1e6


def as_text(report: Report) -> str:
    """A page for people."""
    sections = (_head(report), _costs(report.measured, report.load), _records(report), _verdict(report))
    return "\n\n".join(sections)


def _head(report: Report) -> str:
    load, queue = report.load, report.settings.queue
    rate = f"{load.rate:,.0f} records/s" if load.rate else "all that goes"
    threads = "1 thread" if load.threads == 1 else f"{load.threads} threads"
    where = "a receiver of its own" if report.counts is not None else report.endpoint
    return (
        f"{rate} for {load.duration:g} s from {threads}, {load.attributes} attributes of {load.size} characters\n"
        f"to {where} ({report.settings.otlp.protocol}), queue of {queue.max_queue_size:,}, {queue.overflow}"
    )


def _costs(measured: Measured, load: Load) -> str:
    calls = [f"p{percent} {_duration(measured.calls.percentile(percent))}" for percent in _PERCENTS]
    rate = f"{_rate(measured):,.0f} records/s"
    if load.rate and not measured.interrupted:
        rate += f" ({100 * _rate(measured) / load.rate:.1f} % of what was asked)"
    busy = 100 * measured.cpu / (measured.took + measured.drained)
    grown = measured.memory_peak - measured.memory_before
    rows = {
        "rate": rate,
        "log call": "   ".join([*calls, f"max {_duration(measured.calls.longest)}"]),
        "CPU": f"{_cpu(measured):.1f} us per record, {busy:.0f} % of one core, the load itself included",
        "memory": f"{measured.memory_before / _MIB:.1f} MiB before, {measured.memory_peak / _MIB:.1f} at its peak "
        f"({grown / _MIB:+.1f}), {measured.memory_after / _MIB:.1f} after",
        "time": f"{measured.took:.2f} s of load, then {measured.drained:.2f} s until all was settled",
    }
    if measured.interrupted:
        rows["time"] += " (interrupted)"
    return _table(rows)


def _duration(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e3:.1f} us" if nanoseconds < 1_000_000 else f"{nanoseconds / 1e6:.1f} ms"


def _records(report: Report) -> str:
    ledger, otlp, counts = report.measured.ledger, report.otlp, report.counts
    rows = {
        "logged": f"{report.measured.logged:>12,}",
        "emitted": f"{ledger.emitted:>12,}",
        "filtered": f"{ledger.filtered:>12,}",
        "sampled out": f"{ledger.sampled_out:>12,}",
        "dropped": _by_name(ledger.dropped),
        "fanned out": f"{ledger.fanned_out:>12,}",
        "  delivered": f"{otlp.delivered:>12,}",
        "  rejected": _by_name(otlp.rejected),
        "  dropped": _by_name(otlp.dropped),
        "  spooled": f"{otlp.spooled:>12,}",
    }
    if counts is not None:
        sizes = f"   in {counts.requests:,} requests, {counts.bytes / max(counts.received, 1):.0f} bytes a record"
        rows["received"] = f"{counts.received:>12,}{sizes}"
        rows["  distinct"] = f"{counts.distinct:>12,}   {counts.in_trace:,} of those received in a trace"
        rows["  duplicates"] = f"{counts.duplicates:>12,}"
    return _table(rows)


def _by_name(counts: Mapping[str, int]) -> str:
    names = "   " + ", ".join(f"{name} {count:,}" for name, count in counts.items()) if counts else ""
    return f"{sum(counts.values()):>12,}{names}"


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:<14}{text}" for name, text in rows.items())


def _verdict(report: Report) -> str:
    if report.faults:
        return "\n".join(f"WRONG: {fault}" for fault in report.faults)
    both = "the ledger balances" + ("" if report.counts is None else ", and the receiver agrees with it")
    return f"{both}{_losses(report)}"


def _losses(report: Report) -> str:
    lost = report.measured.ledger.lost
    return f"; {lost:,} records were lost, and are counted above" if lost else "; nothing was lost"
