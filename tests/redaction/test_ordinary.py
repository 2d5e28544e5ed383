"""R7.1: what an ordinary record costs, in looks and not in microseconds: a time depends on who else is at work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry._logs import SeverityNumber

from benchmarks.ordinary import Made, ordinary, request
from logspan.processors.redact import Redactor
from logspan.processors.redact.engine import Engine
from logspan.processors.redact.walk import Walk
from logspan.record import Record

FIRST, COUNT = 500, 2_000


def redact(redactor: Redactor, made: Made) -> Record:
    record = Record(None, SeverityNumber.INFO, "INFO", *made)
    redactor(record)
    return record


@pytest.mark.parametrize("make", [ordinary, request])
def test_rules_are_hardly_ever_asked_about_an_ordinary_record(
    make: Callable[[int], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, paths of code, user agents, addresses, dates: the sieve names a rule in two of a hundred records at most."""
    redactor = Redactor()
    for number in range(FIRST):
        redact(redactor, make(number))
    asked: list[str] = []
    find = Engine.find

    def counted(self: Engine, text: str, *rest: object, **named: object) -> object:
        asked.append(text)
        return find(self, text, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "find", counted)
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


def test_the_memory_of_clean_values_has_an_end() -> None:
    """So many values of one key and of all keys, and none that is long."""
    redactor = Redactor()
    for number in range(20_000):
        redact(redactor, ("x", {f"key {'abcdefgh'[number % 8]}{number % 97}": f"value {number}", "long": "y" * 300}))
    kept = [plain[1] for plain in redactor._quick._keys.values() if plain is not None]
    assert sum(map(len, kept)) <= 8_192
    assert max(map(len, kept)) <= 128
    assert all(len(value) < 300 for clean in kept for value in clean)
