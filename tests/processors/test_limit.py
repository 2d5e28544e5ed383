"""Stage 6, limit: length, count and depth; every cut is marked or counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logspan.processors.limit import Limiter, well_formed
from logspan.size import size
from logspan.values import CUT
from tests.core.support import record


def limited(value: Any, **limits: Any) -> Any:
    """A value as it is after the limiter, as body and attribute alike."""
    made = record(value, value=value)
    Limiter(**limits)(made)
    assert repr(made.body) == repr(made.attributes["value"])
    return made.body


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12345", "12345"),
        ("123456", "12345" + CUT),
        (b"123456", b"12345"),
        (["123456", 7], ["12345" + CUT, 7]),
        ({"k": {"l": "123456"}}, {"k": {"l": "12345" + CUT}}),
        (None, None),
        (10**12, 10**12),
        (1.5, 1.5),
        (True, True),
    ],
)
def test_long_texts_are_cut_at_any_depth(value: Any, expected: Any) -> None:
    """A text that was cut says so; numbers are never cut."""
    assert limited(value, max_value_length=5) == expected


def test_deep_values_are_cut() -> None:
    """Never passed through below the limit."""
    assert limited([[[["x"]]]], max_depth=3) == [[[CUT]]]
    assert limited({"a": {"b": {"c": 1}}}, max_depth=2) == {"a": {"b": CUT}}
    assert limited([[1]], max_depth=2) == [[1]]


def test_surplus_attributes_are_dropped_and_counted() -> None:
    """The first ones stay; what the SDK dropped before is not forgotten."""
    made = record()
    made.attributes.update({f"k{number}": number for number in range(10)})
    made.dropped = 2
    Limiter(max_attributes=4)(made)
    assert made.attributes == {"k0": 0, "k1": 1, "k2": 2, "k3": 3}
    assert made.dropped_attributes == 8


def test_lone_surrogates_are_replaced_everywhere() -> None:
    """In bodies, keys, values, at any depth, in event names: what is left has a UTF-8 form."""
    made = record("a\ud800b", plain="ü", nested={"\udfff": ["\ud800"]})
    made.attributes["\ud800"] = 1
    made.event_name = "e\ud800"
    Limiter()(made)
    assert made.body == "a?b"
    assert made.attributes == {"plain": "ü", "nested": {"?": ["?"]}, "?": 1}
    assert made.event_name == "e?"


def test_the_record_itself_is_changed_not_what_it_shares() -> None:
    """Bound attributes are shared between records."""
    shared = {"text": "123456"}
    made = record(shared=shared)
    Limiter(max_value_length=3)(made)
    assert shared == {"text": "123456"}


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters()))
def test_any_text_becomes_well_formed(text: str) -> None:
    """And what was well formed stays as it was."""
    formed = well_formed(text)
    assert len(formed) == len(text)
    assert formed == formed.encode().decode()
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert formed == text


def test_a_record_that_is_too_large_as_a_whole_is_cut_further() -> None:
    """Each value is within its own limit, all of them together are not: the long ones are cut, the short ones stay."""
    cuts: list[None] = []
    long: dict[str, Any] = {f"long{number}": "y" * 30_000 for number in range(20)}
    made = record("x" * 30_000, short="stays", **long)
    Limiter(max_record_size=100_000, cut=lambda: cuts.append(None))(made)
    assert size(made) <= 100_000
    assert made.attributes["short"] == "stays"
    assert str(made.body).endswith(CUT)
    assert len(cuts) == 1


def test_a_record_of_very_many_short_values_loses_the_last_ones() -> None:
    """What is left out is counted in the record."""
    many: dict[str, Any] = {f"key{number}": "z" * 200 for number in range(100)}
    made = record("body", **many)
    Limiter(max_record_size=10_000)(made)
    assert size(made) <= 10_000
    assert made.attributes["key0"] == "z" * 200
    assert made.dropped_attributes == 100 - len(made.attributes)


def test_a_record_within_the_limits_is_not_counted() -> None:
    """And one that was cut already is not cut again."""
    cuts: list[None] = []
    limiter = Limiter(max_value_length=10, cut=lambda: cuts.append(None))
    limiter(record("short", a="b"))
    assert cuts == []
    made = record("a long body, longer than ten characters and the mark")
    limiter(made)
    body = made.body
    limiter(made)
    assert made.body == body
    assert len(cuts) == 1
