"""`make bench`: caller cost, total CPU per delivered record and loss, beside the stock SDK, in one run.

All variants send to the same sink, a process of its own that decodes and counts. Rounds are interleaved, so that a
machine that slows down slows all of them; figures are medians, and the ratios to stock are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from benchmarks.variants import VARIANTS

RATIOS = ("caller_cpu_us", "caller_p50_us", "caller_p99_us", "total_cpu_us", "longest_ms")
Figures = dict[str, float]


class Sink:
    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.endpoint = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def counts(self, run: str) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.endpoint}/counts", timeout=10) as answer:
            counts: dict[str, dict[str, int]] = json.load(answer)
        return counts.get(run, {"distinct": 0, "received": 0, "traced": 0})

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def measure(sink: Sink, variant: str, count: int, rate: int) -> Figures:
    run = uuid.uuid4().hex
    command = [sys.executable, "-m", "benchmarks.measure", variant, sink.endpoint, run, str(count), str(rate)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        sys.exit(f"{variant} failed:\n{done.stderr}")
    figures: Figures = json.loads(done.stdout)
    counts = sink.counts(run)
    if variant != "empty handler":
        figures["lost_percent"] = 100 * (count - counts["distinct"]) / count
        figures["duplicates"] = counts["received"] - counts["distinct"]
        figures["total_cpu_us"] *= count / max(counts["distinct"], 1)
    return figures


def compare(sink: Sink, count: int, rate: int, rounds: int) -> dict[str, Figures]:
    collected: dict[str, list[Figures]] = {variant: [] for variant in VARIANTS}
    for number in range(rounds):
        for variant in VARIANTS:
            progress(f"round {number + 1} of {rounds}: {variant}")
            collected[variant].append(measure(sink, variant, count, rate))
    progress("")
    return {
        variant: {key: statistics.median(figures[key] for figures in all_rounds) for key in all_rounds[0]}
        for variant, all_rounds in collected.items()
    }


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<50}\r", end="", file=sys.stderr, flush=True)


def show(title: str, results: dict[str, Figures]) -> None:
    print(f"\n{title}")
    print(f"  {'':<22}{'caller CPU':>12}{'p50':>9}{'p99':>9}{'longest':>11}{'total CPU':>12}{'lost':>9}{'rate':>10}")
    for variant, f in results.items():
        lost = f"{f['lost_percent']:.1f} %" if "lost_percent" in f else "-"
        print(
            f"  {variant:<22}{f['caller_cpu_us']:>9.1f} us{f['caller_p50_us']:>6.1f} us{f['caller_p99_us']:>6.0f} us"
            f"{f['longest_ms']:>8.1f} ms{f['total_cpu_us']:>9.1f} us{lost:>9}{f['rate']:>8.0f}/s"
        )
    for variant, ratios in ratios_of(results).items():
        print(f"  {variant} / stock: " + ", ".join(f"{key} {value:.2f}" for key, value in ratios.items()))


def ratios_of(results: dict[str, Figures]) -> dict[str, Figures]:
    stock = results["stock"]
    return {
        variant: {key: figures[key] / stock[key] for key in RATIOS}
        for variant, figures in results.items()
        if variant.startswith("logspan")
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=6_000, help="records of the paced workload")
    parser.add_argument("--rate", type=int, default=2_000, help="records a second of the paced workload")
    parser.add_argument("--burst", type=int, default=20_000, help="records of the burst")
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    arguments = parser.parse_args()
    with Sink() as sink:
        paced = compare(sink, arguments.records, arguments.rate, arguments.rounds)
        show(f"paced: {arguments.records} records at {arguments.rate}/s", paced)
        burst = compare(sink, arguments.burst, 0, arguments.rounds)
        show(f"burst: {arguments.burst} records as fast as the caller can", burst)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()},
        "arguments": {key: str(value) for key, value in vars(arguments).items()},
        "paced": {"figures": paced, "ratios_to_stock": ratios_of(paced)},
        "burst": {"figures": burst, "ratios_to_stock": ratios_of(burst)},
    }
    arguments.out.mkdir(exist_ok=True)
    target = arguments.out / "logs.json"
    target.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {target}")


if __name__ == "__main__":
    main()
