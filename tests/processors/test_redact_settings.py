"""R7.1: rules, sets, actions and the Collector's options in settings; what fails closed."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from logspan.errors import SettingsError
from logspan.processors.redact import Redactor
from logspan.processors.redact.config import RedactorConfig
from logspan.processors.redact.rule import Rule
from logspan.settings import RedactionRuleSettings, RedactionSetSettings, RedactionSettings, Settings
from tests.core.support import record

SECRET = "hunter2hunter2"


def redactor(**settings: Any) -> Redactor:
    return Redactor.from_settings(RedactionSettings(**settings))


def upper(rule: str, secret: str) -> str:
    """A tokenizer, named in settings below."""
    return f"<{rule}:{len(secret)}>"


def test_rules_of_the_users_own() -> None:
    """By key, and by an expression with words near it."""
    own = redactor(
        rules={
            "badge": RedactionRuleSettings(keys=["badge number"]),
            "case-id": {"pattern": r"\b(C-[0-9]{4})\b", "near": ["case"], "action": "partial", "keep": "last2"},
        }
    )
    assert own.attributes({"user.badgeNumber": "B7", "n": 1}) == {"user.badgeNumber": "[REDACTED:badge]", "n": 1}
    assert own.text("case C-1234, part C-9999x") == "case [REDACTED:case-id], part C-9999x"
    assert own.text("part C-1234") == "part C-1234"
    assert {"badge", "case-id"} <= set(own.rules)


def test_sets_of_the_users_own_extend_others() -> None:
    """Rules of the sets below come first; some are added, some left out."""
    sets = {
        "base": RedactionSetSettings(extends=["pci"], rules=["email"]),
        "mine": RedactionSetSettings(extends=["base"], rules=["ip-address"], without=["password"]),
    }
    own = redactor(set="mine", sets=sets)
    assert own.text("password=hunter2 from 10.1.2.3") == "password=hunter2 from 10.1.2.[REDACTED:ip-address]"
    assert own.text("mail kim@example.com").startswith("mail [REDACTED:email#")
    assert own.text("card 4111 1111 1111 1111") == "card [REDACTED:payment-card]1111"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"set": "defualt"}, "there is no set 'defualt'; did you mean 'default'?"),
        ({"set": "a", "sets": {"a": {"rules": ["pasword"]}}}, "there is no rule 'pasword'; did you mean 'password'?"),
        ({"set": "a", "sets": {"a": {"extends": ["b"]}, "b": {"extends": ["a"]}}}, "a -> b -> a extends itself"),
        ({"actions": {"pasword": "hash"}}, "there is no rule 'pasword'; did you mean 'password'?"),
        ({"tokenizer": "no.such:thing"}, "cannot be imported: ModuleNotFoundError"),
        ({"rules": {"x": {}}}, "a rule has either keys or a pattern"),
        ({"blocked_values": ["a(?=b)"]}, "must be a regular expression of RE2"),
        ({"hash_key": "short"}, "must have at least 16 bytes; `openssl rand -hex 32` makes a good one"),
        ({"actions": {"email": "tokenize"}}, "'email' has the action tokenize, and redaction.tokenizer is not set"),
        (
            {"rules": {"x": {"keys": ["a"], "action": "tokenize"}}},
            "'x' has the action tokenize, and redaction.tokenizer",
        ),
        ({"rules": {"x": {"pattern": ""}}}, "is empty, and would be found everywhere"),
        ({"blocked_values": [""]}, "is empty, and would be found everywhere"),
        ({"blocked_key_patterns": [""]}, "is empty, and would be found everywhere"),
        ({"rules": {"x": {"pattern": "^|$"}}}, "only finds places without characters"),
        ({"blocked_values": [r"\b"]}, "only finds places without characters"),
        ({"rules": {"x": {"keys": ["***"]}}}, "needs a letter or a digit"),
        ({"rules": {"x": {"pattern": "a+", "near": [" "]}}}, "needs a letter or a digit"),
        ({"rules": {"x": {"keys": ["a"], "near": ["b"]}}}, "near and validator are for rules with a pattern"),
        ({"rules": {"x": {"keys": ["a"], "validator": "card"}}}, "near and validator are for rules with a pattern"),
        ({"actions": {"cvv": "hash"}}, "'cvv' must not have the action hash: there are too few such codes"),
        ({"tokenizer": "os"}, "must be `package.module:function`"),
    ],
)
def test_what_is_wrong_is_refused_at_load(settings: dict[str, Any], message: str) -> None:
    """With the reason, and the nearest right name."""
    with pytest.raises(SettingsError, match=re.escape(message)):
        redactor(**settings)


def test_actions() -> None:
    """Each rule's own can be replaced by another."""
    text = "mail kim@example.com"
    assert redactor(actions={"email": "remove"}).text(text) == "mail [REDACTED:email]"
    assert redactor(actions={"email": "mask"}).text(text) == "mail ****"
    assert redactor(actions={"email": "partial"}).text(text) == "mail [REDACTED:email]@example.com"
    assert re.fullmatch(r"mail \[REDACTED:email#[0-9a-f]{16}\]", redactor(actions={"email": "hash"}).text(text))
    tokenized = redactor(actions={"email": "tokenize"}, tokenizer=f"{__name__}:upper")
    assert tokenized.text(text) == "mail <email:15>"


