"""What a record says of the request that it was made in: its id, its user, and whether the response is out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from opentelemetry.util.types import AnyValue

from logspan.binding import BACKGROUND, is_background, request_here
from logspan.record import Record

_IN_BACKGROUND: Mapping[str, AnyValue] = MappingProxyType({BACKGROUND: True})


def enrich_user(record: Record) -> None:
    """Find out who makes the request, unless that is known; raises what the application's resolver raises."""
    del record
    request = request_here()
    if request is not None and request.ask is not None:
        request.find_user()


def enrich_request(record: Record) -> None:
    """Add what the request is known by; what the log call says, or what is bound, wins."""
    request = request_here()
    if request is None:
        return
    record.add(request.identity)
    if is_background():
        record.add(_IN_BACKGROUND)
