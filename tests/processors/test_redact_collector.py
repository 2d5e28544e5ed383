"""R7.1: the options of the Collector's redaction processor, each with what its README and source say of it.

https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/processor/redactionprocessor. What differs
on purpose is in the table of the guide, and has a test here that says so.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from logspan.processors.redact import Redactor
from logspan.settings import RedactionSettings
from tests.core.support import record


def redactor(**settings: Any) -> Redactor:
    return Redactor.from_settings(RedactionSettings(**settings))


def redacted(made: Any, **settings: Any) -> Any:
    redactor(**settings)(made)
    return made


def test_allow_all_keys_off_leaves_only_allowed_and_ignored_keys() -> None:
    """Names in full and as they are written: another case is another key."""
    made = redacted(
        record("x", group="a", Group="b", group_id="c", safe="d"),
        allow_all_keys=False,
        allowed_keys=["group"],
        ignored_keys=["safe"],
    )
    assert made.attributes == {"group": "a", "safe": "d"}


def test_an_empty_allow_list_leaves_nothing() -> None:
    """It fails closed."""
    assert redacted(record("x", group="a"), allow_all_keys=False).attributes == {}


def test_the_allow_list_holds_for_a_body_at_any_depth() -> None:
    """A map in the body, maps in it, and those in a list; a body that is a text stays."""
    body = {"user": {"id": 7, "note": "x"}, "items": [{"id": 1, "note": "y"}], "note": "z", "raw": {"note": "w"}}
    options: Any = {"allow_all_keys": False, "allowed_keys": ["user", "id", "items"], "ignored_keys": ["raw"]}
    made: Any = record("x")
    made.body = body
    assert redacted(made, **options).body == {"user": {"id": 7}, "items": [{"id": 1}], "raw": {"note": "w"}}
    made.body = [{"id": 1, "note": "y"}, "text"]
    assert redacted(made, **options).body == [{"id": 1}, "text"]
    assert redacted(record("a text"), **options).body == "a text"


def test_allow_all_keys_on_leaves_all_and_still_blocks_values() -> None:
    """The list is not asked then; `blocked_values` are."""
    made = redacted(record("x", other="a zz1 b"), allow_all_keys=True, allowed_keys=["group"], blocked_values=["zz1"])
    assert made.attributes == {"other": "a [REDACTED:blocked-value] b"}


def test_ignored_keys_pass_before_all_else() -> None:
    """Neither patterns for keys nor for values reach them; in a nested mapping neither."""
    made = redacted(
        record("x", safe="zz1 4111 1111 1111 1111", deep={"safe": "zz1", "other": "zz1"}),
        ignored_keys=["safe"],
        blocked_key_patterns=["safe"],
        blocked_values=["zz1"],
    )
    assert made.attributes == {
        "safe": "zz1 4111 1111 1111 1111",
        "deep": {"safe": "zz1", "other": "[REDACTED:blocked-value]"},
    }


def test_blocked_key_patterns_mask_the_value_and_keep_the_key() -> None:
    """Found anywhere in the name unless anchored; values of any type (`redact_all_types` is always on)."""
    made = redacted(
        record("x", my_token_x="word", n_token=5, deep={"a.token": "word"}, tok="word"),
        blocked_key_patterns=[".*token.*"],
    )
    mark = "[REDACTED:blocked-key]"
    assert made.attributes == {"my_token_x": mark, "n_token": mark, "deep": {"a.token": mark}, "tok": "word"}


def test_an_allowed_key_is_still_blocked_by_a_pattern() -> None:
    """Allowed is the name; what the user blocks goes: by a pattern, as a key, or as a value."""
    for blocked in ({"blocked_key_patterns": ["^note$"]}, {"blocked_keys": ["note"]}, {"blocked_values": ["plain.*"]}):
        for every in (True, False):
            made = redacted(record("x", note="plain text"), allow_all_keys=every, allowed_keys=["note"], **blocked)
            assert "plain" not in str(made.attributes["note"]), (blocked, every)


def test_an_allowed_key_is_a_name_of_an_attribute_only() -> None:
    """Its value is looked at as under any other name, and the same word inside of a text is still a secret's."""
    made = redacted(
        record("login token=k7Qm2xT9vB4n", token="k7Qm2xT9vB4n", note="token=k7Qm2xT9vB4n"),
        allowed_keys=["token"],
    )
    assert made.attributes["token"] == "k7Qm2xT9vB4n"
    assert "k7Qm2xT9vB4n" not in str(made.body)
    assert "k7Qm2xT9vB4n" not in str(made.attributes["note"])
    card = redacted(
        record("x", token="4111 1111 1111 1111", deep={"token": {"password": "hunter2"}}), allowed_keys=["token"]
    )
    assert card.attributes == {
        "token": "[REDACTED:payment-card]1111",
        "deep": {"token": {"password": "[REDACTED:password]"}},
    }
    other = redacted(record("x", TOKEN="k7Qm2xT9vB4n"), allowed_keys=["token"])
    assert other.attributes == {"TOKEN": "[REDACTED:token]"}, "as it is written"


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("4[0-9]{12}(?:[0-9]{3})?", "n 4000000000000", "n *"),
        ("4[0-9]{12}([0-9]{3})?", "n 4000000000000", "n *"),
        ("4[0-9]{12}([0-9]{3})?", "n 4000000000000000", "n *"),
        ("(5[1-5][0-9]{14})", "a 5100000000000000 b", "a * b"),
        ("(?i)(tok|pw)==([^ ]+)", "x TOK==abc y", "x * y"),
        ("(a)|b", "b", "*"),
        ("zz1", "zz1 zz1", "* *"),
        ("all.*", "all of it", "*"),
        ("x*", "axxb", "a*b"),
    ],
)
def test_blocked_values_go_as_a_whole_match(pattern: str, text: str, expected: str) -> None:
    """Groups are for reading: the whole match is masked, each time it is there, the rest stays."""
    made = redacted(record(text, note=text, deep=[{"note": text}]), blocked_values=[pattern])
    expected = expected.replace("*", "[REDACTED:blocked-value]")
    assert (made.body, made.attributes) == (expected, {"note": expected, "deep": [{"note": expected}]})


