"""What is spared is narrow: a secret that stands in the same place goes."""

from __future__ import annotations

from typing import Any, cast

import pytest

from logspan.processors.redact import Redactor
from tests.redaction.survival import leaked

REDACTOR = Redactor()


@pytest.mark.parametrize(
    ("secret", "values"),
    [
        ("hunter2xK9", ('{"password": " hunter2xK9"}', "{'password':' hunter2xK9'}", '"password:" hunter2xK9')),
        (
            "hunter2xK9",
            ("checksum/password: hunter2xK9", '{"a":1,"token":" hunter2xK9"}', '{"password":"?hunter2xK9"}'),
        ),
        ("hunter2xK9zz1", ("forgot_password=hunter2xK9zz1", 'app.errors.InvalidToken: {"got": "hunter2xK9zz1"}')),
        ("abcdef1234567890XYZ", ('log "token:" abcdef1234567890XYZ done', "class Token: abcdef1234567890XYZ")),
        ("555 123 4567", ('{"phone": {"home": "555 123 4567"}}',)),
        ("C01X00T47", ('{"passport": {"serial": "C01X00T47"}}', '{"type":"passport","identifier":"C01X00T47"}')),
        ("MORGA657054SM9IJ", ('{"driving_licence": {"reference": "MORGA657054SM9IJ"}}',)),
        ("Zm9vYmFyYmF6cXV4", ("cookie: Zm9vYmFyYmF6cXV4cQ==", '{"cookie":"Zm9vYmFyYmF6cXV4cQ=="}')),
        ("Zm9vYmFyYmF6cXV4", ('{"cookies": ["Zm9vYmFyYmF6cXV4cQ=="]}', {"cookies": ["Zm9vYmFyYmF6cXV4cQ=="]})),
        (
            "Zm9vYmFyYmF6cXV4",
            ({"cookies": {"sid": "Zm9vYmFyYmF6cXV4cQ=="}}, {"cookies": [["sid", "Zm9vYmFyYmF6cXV4cQ=="]]}),
        ),
        ("kim", ({"cookies": {"kim@example.org": "dark"}},)),
        ("9fKq2xZZ", ("password=$(9fKq2xZZ", '{"password": "$(9fKq2xZZ"}')),
        ("Hunter2xZ9q", ('{"password":"[a-z]+Hunter2xZ9q"}', {"argv": "-u kim:Hunter2xZ9q"})),
        ("]+9fjqXk", ("password=Kx[9-z]+9fjqXk",)),
        ("correctHorseBattery", ("credential=correctHorseBattery",)),
        ("Kx9fjqK2Zm81qqPw", ("pull_secret=Kx9fjqK2Zm81qqPw", "existing_secret=Kx9fjqK2Zm81qqPw")),
        ("Kx9fjqK2Zm81qqPw", ("user_sid=Kx9fjqK2Zm81qqPw",)),
        ("letmein", ("token=elastic:letmein", '{"token": "admin:letmein"}')),
        ("411111111111", ({"n": -4111111111111111}, {"n": ".4111111111111111"})),
        ("428-55-9012", ({"n": "-428-55-9012"},)),
        (
            "529.982.247-25",
            ({"n": "-529.982.247-25"}, "529.982.247-25", {"template": "CPF %s", "args": ["529.982.247-25"]}),
        ),
        (
            "hunter2xK9",
            (
                {"cookies": [{"name": "sid", "value": "hunter2xK9"}, {"name": "theme", "value": "dark"}]},
                *(
                    "password: (hunter2xK9)",
                    'changed "password" to "hunter2xK9"',
                    "POST /token: client_secret=hunter2xK9&a=b",
                ),
            ),
        ),
        ("4821", ('PARAMETER "PIN" to "4821"', {"meta": {"name": "db2pin", "value": "4821"}})),
        (
            "482113",
            ({"meta": {"kind": "phone", "name": "2fa1", "value": "482113"}}, "POST /otp: value=482113&user=kim"),
        ),
        (
            "KVKFKRCPNZQUYMLX",
            ({"otp": {"source": "KVKFKRCPNZQUYMLX"}}, {"otp": {"period": 30, "valid": "KVKFKRCPNZQUYMLX"}}),
        ),
        ("48211332", ({"password": {"period": 48211332}},)),
        (
            "Hunter2X9q",
            (
                *('Setting parameter "password" to "Hunter2X9q"', 'Argument "password" to "Hunter2X9q" has a space'),
                *(
                    "POST /login/password: old=Hunter2X9q&a=b",
                    {"cookies": [{"name": "a", "value": "b", "raw": "Hunter2X9q"}]},
                ),
                {"cookies": [{"name": "x", "value": {"a=bc": "Hunter2X9q"}}]},
            ),
        ),
        ("Abc-D1f_Ghi-Jkl-Qw9", ("https://discord.com/api/webhooks/1234/Abc-D1f_Ghi-Jkl-Qw9",)),
        ("correct", ("password: (correct horse battery staple)", "token: (correct)")),
        ("4711", ({"otp": {"issuer": "Acme", "code": "4711"}}, "VERIFY_PIN pin=4711")),
        ("4915208837412", ("link https://wa.me/4915208837412?text=Hallo",)),
        ("7269636172646f2e6e756e6573", ("bytea '\\x7269636172646f2e6e756e6573406578616d706c652e7074'",)),
        (
            "Hb7YaaDn3MPYVh8VXq1MOFEc",
            ("cb=https%3A%2F%2Fhooks.slack.com%2Fservices%2FT1%2FB2%2FHb7YaaDn3MPYVh8VXq1MOFEc",),
        ),
        ("hunter2", ({"msg": f"{'x ' * 9000} password %s", "args": ["hunter2"]},)),
        ("hunter2", ({"msg": "pw=%(pw)s", "args": {"pw": "hunter2"}}, {"msg": "pw={pw}", "args": {"pw": "hunter2"}})),
    ],
)
def test_what_looks_like_what_is_spared_goes(secret: str, values: tuple[Any, ...]) -> None:
    """In a text, or among attributes: nothing of it is left."""
    for value in values:
        assert leaked((secret,), value) == [secret], value
        assert leaked((secret,), redact(value)) == [], value


