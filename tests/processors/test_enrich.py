"""Stage 2, enrich: bound attributes."""

from __future__ import annotations

from logspan.binding import bind
from logspan.processors.enrich import enrich_bound
from tests.core.support import record


def test_bound_attributes_are_added_behind_the_calls_own() -> None:
    """What the log call says of a key wins, `None` included."""
    made = record(order=1, empty=None)
    with bind(order=2, empty="x", user="u"):
        enrich_bound(made)
    assert made.attributes == {"order": 1, "empty": None, "user": "u"}


def test_nothing_bound_changes_nothing() -> None:
    """And what is bound later does not reach back."""
    made = record(order=1)
    enrich_bound(made)
    with bind(user="u"):
        pass
    assert made.attributes == {"order": 1}


def test_a_record_does_not_share_with_another() -> None:
    """Redaction of one must not show in the next: each has a dict of its own."""
    with bind(a={"password": "x"}):
        one, other = record(), record()
        enrich_bound(one)
        enrich_bound(other)
    one.attributes["b"] = 1
    assert "b" not in other.attributes
