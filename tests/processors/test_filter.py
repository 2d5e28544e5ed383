"""Stage 1, filter: by severity and by scope."""

from __future__ import annotations

import pytest
from opentelemetry._logs import SeverityNumber

from logspan.processors.filter import SeverityFilter
from logspan.record import Record
from tests.core.support import record

INFO, WARN, ERROR, DEBUG = SeverityNumber.INFO, SeverityNumber.WARN, SeverityNumber.ERROR, SeverityNumber.DEBUG


def test_records_of_at_least_the_severity_are_kept() -> None:
    """The bound itself is kept; between two named severities, the number decides."""
    keeps = SeverityFilter(INFO)
    assert [keeps(record(severity=number)) for number in (1, 5, 8, 9, 10, 24)] == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]


def test_an_unknown_severity_is_kept() -> None:
    """Nobody can tell that it is too low."""
    assert SeverityFilter(ERROR)(record(severity=0))
    assert not SeverityFilter(ERROR, ["app"])(record(severity=0))


@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        ("urllib3", False),
        ("urllib3.connectionpool", False),
        ("urllib3x", True),
        ("my.urllib3", True),
        ("", True),
        ("urllib", True),
    ],
)
def test_an_excluded_scope_takes_those_below_it_along(scope: str, kept: bool) -> None:
    """A prefix ends at a dot; not even FATAL passes."""
    keeps = SeverityFilter(DEBUG, ["urllib3"])
    assert keeps(record(scope=scope, severity=21)) is kept
    assert keeps(record(scope=scope, severity=21)) is kept


def test_the_longest_prefix_decides() -> None:
    """A part may be louder or quieter than the whole, and let in again what is excluded above it."""
    keeps = SeverityFilter(WARN, ["noisy"], {"app": DEBUG, "app.db": ERROR, "app.db.slow": INFO, "noisy.useful": INFO})
    expected = {
        "other": 13,
        "app": 5,
        "app.web": 5,
        "app.db": 17,
        "app.db.pool": 17,
        "app.db.slow": 9,
        "app.db.slow.query": 9,
        "app.dbx": 5,
        "noisy.useful.part": 9,
    }
    assert {scope: keeps.least_of(scope) for scope in expected} == expected
    assert not keeps(record(scope="noisy", severity=24))


def test_a_record_of_no_scope_is_filtered_by_severity() -> None:
    """Nothing is known of where it comes from."""
    made = Record(None, INFO, "INFO", "x", {})
    assert SeverityFilter(INFO, ["a"], {"b": ERROR})(made)
    assert not SeverityFilter(WARN, ["a"])(made)


def test_scopes_without_end_do_not_fill_the_memory() -> None:
    """Logger names made up per request are remembered up to a number, and judged all the same."""
    keeps = SeverityFilter(INFO, ["bad"])
    for number in range(10_000):
        assert not keeps(record(scope=f"bad.{number}"))
    assert len(keeps._known) <= 4_096


def test_enabled_says_what_the_filter_does() -> None:
    """So that a source may ask before it makes a record."""
    keeps = SeverityFilter(INFO, ["bad"], {"app": ERROR})
    for scope in ("bad", "app", "other"):
        for number in (0, 5, 9, 17, 24):
            assert keeps.enabled(scope, number) is keeps(record(scope=scope, severity=number))
