"""A table: cases that are measured in alternating rounds, their medians, and ratios to the stock case of a group."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.receiver import Receiver

Figures = dict[str, float]


@dataclass(frozen=True)
class Case:
    label: str
    group: str
    variant: str
    measure: Callable[[Receiver], Figures]


@dataclass(frozen=True)
class Column:
    heading: str
    form: str


@dataclass(frozen=True)
class Table:
    title: str
    cases: Sequence[Case]
    columns: Mapping[str, Column]
    ratio_keys: Sequence[str]
    baselines: Sequence[str] = ("stock",)

    def measure(self, sink: Receiver, rounds: int) -> dict[str, Figures]:
        """Rounds are interleaved, so that a machine that slows down slows all cases."""
        collected: dict[str, list[Figures]] = {case.label: [] for case in self.cases}
        for number in range(rounds):
            for case in self.cases:
                progress(f"round {number + 1} of {rounds}: {self.title.partition(':')[0]}, {case.label}")
                collected[case.label].append(case.measure(sink))
        progress("")
        return {
            label: {key: statistics.median(figures[key] for figures in all_rounds) for key in all_rounds[0]}
            for label, all_rounds in collected.items()
        }

    def ratios(self, results: Mapping[str, Figures]) -> dict[str, Figures]:
        """Each case of ours over the stock case of its group."""
        found = {}
        for case in self.cases:
            stock = self._baseline(case)
            if case.variant.startswith("logspan") and stock is not None:
                ours, theirs = results[case.label], results[stock.label]
                found[case.label] = {key: ours[key] / theirs[key] for key in self.ratio_keys if theirs[key]}
        return found

    def _baseline(self, case: Case) -> Case | None:
        of_group = [other for other in self.cases if other.group == case.group]
        return next((other for other in of_group if other.variant in self.baselines), None)

    def show(self, results: Mapping[str, Figures]) -> None:
        width = max(len(case.label) for case in self.cases) + 2
        print(f"\n{self.title}")
        print(f"  {'':<{width}}" + "".join(f"{column.heading:>13}" for column in self.columns.values()))
        for label, figures in results.items():
            cells = (c.form.format(figures[key]) if key in figures else "-" for key, c in self.columns.items())
            print(f"  {label:<{width}}" + "".join(f"{cell:>13}" for cell in cells))
        for label, ratios in self.ratios(results).items():
            print(
                f"  {label} / {self.baselines[0]}: " + ", ".join(f"{key} {value:.2f}" for key, value in ratios.items())
            )


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<70}\r", end="", file=sys.stderr, flush=True)
