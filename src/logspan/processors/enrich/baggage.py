"""Entries of the W3C baggage, which callers may fill with what they like: only those that are named."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.baggage import get_all

from logspan.propagation import NamesAllowed
from logspan.record import Record
from logspan.values import MAX_TEXT, cut_text


class BaggageEnricher:
    """Adds the entries of the current baggage whose names are allowed; a `*` at the end stands for any rest."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = NamesAllowed(allowed)

    def __call__(self, record: Record) -> None:
        """Add them, under the names that they have; what the log call says, or what is bound, wins."""
        named = {name: cut_text(str(value), MAX_TEXT) for name, value in get_all().items() if self._allowed.have(name)}
        if named:
            record.add(named)
