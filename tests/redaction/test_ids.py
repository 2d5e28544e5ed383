"""R7.1: ids are one and the same to the sieve, and nothing that the rules find is overlooked for it."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from functools import cache

import pytest

from logspan.processors.redact import Redactor
from logspan.processors.redact.sieve.ids import ID, Forms
from logspan.settings import RedactionSettings
from tests.redaction.corpus import Case, negatives, positives
from tests.redaction.test_sifted import said

CASES = [*positives(), *negatives()]
UUID = "550e8400-e29b-41d4-a716-446655440000"
HEX = "4bf92f3577b34da6a3ce929d0e0e4736"
_ANY_ID = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,})(?![0-9A-Za-z])")


def alike(text: str) -> str:
    return Forms().ids_alike(text.encode()).decode().replace(ID.decode(), "*")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (UUID, "*"),
        (f"order {UUID} placed", "order * placed"),
        (f"/customers/{UUID}/orders?id={HEX}", "/customers/*/orders?id=*"),
        (f"{UUID}\n{HEX}\n{HEX[:16]}", "*\n*\n*"),
        (f"waka_{UUID} ключ {HEX}", "waka_* ключ *"),
        (f"x{UUID} {HEX}y", f"x{UUID} {HEX}y"),
        (f"ключ{HEX} {UUID}-1", f"ключ{HEX} {UUID}-1"),
        (HEX[:15], HEX[:15]),
        (f"{HEX.upper()} {UUID.upper()}", f"{HEX.upper()} {UUID.upper()}"),
        ("4111111111111111 12345678901234567890", "4111111111111111 12345678901234567890"),
        ("de89370400440532013000", "de89370400440532013000"),
        (b"password=hunter2".hex(), b"password=hunter2".hex()),
        ("", ""),
    ],
)
def test_what_an_id_is(text: str, seen: str) -> None:
    """UUIDs and long hexadecimal words, each alone: no number, no text in hexadecimal, no part of a longer word."""
    assert alike(text) == seen


def test_texts_of_one_form_may_differ_in_what_is_an_id() -> None:
    """Sixteen digits stand where an id stood in the last text, and text in hexadecimal in the next."""
    forms = Forms()
    for word in (HEX[:16], "4111111111111111", b"hunter2x".hex(), HEX[16:]):
        line = f"user {word} of {UUID}"
        assert forms.ids_alike(line.encode()) == alike(line).replace("*", ID.decode()).encode()
    assert len(forms._known) == 1


def test_forms_without_end_do_not_fill_the_memory() -> None:
    """So many are remembered, and none that is long."""
    forms = Forms()
    for number in range(9_000):
        forms.ids_alike(f"{'h ' * (number % 67)}{'x ' * (number // 67)}{UUID}".encode())
        forms.ids_alike(f"{'long ' * 1_000}{UUID}".encode())
    assert 0 < len(forms._known) <= 2_048
    assert max(map(len, forms._known)) <= 2_048


CHANCE = {"one-time-code"}
"""Rules that would find something in an id once in many thousands: `2fa` and a number."""


@cache
def redactors() -> tuple[Redactor, Redactor]:
    """As it is, and one whose sieve sees ids as they are written."""
    usual, exact = (Redactor.from_settings(RedactionSettings(timeout=600)) for _ in range(2))
    exact._engine._ours._seen = lambda data: data
    return usual, exact


def found(redactor: Redactor, text: str) -> list[tuple[int, int, str]]:
    return [(start, end, rule.id) for start, end, rule in redactor._engine.find(text)]


def new_ids(text: str, chance: random.Random) -> str:
    """Other ids in the place of those of a text."""
    return _ANY_ID.sub(lambda match: re.sub("[0-9a-f]", lambda _: chance.choice("0123456789abcdef"), match[0]), text)


def between(text: str, chance: random.Random) -> str:
    first, second = str(uuid.UUID(int=chance.getrandbits(128))), chance.randbytes(16).hex()
    return f"{first}: {text} {second}"


def joined(text: str, chance: random.Random) -> str:
    return f"/{chance.randbytes(8).hex()}/{text}/{uuid.UUID(int=chance.getrandbits(128))}"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("change", "cases"),
    [(new_ids, [case for case in CASES if _ANY_ID.search(said(case))]), (between, CASES[::2]), (joined, CASES[1::2])],
)
def test_what_is_found_beside_ids_does_not_depend_on_them(
    change: Callable[[str, random.Random], str], cases: list[Case]
) -> None:
    """The corpus, with other ids in it and with ids at its ends."""
    usual, exact = redactors()
    for number, case in enumerate(cases):
        text = change(said(case), random.Random(number))
        ids = [match.span() for match in _ANY_ID.finditer(text)]
        seen_alike, as_written = (
            [
                (start, end, rule)
                for start, end, rule in found(tool, text)
                if rule not in CHANCE or not any(first <= start and end <= last for first, last in ids)
            ]
            for tool in (usual, exact)
        )
        assert seen_alike == as_written, case.id


def test_a_secret_that_is_an_id_is_found_by_the_words_in_front_of_it() -> None:
    """The sieve asks for words and prefixes, and any digits behind them."""
    for text in (f"api_key={HEX}", f"token: {UUID}", f"waka_{UUID}"):
        assert found(redactors()[0], text), text
