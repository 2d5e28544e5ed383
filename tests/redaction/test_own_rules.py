"""R7.1: what a user blocks or allows, as the Collector's redaction processor means it: each value on its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber

from logspan.processors.redact import Redactor
from logspan.record import Record
from logspan.settings import RedactionRuleSettings, RedactionSettings

VALUE = "[REDACTED:blocked-value]"
KEY = "[REDACTED:blocked-key]"


def redactor(**settings: Any) -> Redactor:
    return Redactor.from_settings(RedactionSettings(**settings))


def redacted(own: Redactor, body: Any, **attributes: Any) -> tuple[Any, Any]:
    """What becomes of a record's body and attributes."""
    record = Record(None, SeverityNumber.INFO, "INFO", body, attributes)
    own(record)
    return record.body, record.attributes


ANCHORED = [
    "^X-[0-9]+$",
    r"\AX-[0-9]+\z",
    "(?m)^X-[0-9]+$",
    r"^(X-[0-9]+)$",
    r"\bX-[0-9]+\b",
    "X-[0-9]+",
    "^X",
    "[0-9]$",
]


@pytest.mark.parametrize("pattern", ANCHORED)
def test_an_expression_is_asked_about_each_value_alone(pattern: str) -> None:
    """Its anchors are the ends of the value, wherever that stands: a body, an attribute, nested, in a list, a key."""
    own = redactor(blocked_values=[pattern])
    body, attributes = redacted(own, "X-1", ref="X-22", plain="fine", deep={"a": {"b": ["X-333", "fine"]}}, raw=b"X-4")
    assert "X-1" not in body
    assert not [value for value in ("X-22", "X-333", "X-4") if value in str(attributes)]
    assert attributes["plain"] == "fine"
    assert attributes["deep"]["a"]["b"][1] == "fine"
    assert "X-22" not in str(own.attributes({"X-22": 1}))
    assert [finding.rule for finding in own.explain({"ref": "X-22"})] == ["blocked-value"]


def test_an_anchored_expression_leaves_what_is_longer() -> None:
    """Neither the key in front nor a neighbour makes an end of a value."""
    own = redactor(blocked_values=["^X-[0-9]+$"])
    given = {"ref": "X-22 and more", "other": "not X-22", "lines": "a\nX-22\nb"}
    assert own.attributes(given) == given
    assert redacted(own, "see X-1", **given) == ("see X-1", given)
    assert own.text("X-1") == VALUE
    assert own.attributes({"X-1": "x"}) == {VALUE: "x"}


@pytest.mark.parametrize("value", [42, 4242, -42, 42.0, 4.2, 1234567890123, 2**53 * 1.0])
def test_a_number_is_a_text_for_an_expression(value: float) -> None:
    """Of any size: a user who blocks a number means the number."""
    own = redactor(blocked_values=["^-?(?:42|4242|4[.]2|1234567890123|9007199254740992)$"])
    assert own.attributes({"n": value, "m": 7}) == {"n": VALUE, "m": 7}
    assert redacted(own, value, deep=[value, 7]) == (VALUE, {"deep": [VALUE, 7]})


def test_rules_of_the_users_own_see_the_value_alone_too() -> None:
    """Words that have to be near may stand in the text, in the key, or in a key above it."""
    rules = {"case": RedactionRuleSettings(pattern="^C-[0-9]{4}$"), "bed": {"pattern": "^B[0-9]$", "near": ["ward"]}}
    own = redactor(rules=rules)
    assert own.attributes({"a": "C-1234"}) == {"a": "[REDACTED:case]"}
    assert own.attributes({"ward": {"place": "B7"}}) == {"ward": {"place": "[REDACTED:bed]"}}
    assert own.attributes({"a": "B7", "b": "ward B7"}) == {"a": "B7", "b": "ward B7"}


def test_what_is_allowed_may_be_anchored() -> None:
    """An allowed value stays; one that only holds it does not."""
    own = redactor(allowed_values=[r"^[a-z]+@example\.org$"])
    given = {"from": "kim@example.org", "note": "mail kim@example.org"}
    assert own.attributes(given)["from"] == "kim@example.org"
    assert "kim@" not in str(own.attributes(given)["note"])
    assert redacted(own, "kim@example.org", to="kim@example.org") == ("kim@example.org", {"to": "kim@example.org"})


def test_an_expression_that_matches_nothing_at_all_takes_nothing() -> None:
    """`x*` matches between any two letters."""
    own = redactor(blocked_values=["x*"])
    assert own.attributes({"a": "fine", "b": "axxb"}) == {"a": "fine", "b": f"a{VALUE}b"}


