"""R7.3: the one look at a whole record never says "nothing there" where a walk through all of it finds something."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import SeverityNumber

from logspan.expressions import Pattern, digits_alike, pattern_set
from logspan.processors.redact import Redactor
from logspan.processors.redact.checks.validators import VALIDATORS
from logspan.processors.redact.engine import _hints, _hints_in_one
from logspan.processors.redact.near import near_hint
from logspan.processors.redact.rule import Rule
from logspan.processors.redact.rules import RULES
from logspan.processors.redact.sieve.folding import HARD_TO_READ, WRITTEN_OTHERWISE, Folding, fold
from logspan.processors.redact.texts.announced import Announced
from logspan.processors.redact.texts.bindings import bindings
from logspan.processors.redact.texts.spoken import commanded, said, spoken
from logspan.processors.redact.texts.structure import assigned
from logspan.record import Record
from logspan.settings import RedactionSettings
from tests.redaction.corpus import Case, negatives, positives

CASES = [*positives(), *negatives()]
OWN: list[dict[str, Any]] = [
    {},
    {"set": "strict"},
    {"blocked_values": ["^X-[0-9]+$"]},
    {"blocked_values": [r"\A[a-z]+\z", r"(?m)^b.*$", r"\bname\b"]},
    {"blocked_values": ["^[0-9]{1,4}$"], "allowed_values": ["^42$"]},
    {"blocked_values": ["x*", "[^a-z]$"]},
    {"allowed_values": ["^.*$"]},
    {"allowed_values": ["hunter"], "blocked_keys": ["note", "id"]},
    {"blocked_key_patterns": ["^x_.*_private$", "^user"]},
    {"blocked_key_patterns": [r"\bname\b", "^a|b$"], "allowed_keys": ["token"]},
    {"rules": {"bed": {"pattern": "^[a-z]+$", "near": ["ward"]}, "badge": {"keys": ["badge number"]}}},
    {"ignored_keys": ["note"], "actions": {"email": "hash"}},
]


@cache
def redactor(number: int) -> Redactor:
    """With time enough: on a busy machine a rule that is out of it must not decide what is seen here."""
    return Redactor.from_settings(RedactionSettings(timeout=600, **OWN[number]))


def check(tool: Redactor, body: Any, event_name: str | None, attributes: dict[str, Any]) -> None:
    """What a walk finds, according to `explain`, is gone afterwards; where it finds nothing, nothing changes."""
    record = Record(None, SeverityNumber.INFO, "INFO", body, dict(attributes), event_name=event_name)
    hits = sum(tool.hits.values())
    tool(record)
    found = [finding for value in (body, event_name, attributes) for finding in tool.explain(value)]
    assert sum(tool.hits.values()) - hits == len(found), found
    for before, after in ((body, record.body), (event_name, record.event_name), (attributes, record.attributes)):
        assert bool(tool.explain(before)) == (after != before), (before, after)
    assert tool.attributes(attributes) == record.attributes or "#" in str(record.attributes)


def flat(case: Case) -> dict[str, Any]:
    """What of a case stands in attributes of plain values."""
    given = case.attributes or {"note": case.text}
    return {key: value for key, value in given.items() if isinstance(value, str | int | float)}


@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(OWN)))
def test_what_a_walk_finds_in_a_case_is_never_overlooked(number: int) -> None:
    """Cases of the corpus: as they are, as attributes beside others, as a body, as the name of an event."""
    tool = redactor(number)
    for case in CASES[number % 8 :: 8] if number else CASES[::2]:
        attributes = flat(case)
        check(tool, f"order {number} placed", None, {"user_name": "kim", **attributes, "path": "/orders/1"})
        check(tool, case.text, None, {"note": 1.5})
        if case.text and len(case.text) < 200:
            check(tool, "x", case.text, {"a": case.text, "b": True})


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_what_a_walk_finds_among_letters_of_other_languages_is_never_overlooked() -> None:
    """The sieve reads a text with such letters as it is written, and as it reads."""
    tool = redactor(0)
    for number, case in enumerate(CASES[::4]):
        text = (f"für {case.text} → ключ", f"{case.text}界", f"é{case.text}")[number % 3]
        check(tool, text, None, {"note": text})


ANNOUNCING = [
    *("password for bob", "cvv for card", "new password of", "token is", "the pin", "otp sent to kim", "key", "user"),
    *(
        "x_my_private",
        "ward",
        "note",
        "id",
        "name",
        "value",
        "field",
        "badge number",
        "user.id",
        "card",
        "ssn",
        "phone",
    ),
    *(
        "session for",
        "auth scheme basic",
        "login",
        "curl -u",
        "-p",
        "select",
        "set-cookie for",
        "date of birth",
        "ключ",
    ),
]
PLAIN = [
    *("hunter2X9", "123", "kim", "X-12", "b12", "42", "basic", "Bearer", "abcdef0123456789abcdef", "x", "", "a=b"),
    *("4111 1111 1111 1111", "684885775", "kim@example.com", "dXNlcjpwYXNzd29yZA==", "password", "is", "ward b", "-"),
    *("AKIAIOSFODNN7EXAMPLE", "user:hunter2@db.local:5432", "70617373776f72643d68756e74657232", "[REDACTED:x]", "~"),
    *("-428-55-9012", "-u kim:Hunter2X9q", ".4111111111111111", "-001-415-555-2671", "na\u00efve p\u0430ssword=x"),
]
TEXTS = st.one_of(
    st.sampled_from(PLAIN),
    st.lists(st.sampled_from([*PLAIN, *ANNOUNCING]), min_size=1, max_size=4).map(" ".join),
    st.sampled_from(CASES).map(lambda case: case.text or "x").filter(lambda text: len(text) < 400),
    st.text(max_size=20),
)
VALUES = st.one_of(
    TEXTS,
    st.lists(TEXTS | st.sampled_from(ANNOUNCING), max_size=4),
    st.dictionaries(
        st.sampled_from([*ANNOUNCING, *filter(None, PLAIN), "kty", "d", "msg"]), TEXTS | st.just(4111111111111111)
    ),
    st.sampled_from([True, None, 42, 1.5, 684885775, 4111111111111111, 4556564391519480.0, -4111111111111111]),
)
KEYS = st.one_of(
    st.sampled_from(ANNOUNCING),
    st.lists(st.sampled_from([*ANNOUNCING, *PLAIN]), min_size=1, max_size=3).map(" ".join),
    st.text(min_size=1, max_size=10),
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(OWN) - 1), VALUES, st.none() | TEXTS, st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_a_walk_finds_is_never_overlooked(
    number: int, body: Any, event_name: str | None, attributes: dict[str, Any]
) -> None:
    """Whatever keys announce, whatever stands side by side, whatever the user's own expressions ask for."""
    attributes = {key: value for key, value in attributes.items() if key}
    check(redactor(number), body, event_name, attributes)


