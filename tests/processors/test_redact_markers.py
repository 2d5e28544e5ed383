"""R7.1: what stands in a text as a marker hides nothing: only markers of rules that exist are left alone."""

from __future__ import annotations

import pytest

from logspan.processors.redact import Redactor
from logspan.settings import RedactionSettings

REDACTOR = Redactor()
CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    "text",
    [
        "password=[REDACTED:hunter2hunter2]",
        "password: [REDACTED:hunter2hunter2]",
        '{"password": "[REDACTED:hunter2hunter2]"}',
        "password=[REDACTED:password#hunter2hunter2]",
        "password=[REDACTED:password]hunter2hunter2",
        "password=[REDACTED]hunter2hunter2",
        "password='[REDACTED:password] hunter2hunter2'",
        "pin=[REDACTED:pin]4711",
        "password=x[REDACTED:password]y7",
        f"card [REDACTED:{CARD}]",
        f"card [REDACTED:payment-card] {CARD}",
        f"card [REDACTED:payment-card]{CARD}",
        f"[REDACTED:x {CARD}] and {CARD}",
        "[REDACTED:postgres://shop:hunter2hunter2@db/x]",
        "api_key=[sk7hunter2hunter2]",
    ],
)
def test_nothing_is_spared_because_of_a_marker(text: str) -> None:
    """Neither what is written as one, nor what stands beside one."""
    for redacted in (REDACTOR.text(text), str(REDACTOR.attributes({"note": text})["note"])):
        assert not any(part in redacted for part in ("hunter2", "4711", "4111", "y7")), redacted


@pytest.mark.parametrize("value", ["[REDACTED:hunter2hunter2]", "[REDACTED]hunter2", "[REDACTED:password] hunter2"])
def test_no_value_of_a_secret_key_is_spared_for_its_beginning(value: str) -> None:
    """It has to be a marker, and nothing else."""
    assert "hunter2" not in str(REDACTOR.attributes({"password": value, "db": {"token": value}}))


def test_what_was_redacted_stays_as_it_is() -> None:
    """A record that comes by twice, through another process say, reads the same; nothing is counted again."""
    raw = f"password=hunter2 cookie: id=7f3a9c1b2d, {CARD}, mail kim@example.com, badge=B7"
    own = Redactor.from_settings(RedactionSettings.model_validate({"rules": {"badge": {"keys": ["badge"]}}}))
    once = own.text(raw)
    found = dict(own.hits)
    assert "[REDACTED:badge]" in once
    assert own.text(once) == once
    assert own.attributes({"password": "[REDACTED:jwt]", "session": "[REDACTED:session#0123456789abcdef]"}) == {
        "password": "[REDACTED:jwt]",
        "session": "[REDACTED:session#0123456789abcdef]",
    }
    assert dict(own.hits) == found


@pytest.mark.parametrize("rule", ["a]b", "two words", "", "x\ny", "[x", "a#b", "k" * 70])
def test_the_id_of_a_rule_can_stand_in_a_marker(rule: str) -> None:
    """It is what a marker shows."""
    with pytest.raises(Exception, match=r"letters, digits"):
        RedactionSettings.model_validate({"rules": {rule: {"keys": ["badge"]}}})
