"""R7.2, stage 1, filter: by severity and scope where a record is made, by what is in it behind the queue."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber

from logspan.errors import SettingsError
from logspan.expressions import pattern_set
from logspan.processors.filter import AttributeFilter, Lists, RecordFilter, SeverityFilter
from logspan.record import Record
from logspan.settings import FilterSettings
from logspan.testing import InMemoryExporter, assert_balanced
from tests.core.support import attributes_of, bodies, built, log, record

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


def test_only_included_scopes_are_kept() -> None:
    """Those below them too, each at its own level; what is excluded below them stays out."""
    keeps = SeverityFilter(INFO, ["app.noise"], {"app.db": WARN}, included_scopes=["app", "uvicorn.error"])
    expected = {
        "app": 9,
        "app.web": 9,
        "app.db": 13,
        "app.noise": 25,
        "uvicorn.error": 9,
        "uvicorn": 25,
        "apps": 25,
        "": 25,
    }
    assert {scope: keeps.least_of(scope) for scope in expected} == expected
    assert not keeps(Record(None, ERROR, "ERROR", "x", {}))


def test_excluded_levels_are_dropped_between_others() -> None:
    """A level is its four numbers; the levels beside it, and unknown ones, are kept."""
    keeps = SeverityFilter(DEBUG, excluded_levels=[INFO])
    assert [number for number in range(25) if not keeps.enabled("app", number)] == [1, 2, 3, 4, 9, 10, 11, 12]


def lists(included: str = "", excluded: str = "") -> Lists:
    return Lists(
        pattern_set((included,)) if included else None,
        pattern_set((excluded,)) if excluded else None,
    )


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("order placed", True),
        ("order placed by a probe", False),
        ("something else", False),
        ({"event": "order placed"}, True),
        (["order placed", "probe"], False),
        (None, False),
        ("", False),
        ("order \ud800 placed, order placed", True),
    ],
)
def test_a_body_is_kept_by_what_is_found_in_it(body: Any, kept: bool) -> None:
    """Included must be found, excluded must not; what is no text is looked at as JSON."""
    assert RecordFilter(lists("order placed", "prob[e]"))(record(body)) is kept


def test_an_attribute_that_is_not_there() -> None:
    """Nothing can be found in it: enough to be left out of a list of what is wanted, not to be on the other one."""
    made = record(status=200)
    assert not RecordFilter(attributes={"url.path": lists(included=".")})(made)
    assert RecordFilter(attributes={"url.path": lists(excluded=".")})(made)
    assert RecordFilter(attributes={"status": lists(included="^2..$")})(made)
    assert not RecordFilter(attributes={"status": lists("^2..$", "00")})(made)


def test_attributes_are_taken_off_by_name() -> None:
    """Exact names, and a star for any rest; what is excluded wins; the order stays."""
    made = record(a=1, user_id=2, user_name=3, b=4)
    AttributeFilter(included=["user_*", "b"], excluded=["user_name"])(made)
    assert made.attributes == {"user_id": 2, "b": 4}
    made = record(a=1, user_id=2)
    AttributeFilter(excluded=["user_*"])(made)
    assert made.attributes == {"a": 1}


def test_names_without_end_do_not_fill_the_memory() -> None:
    """Attribute names made up per request are remembered up to a number, and judged all the same."""
    takes_off = AttributeFilter(excluded=["bad*"])
    for number in range(10_000):
        made = record(good=2)
        made.attributes[f"bad{number}"] = 1
        takes_off(made)
        assert made.attributes == {"good": 2}
    assert len(takes_off._known) <= 8_192


def test_the_settings_filter_and_the_ledger_counts() -> None:
    """Each record that a filter drops is `filtered`, on either side of the queue, and the ledger holds."""
    memory = InMemoryExporter()
    pipeline = built(
        {"memory": memory},
        level="DEBUG",
        filter={
            "excluded_scopes": ["noisy"],
            "excluded_levels": ["DEBUG"],
            "excluded_bodies": ["^health", "probe$"],
            "excluded_by_attribute": {"url__path": "^/(livez|readyz)$"},
            "included_by_attribute": {"tenant": "^(acme|globex)$"},
            "excluded_attributes": ["code__*", "tenant"],
        },
    )
    for body in ("kept", "health check", "liveness probe", "probes are kept"):
        log(pipeline, body, tenant="acme", code__line=7)
    log(pipeline, "noisy", scope="noisy.part", tenant="acme")
    log(pipeline, "debug", severity=DEBUG, tenant="acme")
    log(pipeline, "ready", tenant="acme", url__path="/readyz")
    log(pipeline, "order", tenant="globex", url__path="/orders")
    log(pipeline, "no tenant")
    log(pipeline, "other tenant", tenant="umbrella")
    report = pipeline.shutdown(5.0)
    assert bodies(memory.records()) == ["kept", "probes are kept", "order"]
    assert [attributes_of(item) for item in memory.records()] == [{}, {}, {"url__path": "/orders"}]
    assert report.ledger.filtered == 7
    assert_balanced(report.ledger)


def test_a_filter_that_fails_keeps_the_record() -> None:
    """It is counted and skipped, as on the caller's thread: what is wanted is not lost for it."""
    memory = InMemoryExporter()
    pipeline = built({"memory": memory}, filter={"excluded_bodies": ["x"]})
    ((name, broken),) = pipeline._delivery.worker._stages.filters
    broken._body = Lists(excluded=lambda text: 1 // 0)  # type: ignore[attr-defined]
    log(pipeline, "x")
    report = pipeline.shutdown(5.0)
    assert bodies(memory.records()) == ["x"]
    assert report.ledger.processor_errors == {name: 1}


def test_a_pattern_that_takes_no_linear_time_is_refused() -> None:
    """What RE2 cannot take is refused where it is set, with the reason."""
    with pytest.raises(SettingsError, match="excluded_bodies"):
        FilterSettings(excluded_bodies=[r"(a)\1"])