FAMILIAR = ("route", "note", "total", "flag", "token for shop", "user_name")


@cache
def trained(number: int) -> Redactor:
    """One that has seen many records with the same keys, so that it looks at the next ones in a few steps."""
    tool = Redactor.from_settings(RedactionSettings(**OWN[number]))
    for at in range(300):
        values = ("/orders", f"order {at}", at, at % 2 == 0, f"x{at}", f"kim {at % 5}")
        tool(Record(None, SeverityNumber.INFO, "INFO", f"order {at}", dict(zip(FAMILIAR, values, strict=True))))
    return tool


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.sampled_from((0, 1, 6, 7)), VALUES, st.none() | TEXTS, st.tuples(*[VALUES | st.just(["x"])] * len(FAMILIAR)))
def test_what_a_walk_finds_is_never_overlooked_in_records_like_many_before(
    number: int, body: Any, event_name: str | None, values: tuple[Any, ...]
) -> None:
    """Keys that are known, with values of whatever kind: also where there were others of the same key before."""
    check(trained(number), body, event_name, dict(zip(FAMILIAR, values, strict=True)))


def test_a_value_is_looked_at_whatever_its_key_has_had_before() -> None:
    """A number where there were texts, a list where there were numbers, a text where there was a flag."""
    card = "4111 1111 1111 1111"
    for key in FAMILIAR:
        for value in (card, [card], {"pan": card}, int(card.replace(" ", ""))):
            given = dict(zip(FAMILIAR, ("/orders", "order 7", 7, True, "x7", "kim"), strict=True)) | {key: value}
            check(trained(0), "order 7", None, given)
            assert "1111111" not in str(trained(0).attributes(given)).replace(" ", ""), (key, value)


