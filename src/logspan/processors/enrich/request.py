"""What a record says of the request that it was made in: its id, its user, and whether the response is out."""

from __future__ import annotations

from logspan.binding import BACKGROUND, is_background, request_here
from logspan.record import Record


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
    attributes = record.attributes
    for key, value in request.identity.items():
        if key not in attributes:
            attributes[key] = value
    if is_background():
        attributes[BACKGROUND] = True