def test_a_token_is_not_tokenized_again() -> None:
    """The arguments of a command are looked at one by one and as one line."""
    own = Redactor.from_settings(RedactionSettings(actions={"password": "tokenize"}), tokenize=upper)
    assert own.attributes({"args": ["deploy", "--password", SECRET]}) == {
        "args": ["deploy", "--password", "<password:14>"]
    }
    assert own.hits == {"password": 1}


def test_a_tokenizer_may_be_given_as_an_argument() -> None:
    """Then no setting is needed."""
    settings = RedactionSettings(actions={"email": "tokenize"})
    assert Redactor.from_settings(settings, tokenize=upper).text("mail kim@example.com") == "mail <email:15>"


def test_what_is_blocked_can_have_another_action() -> None:
    """Its ids are among the rules, as all others."""
    own = redactor(
        blocked_keys=["ref"], blocked_values=["zz1"], actions={"blocked-key": "mask", "blocked-value": "mask"}
    )
    assert own.attributes({"ref": "x", "note": "a zz1"}) == {"ref": "****", "note": "a ****"}


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("(foo)?bar", "a bar", "a *"),
        ("(foo)?bar", "a foobar", "a *bar"),
        ("a(b)|c(d)", "ab cd", "a* c*"),
        ("(foo)|bar", "foo bar", "* *"),
        ("id=(x*)", "id= id=xx", "id= id=*"),
        ("x*", "axxa", "a*a"),
        ("(?:foo)?bar", "bar foobar", "* *"),
    ],
)
def test_of_a_pattern_with_groups_those_that_took_part_go(pattern: str, text: str, expected: str) -> None:
    """The whole match where none did; never a place without characters."""
    own = redactor(rules={"own": {"pattern": pattern}})
    assert own.text(text) == expected.replace("*", "[REDACTED:own]")


def test_a_key_file_is_checked(tmp_path: Path) -> None:
    """A key that can be tried out hides nothing. One that others can read is said, and works."""
    file = tmp_path / "key"
    for key in (b"", b"k", b"k" * 15 + b"\n\n"):
        file.write_bytes(key)
        with pytest.raises(SettingsError, match="16 bytes; `openssl rand -hex 32`"):
            redactor(hash_key_file=file)
    file.write_bytes(b"k" * 16)
    file.chmod(0o644)
    assert any("hash_key_file can be read by every user" in note for note in redactor(hash_key_file=file).notes)
    file.chmod(0o640)
    assert not redactor(hash_key_file=file).notes


