"""R7.1: what each kind of rule finds and leaves, from published formats; tests/redaction has the breadth."""

from __future__ import annotations

import re

import pytest

from logspan.expressions import Pattern, PatternError
from logspan.processors.redact import Redactor
from logspan.processors.redact.checks.validators import VALIDATORS
from logspan.processors.redact.rules import RULES, SETS
from logspan.settings import RedactionSettings

REDACTOR = Redactor()
A36 = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
HIDDEN = [
    ("card 4111 1111 1111 1111 ok", "card [REDACTED:payment-card]1111 ok"),
    ("paid with 378282246310005.", "paid with [REDACTED:payment-card]0005."),
    ("to GB82 WEST 1234 5698 7654 32 now", "to GB[REDACTED:iban]5432 now"),
    (f"push with ghp_{A36} ok", "push with ghp_[REDACTED:github-token] ok"),
    ("key AKIAIOSFODNN7EXAMPLE used", "key AKIA[REDACTED:aws-access-key] used"),
    ("ssn 536-90-4399 given", "ssn [REDACTED:us-ssn] given"),
    ("curl -u kim:hunter2 https://x", "curl -u kim:[REDACTED:command-line] https://x"),
    ("Cookie: a=b1; theme=x9", None),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nok",
        "[REDACTED:pem-private-key]\nok",
    ),
    ("-----BEGIN PRIVATE KEY-----\\nMIIEabc\\nabc", "[REDACTED:pem-private-key]"),
    ('{"user":"kim","password":"hunter2","n":1}', '{"user":"kim","password":"[REDACTED:password]","n":1}'),
    ('{\\"password\\":\\"hunter2\\",\\"n\\":1}', '{\\"password\\":\\"[REDACTED:password]\\",\\"n\\":1}'),
    ("User(name='kim', password='hunter2')", "User(name='kim', password='[REDACTED:password]')"),
    ("[('password', 'hunter2'), ('n', 1)]", "[('password', '[REDACTED:password]'), ('n', 1)]"),
    ('{"name": "password", "value": "hunter2"}', '{"name": "password", "value": "[REDACTED:password]"}'),
    ("<user><password>hunter2</password></user>", "<user><password>[REDACTED:password]</password></user>"),
    (
        "INSERT INTO users (name, password) VALUES ('kim', 'hunter2'), ('bo', 'hunter3')",
        "INSERT INTO users (name, password) VALUES ('kim', '[REDACTED:password]'), ('bo', '[REDACTED:password]')",
    ),
    ("Server=db;Uid=app;Pwd=hunter2;Timeout=5", "Server=db;Uid=app;Pwd=[REDACTED:password];Timeout=5"),
    ("user=kim&password=hunter2&next=%2F", "user=kim&password=[REDACTED:password]&next=%2F"),
    ("p%61ssword%3Dhunter2&n=1", "p%61ssword%3D[REDACTED:password]&n=1"),
    ("pass\u200bword=hunter2 ok", "pass\u200bword=[REDACTED:password] ok"),
    ("p\u0430ssword=hunter2 ok", "p\u0430ssword=[REDACTED:password] ok"),
    ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44=hunter2", None),
    ("pass\x1b[1mword=hunter2\x1b[0m ok", None),
    ("data eyJwYXNzd29yZCI6ICJodW50ZXIyIiwgImEiOiAxfQ== end", "data [REDACTED:password] end"),
    ("data 70617373776f72643d68756e74657232 end", "data [REDACTED:password] end"),
    ("user,password\nkim,hunter2\nbo,hunter2", "user,password\nkim,[REDACTED:password]\nbo,[REDACTED:password]"),
    ("password:\n  hunter2abc", "password:\n  [REDACTED:password]"),
    ("- name: DB_PASSWORD\n  value: hunter2", "- name: DB_PASSWORD\n  value: [REDACTED:password]"),
    ('<entry key="password">hunter2</entry>', '<entry key="password">[REDACTED:password]</entry>'),
    ("WHERE token IN ('hunter2', 'b')", "WHERE token IN ([REDACTED:token])"),
    ("with password Tr0ub4dor9hunter2 (attempt 2)", "with password [REDACTED:password] (attempt 2)"),
    ("passphrase: puzzle walnut lantern", "passphrase: [REDACTED:password]"),
    ("wallet bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", None),
]


