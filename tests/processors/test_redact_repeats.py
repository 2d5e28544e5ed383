"""R7.1: a secret that a key has told stands in the same text once more, where nothing tells it."""

from __future__ import annotations

import time

from logspan.processors.redact import Redactor

REDACTOR = Redactor()
SECRET = "H6nysbCjCwBZWJ"


def test_the_list_of_values_behind_a_statement() -> None:
    """As Django's `django.db.backends` logs it."""
    line = f'(0.002) UPDATE "users" SET "password" = \'{SECRET}\' WHERE "id" = 42; args=(\'{SECRET}\', 42)'
    redacted = REDACTOR.text(line)
    assert SECRET not in redacted
    assert redacted.endswith("args=('[REDACTED:password]', 42)")


def test_it_goes_in_front_of_its_key_as_well() -> None:
    """Wherever it stands in the text, and nowhere within a longer word."""
    redacted = REDACTOR.text(f"mkuser -p {SECRET} deploy --password {SECRET} x{SECRET}x {SECRET}")
    assert redacted == (
        f"mkuser -p [REDACTED:password] deploy --password [REDACTED:password] x{SECRET}x [REDACTED:password]"
    )


def test_words_and_short_values_are_not_looked_for() -> None:
    """They stand elsewhere by chance."""
    text = "password=production env=production pin=4711 order 4711"
    assert "env=production" in REDACTOR.text(text)
    assert "order 4711" in REDACTOR.text(text)


def test_the_work_grows_with_the_text_only() -> None:
    """Many secrets, each of them there twice; tried again before it is believed."""
    assert any(_time(1600) < 8 * 3 * _time(200) for _ in range(4))


def _time(number: int) -> float:
    words = [f"p{place:05d}Qx7Lm" for place in range(number)]
    text = " ".join([*(f"password={word}" for word in words), *words])
    start = time.thread_time()
    REDACTOR.text(text)
    return time.thread_time() - start
