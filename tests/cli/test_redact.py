"""R7.3: `logspan redact`: a dry run over files and a look at one text; no value is in the report."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.cli import main
from logspan.encoding import encode_logs_json
from logspan.processors.redact import Redactor
from logspan.record import Record, severity

SECRETS = ("s3cr3t-pw", "hunter2", "0pen-sesame")
LOG = """\
10:20:30 INFO connecting to postgres://shop:s3cr3t-pw@db:5432/orders
10:20:31 INFO nothing to see here
{"level": "info", "msg": "login", "user": {"name": "ann", "password": "hunter2"}}
{"level": "info", "msg": "to postgres://shop:s3cr3t-pw@db/", "token": "0pen-sesame"}
{"level": "info", "msg": "cut off", "pass
"""


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor a file says anything."""
    for name in [*os.environ]:
        if name.startswith(("LOGSPAN_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def written(text: str | bytes, name: str = "app.log") -> str:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    return loaded


def test_check_counts_by_rule_and_line_and_shows_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    """Text and JSON lines in one file; 1, so that a build can fail on it."""
    assert main(["redact", "check", written(LOG)]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "app.log: 5 lines, 4 findings"
    assert sorted(line.split() for line in out.splitlines()[1:]) == [
        ["password", "1", "line", "3"],
        ["token", "1", "line", "4"],
        ["url-password", "2", "lines", "1,", "4"],
    ]
    assert not any(secret in out for secret in SECRETS)


def test_check_of_a_clean_file_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing found: nothing to complain of; an empty file too."""
    assert main(["redact", "check", written("all is well\n"), written("", "empty.log")]) == 0
    assert capsys.readouterr().out == "app.log: 1 lines, 0 findings\nempty.log: 0 lines, 0 findings\n"


def test_check_as_json_has_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: all numbers, and the rules that found nothing if asked for."""
    name = written('{"password": "hunter2"}\n' * 30)
    assert main(["redact", "check", "--json", "--unused", name]) == 1
    found = report(capsys)
    assert found["files"][name] == {
        "lines": 30,
        "findings": 30,
        "rules": {"password": {"count": 30, "lines": list(range(1, 31))}},
        "failed": {},
    }
    assert "password" not in found["unused_rules"]
    assert "jwt" in found["unused_rules"]


def test_check_lists_rules_that_found_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that never fires is one to look at."""
    main(["redact", "check", "--unused", written('{"password": "hunter2"}\n')])
    last = capsys.readouterr().out.splitlines()[-1]
    assert " rules found nothing: " in last
    assert "jwt" in last
    assert " password," not in last


def test_check_of_many_lines_prints_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A report is to be read."""
    main(["redact", "check", written('{"password": "hunter2"}\n' * 30)])
    assert "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 20 more" in capsys.readouterr().out


def test_check_reads_otlp_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What the file exporter and the Collector write: attributes by their names, values of every kind."""
    attributes: Any = {"a": {"b": [{"password": "hunter2"}]}, "raw": b"\xff\x00", "n": 7, "yes": True}
    made: Any = Record(InstrumentationScope("shop"), *severity(20), "to postgres://shop:s3cr3t-pw@db/", attributes)
    name = written(b"".join(encode_logs_json([made]).lines))
    assert main(["redact", "check", "--json", name]) == 1
    assert sorted(report(capsys)["files"][name]["rules"]) == ["password", "url-password"]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00{",
        b'{"a":',
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"resourceLogs": 7}',
        b'{"resourceLogs": [[{"key": 1}]]}',
    ],
    ids=["no UTF-8", "cut off", "deep", "deep list", "no OTLP", "odd OTLP"],
)
def test_check_takes_any_line(line: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A log file holds what crashes have left in it; the lines behind are still read."""
    name = written(line + b'\n{"password": "hunter2"}\n')
    assert main(["redact", "check", "--json", name]) == 1
    assert report(capsys)["files"][name]["rules"]["password"]["lines"] == [2]


def test_check_of_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`kubectl logs shop | logspan redact check -`."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(LOG))
    assert main(["redact", "check", "-"]) == 1
    assert capsys.readouterr().out.startswith("-: 5 lines, 4 findings")


def test_the_rules_are_those_of_the_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables and the TOML file decide, as for a service."""
    name = written('{"floor": "seventh"}\n')
    assert main(["redact", "check", name]) == 0
    Path("logspan.toml").write_text('[redaction]\nblocked_keys = ["floor"]\n')
    assert main(["redact", "check", name]) == 1
    Path("logspan.toml").unlink()
    monkeypatch.setenv("LOGSPAN_REDACTION__BLOCKED_KEYS", "floor")
    assert main(["redact", "check", name]) == 1


def test_a_line_on_which_a_rule_fails_is_not_called_clean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails closed, as the pipeline does."""

    def explain(redactor: Redactor, value: object) -> list[Any]:
        raise RuntimeError(value)

    monkeypatch.setattr(Redactor, "explain", explain)
    assert main(["redact", "check", written("fine\n")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "app.log: 1 lines, 0 findings, 1 failed",
        "  redact failed       1  line 1",
    ]


def vault(rule: str, secret: str) -> str:
    """A tokenizer that is down for one of two."""
    if "kim" in secret:
        raise ConnectionError(secret)
    return "token"


def test_rules_that_fail_are_counted_with_their_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its rule, beside what was found; 1, as the pipeline would have replaced the whole value."""
    monkeypatch.setenv("LOGSPAN_REDACTION__ACTIONS", "email=tokenize")
    monkeypatch.setenv("LOGSPAN_REDACTION__TOKENIZER", f"{__name__}:vault")
    name = written('mail kim@example.com\nfine\nmail ann@example.com\n{"to": "kim@example.com"}\n')
    assert main(["redact", "check", name]) == 1
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["email", "1", "line", "3"],
        ["email", "failed", "2", "lines", "1,", "4"],
    ]
    assert main(["redact", "check", "--json", "--unused", name]) == 1
    found = report(capsys)["files"][name]
    assert found["failed"] == {"email": {"count": 2, "lines": [1, 4]}}
    assert found["rules"] == {"email": {"count": 1, "lines": [3]}}


def test_rules_that_run_out_of_time_are_no_clean_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 is for lines that were looked at."""
    monkeypatch.setenv("LOGSPAN_REDACTION__TIMEOUT", "1e-9")
    assert main(["redact", "check", "--json", written("password=hunter2\n")]) == 1
    failed = report(capsys)["files"]["app.log"]["failed"]
    assert [place["lines"] for place in failed.values()] == [[1]]


def test_a_failed_rule_is_shown_by_test(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the place, and 1: what leaves is no longer the text."""
    monkeypatch.setenv("LOGSPAN_REDACTION__ACTIONS", "email=tokenize")
    monkeypatch.setenv("LOGSPAN_REDACTION__TOKENIZER", f"{__name__}:vault")
    assert main(["redact", "test", '{"to": "kim@example.com"}']) == 1
    assert capsys.readouterr().out.splitlines() == [
        '{"to": "[REDACTED:email-failed]"}',
        "  email: to, characters 0 to 15: failed",
    ]


def test_a_key_that_is_a_secret_is_in_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    """Paths are made of keys as they leave."""
    secret = "ghp_" + "k7Qm" * 9
    main(["redact", "test", json.dumps({"seen": {secret: {"password": "hunter2", "n": 1}}})])
    out = capsys.readouterr().out
    assert "k7Qmk7Qm" not in out
    assert "password: seen." in out


def test_notes_are_on_standard_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What an operator should know of the settings."""
    file = Path("hash.key")
    file.write_text("k" * 32)
    file.chmod(0o644)
    monkeypatch.setenv("LOGSPAN_REDACTION__HASH_KEY_FILE", str(file))
    assert main(["redact", "test", "fine"]) == 0
    assert "note: redaction.hash_key_file can be read by every user" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    """It says which one, and why."""
    assert main(["redact", "check", "missing.log"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "logspan: missing.log cannot be read: No such file or directory"


def test_a_setting_that_is_wrong_is_2_and_can_be_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for each; a file's name forges none."""
    monkeypatch.setenv("LOGSPAN_REDACTION__HASH_KEY", "short")
    assert main(["redact", "check", written("fine\n")]) == 2
    assert "\n  LOGSPAN_REDACTION__HASH_KEY = ***: must have at least 16 bytes" in capsys.readouterr().err
    monkeypatch.delenv("LOGSPAN_REDACTION__HASH_KEY")
    assert main(["redact", "check", "a\nlogspan: b"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_test_shows_the_text_without_secrets_and_the_findings(capsys: pytest.CaptureFixture[str]) -> None:
    """What would leave the process; and which rule did it, where."""
    assert main(["redact", "test", "to postgres://shop:s3cr3t-pw@db/\x1b[2J"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "to postgres://shop:[REDACTED:url-password]@db/\\x1b[2J"
    assert second.startswith("  url-password: characters 19 to 28: ")


def test_test_takes_attributes_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An object stands for attributes: their names count."""
    assert main(["redact", "test", '{"user": {"password": "hunter2", "name": "ann"}}']) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first) == {"user": {"password": "[REDACTED:password]", "name": "ann"}}
    assert second.startswith("  password: user.password, ")


def test_test_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a secret need not be in the shell's history."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("one postgres://shop:s3cr3t-pw@db/\ntwo\n"))
    assert main(["redact", "test", "-"]) == 0
    out = capsys.readouterr().out
    assert "s3cr3t-pw" not in out
    assert out.splitlines()[1] == "two"
