"""R7.1: sentences that speak of secrets: the costly parsers are asked only where one of them may find something."""

from __future__ import annotations

from itertools import product

import pytest

from logspan.processors.redact import Redactor
from logspan.processors.redact.texts.announced import Announced
from logspan.processors.redact.texts.bindings import bindings
from logspan.processors.redact.texts.spoken import commanded, led, said, spoken
from logspan.processors.redact.texts.structure import assigned
from logspan.settings import RedactionSettings

PARSERS = (assigned, spoken, said, commanded, bindings, led)
SUBJECTS = (
    *("password", "the password of kim", "New Password for the shop", "api_key", "user pwd", "tokens", "pin", "sid"),
    *("cookie", "Authorization", "auth header", "seed phrase", "mnemonic", "recovery phrase for kim", "secretAnswer"),
    *("contraseña", "badge word", "client secret generated", "password_hash", "otp"),
)
LINKS = (
    *(" is ", " was changed to ", " of ", " from ", ": ", " is: ", " = ", " are like ", " as ", " -- ", " to: "),
    *(" is\n", " set to  ", " ", " was:\n  ", " IS ", " for it is ", "........"),
)
VALUES = (
    *("apple", "Apple", "apple banana cherry", "changed", "X9fk2Lq7", "hunter2", "hunter2.", "123", "12345", "123456"),
    *("123456.", "abc.def", "apple.", "apple, X9fk2", "apple X9fk2Lq7", '"apple"', "'Tr0ub4dor9'", "{a: b}", "[x]"),
    *("(X9fk2Lq7)", "<apple>", "Basic dXNlcjpwYXNz", "Digest x", "sid=abc; path=/", "foo; sid=X9fk2Lq7", "HUNTER"),
    *(
        "dkFJskQzLw",
        "aB",
        "averyveryverylongwordindeed",
        "схема",
        "x to y9K2mm4P",
        "$HOME",
        "*****",
        "a-b",
        "a_b",
        "a1",
    ),
    *("a_b", "Secret(value='x')", "7 X9fk2Lq7", "correct-horse-battery", ""),
)
TAILS = ("", " (attempt 2)", ", again", "\n")


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    """One with words of the user's own."""
    return Redactor.from_settings(RedactionSettings(rules={"badge": {"keys": ["badge word"]}}))  # type: ignore[dict-item]


@pytest.mark.slow
def test_what_a_sentence_announces_is_found_by_the_parsers_that_are_asked(redactor: Redactor) -> None:
    """Whatever stands between a word for a secret and what may be one."""
    keys = redactor._keys
    announced = Announced(keys.words)
    number = 0
    for subject, link, value, tail in product(SUBJECTS, LINKS, VALUES, TAILS):
        text = f"{subject}{link}{value}{tail}"
        found = {*announced(text, keys.said)}
        for parse in PARSERS:
            assert found.issuperset(parse(text, keys.said)), (text, parse)
        number += bool(found)
    assert number > 1_000


@pytest.mark.parametrize(
    "text",
    [
        "session 17 of the customer was opened on shard 582",
        "the password of customer 7 was changed 154 days ago.",
        "sent 776 tokens to the model for order 9",
        "cookie banner shown to customer 5 after 261 ms",
    ],
)
def test_a_sentence_of_words_and_small_numbers_announces_nothing(redactor: Redactor, text: str) -> None:
    """No costly parser is asked: most of what speaks of secrets holds none."""
    assert not Announced(redactor._keys.words)._may(text)