@pytest.mark.parametrize(("text", "expected"), HIDDEN)
def test_a_secret_is_hidden_where_it_stands(text: str, expected: str | None) -> None:
    """Only the matched part goes, and a marker names the rule."""
    redacted = REDACTOR.text(text)
    assert "hunter2" not in redacted
    assert "[REDACTED:" in redacted
    if expected is not None:
        assert redacted == expected


LEFT = [
    "4111 1111 1111 1112 is no card",
    "order_id=4111111111111111 shipped",
    "at 1717171717171717 and 1717171717171717171",
    "uuid 12345678-1234-4234-8234-123456789012",
    "password={password} token=${TOKEN} secret=***",
    "password = getpass.getpass()",
    "secrets: 14 synced",
    "GET /list?page_token=3",
    "secret/db-credentials created",
    "host 10.2.3.4 version 1.22.333.4444",
    "tag 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "max_tokens=512 prompt_tokens=1024",
    "reset token expired",
    "Accepted password for kim from 10.0.0.1 port 52413 ssh2",
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-abc123",
    "password=password, token=%TOKEN%, secret=ref+vault://shop/db",
    'WWW-Authenticate: Bearer realm="shop", error="invalid_token"',
]


@pytest.mark.parametrize("text", LEFT)
def test_what_is_harmless_stays(text: str) -> None:
    """Not a character changes."""
    assert REDACTOR.text(text) == text


def test_what_stands_beside_a_name_is_judged_by_it() -> None:
    """Pairs, siblings, arguments, templates, nested keys, integers, and mapping keys themselves."""
    redacted = REDACTOR.attributes(
        {
            "pairs": [["password", "hunter2hunter2"], ["a", "b"]],
            "siblings": [{"name": "api_key", "value": "hunter2"}],
            "argv": ["tool", "--token", "hunter2"],
            "log.template": "login with password=%s from %s",
            "log.args": ["hunter2", "berlin"],
            "session": {"id": "hunter2hunter2", "ttl": 5},
            "card": {"number": 4111111111111111},
            "deep": {"https://u:hunter2@host/": 1},
            "raw": b"password=hunter2",
        }
    )
    assert "hunter2" not in str(redacted)
    assert "411111111" not in str(redacted)
    assert redacted["log.args"] == ["[REDACTED:password]", "berlin"]
    assert redacted["argv"] == ["tool", "--token", "[REDACTED:token]"]
    assert redacted["session"]["ttl"] == 5  # type: ignore[index, call-overload]


def test_what_is_too_deep_is_cut() -> None:
    """Nothing passes because it lies deeper than the redactor looks."""
    value: object = "password=hunter2"
    for _ in range(200):
        value = {"x": value}
    assert "hunter2" not in str(REDACTOR.attributes({"top": value}))


def test_each_rule_is_sound() -> None:
    """Its expressions are RE2's, its check is known, its id says what a marker can hold."""
    for rule in RULES.values():
        assert re.fullmatch(r"[a-z][a-z0-9-]*", rule.id), rule.id
        assert rule.kind != "key" or rule.keys, rule.id
        assert rule.kind == "key" or rule.parser or rule.pattern, rule.id
        assert not rule.validator or rule.validator in VALIDATORS, rule.id
        for expression in filter(None, (rule.pattern, rule.hint)):
            Pattern(expression)
            re.compile(expression)  # what runs where RE2 is missing
    assert {name for members in SETS.values() for name in members} == set(RULES)


def test_sets_are_what_they_say() -> None:
    """`pci` leaves people's names alone, `strict` has all."""
    mail, address = "mail kim@example.com", "from 10.20.30.40"
    assert Redactor.from_settings(RedactionSettings(set="pci")).text(mail) == mail
    assert REDACTOR.text(address) == address
    assert Redactor.from_settings(RedactionSettings(set="gdpr")).text(address) == "from 10.20.30.[REDACTED:ip-address]"
    for name in SETS:
        redactor = Redactor.from_settings(RedactionSettings(set=name))
        assert "hunter2" not in redactor.text("password=hunter2")
        assert "1111 1111" not in redactor.text("card 4111 1111 1111 1111")


def test_an_expression_that_re2_refuses_says_why() -> None:
    """Look-around and back-references could make a text slow."""
    with pytest.raises(PatternError, match=r"\(\?=|perl operator|invalid"):
        Pattern("a(?=b)")
