"""R7.1: what an ordinary record costs, in looks and not in microseconds: a time depends on who else is at work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry._logs import SeverityNumber

from benchmarks.ordinary import Made, foreign, ordinary, request
from logspan.processors.redact import Redactor
from logspan.processors.redact.engine import Engine
from logspan.processors.redact.records.walk import Walk
from logspan.record import Record

FIRST, COUNT = 500, 2_000


def redact(redactor: Redactor, made: Made) -> Record:
    record = Record(None, SeverityNumber.INFO, "INFO", *made)
    redactor(record)
    return record


def texts_asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that rules are asked about from here on."""
    asked: list[str] = []
    find = Engine.find

    def counted(self: Engine, text: str, *rest: object, **named: object) -> object:
        asked.append(text)
        return find(self, text, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "find", counted)
    return asked


@pytest.mark.parametrize("make", [ordinary, foreign, request])
def test_rules_are_hardly_ever_asked_about_an_ordinary_record(
    make: Callable[[int], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, paths of code, user agents, addresses, dates: the sieve names a rule in two of a hundred records at most."""
    redactor = Redactor()
    for number in range(FIRST):
        redact(redactor, make(number))
    asked = texts_asked(monkeypatch)
    for number in range(FIRST, FIRST + COUNT):
        message, attributes = make(number)
        record = redact(redactor, (message, attributes))
        assert (record.body, record.attributes) == (message, attributes)
    assert len(asked) <= COUNT * 0.02, asked


def test_a_record_is_walked_through_only_where_something_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words like `token` alone cost no walk."""
    walked: list[str] = []
    monkeypatch.setattr(Walk, "mapping", lambda *_, **__: walked.append("walked"))
    redact(Redactor(), ("token for customer 7 refreshed in 20 ms", {"order": 7, "card_type": "visa"}))
    assert not walked


def test_what_was_found_clean_is_clean_under_its_own_key_only() -> None:
    """A value that said nothing under one key is looked at under the next."""
    redactor = Redactor()
    for _ in range(2):
        assert redact(redactor, ("x", {"note": "684885775"})).attributes == {"note": "684885775"}
        assert "684885775" not in str(redact(redactor, ("x", {"ssn of kim": "684885775"})).attributes)


@pytest.mark.slow
def test_the_memory_of_clean_values_has_an_end() -> None:
    """So many values of one key and of all keys, and none that is long."""
    redactor = Redactor()
    for number in range(20_000):
        redact(redactor, ("x", {f"key {'abcdefgh'[number % 8]}{number % 97}": f"value {number}", "long": "y" * 300}))
    kept = [known.values for known in redactor._quick._keys.values() if known is not None]
    assert sum(map(len, kept)) <= 8_192
    assert max(map(len, kept)) <= 128
    assert all(len(value) < 300 for values in kept for value in values)
    assert len(redactor._quick._shapes) <= 1_024


def test_values_that_are_new_each_time_are_not_remembered() -> None:
    """Memory is for what comes again: routes and paths of code, not ids. A sentence that comes again is, too."""
    redactor = Redactor()
    for number in range(300):
        redact(redactor, (f"order {number}", {"http.route": f"/orders/{number % 3}", "url.path": f"/orders/{number}"}))
        redact(redactor, ("the token of the shop is refreshed now", {}))
    keys = redactor._quick._keys
    assert keys["http.route"].values == {"/orders/0", "/orders/1", "/orders/2"}  # type: ignore[union-attr]
    assert not keys["url.path"].values  # type: ignore[union-attr]
    assert redactor._quick._texts.values == {"the token of the shop is refreshed now"}


def test_a_sentence_that_comes_again_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds a word like `token`, and nothing was found in it the first time."""
    asked = texts_asked(monkeypatch)
    redactor = Redactor()
    for number in range(300):  # more than is remembered
        redact(redactor, (f"the token of shop {number} is refreshed now", {"number": number}))
    for number in range(5):
        redact(redactor, ("the token of the shop is refreshed now", {"number": number}))
    assert asked.count("the token of the shop is refreshed now") == 1
