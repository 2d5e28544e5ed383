"""How the pipeline is, in three words and their causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Status = Literal["ok", "degraded", "failing"]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """`ok`: everything is delivered. `degraded`: something is lost or late. `failing`: nothing gets out."""

    status: Status
    causes: tuple[str, ...] = ()


def report(
    *,
    workers_alive: bool,
    troubles: Mapping[str, str | None],
    lost: int,
    restarts: int,
    switched_off: Mapping[str, str] = MappingProxyType({}),
    spool_troubles: Mapping[str, str | None] = MappingProxyType({}),
    redaction: Sequence[str] = (),
) -> HealthReport:
    """A report from what the pipeline knows.

    That is: each exporter's trouble (None: none), losses and restarts so far, the stages that were switched off,
    each with its reason, the trouble of each exporter's spool, without which delivery goes on, and what is wrong with
    redaction, which replaces what it cannot look at.
    """
    causes = [f"{name}: {trouble}" for name, trouble in troubles.items() if trouble]
    if not workers_alive:
        return HealthReport("failing", ("a delivery worker is not running", *causes))
    if causes and len(causes) == len(troubles):
        return HealthReport("failing", tuple(causes))
    if lost:
        causes.append(f"{lost} records lost since the start")
    if restarts:
        causes.append(f"{restarts} workers replaced since the start")
    causes += [f"spool of {name}: {trouble}" for name, trouble in spool_troubles.items() if trouble]
    causes += [f"{name} is switched off: it {reason}" for name, reason in switched_off.items()]
    causes += redaction
    return HealthReport("degraded" if causes else "ok", tuple(causes))