def test_what_is_disguised_is_seen_by_an_own_expression() -> None:
    """Percent-encoded, with invisible characters, in base64: like for the rules that come with logspan."""
    own = redactor(blocked_values=["^X-[0-9]+$", "Y-[0-9]+"])
    assert own.attributes({"a": "X%2D22", "b": "X-2\u200b2"}) == {"a": VALUE, "b": VALUE}
    encoded = "bm90aGluZyBidXQgWS0xMjM0NSBoZXJl"  # "nothing but Y-12345 here"
    assert encoded not in str(own.attributes({"a": encoded}))


WHOLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"blocked_keys": ["patient"]}, {"patient": {"name": "John Doe"}}),
    ({"blocked_keys": ["patient"]}, {"patient": [{"name": "John Doe"}]}),
    ({"blocked_keys": ["patient"]}, {"patient": {"type": "string", "note": "John Doe"}}),
    ({"blocked_keys": ["patient"]}, {"patient": "This patient is John Doe."}),
    ({"blocked_keys": ["patient"]}, {"admitted": {"patient": "unknown John"}}),
    ({"blocked_keys": ["salary"]}, {"salary": {"base": 100000}}),
    ({"blocked_keys": ["salary"]}, {"salary": 100000}),
    ({"blocked_keys": ["tokens"]}, {"tokens": 100000}),
    ({"blocked_keys": ["session"]}, {"session": "winter"}),
    ({"blocked_keys": ["page token"]}, {"next.pageToken": "winter"}),
    ({"blocked_keys": ["is_positive"]}, {"is_positive": True}),
    ({"blocked_key_patterns": ["^x_.*_private$"]}, {"x_my_private": {"name": "John"}}),
    ({"blocked_key_patterns": ["^x_"], "allowed_keys": ["x_y"]}, {"x_y": "John"}),
    ({"rules": {"badge": {"keys": ["badge"]}}}, {"badge": {"name": "John Doe"}}),
]


@pytest.mark.parametrize(("settings", "value"), WHOLE)
def test_what_a_user_blocks_by_key_goes_whole(settings: dict[str, Any], value: dict[str, Any]) -> None:
    """Whatever it looks like: a name, a mapping, a count, a sentence; as an attribute and as JSON in a text."""
    own = redactor(**settings)
    text = json.dumps(value)
    for output in (str(own.attributes(value)), str(redacted(own, value)), own.text(text), own.text(f"got {text}, ok")):
        assert "REDACTED" in output
        assert not [part for part in ("John", "Doe", "100000", "winter", "rue") if part in output]


@pytest.mark.parametrize(
    "text",
    [
        '{"x_my_private": "Quartz", "n": 1}',
        '{"a": {"x_my_private": ["Quartz"]}}',
        'body={\\"x_my_private\\": \\"Quartz\\"}',
        "got x_my_private=Quartz now",
        "got x_my_private: Quartz",
        "at /a?b=1&x_my_private=Quartz",
        "--x_my_private Quartz",
        "<x_my_private>Quartz</x_my_private>",
        "{'name': 'x_my_private', 'value': 'Quartz'}",
    ],
)
@pytest.mark.parametrize(
    "pattern", ["^x_.*_private$", "_private$", "^x_my", "(?i)^X_MY", r"\bx_my_private\b", "^(?:x|y)_my|^z", "private"]
)
def test_patterns_for_keys_work_inside_texts(pattern: str, text: str) -> None:
    """In JSON, in `key=value`, in a query: a key is a key."""
    own = redactor(blocked_key_patterns=[pattern])
    assert "Quartz" not in own.text(text)
    assert "Quartz" not in str(redacted(own, text, note=text))
    assert redactor().text(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("patient: John Doe, admitted", "patient: *, admitted"),
        ("patient: John Doe ward: B7", "patient: * ward: B7"),
        ("patient: John Doe ward=B7", "patient: * ward=B7"),
        ("patient=John ward=B7", "patient=* ward=B7"),
        ("patient: John Doe\nward: B7", "patient: *\nward: B7"),
        ("patient: John Doe", "patient: *"),
        ("the patient was told to wait", "the patient was told to wait"),
    ],
)
def test_what_is_written_behind_a_blocked_key_goes_up_to_its_end(text: str, expected: str) -> None:
    """Behind `key: ` several words may be the value: all of them, up to a sign or the next key."""
    assert redactor(blocked_keys=["patient"]).text(text) == expected.replace("*", KEY)