def test_blocked_values_see_other_types() -> None:
    """`redact_all_types` is always on: a number is read as it is written."""
    made = redacted(record("x", n=123456789012, deep=[123456789012]), blocked_values=["123456789012"])
    assert made.attributes == {"n": "[REDACTED:blocked-value]", "deep": ["[REDACTED:blocked-value]"]}


def test_allowed_values_win_over_blocked_values_and_keys() -> None:
    """What lies within a match stays; groups do not narrow it."""
    made = redacted(
        record("x", note="zz1 and zz2", key="zz1", password="zz1", other="zz2"),
        blocked_values=["zz[0-9]"],
        blocked_key_patterns=["^key$", "^other$"],
        allowed_values=["z(z1)"],
    )
    assert made.attributes == {
        "note": "zz1 and [REDACTED:blocked-value]",
        "key": "zz1",
        "password": "zz1",
        "other": "[REDACTED:blocked-key]",
    }


def test_allowed_values_allow_the_match_and_not_the_whole_value() -> None:
    """Differs on purpose: in the Collector one harmless part lets everything else of the value through."""
    made = redacted(
        record("x", note="ok zz1", key="ok zz1"),
        blocked_values=["zz1"],
        blocked_key_patterns=["^key$"],
        allowed_values=["ok"],
    )
    assert made.attributes == {"note": "ok [REDACTED:blocked-value]", "key": "[REDACTED:blocked-key]"}


@pytest.mark.parametrize("function", ["md5", "sha1", "sha3", "hmac-sha256", "hmac-sha512"])
def test_hash_function_hashes_what_is_blocked(function: str) -> None:
    """Equal for equal values. Differs on purpose: all of them are keyed, and 64 bits are shown."""
    options = {"blocked_key_patterns": ["^key$"], "blocked_values": ["zz[0-9]"], "hash_function": function}
    made = [
        redacted(record("x", key="zz1", note="a zz1 zz2"), hash_key=key * 32, **options).attributes
        for key in ("k", "k", "j")
    ]
    assert made[0] == made[1] != made[2]
    hashed = re.findall(r"\[REDACTED:blocked-(?:key|value)#([0-9a-f]{16})\]", str(made[0]))
    assert len(hashed) == 3
    assert hashed[0] == hashed[1] != hashed[2]


def test_a_hash_function_is_one_of_the_collectors() -> None:
    """With its names."""
    with pytest.raises(ValueError, match="hmac-sha256"):
        redactor(hash_function="sha256")


def test_summary_silent_says_nothing() -> None:
    """The default."""
    assert set(redacted(record("x", note="zz1"), blocked_values=["zz1"]).attributes) == {"note"}


SUMMARY: dict[str, Any] = {
    "allow_all_keys": False,
    "allowed_keys": ["b", "a", "clean"],
    "ignored_keys": ["raw"],
    "blocked_values": ["zz[0-9]"],
}


def test_summary_info_counts() -> None:
    """Attributes changed and ignored. Differs on purpose: `redaction.redacted.count` counts all places."""
    made = redacted(
        record("zz1 zz2", b="zz1 zz2", a="zz3", clean="x", raw="zz4", out="x", gone="y"), summary="info", **SUMMARY
    )
    assert {name: value for name, value in made.attributes.items() if name.startswith("redaction.")} == {
        "redaction.redacted.count": 7,
        "redaction.masked.count": 2,
        "redaction.ignored.count": 1,
        "redaction.body.masked.count": 1,
    }


def test_summary_debug_names_the_keys_as_well() -> None:
    """Sorted, with commas; ignored ones are counted only. Keys of a body by their path."""
    made = record("x", b="zz1", a="zz2", out="x", raw="zz4", gone="y")
    made.body = {"a": {"b": "zz1", "other": 1}, "raw": 1, "clean": "x", "more": 2}
    attributes = redacted(made, summary="debug", **SUMMARY).attributes
    assert {name: value for name, value in attributes.items() if name.startswith("redaction.")} == {
        "redaction.redacted.count": 7,
        "redaction.redacted.keys": "gone,out",
        "redaction.masked.count": 2,
        "redaction.masked.keys": "a,b",
        "redaction.ignored.count": 1,
        "redaction.body.redacted.count": 2,
        "redaction.body.redacted.keys": "a.other,more",
        "redaction.body.masked.count": 1,
        "redaction.body.masked.keys": "a.b",
    }


@pytest.mark.parametrize(
    "option", ["ignored_key_patterns", "redact_all_types", "url_sanitizer", "db_sanitizer", "hmac_key"]
)
def test_options_that_are_not_there_are_refused(option: str) -> None:
    """None is silently without effect."""
    with pytest.raises(ValueError, match=option):
        redactor(**{option: True})
