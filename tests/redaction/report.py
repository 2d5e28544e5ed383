"""`make redaction-report`: what the redactor hides, and what it damages, on the corpus; beside what is aimed at.

Of the cases that are held out only totals are ever printed; the others can be listed with `--failures`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from logspan import Redactor
from logspan.settings import RedactionSettings
from tests.redaction.corpus import Case, negatives, positives
from tests.redaction.survival import leaked, lost

# Shares in percent. Hidden at least, damaged at most.
AIMS = {"core": 97.0, "extended": 85.0, "collateral": 2.0, "harmless": 3.0}


@dataclass(frozen=True)
class Outcome:
    """What became of one case: the secrets still there, the harmless parts gone, a harmless input changed."""

    case: Case
    leaked: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    changed_to: object = None
    changed: bool = False


@dataclass(frozen=True)
class Share:
    """How many of how many."""

    hits: int
    total: int

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.total if self.total else 0.0

    def __str__(self) -> str:
        return f"{self.percent:6.1f} % {f'{self.hits}/{self.total}':>9}" if self.total else f"{'-':>18}"


Measure = Callable[[Iterable[Outcome]], Share]
Test = Callable[[Outcome], bool]


@cache
def redactor(name: str) -> Redactor:
    """The redactor with a named set of rules."""
    return Redactor.from_settings(RedactionSettings(set=name))


def redact(case: Case) -> object:
    """The output for a case."""
    tool = redactor(case.set)
    return tool.text(case.input) if isinstance(case.input, str) else tool.attributes(case.input)


def judge(case: Case) -> Outcome:
    """Redact one case and look at what is left."""
    output = redact(case)
    if case.secrets:
        return Outcome(case, tuple(leaked(case.secrets, output)), tuple(lost(case.keep, output)))
    changed = json.dumps(output, default=repr) != json.dumps(case.input)
    return Outcome(case, changed_to=output if changed else None, changed=changed)


def outcomes() -> list[Outcome]:
    """Every case of the corpus, judged."""
    return [judge(case) for case in (*positives(), *negatives())]


def recall(of: Iterable[Outcome]) -> Share:
    """The share of cases with secrets of which nothing is left."""
    return _share(of, lambda outcome: bool(outcome.case.secrets), lambda outcome: not outcome.leaked)


def collateral(of: Iterable[Outcome]) -> Share:
    """The share of cases with secrets that lost something harmless as well."""
    return _share(of, lambda outcome: bool(outcome.case.secrets), lambda outcome: bool(outcome.lost))


def damaged(of: Iterable[Outcome]) -> Share:
    """The share of harmless cases that were changed."""
    return _share(of, lambda outcome: not outcome.case.secrets, lambda outcome: outcome.changed)


def _share(of: Iterable[Outcome], counts: Test, hits: Test) -> Share:
    chosen = [outcome for outcome in of if counts(outcome)]
    return Share(sum(hits(outcome) for outcome in chosen), len(chosen))


def tier(name: str, of: Iterable[Outcome]) -> list[Outcome]:
    """The outcomes of the core or of the extended kinds."""
    return [outcome for outcome in of if outcome.case.tier == name]


def misses(of: list[Outcome]) -> list[str]:
    """The aims that are not met, in words."""
    shares = {"core": recall(tier("core", of)), "extended": recall(tier("extended", of))}
    low = [f"{name} recall {share}" for name, share in shares.items() if share.percent < AIMS[name]]
    shares = {"collateral": collateral(of), "harmless": damaged(of)}
    return low + [f"{name} damage {share}" for name, share in shares.items() if share.percent > AIMS[name]]


def table(of: list[Outcome]) -> Iterator[str]:
    """Recall, collateral and damage by kind and in total, for the tuned part, the held-out part and both."""
    yield from _block("recall", recall, of, [("core", AIMS["core"]), ("extended", AIMS["extended"])])
    yield from _block("collateral", collateral, of, [("total", AIMS["collateral"])])
    yield from _block("harmless changed", damaged, of, [("total", AIMS["harmless"])])


def _block(title: str, measure: Measure, of: list[Outcome], aims: list[tuple[str, float]]) -> Iterator[str]:
    yield f"\n{title:<34}{'tuned':>18}{'held out':>20}{'all':>20}"
    for (name, kind), group in groupby(sorted(of, key=_by_kind), key=_by_kind):
        judged = list(group)
        if measure(judged).total:
            yield _line(f"  {name:<9} {kind}", judged, measure)
    for name, aim in aims:
        sign = ">=" if measure is recall else "<="
        yield _line(f"{name} (aim {sign} {aim:g} %)", of if name == "total" else tier(name, of), measure)


def _by_kind(outcome: Outcome) -> tuple[str, str]:
    return outcome.case.tier, outcome.case.kind


def _line(title: str, of: list[Outcome], measure: Measure) -> str:
    tuned = [outcome for outcome in of if not outcome.case.held_out]
    held_out = [outcome for outcome in of if outcome.case.held_out]
    return f"{title:<34}{measure(tuned)}  {measure(held_out)}  {measure(of)}"


def failures(of: Iterable[Outcome]) -> Iterator[str]:
    """What went wrong in the cases that may be looked at."""
    for outcome in of:
        if not outcome.case.held_out:
            name = f"{outcome.case.id} [{outcome.case.place}]"
            yield from (f"{name} leaked {secret!r}" for secret in outcome.leaked)
            yield from (f"{name} lost {part!r}" for part in outcome.lost)
            if outcome.changed:
                yield f"{name} changed {outcome.case.input!r}\n    to {outcome.changed_to!r}"


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(prog="make redaction-report", description=__doc__)
    parser.add_argument("--failures", action="store_true", help="list what failed, of the cases not held out")
    parser.add_argument("--kind", help="only this kind")
    arguments = parser.parse_args()
    judged = [outcome for outcome in outcomes() if arguments.kind in (None, outcome.case.kind)]
    if arguments.failures:
        print("\n".join(failures(judged)))
    print("\n".join(table(judged)))


if __name__ == "__main__":
    main()