@pytest.mark.parametrize("key", ["password for bob", "cvv for card", "token for shop"])
def test_a_key_may_announce_a_secret_in_words(key: str) -> None:
    """Its last words say nothing, the line that it makes with its value does."""
    assert "739" not in str(Redactor().attributes({key: "hunter739X9" if "cvv" not in key else "739"}))


@pytest.mark.parametrize("setting", [{}, {"blocked_values": ["^x$"]}], ids=["ours", "own"])
def test_what_has_no_utf8_form_is_looked_at(setting: dict[str, Any]) -> None:
    """A lone surrogate, in a body, a key or a value."""
    tool = Redactor.from_settings(RedactionSettings(**setting))
    for text in ("\ud83d", "password=hunter2X9 \ud83d"):
        check(tool, text, text, {"a": text, "n": 10**12, text: "x"})


_SOME_DIGITS = re.compile(r"\[\^(?![^\]]*0-9)[^\]]*?(?<!\\x)(?<!\\x[0-9a-f])[0-9]")


def hints(tool: Redactor) -> tuple[str, ...]:
    """All that the sieve of the rules that come with logspan asks for."""
    return (tool._keys.hint, *(rule.hint or near_hint(rule.near) for rule in SHAPES if rule.hint or rule.near))


@pytest.mark.slow
def test_the_first_look_says_no_only_where_the_sieve_does() -> None:
    """All digits are alike to it: what the sieve names is named, whatever the numbers are."""
    asked = hints(redactor(1))
    look, sieve = pattern_set(asked, alike=True), pattern_set(asked)
    for case in CASES:
        text = case.text or json.dumps(case.attributes, ensure_ascii=False)
        assert {*(sieve(text) or ())} <= {*(look(text) or ())}, case.id


def test_the_hints_of_words_in_one_match_where_one_of_them_does() -> None:
    """The sieve that does not tell which rule is named says of each case what the other says."""
    rules = redactor(1)._rules
    any_of, which = pattern_set(tuple(_hints_in_one(rules)), alike=True), pattern_set(tuple(_hints(rules)), alike=True)
    named = 0
    for case in CASES[::4]:
        text = case.text or json.dumps(case.attributes, ensure_ascii=False)
        assert bool(any_of(text)) is bool(which(text)), case.id
        named += bool(which(text))
    assert 0 < named < len(CASES) / 4


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text("aé\u2010\uff45\uff21\uff14\u0664\u0440\u039a\u200b\u0301\u2003\ud800界ß🙂"))
def test_what_the_sieve_reads_is_what_rules_read(text: str) -> None:
    """The plain form without the places is that with them, but for what is escaped, which has a hint of its own."""
    if not _WRITTEN_OTHERWISE.search(text) and not _SURROGATE.search(text):
        assert Folding()(text.encode()) == fold(text).text.encode()


_SURROGATE = re.compile("[\ud800-\udfff]")
_WRITTEN_OTHERWISE = re.compile(WRITTEN_OTHERWISE)


def test_letters_without_end_do_not_fill_the_memory() -> None:
    """So many are remembered, and all are folded."""
    folding = Folding()
    for letter in range(0xA0, 0xD7FF):
        assert folding(chr(letter).encode()) == fold(chr(letter)).text.encode()
    assert len(folding) <= 8_192