def test_a_key_file_that_cannot_be_read_is_an_error_of_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a traceback."""
    file = tmp_path / "key"
    file.write_bytes(b"k" * 32)

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
        redactor(hash_key_file=file)


def test_a_hash_is_keyed(tmp_path: Path) -> None:
    """Equal for equal values and keys; by a key of its own for each tenant; never without a key."""
    file = tmp_path / "key"
    file.write_text("k" * 32 + "\n")
    text = "mail kim@example.com"
    by_setting, by_file = redactor(hash_key="k" * 32), redactor(hash_key_file=file)
    assert by_setting.text(text) == by_file.text(text) == by_setting.text(text)
    assert redactor(hash_key="j" * 32).text(text) != by_setting.text(text)
    assert redactor().text(text) != redactor().text(text), "the key of a process is random"
    assert not by_setting.notes
    assert any("hash_key" in note for note in redactor().notes)
    tenants = [by_setting.attributes({"logspan.tenant.id": tenant, "a": text})["a"] for tenant in ("x", "y", "x")]
    assert tenants[0] == tenants[2] != tenants[1]
    assert by_setting.text(text) not in tenants


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4111111111111111", "4111 1111 1111 1111"),
        ("DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
        ("kim@example.com", "Kim@Example.com"),
        ("+1 415 867 5309", "+14158675309"),
    ],
)
def test_the_same_number_has_the_same_hash(one: str, other: str) -> None:
    """However it is written: a hash is there to find what belongs together."""
    own = redactor(hash_key="k" * 32, actions=dict.fromkeys(("payment-card", "iban", "email", "phone"), "hash"))
    assert own.text(one) == own.text(other)
    assert "#" in own.text(one)


def test_the_collectors_options() -> None:
    """Names and meanings of the Collector's redaction processor."""
    own = redactor(
        allow_all_keys=False,
        allowed_keys=["note", "token"],
        ignored_keys=["raw"],
        blocked_values=["secret-[0-9]+"],
        allowed_values=[r"secret-7+"],
        summary="debug",
    )
    made = record("secret-1", note="a secret-12, secret-777", token="harmless", raw="secret-3", other="x")
    own(made)
    assert made.body == "[REDACTED:blocked-value]"
    assert made.attributes == {
        "note": "a [REDACTED:blocked-value], secret-777",
        "token": "harmless",
        "raw": "secret-3",
        "redaction.redacted.count": 3,
        "redaction.redacted.keys": "other",
        "redaction.masked.count": 1,
        "redaction.masked.keys": "note",
        "redaction.ignored.count": 1,
        "redaction.body.masked.count": 1,
        "redaction.body.masked.keys": "body",
    }


def test_blocked_is_hashed_with_a_hash_function() -> None:
    """As in the Collector, but by a keyed hash."""
    own = redactor(blocked_keys=["ref"], blocked_key_patterns=["^x_"], blocked_values=["ab+"], hash_function="sha3")
    redacted = own.attributes({"my.ref": "1", "x_y": "2", "text": "abb"})
    assert all(re.fullmatch(r"\[REDACTED:blocked-\w+#[0-9a-f]{16}\]", str(value)) for value in redacted.values())


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules and sets as JSON, lists with commas, actions as pairs."""
    variables = {
        "SET": "mine",
        "SETS": '{"mine": {"extends": ["pci"]}}',
        "RULES": '{"badge": {"keys": ["badge"]}}',
        "ACTIONS": "payment-card=remove",
        "BLOCKED_VALUES": "ab+,cd",
    }
    for name, text in variables.items():
        monkeypatch.setenv(f"LOGSPAN_REDACTION__{name}", text)
    own = Redactor.from_settings(Settings().redaction)
    assert own.text("abb cd badge=7") == "[REDACTED:blocked-value] [REDACTED:blocked-value-1] badge=[REDACTED:badge]"
    assert own.text("card 4111 1111 1111 1111") == "card [REDACTED:payment-card]"


def failing(rule: str, secret: str) -> str:
    raise RuntimeError(secret)


def test_30_a_rule_that_fails_replaces_the_whole_value() -> None:
    """Never the raw text, never more than the rule's name."""
    own = Redactor.from_settings(RedactionSettings(actions={"email": "tokenize"}), tokenize=failing)
    assert own.text("raw text, mail kim@example.com") == "[REDACTED:email-failed]"
    made = record("fine", text="raw kim@example.com", other="fine")
    own(made)
    assert made.attributes == {"text": "[REDACTED:email-failed]", "other": "fine"}
    assert own.failures == {"email": 2}


