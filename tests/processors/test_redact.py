"""Stage 5, redact: secrets by key and by shape (R8.1); only what is claimed so far."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from pydantic import BaseModel, ValidationError

from logspan.processors.redact import Finding, Redactor
from logspan.record import Record
from logspan.settings import RedactionSettings
from tests.core.support import record

SECRET = "hunter2hunter2"
REDACTOR = Redactor()


def jwt(**claims: Any) -> str:
    """A made-up JSON web token."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "1", **claims})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, "c2lnbmF0dXJl"))


SECRET_KEYS = [
    *("password", "PASSWORD", "Password", "passwd", "pwd", "passphrase", "db.password", "db_password", "dbPassword"),
    *("DB-PASSWORD", "user.session.token", "access_token", "accessToken", "X-Api-Key", "apiKey", "APIKey", "api_key"),
    *("Authorization", "http.request.header.authorization", "Set-Cookie", "cookie", "client_secret", "clientSecret"),
    *("secret", "aws_secret_access_key", "private_key", "privateKey", "credential", "sessionId", "csrf", "cvv", "otp"),
    *("password1", "new_password", "password_confirm", "token.value", "secretKey", "x-csrf", "auth_key"),
]
HARMLESS_KEYS = [
    *("password_reset_count", "token_type", "max_tokens", "token_count", "author", "session.count", "primary_key"),
    *("key", "keyboard", "secretary", "tokenizer", "compass", "status", "user.id", "password_changed_at", "pinned"),
    *("cookie_count", "secret_name", "k8s.secret.name", "total_tokens", "", "...", "ключ"),
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_secret_goes_by_its_key(key: str) -> None:
    """Whatever the case and the separators; the whole value, of any type but a boolean."""
    for value in (SECRET, 12345, 1.5, ["a", "b"], [{"inner": SECRET}], SECRET.encode()):
        redacted = REDACTOR.attributes({key: value})
        assert str(redacted[key]).startswith("[REDACTED:")
        assert "hunter" not in str(redacted)
    assert REDACTOR.attributes({key: True}) == {key: True}
    assert REDACTOR.attributes({key: None}) == {key: None}
    assert REDACTOR.attributes({key: ""}) == {key: ""}


def test_of_cookies_those_go_that_tell_who_somebody_is() -> None:
    """As a header, as a list of them, as a mapping and as it is printed: names stay, and choices that many make."""
    jar = {"sessionid": SECRET, "theme": "dark", "lang": "en-GB", "sid": "dark"}
    header = "; ".join(f"{name}={value}" for name, value in jar.items())
    for value in (header, [header], jar, [f"{name}={value}" for name, value in jar.items()]):
        redacted = str(REDACTOR.attributes({"http.request.header.cookie": value}))
        assert "dark" in redacted.partition("theme")[2][:9]
        assert "en-GB" in redacted
        assert SECRET not in redacted
        assert redacted.count("[REDACTED:cookie#") == 2
    assert SECRET not in REDACTOR.text(f"request.cookies: {jar}")
    assert "'theme': 'dark'" in REDACTOR.text(f"request.cookies: {jar}")


@pytest.mark.parametrize("key", HARMLESS_KEYS)
def test_what_only_looks_like_a_secrets_key_stays(key: str) -> None:
    """The last words of a key decide."""
    assert list(REDACTOR.attributes({key: "harmless"}).values()) == ["harmless"]


@pytest.mark.parametrize(
    "value",
    [
        {"user": {"password": SECRET}},
        [{"password": SECRET}],
        [[{"a": [{"b": {"token": SECRET}}]}]],
        ({"password": SECRET},),
        {"a": {"b": {"c": {"d": {"e": {"secret": SECRET}}}}}},
    ],
)
def test_nested_secrets_go_as_well(value: Any) -> None:
    """In dicts, in lists of dicts, at any depth; in bodies, too."""
    made = record(value, value=value)
    REDACTOR(made)
    assert SECRET not in str(made.body)
    assert SECRET not in str(made.attributes)
    assert "[REDACTED:" in str(made.body)


TOKEN = jwt()
TEXTS = [
    (f"got {TOKEN}, fine", "got [REDACTED:jwt], fine"),
    (f"a={TOKEN}&b=1", "a=[REDACTED:jwt]&b=1"),
    (f"sid-{TOKEN}", "sid-[REDACTED:jwt]"),
    (f"Authorization: Bearer {SECRET} ok", "Authorization: Bearer [REDACTED:authorization] ok"),
    (f"authorization=bearer:{SECRET}", "authorization=bearer:[REDACTED:authorization]"),
    ("Basic dXNlcjpwYXNzd29yZA== ok", "Basic [REDACTED:basic-auth] ok"),
    (f"postgres://app:{SECRET}@db:5432/x", "postgres://app:[REDACTED:url-password]@db:5432/x"),
    (f"redis://:{SECRET}@cache", "redis://:[REDACTED:url-password]@cache"),
    (f"a https://u:{SECRET}@x b https://v:{SECRET}@y", None),
    (f"https://u:p@ss{SECRET}@host/", "https://u:[REDACTED:url-password]@host/"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_a_secret_goes_by_its_shape(text: str, expected: str | None) -> None:
    """Only the matched part; the rest of the line stays readable; the marker names the rule."""
    redacted = REDACTOR.text(text)
    assert SECRET not in redacted
    assert TOKEN not in redacted
    if expected is not None:
        assert redacted == expected


@pytest.mark.parametrize(
    "text",
    [
        "password reset queued for 3 users",
        "GET /oauth/token 200",
        "https://host:8080/path",
        "https://user@host/path",
        "http://a.b/c?d=e:f",
        "123e4567-e89b-12d3-a456-426614174000",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "eyJ",
        "the bearer of this",
        "basic: 12",
        "3.141.592",
        "image@sha256:9f86d081",
        "git@github.com:org/repo.git",
    ],
)
def test_harmless_texts_stay_as_they_are(text: str) -> None:
    """Not a character changes."""
    assert REDACTOR.text(text) == text


def test_every_part_of_a_record_is_looked_at() -> None:
    """Body, event name, values, keys, bytes, and what was put there after the capture."""
    made = record(f"body {TOKEN}", text=[TOKEN], data=TOKEN.encode(), plain=b"\x00\xff")
    made.attributes[TOKEN] = 1
    made.attributes["late"] = ({"password": SECRET}, TOKEN)
    made.event_name = TOKEN
    REDACTOR(made)
    assert TOKEN not in str([made.body, made.attributes, made.event_name])
    assert SECRET not in str(made.attributes)
    assert made.attributes["data"] == b"[REDACTED:jwt]"
    assert made.attributes["plain"] == b"\x00\xff"


def test_a_new_dict_is_made() -> None:
    """`attributes` leaves what it is given alone."""
    given = {"user": {"password": SECRET}}
    assert REDACTOR.attributes(given) == {"user": {"password": "[REDACTED:password]"}}
    assert given == {"user": {"password": SECRET}}


def test_what_is_redacted_twice_is_redacted_once() -> None:
    """A marker is no secret."""
    once = REDACTOR.text(" ".join(text for text, _ in TEXTS))
    assert REDACTOR.text(once) == once


def test_settings_add_and_take_away() -> None:
    """Blocked keys in any script and spelling, patterns, and keys that are never redacted for their name."""
    redactor = Redactor.from_settings(
        RedactionSettings(
            blocked_keys=["internal_ref", "пароль"],
            allowed_keys=["page_token"],
            blocked_key_patterns=["^x_.*_private$"],
        )
    )
    given = {"internalRef": "a", "Пароль": "b", "page_token": "c", "x_my_private": "d", "password": "e", "name": "f"}
    redacted = redactor.attributes(given)
    assert [key for key, value in redacted.items() if not str(value).startswith("[REDACTED:")] == ["page_token", "name"]
    assert REDACTOR.attributes({"internalRef": "a"}) == {"internalRef": "a"}


def test_an_allowed_key_is_still_searched_for_shapes() -> None:
    """Its name is no reason to redact it; its content may be."""
    redactor = Redactor.from_settings(RedactionSettings(allowed_keys=["token"]))
    assert redactor.attributes({"token": "harmless"}) == {"token": "harmless"}
    assert redactor.attributes({"token": TOKEN}) == {"token": "[REDACTED:jwt]"}


@pytest.mark.slow
def test_keys_without_end_do_not_fill_the_memory() -> None:
    """Keys made up per request are remembered up to a number, and judged all the same."""
    redactor = Redactor()
    for number in range(10_000):
        assert redactor.attributes({f"a{number}.password": "x"}) == {f"a{number}.password": "[REDACTED:password]"}
    assert len(redactor._known) <= 8_192


def test_what_would_be_redacted_is_explained() -> None:
    """By rule, path and place; nothing of the text, and nothing is changed or counted."""
    redactor = Redactor()
    found = redactor.explain({"user": {"password": SECRET}, "urls": ["fine", f"postgres://app:{SECRET}@db/x"]})
    assert found == [
        Finding("password", "user.password", 0, len(SECRET), "remove"),
        Finding("url-password", "urls[1]", 15, 15 + len(SECRET), "remove"),
    ]
    assert redactor.explain(f"a {TOKEN} b") == [Finding("jwt", "", 2, 2 + len(TOKEN), "remove")]
    assert redactor.hits == {}


def test_hits_are_counted_by_rule() -> None:
    """So that a rule that never fires is seen."""
    redactor = Redactor()
    redactor.attributes({"password": "x", "text": TOKEN, "other": "fine"})
    assert redactor.hits == {"jwt": 1, "password": 1}
    assert set(redactor.hits) < set(redactor.rules)


class Login(BaseModel):
    """What a form sends."""

    name: str
    password: list[str]


def test_what_pydantic_says_of_a_wrong_password_does_not_say_it() -> None:
    """An error of a validation quotes its input: in `errors()`, in their repr and JSON, and in the exception's text."""
    redactor = Redactor()
    with pytest.raises(ValidationError) as caught:
        Login.model_validate({"name": 7, "password": "s3cr3tPassw0rd"})
    errors: Any = caught.value.errors()
    shown = [redactor.text(text) for text in (repr(errors), json.dumps(errors), str(caught.value))]
    shown.append(repr(redactor.attributes({"errors": errors})))
    for text in shown:
        assert "s3cr3tPassw0rd" not in text
        assert "Input should be a valid list" in text
        assert "7" in text


@pytest.mark.parametrize("secret", ["password=hunter2x", "token=Zk3v9Tq4xA"])
def test_what_is_short_is_looked_into_as_well(secret: str) -> None:
    """16 bytes, in base64 or hex: no more than a key and a password."""
    redactor = Redactor()
    for encoded in (base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
        assert encoded.rstrip("=") not in redactor.text(f"payload {encoded} read")


def test_base64_behind_an_equals_sign_is_looked_into() -> None:
    """`payload=eyJ...` is the usual way to log it."""
    encoded = base64.b64encode(b'{"password": "s3cr3tPassw0rd"}').decode()
    assert encoded not in Redactor().text(f"got payload={encoded} at once")


@pytest.mark.parametrize(
    "secret", ["card 4111 1111 1111 1111", "password=hunter2hunter2", "Bearer abcdef0123456789abcdef"]
)
@pytest.mark.parametrize("words", ["user code pin auth of the session", "id 5b2b1c9a-0d1e-4f6f-9a53-7d0a2f6f3c11"])
def test_words_that_name_a_rule_hide_no_secret_beside_them(secret: str, words: str) -> None:
    """A record in which a rule is named for nothing is looked at as a whole: a secret in any of its texts is found."""
    for body, attributes in (
        (secret, {"note": words}),
        (words, {"note": secret}),
        (words, {"a": words, "note": secret}),
    ):
        record = Record(None, SeverityNumber.INFO, "INFO", body, attributes)
        Redactor()(record)
        assert "REDACTED" in str((record.body, record.attributes))
    clean = Record(None, SeverityNumber.INFO, "INFO", words, {"note": words, "number": 42})
    Redactor()(clean)
    assert (clean.body, clean.attributes) == (words, {"note": words, "number": 42})


@pytest.mark.parametrize(
    "attributes",
    [
        {"amount": 4539148803436467.0, "note": "user x"},
        {"field": "password", "new": "hunter2"},
        {"name": "password", "x": "1", "value": "hunter2"},
        {"event": "order", "number": 4539148803436467},
    ],
)
def test_a_quick_look_finds_what_a_walk_finds(attributes: dict[str, Any]) -> None:
    """Whether an attribute is redacted depends on itself and its siblings, and on nothing else that is there."""
    assert "REDACTED" in str(Redactor().attributes(attributes))


@pytest.mark.parametrize(
    "written", ["bob.miller%40example.com", "bob.miller\\u0040example.com", "bob.miller\uff20example.com"]
)
def test_nothing_stays_of_what_is_written_in_another_way(written: str) -> None:
    """`partial` keeps a part of a secret that is written plainly, and nothing where it cannot tell the parts."""
    redactor = Redactor.from_settings(RedactionSettings(actions={"email": "partial"}))
    assert "miller" not in redactor.text(f"from {written} to us")
    addresses = Redactor.from_settings(RedactionSettings(set="hipaa"))
    assert "203" not in addresses.text("GET /x?ip=203%2E0%2E113%2E77")


def test_a_summary_names_no_secret() -> None:
    """The keys that a summary lists are those without the secrets in them."""
    key = "ghp_" + "a1B2c3D4e5F6" * 3
    record = Record(None, SeverityNumber.INFO, "INFO", "x", {key: "1"})
    Redactor.from_settings(RedactionSettings(summary="debug"))(record)
    assert key not in str(record.attributes)
    assert record.attributes["redaction.masked.keys"]


def test_a_tokenizer_that_raises_costs_the_value_and_not_the_record() -> None:
    """It fails closed where it fails: at the value."""

    def tokenize(rule: str, secret: str) -> str:
        raise RuntimeError(rule)

    redactor = Redactor.from_settings(RedactionSettings(actions={"password": "tokenize"}), tokenize=tokenize)
    assert redactor.attributes({"password": "hunter2x"}) == {"password": "[REDACTED:password-failed]"}
