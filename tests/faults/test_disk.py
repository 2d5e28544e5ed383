"""The spool's disk, through whole pipelines: full, limited, read-only, deleted, over its cap (B2; 3, 20-22, 25)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from logspan import build_pipeline
from logspan.errors import SettingsError
from logspan.spool import survey
from logspan.testing import InMemoryExporter, OtlpSink
from tests.faults.support import Caller, Gate, Start, account, ids, settings_for
from tests.spool.support import ROOT, small_disk
from tests.spool.support import run as run_program
from tests.waiting import until

MIB = 1 << 20

PRELUDE = """
import os, resource, sys
from pathlib import Path
from logspan import build_pipeline
from logspan.testing import OtlpSink
from tests.faults.support import Caller, Gate, account, ids, settings_for
from tests.waiting import until

root, mode = Path(sys.argv[1]), sys.argv[2]
gate = Gate()

def build(sink, **more):
    storage = {"directory": root / "spool", "mode": mode, **more.pop("file_storage", {})}
    queue = {"queue_size": 2_000, "max_export_batch_size": 100}
    return build_pipeline(settings_for(sink.endpoint, file_storage=storage, sending_queue=queue, **more))

def counts(pipeline):
    return pipeline.ledger.snapshot().exporters["otlp"]

def log_on(pipeline, caller, until_what):
    for _ in range(400):
        caller.log(50, filler="x" * 100)
        until(lambda: pipeline.ledger.snapshot().fanned_out == len(caller.ids))
        if until_what(counts(pipeline)):
            return
    raise AssertionError(counts(pipeline))
"""


def run(program: str, folder: Path, mode: str, *, on: list[str] | None = None) -> None:
    """Run a program after the prelude; it has assertions of its own."""
    run_program(PRELUDE + textwrap.dedent(program), str(folder), mode, on=on or (), timeout=100)


@pytest.fixture
def disk(tmp_path: Path) -> list[str]:
    """A command that runs another one with a tmpfs of 512 KiB at `tmp_path`, which it alone sees."""
    return small_disk(tmp_path, "512k")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_20_a_full_disk(tmp_path: Path, disk: list[str], mode: str) -> None:
    """It fills up while the peer is away: memory takes over, health tells; with room again it is used again."""
    program = """
        gates = [gate, Gate()]
        with OtlpSink(decide=lambda request: gates[0](request)) as sink:
            pipeline = build(sink)
            caller = Caller(pipeline)
            log_on(pipeline, caller, lambda now: any("ENOSPC" in cause for cause in pipeline.health().causes))
            assert counts(pipeline).spool_errors["spool_write_error"]
            assert counts(pipeline).spooled > 500
            caller.log(500)
            assert counts(pipeline).lost == 0
            gate.open()
            until(lambda: counts(pipeline).delivered == len(caller.ids), 30)
            assert ids(sink.records()) == caller.ids
            until(lambda: pipeline.health().status == "ok", 30)  # with room again, though nothing is written
            del gates[0]
            errors = dict(counts(pipeline).spool_errors)
            caller.log(1_500)
            until(lambda: counts(pipeline).spooled > 200, 60)  # after its rest, which grows from try to try
            assert dict(counts(pipeline).spool_errors) == errors
            gates[0].open()
            until(lambda: counts(pipeline).delivered == len(caller.ids), 30)
            assert pipeline.flush(20)
            arrived = ids(sink.records())
            account(pipeline, caller, arrived)
            assert sorted(arrived) == caller.ids
            assert not list((root / "spool").rglob("*.seg"))
    """
    run(program, tmp_path, mode, on=disk)


@pytest.mark.parametrize("mode", ["overflow", pytest.param("always", marks=pytest.mark.slow)])
def test_20_a_limit_on_the_size_of_files(tmp_path: Path, mode: str) -> None:
    """RLIMIT_FSIZE: new files are begun, a batch over the limit stays in memory, nothing is lost, nobody killed."""
    program = """
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        with OtlpSink(decide=gate) as sink:
            pipeline = build(sink)
            caller = Caller(pipeline)
            log_on(pipeline, caller, lambda now: now.spooled > 1_500)
            assert all(path.stat().st_size <= 50_000 for path in (root / "spool").rglob("*.seg"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 50_000))  # less than a batch takes
            log_on(pipeline, caller, lambda now: now.spool_errors.get("spool_write_error"))
            gate.open()
            until(lambda: counts(pipeline).delivered == len(caller.ids), 30)
            account(pipeline, caller, ids(sink.records()))
            assert ids(sink.records()) == caller.ids
    """
    run(program, tmp_path, mode)


def test_21_a_directory_that_is_deleted_while_running(start: Start, tmp_path: Path) -> None:
    """What was in it is counted, apart from the batch in hand; a new one is made, and the pipeline goes on."""
    gate, spool = Gate(), tmp_path / "spool"
    with OtlpSink(decide=gate) as sink:
        storage = {"directory": spool, "mode": "always"}
        settings: dict[str, Any] = {"file_storage": storage, "sending_queue": {"max_export_batch_size": 50}}
        pipeline = start(sink.endpoint, otlp={"timeout": 60.0}, **settings)  # nothing is sent twice
        caller = Caller(pipeline)
        caller.log(500)
        until(lambda: pipeline.ledger.snapshot().exporters["otlp"].spooled == 500)
        assert sink.wait_for(requests=1)
        shutil.rmtree(spool)
        caller.log(500)
        until(lambda: "spool_gone" in pipeline.ledger.snapshot().exporters["otlp"].dropped)
        assert [owner.alive for owner in survey(spool)] == [True]
        gate.open()
        pipeline.flush(20)
        arrived = ids(sink.records())
        _, exporter = account(pipeline, caller, arrived)
    assert set(exporter.dropped) == {"spool_gone"}
    assert 400 <= exporter.dropped["spool_gone"] <= 500
    assert arrived == sorted(arrived)
    assert set(caller.ids[500:]) <= set(arrived)


@pytest.mark.parametrize("what", ["a file", "below a file"])
def test_21_a_directory_that_cannot_be_used_is_told_at_the_start(
    start: Start, tmp_path: Path, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A warning and health, and delivery goes on without it; with `required` the pipeline does not start."""
    (tmp_path / "file").write_text("")
    directory = tmp_path / "file" if what == "a file" else tmp_path / "file" / "spool"
    with OtlpSink() as sink:
        with pytest.raises(SettingsError, match=r"file_storage\.directory.*ENOTDIR"):
            build_pipeline(settings_for(sink.endpoint, file_storage={"directory": directory, "required": True}))
        pipeline = start(sink.endpoint, file_storage={"directory": directory})
        assert "ENOTDIR" in capfd.readouterr().err
        caller = Caller(pipeline)
        caller.log(100)
        assert pipeline.flush(20)
        account(pipeline, caller, ids(sink.records()))


