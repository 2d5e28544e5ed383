"""The check that ends a test of a pipeline: every record is accounted for, once nothing is on its way any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from logspan.ledger import ExporterSnapshot, LedgerSnapshot
from logspan.pipeline import Pipeline

_PAUSE = 0.005


def assert_balanced(subject: Pipeline | LedgerSnapshot, timeout: float = 10.0, *, idle: bool = True) -> LedgerSnapshot:
    """Raise `AssertionError` if the ledger does not add up; returns the snapshot that does.

    A pipeline is given `timeout` seconds to come to rest: until both equations hold and, unless `idle` is False,
    nothing is queued or in flight. (With a peer that is down records stay in flight: flush or shut down first, or say
    `idle=False`.) The message shows the terms of each equation that does not hold, and by how much.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        snapshot = subject if isinstance(subject, LedgerSnapshot) else subject.ledger.snapshot()
        problems = [*_unbalanced(snapshot), *(_on_the_way(snapshot) if idle else ())]
        if not problems:
            return snapshot
        if isinstance(subject, LedgerSnapshot) or time.monotonic() >= deadline:
            raise AssertionError("\n".join(("the ledger does not add up:", *problems)))
        pause.wait(_PAUSE)


def _unbalanced(snapshot: LedgerSnapshot) -> Iterator[str]:
    ends = {
        "filtered": snapshot.filtered,
        "sampled_out": snapshot.sampled_out,
        **{f"dropped[{reason}]": count for reason, count in snapshot.dropped.items()},
        "held": snapshot.held,
        "queued": snapshot.queued,
        "fanned_out": snapshot.fanned_out,
    }
    yield from _equation("pipeline", {"emitted": snapshot.emitted}, ends)
    for name, exporter in snapshot.exporters.items():
        yield from _equation(name, *_terms(exporter))


def _terms(exporter: ExporterSnapshot) -> tuple[dict[str, int], dict[str, int]]:
    ends = {
        "routed_away": exporter.routed_away,
        "delivered": exporter.delivered,
        **{f"rejected[{status}]": count for status, count in exporter.rejected.items()},
        **{f"dropped[{reason}]": count for reason, count in exporter.dropped.items()},
        "spooled": exporter.spooled,
        "in_flight": exporter.in_flight,
    }
    return {"fanned_out": exporter.fanned_out, "adopted": exporter.adopted}, ends


def _equation(name: str, left: dict[str, int], right: dict[str, int]) -> Iterator[str]:
    surplus = sum(left.values()) - sum(right.values())
    if surplus:
        what = f"{surplus} unaccounted for" if surplus > 0 else f"{-surplus} counted twice"
        yield f"  {name}: {_sum(left)} != {_sum(right)}: {what}"
    for term, count in (left | right).items():
        if count < 0:
            yield f"  {name}: {term} is {count}"


def _sum(terms: dict[str, int]) -> str:
    return " + ".join(f"{count} {term}" for term, count in terms.items() if count) or "0"


def _on_the_way(snapshot: LedgerSnapshot) -> Iterator[str]:
    for term, count in (("queued", snapshot.queued), ("held", snapshot.held)):
        if count > 0:
            yield f"  pipeline: {count} still {term}"
    for name, exporter in snapshot.exporters.items():
        if exporter.in_flight > 0:
            yield f"  {name}: {exporter.in_flight} still in flight"
