"""`logspan spool`: its three commands, what they print, and what they exit with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.cli import main
from logspan.encoding import encode_logs_request
from logspan.record import Record
from logspan.spool import Spool, SpoolConfig, survey
from logspan.testing import OtlpSink, Reply, Request


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for the spool; neither the environment nor a file says anything."""
    for name in [*os.environ]:
        if name.startswith(("LOGSPAN_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGSPAN_RETRY_ON_FAILURE__INITIAL_INTERVAL", "0.1")
    return tmp_path / "spool"


def batch(number: int, size: int = 2) -> bytes:
    scope = InstrumentationScope("shop")
    records: list[Any] = [
        Record(scope, SeverityNumber.INFO, "INFO", f"{number}-{at}", {"number": number}) for at in range(size)
    ]
    return encode_logs_request(records).payload


def leave(directory: Path, exporter: str = "otlp", batches: int = 3, start: int = 0) -> None:
    """What a process of two records a batch leaves behind."""
    it = Spool(exporter, SpoolConfig(directory, fsync=None))
    for number in range(start, start + batches):
        it.append(batch(number), 2)
    it.close()


def test_status_lists_every_owner(no_settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """B2: exporters, owners dead or alive, batches, records, bytes, age of the oldest."""
    leave(no_settings)
    living = Spool("loki", SpoolConfig(no_settings, fsync=None))
    living.append(batch(0), 2)
    assert main(["spool", "status", "--directory", str(no_settings)]) == 0
    header, first, second = capsys.readouterr().out.splitlines()
    living.close()
    assert header.split()[:5] == ["EXPORTER", "OWNER", "STATE", "BATCHES", "RECORDS"]
    assert first.split()[0:1] + first.split()[2:5] == ["loki", "alive", "1", "2"]
    assert second.split()[0:1] + second.split()[2:5] == ["otlp", "dead", "3", "6"]
    assert re.fullmatch(r"\d+s", second.split()[6])


def test_status_of_nothing(no_settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A spool that was never needed is empty, not an error."""
    assert main(["spool", "status", "--directory", str(no_settings)]) == 0
    assert capsys.readouterr().out == "the spool is empty\n"


def test_status_tells_of_damage(no_settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Something damaged is in the table, and in the exit code."""
    leave(no_settings)
    (segment,) = no_settings.rglob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-1])
    assert main(["spool", "status", "--directory", str(no_settings)]) == 1
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == ["1", "0"]


def test_without_a_directory_it_asks_for_one(no_settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the setting is named."""
    assert main(["spool", "status"]) == 2
    assert "file_storage.directory" in capsys.readouterr().err


def test_replay_delivers_everything_once(
    no_settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """B2: what several dead processes left is sent by the exporter of the settings, in order, and is gone then."""
    leave(no_settings)
    leave(no_settings, start=3)
    with OtlpSink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        assert main(["spool", "replay", "--directory", str(no_settings)]) == 0
        bodies = [record.body for record in sink.records()]
    assert bodies == [f"{number}-{at}" for number in range(6) for at in range(2)]
    assert "2 dead owners, 6 batches sent; records: 12 delivered, 0 rejected, 0 left" in capsys.readouterr().out
    assert survey(no_settings) == ()
    assert main(["spool", "replay", "--directory", str(no_settings)]) == 0
    assert capsys.readouterr().out == "nothing to replay\n"


def test_replay_leaves_what_cannot_be_delivered(
    no_settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nobody listening everything stays where it is, and the exit code says so."""
    leave(no_settings)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert main(["spool", "replay", "--directory", str(no_settings), "--timeout", "0.3"]) == 1
    said = capsys.readouterr()
    assert "0 delivered, 0 rejected, 6 left" in said.out
    assert "otlp: " in said.err
    assert [status.records for status in survey(no_settings)] == [6]


def test_replay_stops_at_a_refusal(
    no_settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong password does not empty the spool; `--skip-rejected` does, and counts."""
    leave(no_settings)
    command = ["spool", "replay", "--directory", str(no_settings)]
    with OtlpSink(decide=lambda request: Reply(401)) as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        assert main(command) == 1
        assert [status.records for status in survey(no_settings)] == [6]
        assert "401" in capsys.readouterr().err
        assert main([*command, "--skip-rejected"]) == 1
    assert "0 delivered, 6 rejected, 0 left" in capsys.readouterr().out
    assert survey(no_settings) == ()


def test_replay_in_parts(
    no_settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is too large goes in halves; one record that is too large alone does not end the replay."""
    leave(no_settings)

    def decide(request: Request) -> Reply | None:
        return Reply(413) if len(request.records()) > 1 or request.records()[0].body == "1-0" else None

    with OtlpSink(decide=decide) as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        assert main(["spool", "replay", "--directory", str(no_settings)]) == 1
        assert [record.body for record in sink.records()] == ["0-0", "0-1", "1-1", "2-0", "2-1"]
    assert "3 batches sent; records: 5 delivered, 1 rejected, 0 left" in capsys.readouterr().out
    assert survey(no_settings) == ()


def test_replay_by_an_exporter_that_takes_records(no_settings: Path, tmp_path: Path) -> None:
    """The file exporter writes the records as if they came straight from the pipeline."""
    leave(no_settings, "file")
    assert main(["spool", "replay", "--directory", str(no_settings), "--exporter", "file"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "logs" / "logspan.jsonl").read_text().splitlines()]
    records = [record for line in lines for record in line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]]
    assert [record["body"]["stringValue"] for record in records] == [f"{n}-{at}" for n in range(3) for at in range(2)]


def test_replay_of_an_unknown_exporter_keeps_its_spool(no_settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plug-in that is no longer installed is named, and its records stay."""
    leave(no_settings, "gone")
    assert main(["spool", "replay", "--directory", str(no_settings)]) == 2
    assert "no exporter is registered as 'gone'" in capsys.readouterr().err
    assert [status.records for status in survey(no_settings)] == [6]


def test_replay_passes_over_what_is_no_batch(
    no_settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A frame whose bytes cannot be decoded is counted as damaged; the next one is sent."""
    it = Spool("otlp", SpoolConfig(no_settings, fsync=None))
    it.append(b"\xff\xff\xff", 2)
    it.append(batch(1), 2)
    it.close()
    with OtlpSink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        assert main(["spool", "replay", "--directory", str(no_settings)]) == 1
    assert "2 delivered, 0 rejected, 0 left; 1 damaged" in capsys.readouterr().out


def test_drop_asks_first(no_settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--yes` it lists what it would delete, and deletes nothing."""
    leave(no_settings)
    assert main(["spool", "drop", "--directory", str(no_settings)]) == 1
    said = capsys.readouterr()
    assert "--yes" in said.err
    assert " 6 " in said.out
    assert [status.records for status in survey(no_settings)] == [6]


def test_drop_deletes_what_the_dead_left(no_settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the exporter that was named, with what was set aside; a living process's spool is left alone."""
    leave(no_settings)
    leave(no_settings, "loki")
    living = Spool("otlp", SpoolConfig(no_settings, fsync=None))
    living.append(batch(0), 2)
    (segment,) = (path for path in no_settings.glob("loki/*/*.seg"))
    segment.rename(f"{segment}.corrupt")
    assert main(["spool", "drop", "--directory", str(no_settings), "--exporter", "loki", "--yes"]) == 0
    assert [(status.exporter, status.alive) for status in survey(no_settings)] == [("otlp", False), ("otlp", True)]
    assert main(["spool", "drop", "--directory", str(no_settings), "--yes"]) == 0
    assert [(status.exporter, status.alive) for status in survey(no_settings)] == [("otlp", True)]
    assert "in use, left alone" in capsys.readouterr().out
    living.close()


@pytest.mark.parametrize("command", [["-m", "logspan.cli"], None])
def test_the_command_is_installed(no_settings: Path, command: list[str] | None) -> None:
    """`logspan` and `python -m logspan.cli` are the same program."""
    program = [sys.executable, *command] if command else [str(Path(sys.executable).with_name("logspan"))]
    run = subprocess.run(
        [*program, "spool", "status", "--directory", str(no_settings)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "the spool is empty\n", "")
    run = subprocess.run([*program, "spool", "stats"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
