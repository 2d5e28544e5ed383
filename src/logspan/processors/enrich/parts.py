"""The enrichers that have a life of their own, started, stopped and forked with their pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from logspan.processors.enrich.guarded import OwnEnrichers
from logspan.usage import UsageSampler


@dataclass(frozen=True, slots=True)
class EnrichParts:
    """The user's own enrichers, and the sampler of memory and CPU where there is one."""

    own: OwnEnrichers
    usage: UsageSampler | None = None

    @property
    def switched_off(self) -> Mapping[str, str]:
        """Enrichers that are switched off, and why."""
        return self.own.switched_off

    def start(self) -> None:
        """Start what has a thread."""
        if self.usage is not None:
            self.usage.start()

    def stop(self, timeout: float) -> None:
        """End it, `timeout` seconds at most."""
        if self.usage is not None:
            self.usage.stop(timeout)

    def reset_after_fork(self) -> None:
        """Begin anew in a forked child."""
        self.own.reset()
        self.start()