def test_30_a_rule_that_takes_too_long_replaces_the_whole_value() -> None:
    """There is a limit for each value."""
    own = redactor(timeout=1e-9)
    redacted = own.text("raw password=hunter2 text")
    assert re.fullmatch(r"\[REDACTED:[a-z-]+-failed\]", redacted)
    assert sum(own.failures.values()) == 1


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which a tokenizer is measured, for the test to move."""
    times = [0.0]
    monkeypatch.setattr("logspan.processors.redact.tokenizer.time", SimpleNamespace(monotonic=lambda: times[0]))
    return times


def test_30_a_tokenizer_that_takes_too_long_has_failed(now: list[float]) -> None:
    """What it says then is not used, and the next value has another try."""
    pauses = iter([61.0, 0.0])

    def slow(rule: str, secret: str) -> str:
        now[0] += next(pauses)
        return "token"

    own = Redactor.from_settings(RedactionSettings(actions={"email": "tokenize"}, timeout=60), tokenize=slow)
    own.text("password=warm1up2")
    assert own.text("mail kim@example.com") == "[REDACTED:email-failed]"
    assert own.text("mail kim@example.com") == "mail token"
    assert own.failures == {"email": 1}
    assert own.troubles == (
        "redaction: rules failed 1 times since the start (email): each value was replaced as a whole",
    )


def test_30_while_a_tokenizer_hangs_other_threads_pass_it_by(now: list[float]) -> None:
    """It has one thread: the values of all others are replaced as a whole, at once, until it has answered."""
    reached, release = threading.Event(), threading.Event()

    def hangs(rule: str, secret: str) -> str:
        if not reached.is_set():
            reached.set()
            release.wait(30)
        return "token"

    own = Redactor.from_settings(RedactionSettings(actions={"email": "tokenize"}, timeout=60), tokenize=hangs)
    stuck = threading.Thread(target=own.text, args=("mail kim@example.com",))
    stuck.start()
    try:
        assert reached.wait(10)
        now[0] += 61
        assert own.text("mail kim@example.com") == "[REDACTED:email-failed]"
        assert any(trouble.startswith("redaction: the tokenizer has not answered for") for trouble in own.troubles)
        own.reset_after_fork()
        assert own.text("mail kim@example.com") == "mail token", "what hangs there is the parent's"
    finally:
        release.set()
        stuck.join(10)
    assert own.text("mail kim@example.com") == "mail token"
    assert not any("tokenizer" in trouble for trouble in own.troubles)


def test_the_redactor_is_shared_by_threads() -> None:
    """Many at once, with the same and with new keys."""
    own, wrong = redactor(), []

    def work(number: int) -> None:
        for step in range(50):
            redacted = own.attributes({f"k{number}.{step}.password": SECRET, "t": f"token={SECRET}"})
            if SECRET in str(redacted):
                wrong.append(redacted)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert own.hits["password"] == 400


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_redactor_works_in_a_forked_child() -> None:
    """Compiled expressions hold no lock of a thread of the parent."""
    own = redactor()
    own.text("password=x")
    child = os.fork()
    if child == 0:
        os._exit(0 if SECRET not in own.text(f"password={SECRET}") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_re2_the_same_rules_run_on_re(monkeypatch: pytest.MonkeyPatch) -> None:
    """On platforms without a wheel: bounded to the first characters of a value, and said so."""
    monkeypatch.setattr("logspan.expressions.re2_module", lambda: None)
    rules = {"own": Rule("own", "pattern", pattern=r"\b(zz[0-9]+)\b"), **RedactorConfig().rules}
    own = Redactor(RedactorConfig(rules=rules))
    assert own.text("zz12 password=hunter2 card 4111 1111 1111 1111") == (
        "[REDACTED:own] password=[REDACTED:password] card [REDACTED:payment-card]1111"
    )
    assert len(own.text("a " * 50_000)) < 9_000
    assert any("google-re2" in note for note in own.notes)
