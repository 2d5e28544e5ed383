"""The tables of cases that log in a process of their own: `benchmarks.measure`, one variant and one workload each."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import uuid

from benchmarks.receiver import Receiver
from benchmarks.table import Case, Column, Figures, Table
from benchmarks.variants import VARIANTS

COLUMNS = {
    "caller_cpu_us": Column("caller CPU", "{:.1f} us"),
    "caller_p50_us": Column("p50", "{:.1f} us"),
    "caller_p99_us": Column("p99", "{:.0f} us"),
    "caller_p999_us": Column("p99.9", "{:.0f} us"),
    "longest_ms": Column("longest", "{:.1f} ms"),
    "total_cpu_us": Column("total CPU", "{:.1f} us"),
    "lost_percent": Column("lost", "{:.1f} %"),
    "rate": Column("rate", "{:,.0f}/s"),
}
CALLS = ("caller_cpu_us", "caller_p50_us", "caller_p99_us", "longest_ms", "total_cpu_us", "lost_percent", "rate")
CALL_RATIOS = ("caller_cpu_us", "caller_p50_us", "caller_p99_us", "longest_ms", "total_cpu_us")
RATES = (5_000, 10_000, 15_000, 20_000)


def measure(sink: Receiver, variant: str, count: int, rate: int, threads: int = 1) -> Figures:
    run = uuid.uuid4().hex
    workload = [variant, sink.endpoint, run, str(count), str(rate), str(threads)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measure", *workload],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{variant} failed:\n{done.stderr}")
    figures: Figures = json.loads(done.stdout)
    counts = sink.counts(run)
    if variant != "empty handler":
        figures["lost_percent"] = 100 * (count - counts["distinct"]) / count
        figures["duplicates"] = counts["received"] - counts["distinct"]
        figures["total_cpu_us"] *= count / max(counts["distinct"], 1)
    return figures


def case(variant: str, count: int, rate: int, threads: int = 1, *, label: str = "", group: str = "") -> Case:
    return Case(label or variant, group, variant, lambda sink: measure(sink, variant, count, rate, threads))


def paced(arguments: argparse.Namespace) -> Table:
    cases = [case(variant, arguments.records, arguments.rate) for variant in VARIANTS]
    title = f"paced: {arguments.records:,} records at {arguments.rate:,}/s"
    return Table(title, cases, {key: COLUMNS[key] for key in CALLS}, CALL_RATIOS)


def burst(arguments: argparse.Namespace) -> Table:
    cases = [case(variant, arguments.burst, 0) for variant in VARIANTS]
    title = f"burst: {arguments.burst:,} records as fast as the caller can"
    return Table(title, cases, {key: COLUMNS[key] for key in CALLS}, CALL_RATIOS)


def sustained(arguments: argparse.Namespace) -> Table:
    cases = [
        case(variant, rate * arguments.seconds, rate, label=f"{rate:,}/s {variant}", group=str(rate))
        for rate in RATES
        for variant in ("stock", "logspan")
    ]
    keys = ("lost_percent", "rate", "caller_p50_us", "caller_p99_us", "total_cpu_us")
    title = f"sustained: {arguments.seconds} s at each rate, from one thread"
    return Table(title, cases, {key: COLUMNS[key] for key in keys}, ("caller_p50_us", "caller_p99_us", "total_cpu_us"))


def pauses(arguments: argparse.Namespace) -> Table:
    cases = [
        case(
            variant,
            arguments.calls,
            arguments.pauses_rate,
            threads,
            label=f"{threads} thread{'s' * (threads > 1)}, {variant}",
            group=str(threads),
        )
        for threads in (1, 4)
        for variant in ("empty handler", "stock", "logspan")
    ]
    keys = ("longest_ms", "caller_p999_us", "caller_p99_us", "caller_p50_us", "lost_percent")
    title = f"pauses: {arguments.calls:,} calls at {arguments.pauses_rate:,}/s"
    return Table(title, cases, {key: COLUMNS[key] for key in keys}, ("longest_ms", "caller_p999_us"))
