import re

from redaction import shop_redactor


def test_the_example_does_what_the_guide_says() -> None:
    """Own rules, a set that extends another, another action, and what stays by an allowed value."""
    redactor = shop_redactor()
    assert redactor.attributes({"user.badgeNumber": "B-7"}) == {"user.badgeNumber": "[REDACTED:badge]"}
    assert redactor.text("mail kim@example.com") == "mail [REDACTED:email]@example.com"
    assert redactor.text("mail support@example.org") == "mail support@example.org"
    assert re.fullmatch(r"case \[REDACTED:case#[0-9a-f]{16}\] opened", redactor.text("case C-123456 opened"))
    assert redactor.text("from 10.1.2.3") == "from 10.1.2.[REDACTED:ip-address]"