def test_21_a_read_only_directory_is_told_at_the_start(tmp_path: Path, disk: list[str]) -> None:
    """Even to root, and without a try that would leave something behind; one that is only missing is no trouble."""
    program = """
        from logspan.errors import SettingsError
        with OtlpSink() as sink:
            build(sink, file_storage={"required": True}).shutdown()
            assert not (root / "spool").exists()
            assert os.system(f"mount -o remount,ro {root}") == 0
            try:
                build(sink, file_storage={"required": True})
            except SettingsError as error:
                assert "EROFS" in str(error), error
            else:
                raise AssertionError("it starts")
            pipeline = build(sink)
            caller = Caller(pipeline)
            caller.log(100)
            assert pipeline.flush(20)
            account(pipeline, caller, ids(sink.records()))
    """
    run(program, tmp_path, "overflow", on=disk)


def segments(spool: Path) -> int:
    """Bytes in the segments; one may go while they are looked at, a directory too (`os.walk` passes over it)."""
    total = 0
    for directory, _, names in os.walk(spool):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(directory, name).stat().st_size if name.endswith(".seg") else 0
    return total


@pytest.mark.parametrize("drop", ["oldest", "newest"])
def test_22_the_cap_is_never_exceeded(start: Start, tmp_path: Path, drop: str) -> None:
    """Three times as much as fits: the end that is to give way does, each record of it is counted."""
    gate, spool = Gate(), tmp_path / "spool"
    with OtlpSink(decide=gate) as sink:
        storage = {"directory": spool, "mode": "always", "max_size": MIB, "drop": drop}
        pipeline = start(sink.endpoint, file_storage=storage)
        caller, sizes = Caller(pipeline), [0]

        def is_settled() -> bool:
            sizes.append(segments(spool))
            snapshot = pipeline.ledger.snapshot()
            return not snapshot.queued and not snapshot.exporters["otlp"].in_flight

        for _ in range(30):
            caller.log(500, filler="x" * 100)
            is_settled()
        until(is_settled)
        assert MIB / 2 < max(sizes) <= MIB
        gate.open()
        pipeline.flush(30)
        arrived = list(dict.fromkeys(ids(sink.records())))  # the batch in hand again, if its time-out was over
        _, exporter = account(pipeline, caller, arrived)
    assert set(exporter.dropped) == {"spool_full"}
    assert arrived == sorted(arrived)
    # beside the batch in hand, what is kept is one piece: the newest, or the oldest but for what fitted in by chance
    kept = arrived[-2_000:] if drop == "oldest" else arrived[:2_000]
    assert kept == (caller.ids[-2_000:] if drop == "oldest" else caller.ids[:2_000])