def redact(value: Any) -> object:
    return REDACTOR.text(value) if isinstance(value, str) else REDACTOR.attributes(value)


@pytest.mark.parametrize(
    "value",
    [
        *('while splitting "token:" header line', "helm --set existingSecret=api-env --wait"),
        f"checksum/secret: {'bbd03a6ee0e9554807a7ea27a87735e1' * 2}",
        *("PASSWORD=${PASSWORD:?must be set}", "export TOKEN=$(vault token create -field=token -ttl=1h)"),
        *("pattern for GitHub tokens: ghp_[A-Za-z0-9]{36}", "'factorType': 'token:software:totp'"),
        *('"forgot_password": "Mot de passe oubli\u00e9 ?"', "ldap3: - invalidCredentials - bindResponse"),
        *('class RefreshToken(Base):\n    __tablename__ = "refresh_token"', "docMDP=2 size=884120"),
        *('{"mobile": "x", "arrival": "2025-07-14"}', "flake8: possible hardcoded password in tests/conftest.py:14"),
        *("token: [ErrorDetail(string='Invalid token.', code='invalid')]", "id-token: write", "cookies=rejected"),
        *({"credential": {"type": "webauthn", "label": "YubiKey 5C"}}, {"secrets": {"db": {"file": "./db.txt"}}}),
        *({"otp": {"digits": 6, "period": 30, "issuer": "Acme"}}),
        *("password: (not shown)", "Passwort: (nicht angezeigt)", "POST /token: grant_type=refresh_token&scope=read"),
        *(
            "if not check_password(raw, user.password): raise InvalidLogin()",
            'Argument "token" to "revoke" has incompatible type "None"',
        ),
        *({"ts": 1790000000000}, {"cookies": {"theme": "dark"}}, {"msg": "page %s of %s", "args": ["1", "2"]}),
    ],
)
def test_what_only_names_a_secret_stays(value: Any) -> None:
    """References, kinds, complaints of forms, code, times."""
    assert redact(value) == value


def test_cookies_with_their_names_go_one_by_one() -> None:
    """As browsers' tools write them: what nobody is recognised by stays, and what is said of each."""
    cookies = [{"name": "sid", "value": "hunter2xK9", "secure": True}, {"name": "lang", "value": "pl", "secure": False}]
    session, language = cast("Any", REDACTOR.attributes({"cookies": cookies})["cookies"])
    assert session["value"].startswith("[REDACTED:")
    assert {**session, "value": "hunter2xK9"} == cookies[0]
    assert language == cookies[1]


def test_one_rule_covers_a_number_in_both_ways_of_writing_it() -> None:
    """With the signs that tell what it is, and with a word near it."""
    redactor = Redactor()
    redactor.text("529.982.247-25 and cpf 52998224725")
    assert redactor.hits == {"br-cpf": 2}


def test_values_that_are_named_without_end_do_not_fill_the_memory() -> None:
    """Of a key whose values come again: so many are remembered, and none that is long."""
    redactor = Redactor()
    for _ in range(200):
        redactor.attributes({"http.target": "/oauth/token"})
    for number in range(3_000):
        redactor.attributes({"http.target": f"/oauth/token/{number}-x?password_hint={number}"})
        redactor.attributes({"http.target": f"/oauth/token/{number}?password_hint={'x' * 300}"})
    clean = redactor._quick._clean
    assert 0 < len(clean) <= 128
    assert max(map(len, clean)) <= 256
