"""R7.1: a key means the same as an attribute and inside a text, in any script and in compounds of a known word."""

from __future__ import annotations

import pytest

from logspan.processors.redact import Redactor
from logspan.processors.redact.rule import Rule
from logspan.processors.redact.rules.keys import KEY_RULES

REDACTOR = Redactor()
MADE = "Quartz7Lk29xWbTe4"

OF_OTHER_VALUES = ("pin", "otp", "cvv", "webhook-url")
TEXTS_WITH_A_KEY = [
    "{}={} y=1",
    "x {}: {} y",
    '{{"{}": "{}", "a": 1}}',
    '{{\\"{}\\":\\"{}\\"}}',
    "GET /a?x=1&{}={}&z=1",
]
SECRET_KEYS = [
    *("SECRET_KEY_BASE", "REDISCLI_AUTH", "X-Registry-Auth", "_auth", "signature_key", "stripeKey", "deploy_key"),
    *("sendgrid.key", "password_digest", "token_hash", "vaultKey", "userPassword", "motdepasse", "kata_sandi"),
    *(
        "密码",
        "用户密码",
        "密碼",
        "비밀번호",
        "パスワード",
        "пароль",
        "كلمة_المرور",
        "lösenord",
        "lo\u0308senord",
        "contraseña",
    ),
]
HARMLESS = [
    *(("tokens", 128), ("max_tokens", 4096), ("auth", "oauth2"), ("auth_type", "basic"), ("cache_key", "user:17")),
    *(
        ("partition_key", "tenant-9"),
        ("author", "annika"),
        ("gpio_pin", 17),
        ("map_pin", "berlin"),
        ("spinner", "dots"),
    ),
    *(("write_key", "user:1234:profile"), ("deploy_key", "deploy-key-2024"), ("auth", "sha256-plain")),
    *(("auth", "kerberos-ldap"), ("tokens", ["the", "quick", "Fox,"]), ("shipping", "DHL 5512")),
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_key_means_the_same_in_a_text_and_as_an_attribute(key: str) -> None:
    """What goes under a key goes behind it in a line, too."""
    assert MADE not in str(REDACTOR.attributes({key: MADE, "n": 3}))
    assert MADE not in REDACTOR.text(f"login {key}={MADE} next=ok")
    assert REDACTOR.text(f"login {key}={MADE} next=ok").endswith(" next=ok")


@pytest.mark.parametrize(
    "rule", [rule for rule in KEY_RULES if rule.id not in OF_OTHER_VALUES], ids=lambda rule: rule.id
)
def test_all_that_goes_as_an_attribute_goes_in_a_text(rule: Rule) -> None:
    """Every key of every rule, in every spelling, with every usual separator."""
    for key in rule.keys:
        for name in (key.replace(" ", "_"), key.replace(" ", "-").upper(), f"user.{key.replace(' ', '.')}"):
            if MADE in str(REDACTOR.attributes({name: MADE})):
                continue  # another rule says that this one means something else
            for text in TEXTS_WITH_A_KEY:
                assert MADE not in REDACTOR.text(text.format(name, MADE)), (name, text)


@pytest.mark.parametrize(("key", "value"), HARMLESS)
def test_a_word_that_means_other_things_as_well_takes_nothing_harmless(key: str, value: object) -> None:
    """Counts, schemes, words of a language model, pins of a board."""
    assert REDACTOR.attributes({key: value}) == {key: value}
    assert REDACTOR.text(f"a {key}={value} b") == f"a {key}={value} b"


@pytest.mark.parametrize("key", ["ssn", "applicant.ssn", "user_ssn", "userSsn", "socialSecurityNumber", "tax_id"])
@pytest.mark.parametrize("value", ["684885775", 684885775, "684 88 5775"])
def test_the_word_that_has_to_be_near_may_be_the_key(key: str, value: object) -> None:
    """Digits that count in a text behind their name count as an attribute of that name."""
    assert REDACTOR.attributes({key: value}) == {key: "[REDACTED:us-ssn-digits]"}
    assert str(value) not in REDACTOR.text(f"{key}={value} ok")
    assert REDACTOR.attributes({"rows": value}) == {"rows": value}


def test_a_key_of_letters_that_are_not_ascii_is_a_near_word() -> None:
    """It is one word, not the parts between these letters."""
    assert "616E" not in str(REDACTOR.attributes({"henkilötunnus": "010147-616E"}))


@pytest.mark.parametrize("key", ["cardVerificationValue", "userPin", "smsOtp"])
def test_a_short_word_may_stand_within_camel_case(key: str) -> None:
    """And a filler at the end of a known compound is part of it."""
    for value in ("574435", 574435):
        assert REDACTOR.attributes({key: value}) != {key: value}
    assert "574435" not in REDACTOR.text(f"pay {key}=574435 ok")


def test_a_list_under_a_plural_holds_secrets_if_they_look_like_some() -> None:
    """`tokens` are those of a language model most of the time."""
    assert MADE not in str(REDACTOR.attributes({"tokens": [MADE]}))
    assert MADE not in REDACTOR.text(f'{{"tokens": ["{MADE}"], "n": 1}}')


def test_a_card_that_became_a_float_is_a_card() -> None:
    """JSON of other languages has no integers."""
    assert "455656439151" not in str(REDACTOR.attributes({"pan": 4556564391519480.0}))
    harmless = {
        "pan": float("inf"),
        "ms": 1764000000123.5,
        "load": 0.25,
        "bytes": 1e300,
        "nan?": float("-inf"),
    }
    assert REDACTOR.attributes(harmless) == harmless


@pytest.mark.parametrize(
    "value",
    [
        {"password": {"type": "string", "minLength": 12}},
        {"imagePullSecrets": [{"name": "regcred"}]},
        {"secret": "default/db-credentials"},
    ],
)
def test_what_describes_or_names_a_secret_is_none(value: dict[str, object]) -> None:
    """A schema, a reference; as attributes and as JSON in a text."""
    assert REDACTOR.attributes(value) == value
    text = str(value).replace("'", '"')
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    "value",
    [{"password": {"type": "string", "default": MADE}}, {"secrets": [{"name": "a", "value": MADE}]}],
)
def test_a_description_that_holds_a_value_is_looked_into(value: dict[str, object]) -> None:
    """The default of a schema is the secret itself."""
    assert MADE not in str(REDACTOR.attributes(value))
    assert MADE not in REDACTOR.text(str(value).replace("'", '"'))
