"""Expressions in a forked child (fault 26): RE2 locks its automata, and what the parent has locked stays locked.

That no child hangs is shown by `tests/faults/test_threads.py::test_26_*`, with a whole pipeline.
"""

from __future__ import annotations

import pytest

from logspan.expressions import OfThisProcess, Pattern, pattern_set


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
    of_parent = pattern._compiled()
    monkeypatch.setattr("logspan.expressions.os.getpid", lambda: -1)
    assert pattern._compiled() is not of_parent  # google-re2 has a memory of its own
    assert list(pattern.spans("x1234")) == [(1, 5)]
    assert pattern.search("1234")
    assert list(match("aab") or ()) == [0]
    assert not match("none")
