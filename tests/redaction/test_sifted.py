"""R7.1: texts that said nothing are remembered without their numbers, and nothing is overlooked for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import SeverityNumber

from logspan.expressions import digits_alike, pattern_set
from logspan.processors.redact import Redactor
from logspan.processors.redact.sieve.encoded import may_hold_encoded
from logspan.processors.redact.sieve.folding import Folding
from logspan.processors.redact.sieve.ids import Forms
from logspan.processors.redact.sieve.sifted import Sifted, Trial
from logspan.record import Record
from logspan.settings import RedactionSettings
from tests.redaction.corpus import Case, negatives, positives
from tests.redaction.test_quick_look import check, flat, hints

CASES = [*positives(), *negatives()]
_DIGIT = re.compile("[0-9]")
KINDS = ("0", "1", "7")
"""Digits that all others are replaced by: no card, no checksum, no prefix is left of what there was."""


def said(case: Case) -> str:
    """What a case says, as one text."""
    return case.text or json.dumps(case.attributes, ensure_ascii=False)


@cache
def experienced(kind: str) -> Redactor:
    """One that has seen the whole corpus with other numbers, and remembers what said nothing there."""
    tool = Redactor.from_settings(RedactionSettings(timeout=600))
    for number in range(200):
        tool(Record(None, SeverityNumber.INFO, "INFO", f"order {number}", {}))
        tool.attributes({"note": f"order {number} {'x' * number}"})
    for case in CASES:
        for _ in range(2):
            tool.attributes({"note": _DIGIT.sub(kind, said(case))})
            tool(Record(None, SeverityNumber.INFO, "INFO", _DIGIT.sub(kind, said(case)), {}))
    return tool


@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_case_holds_is_found_after_the_same_text_with_other_numbers(kind: str) -> None:
    """What is remembered of a text without its numbers holds for all numbers that may stand there."""
    tool = experienced(kind)
    for case in CASES[KINDS.index(kind) :: len(KINDS)]:
        check(tool, said(case), None, {"note": said(case), "other": "x"})
        check(tool, "x", None, flat(case))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from([said(case) for case in CASES if len(said(case)) < 400]), st.randoms(use_true_random=False))
def test_what_is_found_does_not_depend_on_what_was_seen(text: str, chance: Any) -> None:
    """Any digits in the place of those of a text: one that has seen much and one that has seen nothing agree."""
    changed = _DIGIT.sub(lambda _: chance.choice("0123456789"), text)
    check(experienced("7"), changed, None, {"note": changed})


def test_all_digits_are_one_to_the_sieve_of_what_is_remembered() -> None:
    """What the sieve of the rules names is named there too, whatever the numbers are."""
    asked = hints(Redactor())
    coarse, sieve = pattern_set(tuple(digits_alike(hint, 10 * "1") for hint in asked)), pattern_set(asked)
    for case in CASES[::3]:
        assert {*(sieve(said(case)) or ())} <= {*(coarse(_DIGIT.sub("1", said(case))) or ())}, case.id


@pytest.mark.slow
def test_what_is_remembered_without_its_numbers_says_nothing_with_any() -> None:
    """Every eighth case of the corpus, after its like with other numbers, asked of the memory: it hides no hit."""
    asked = hints(Redactor())
    sieve = pattern_set(asked)
    lines = [line for case in CASES[::8] for line in said(case).split("\n") if line.isascii()]

    def may_find(data: bytes, count: int = 1) -> bool:
        del count
        return bool(sieve(data.decode())) or may_hold_encoded(data)

    remembered = 0
    for line in lines:
        sifted = Sifted(asked, may_find, Folding())
        for kind in KINDS:
            for _ in range(2):
                look(sifted, _DIGIT.sub(kind, line))
        remembered += bool(sifted._clean)
        assert look(sifted, line) or not may_find(Forms().ids_alike(line.encode())), line
    assert remembered > len(lines) / 10


def noting(asked: list[str]) -> Callable[[bytes, int], bool]:
    """What finds nothing, and notes what it was asked about."""

    def may_find(data: bytes, count: int = 1) -> bool:
        del count
        asked.append(data.decode())
        return False

    return may_find


def look(sifted: Sifted, *lines: str, trial: Trial | None = None) -> bool:
    return sifted.may_find("\n".join(("", *lines, "")), len(lines) + 2, trial or Trial())


def test_a_text_is_not_taken_apart() -> None:
    """What one line begins and the next one ends: each of the two alone has said nothing before."""
    sifted = Sifted((r"api\s+key",), lambda data, _: b"api" in data and b"key" in data, Folding())
    for _ in range(3):
        assert not look(sifted, "api")
        assert not look(sifted, "key")
    assert not look(sifted, "api", "key")
    assert look(sifted, "api\nkey")


def test_what_a_rule_may_find_for_other_numbers_is_looked_at_each_time() -> None:
    """There is nothing in `code 17`, but in `code 42` there may be."""
    sifted = Sifted(("42",), lambda data, _: b"42" in data, Folding())
    for _ in range(3):
        assert not look(sifted, "code 17")
    assert look(sifted, "code 42")


def test_the_memory_of_texts_has_an_end() -> None:
    """So many, and none that is long; those that hold a long word are looked into each time."""
    asked: list[str] = []
    sifted = Sifted(("never",), noting(asked), Folding())
    for number in range(12_000):
        words = f"row {'x' * (number // 2 % 97)} {'y ' * (number // 200)}"
        assert not look(sifted, words)
        assert not look(sifted, "long " * 60)
        assert not look(sifted, "id " + "q" * 20)
    for memory in (sifted._clean, sifted._met):
        assert 0 < len(memory) <= 4_096
        assert max(map(len, memory)) <= 256
    assert 0 < len(sifted._records) <= 2_048
    assert not any(b"qqq" in text for text in sifted._clean)
    assert asked.count("id " + "q" * 20) == 12_000


def test_a_text_that_comes_again_is_looked_at_twice_whatever_its_numbers_are() -> None:
    """After that it is known to say nothing, and what stands beside it is looked at alone."""
    asked: list[str] = []
    sifted = Sifted(("never",), noting(asked), Folding())
    for number in range(100, 105):
        look(sifted, f"order {number} placed", f"path: /orders/{number}")
    look(sifted, "order 700 placed", "kim")
    assert asked == [
        "order 100 placed\npath: /orders/100",
        "order 101 placed\npath: /orders/101",
        "kim",
    ]


def test_texts_that_are_like_no_others_are_not_remembered_for_long() -> None:
    """With an id in each, a memory is of no use; it is tried anew when some time has passed."""
    asked: list[str] = []
    sifted, trial = Sifted(("never",), noting(asked), Folding()), Trial()
    for number in range(1_000):
        look(sifted, f"id {number:x}z".translate(str.maketrans("0123456789", "ghijklmnop")), trial=trial)
    assert len(asked) == 1_000
    assert len(sifted._met) <= 256
    for number in range(9_000):
        look(sifted, f"order {number}", trial=trial)
    assert len(asked) < 8_300


def test_texts_of_several_lines_are_like_no_others() -> None:
    """Stack traces, mappings: it is not tried for long whether they come again."""
    sifted, trial = Sifted(("never",), noting([]), Folding()), Trial()
    for _ in range(300):
        look(sifted, "one line\nand another", trial=trial)
    assert not trial.is_on
    assert not sifted._records
