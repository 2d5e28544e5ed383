"""The table of redaction: our redactor beside logfire's scrubber."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from benchmarks.receiver import Receiver
from benchmarks.scrubbers import EVERY, VARIANTS
from benchmarks.table import Case, Column, Figures, Table

COLUMNS = {
    "record_us": Column("a record", "{:.1f} us"),
    "first_us": Column("the first 500", "{:.1f} us"),
    "hidden_percent": Column("hidden", "{:.0f} %"),
}


def measure(variant: str, workload: str) -> Figures:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scrubbers", variant, workload],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{variant} failed:\n{done.stderr}")
    figures: Figures = json.loads(done.stdout)
    return figures


def case(variant: str, workload: str) -> Case:
    def run(sink: Receiver) -> Figures:
        del sink  # nothing is sent
        return measure(variant, workload)

    return Case(f"{workload}, {variant}", workload, variant, run)


def redaction(arguments: argparse.Namespace) -> Table:
    del arguments
    cases = [case(variant, workload) for workload in EVERY for variant in VARIANTS]
    title = (
        "redaction: no secret in plain records, in an ordinary service's, in those with letters beyond ASCII, in those "
        "of requests and in sentences with words like token; a secret in one of 14 plain records, in each"
    )
    return Table(title, cases, COLUMNS, ("record_us",), baselines=("logfire",))
