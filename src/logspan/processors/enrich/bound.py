"""The attributes that `bind` put into this context."""

from __future__ import annotations

from logspan.binding import bound_attributes
from logspan.record import Record


def enrich_bound(record: Record) -> None:
    """Add the bound attributes; what the log call itself says of a key wins."""
    bound = bound_attributes()
    if bound:
        record.add(bound)
