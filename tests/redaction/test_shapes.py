"""R7.1: what stands under a secret's key is the secret, whatever its shape, unless it can only be a description."""

from __future__ import annotations

import json
from typing import Any

import pytest

from logspan.processors.redact import Redactor

REDACTOR = Redactor()
SECRETS: list[dict[str, Any]] = [
    {"password": {"name": "x", "key": "hunter2X9"}},
    {"password": {"name": "hunter"}},
    {"credentials": {"key": "hunter2X9"}},
    {"credentials": {"name": "hunter2"}},
    {"secrets": [{"name": "db", "key": "hunter2X9abc"}]},
    {"secrets": [{"name": "hunter2X9abc"}]},
    {"secret": {"name": "db", "optional": "hunter2X9abc"}},
    {"cvv": {"number": 123}},
    {"pin": {"a": 12, "b": 34}},
    {"pin": {"count": 1234}},
    {"otp": {"length": 123456}},
    {"password": {"type": "string", "title": "hunter2X9"}},
    {"token": {"type": "string", "description": "it is hunter2X9"}},
    {"password": {"type": "string", "key": "hunter2X9"}},
    {"password": {"type": "string", "value": "hunter2X9"}},
    {"password": ["This field is required.", "hunter2X9"]},
    {"password": [{"name": "hunter"}]},
    {"user": {"deep": [{"password": {"optional": "hunter2X9"}}]}},
]


def texts(value: dict[str, Any]) -> list[str]:
    """A value as services write it into a line."""
    text = json.dumps(value)
    return [text, repr(value), text.replace('"', '\\"'), f"got {text}, ok", json.dumps({"body": text})]


@pytest.mark.parametrize("value", SECRETS, ids=str)
def test_no_shape_hides_a_secret(value: dict[str, Any]) -> None:
    """A mapping of names, of numbers, a schema with more in it than a schema has; as attributes and in texts."""
    for output in (str(REDACTOR.attributes(value)), *map(REDACTOR.text, texts(value))):
        assert not [part for part in ("hunter", "123", "12", "34") if part in output], output


@pytest.mark.parametrize(
    "value",
    [
        {"password": {"type": "string", "minLength": 12, "description": "At least twelve characters."}},
        {"secret": {"secretName": "tls-cert-2024", "defaultMode": 420}},
        {"imagePullSecrets": [{"name": "regcred"}]},
        {"cookies": {"enabled": True, "count": 2}},
        {"password": ["This field is required."]},
    ],
    ids=str,
)
def test_what_can_only_be_a_description_stays(value: dict[str, Any]) -> None:
    """A schema, a reference to a secret of Kubernetes, counts, what a form says of a field."""
    assert REDACTOR.attributes(value) == value
    assert [REDACTOR.text(text) for text in texts(value)] == texts(value)


PHRASES = ["correct horse battery staple!", "correct horse battery staple", "four words like this", "The cat is on it."]


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize(
    "text",
    ["password: '{}'", 'passphrase="{}"', '{{"password": "{}", "n": 1}}', "set db.password = '{}' now", "pwd => `{}`"],
)
def test_a_sentence_in_quotes_may_be_the_secret(text: str, phrase: str) -> None:
    """A passphrase is words: quoted behind the key, or under it, it goes as a whole."""
    output = REDACTOR.text(text.format(phrase))
    assert not [word for word in phrase.split() if len(word) > 3 and word in output], output
    assert phrase not in str(REDACTOR.attributes({"password": phrase, "passphrase": phrase}))


@pytest.mark.parametrize(
    "complaint",
    [
        "This field is required.",
        "This password is too common.",
        "The two password fields didn't match.",
        "Must be at least 8 characters.",
    ],
)
def test_what_a_form_says_of_a_field_is_no_passphrase(complaint: str) -> None:
    """Django's and pydantic's complaints stand under the field's name."""
    assert REDACTOR.attributes({"password": complaint}) == {"password": complaint}
    assert REDACTOR.attributes({"password": [complaint]}) == {"password": [complaint]}
    assert complaint in REDACTOR.text(json.dumps({"password": [complaint]}))


def test_a_neighbour_says_what_a_value_is_however_many_there_are() -> None:
    """`{"name": "password", "value": ...}` among any number of keys, and whichever of several names says it."""
    more = {f"k{number}": number for number in range(20)}
    for given in ({"name": "password", "value": "hunter2"}, {"id": "42", "name": "password", "value": "hunter2"}):
        assert "hunter2" not in str(REDACTOR.attributes({**more, **given}))
        assert "hunter2" not in str(REDACTOR.attributes({"deep": {**more, **given}}))
    assert "684885775" not in str(REDACTOR.attributes({**more, "field": "ssn", "value": 684885775}))
