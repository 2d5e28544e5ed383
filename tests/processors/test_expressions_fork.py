"""Expressions in a forked child (fault 26): RE2 locks its automata, and what the parent has locked stays locked."""

from __future__ import annotations

import os

import pytest

from logspan.expressions import OfThisProcess, Pattern, pattern_set
from tests.core.test_fork import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

FORKING = """
from logspan.expressions import Pattern, pattern_set
match, pattern = pattern_set(("a+b", "[0-9]{4}")), Pattern("(k=)?[a-z]{3,9}")
stop = threading.Event()
def work(seed):
    while not stop.is_set():  # new texts all the time, so that the automata grow under their locks
        seed = seed * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        text = f"{seed:x} aab"
        assert match(text)
        list(pattern.spans(text))
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
for thread in threads:
    thread.start()
def searches():
    assert list(match("aab 1234")) == [0, 1]
    assert pattern.search("abc")
children = [child(searches) for _ in range(20)]
for pid in children:
    ended(pid)
stop.set()
for thread in threads:
    thread.join()
"""


def test_it_is_made_anew_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each process, and what the parent has made is kept: its end might ask for a lock."""
    made = OfThisProcess(object)
    first = made()
    assert made() is first
    monkeypatch.setattr("logspan.expressions.os.getpid", lambda: -1)
    second = made()
    assert second is not first
    assert made() is second


def test_the_engine_searches_with_what_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern and a set find in a child what they find in the parent."""
    pattern, match = Pattern("[0-9]{4}"), pattern_set(("a+b", "[0-9]{4}"))
    monkeypatch.setattr("logspan.expressions.os.getpid", lambda: -1)
    assert list(pattern.spans("x1234")) == [(1, 5)]
    assert pattern.search("1234")
    assert list(match("aab") or ()) == [0]
    assert not match("none")


def test_26_children_of_a_process_that_searches() -> None:
    """Twenty forks in the midst of searches: no child hangs."""
    run(FORKING)