@pytest.mark.parametrize(
    ("expression", "alike"),
    [
        ("4[0-9]{3}", "2[012]{3}"),
        (r"\x2f00[2-7]{2,5}", r"\x2f00[2]{2,5}"),
        (r"(?:30[0-5]|v1\.0)\d", r"(?:20[012]|v1\.0)\d"),
        (r"[A-Za-z0-9_-]\x{2010}", r"[A-Za-z012_-]\x{2010}"),
    ],
)
def test_expressions_whose_digits_are_alike(expression: str, alike: str) -> None:
    """Literals, ranges and classes; escapes and numbers of times stay."""
    assert digits_alike(expression) == alike


def test_no_hint_excludes_some_digits_only() -> None:
    """`[^1-9]` would not match a `1` that was a `0`, nor tell what was a `5`."""
    assert _SOME_DIGITS.search("[^1-9]")
    assert _SOME_DIGITS.search("x[^a5]")
    for hint in hints(redactor(1)):
        assert not _SOME_DIGITS.search(hint), hint


@pytest.mark.slow
def test_a_key_is_named_where_it_stands_alone() -> None:
    """An item of a list may say what the next one is: `["password", "hunter2X9"]`."""
    tool = redactor(0)
    keys = {" ".join(words) for words in tool._keys._rules}
    forms = {form for key in keys for form in (key, key.replace(" ", "_"), key.title().replace(" ", "-"), f"db.{key}")}
    for key in forms | {key.replace(" ", "").upper() for key in keys}:
        if tool._keys.judge(key) is not None:
            assert tool._quick._may_find(key), key
            for words in (["x", key, "hunter2X9"], ["--x", key, "hunter2X9"], [key, "4111111111111111"]):
                check(tool, "x", None, {"note": words})


@settings(max_examples=300, deadline=None)
@given(st.text('aB1=:"nrtu0% /\\\n-', max_size=60))
def test_what_is_escaped_reads_the_same_to_the_sieve(text: str) -> None:
    """JSON inside of JSON, paths of Windows, queries of URLs; but for what has a hint of its own."""
    for written in (json.dumps(text), json.dumps(json.dumps(text)), quote(text), quote(quote(text), safe="")):
        plain = Folding()(written.encode())
        if plain is not None and not _HARD_TO_READ.search(written):
            assert plain.decode() == fold(written).text


_HARD_TO_READ = re.compile(HARD_TO_READ)
SHAPES = [rule for rule in RULES.values() if rule.kind != "key" and rule.hint]


def counts(rule: Rule, pattern: Pattern, text: str) -> bool:
    """Whether a match of the rule's expression passes its check."""
    spans = list(pattern.spans(text))
    return any(VALIDATORS[rule.validator](text, *span) for span in spans) if rule.validator else bool(spans)


@pytest.mark.slow
def test_the_hint_of_a_rule_is_found_wherever_the_rule_is() -> None:
    """In each text of the corpus, alone and between others: the sieve may say too much and never too little.

    Of a parser the hint is a part: what it does not name is not the parser's.
    """
    hints = pattern_set(tuple(rule.hint for rule in SHAPES))
    patterns = {rule.id: Pattern(rule.pattern) for rule in SHAPES if rule.pattern}
    for case in CASES:
        text = case.text or json.dumps(case.attributes, ensure_ascii=False)
        alone = set(hints(text) or ())
        assert alone <= set(hints(f"x: {text}: x") or ()), case.id
        alone |= set(hints(fold(text).text) or ())
        for number, rule in enumerate(SHAPES):
            if number not in alone and rule.pattern and not rule.near:
                assert not counts(rule, patterns[rule.id], text), (rule.id, case.id)


@pytest.mark.slow
def test_what_keys_announce_is_found_by_the_parsers_that_are_asked() -> None:
    """The costly parsers are asked where words and signs stand as they need it: what they would find is found."""
    keys = redactor(0)._keys
    announced = Announced(keys.words)
    for case in CASES:
        given = case.text or json.dumps(case.attributes, ensure_ascii=False)
        for text in (given, fold(given).text, f"{given}\n{given}"):
            found = set(announced(text, keys.said))
            for parse in (assigned, spoken, said, commanded, bindings):
                assert found.issuperset(parse(text, keys.said)), (case.id, parse)
