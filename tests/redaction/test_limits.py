"""R7.1, fault 30: a rule of ours that would take too long is stopped between two candidates, and says so."""

from __future__ import annotations

import base64
import time

import pytest

from logspan.processors.redact import Redactor
from logspan.processors.redact import engine as engine_module
from logspan.processors.redact.checks.validators import VALIDATORS
from logspan.processors.redact.config import RedactorConfig
from logspan.processors.redact.rule import Rule


def slow_redactor(monkeypatch: pytest.MonkeyPatch) -> tuple[Redactor, list[str]]:
    """One rule, whose check refuses everything after 10 ms where a value has 100; and what it was asked about."""
    asked: list[str] = []

    def slow(text: str, start: int, end: int) -> None:
        asked.append(text[start:end])
        time.sleep(0.01)

    monkeypatch.setattr(engine_module, "VALIDATORS", {**VALIDATORS, "slow": slow})
    rules = {"own": Rule("own", "pattern", pattern="zz[0-9]+", validator="slow")}
    redactor = Redactor(RedactorConfig(rules=rules, timeout=0.1))
    return redactor, asked


def test_a_check_that_refuses_everything_slowly_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is looked at for each candidate, not only for what is found: the value goes, and the rule is counted."""
    redactor, asked = slow_redactor(monkeypatch)
    text = " ".join(f"zz{number}" for number in range(1_000))
    assert redactor.text(text) == "[REDACTED:own-failed]"
    assert redactor.attributes({"a": text, "b": "fine"}) == {"a": "[REDACTED:own-failed]", "b": "fine"}
    assert redactor.failures == {"own": 2}
    assert len(asked) < 100


def test_what_is_decoded_has_no_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand encoded texts in one value share the time of the value."""
    redactor, asked = slow_redactor(monkeypatch)
    encoded = [base64.b64encode(f"some words and zz{number}".encode()).decode() for number in range(1_000)]
    assert redactor.text(" ".join(encoded)) == "[REDACTED:own-failed]"
    assert len(asked) < 100