LOGS_ON = """
import sys, time
from logspan import build_pipeline
from tests.faults.support import Caller, settings_for
storage = {"directory": sys.argv[2], "mode": "always", "fsync": 0.5}
pipeline = build_pipeline(settings_for(sys.argv[1], file_storage=storage))
caller = Caller(pipeline)
for _ in range(20_000):
    (number,) = caller.log(1)
    print(number, time.monotonic(), flush=True)
    time.sleep(0.0005)
"""


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["there", "away"])
def test_3_kill_9_under_load(start: Start, tmp_path: Path, peer: str) -> None:
    """Mode `always`: what was logged an interval before the kill arrives after the restart; a batch twice at most."""
    gate = Gate()
    if peer == "there":
        gate.open()
    with OtlpSink(decide=gate) as sink:
        command = [sys.executable, "-c", LOGS_ON, sink.endpoint, str(tmp_path / "spool")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
            assert child.stdout is not None
            said = [child.stdout.readline() for _ in range(3_000)]
            os.kill(child.pid, signal.SIGKILL)
            killed = time.monotonic()
            said += child.stdout.readlines()
        logged = {int(line.split()[0]): float(line.split()[1]) for line in said if line.endswith("\n")}
        due = {number for number, when in logged.items() if when < killed - 2.0}
        before = Counter(ids(sink.records()))
        gate.open()
        pipeline = start(sink.endpoint, file_storage={"directory": tmp_path / "spool"})
        until(lambda: due <= set(ids(sink.records())), 30)
        until(lambda: pipeline.ledger.snapshot().exporters["otlp"].spooled == 0, 30)
        exporter = pipeline.ledger.snapshot().exporters["otlp"]
        arrived = Counter(ids(sink.records()))
    assert len(due) > 100
    assert sum(arrived.values()) - len(arrived) <= 512
    assert exporter.adopted == exporter.delivered
    assert (
        0 <= sum(arrived.values()) - sum(before.values()) - exporter.delivered <= 512
    )  # the killed one's last request
    assert exporter.replayed <= 512
    assert exporter.lost == 0


def test_25_a_fork_with_a_spool(tmp_path: Path) -> None:
    """Parent and child each have a spool; neither sends the other's, and whoever comes later adopts the child's."""
    settings: dict[str, Any] = {"file_storage": {"directory": tmp_path / "spool", "mode": "always"}}
    memory = InMemoryExporter()
    memory.hold()
    pipeline = build_pipeline(settings_for("http://unused", **settings), exporters={"mem": memory})
    caller = Caller(pipeline)
    caller.log(200)
    until(lambda: pipeline.ledger.snapshot().exporters["mem"].spooled == 200)
    child = os.fork()
    if child == 0:
        caller.log(10)
        until(lambda: pipeline.ledger.snapshot().exporters["mem"].spooled == 10)
        counts = pipeline.shutdown(0.5).ledger.exporters["mem"]
        os._exit(0 if (counts.fanned_out, counts.spooled, counts.balanced) == (10, 10, True) else 1)
    assert os.waitpid(child, 0)[1] == 0
    memory.release()
    caller.log(1)
    assert pipeline.flush(20)
    numbers = [record.log_record.attributes["id"] for record in memory.records()]  # type: ignore[index]
    assert numbers == caller.ids
    assert pipeline.shutdown(10).ledger.exporters["mem"].delivered == 201
    later = InMemoryExporter()
    second = build_pipeline(settings_for("http://unused", **settings), exporters={"mem": later})
    assert later.wait_for(10, 20)
    second.shutdown(10)
    assert [record.log_record.attributes["id"] for record in later.records()] == list(range(200, 210))  # type: ignore[index]
    assert not list((tmp_path / "spool").rglob("*.seg"))
