"""The file of OTLP/JSON lines: complete, never interleaved, rotated without a loss."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.exporters.file import FileExporter
from logspan.outcome import Delivered, Rejected, Retryable
from logspan.record import Record, severity
from logspan.testing import check_exporter_contract
from logspan.testing.contract import hostile_batch, sample_batch

RESOURCE = Resource({"service.name": "shop"})
SCOPE = InstrumentationScope("shop.orders")


def batch(*bodies: str) -> list[Any]:
    """One record for each body."""
    records = [Record(SCOPE, *severity(20), body, {"n": index}) for index, body in enumerate(bodies)]
    for record in records:
        record.resource = RESOURCE
    return records


def bodies(*paths: Path) -> list[str]:
    """The bodies in the files, each line read as a complete request."""
    return [
        record["body"].get("stringValue")
        for path in paths
        for line in path.read_bytes().splitlines()
        for group in json.loads(line)["resourceLogs"]
        for scope in group["scopeLogs"]
        for record in scope["logRecords"]
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """In a folder that is not there yet."""
    return tmp_path / "logs" / "app.jsonl"


@contextlib.contextmanager
def writing(path: Path, **options: Any) -> Iterator[FileExporter]:
    """An exporter that is shut down at the end."""
    exporter = FileExporter(path, **options)
    try:
        yield exporter
    finally:
        exporter.shutdown()


def test_it_keeps_the_contract(path: Path) -> None:
    """The rules of every exporter."""
    check_exporter_contract(lambda: FileExporter(path))


def test_a_batch_is_a_request_of_otlp_json(path: Path) -> None:
    """One line for a batch, with resource, scope and records; nothing is made before the first batch."""
    with writing(path) as exporter:
        assert not path.parent.exists()
        assert exporter.deliver(batch("one", "two")) == Delivered()
        assert exporter.deliver(batch("three")) == Delivered()
    first, second = path.read_text(encoding="utf-8").splitlines()
    group = json.loads(first)["resourceLogs"][0]
    assert {"key": "service.name", "value": {"stringValue": "shop"}} in group["resource"]["attributes"]
    assert group["scopeLogs"][0]["scope"] == {"name": "shop.orders"}
    assert bodies(path) == ["one", "two", "three"]
    assert json.loads(second)


def test_hostile_values_stay_on_their_line(path: Path) -> None:
    """A line in the file is a request, whatever the records hold."""
    hostile = hostile_batch()
    with writing(path) as exporter:
        assert exporter.deliver([*sample_batch(), *hostile]) == Delivered()
    text = path.read_bytes()
    assert len(text.decode().splitlines()) == text.count(b"\n")
    assert len(bodies(path)) == len(hostile) + 3


def test_it_rotates_by_size_and_keeps_so_many(path: Path) -> None:
    """No file is over the bound; the oldest go first; names sort by time and match the same pattern."""
    with writing(path, max_bytes=2_000, backup_count=3) as exporter:
        for index in range(60):
            assert exporter.deliver(batch(f"body {index}")) == Delivered()
    files = sorted(path.parent.glob("app*.jsonl"))
    assert files[-1] == path
    assert len(files) == 4
    assert all(file.stat().st_size <= 2_000 for file in files)
    found = bodies(*files)
    assert found == [f"body {index}" for index in range(60 - len(found), 60)]


def test_no_backups_means_that_rotated_files_are_deleted(path: Path) -> None:
    """The active file is never among them."""
    with writing(path, max_bytes=1_000, backup_count=0) as exporter:
        for index in range(20):
            exporter.deliver(batch(f"body {index}"))
    assert list(path.parent.iterdir()) == [path]
    assert bodies(path)[-1] == "body 19"


def test_retention_leaves_other_files_alone(path: Path) -> None:
    """Only names that rotation itself gives are deleted."""
    path.parent.mkdir()
    others = [
        "app-old.jsonl",
        "app.jsonl.1",
        "other-2026-01-01T00-00-00.000.jsonl",
        "app-2026-01-01T00-00-00.000.jsonl.gz",
    ]
    for name in others:
        path.with_name(name).touch()
    with writing(path, max_bytes=500, backup_count=1) as exporter:
        for _ in range(10):
            exporter.deliver(batch("x"))
    assert all(path.with_name(name).exists() for name in others)


def test_a_clock_that_jumps_back_does_not_disorder_the_files(path: Path) -> None:
    """A rotated file is named after the latest one, even if that is from the future: it is never the first to go."""
    path.parent.mkdir()
    future = path.with_name("app-2999-12-31T23-59-59.999.jsonl")
    future.write_bytes(b"")
    with writing(path, max_bytes=500, backup_count=2) as exporter:
        for index in range(3):
            exporter.deliver(batch(f"body {index}" + "x" * 300))
    rotated = sorted(file for file in path.parent.iterdir() if file != path)
    assert bodies(*rotated, path) == [f"body {index}" + "x" * 300 for index in range(3)]


def test_an_external_rotation_is_noticed(path: Path) -> None:
    """After a rename by logrotate the next batch goes to a new file; a folder that was removed is made again."""
    with writing(path) as exporter:
        exporter.deliver(batch("one"))
        path.rename(path.with_name("moved"))
        exporter.deliver(batch("two"))
        assert bodies(path) == ["two"]
        path.unlink()
        path.with_name("moved").unlink()
        path.parent.rmdir()
        assert exporter.deliver(batch("three")) == Delivered()
    assert bodies(path) == ["three"]


def test_a_torn_line_does_not_spoil_the_next(path: Path) -> None:
    """After a writer was killed in the middle, the next batch starts on a line of its own."""
    path.parent.mkdir()
    path.write_bytes(b'{"resourceLogs":[{"res')
    with writing(path) as exporter:
        exporter.deliver(batch("whole"))
    torn, whole = path.read_bytes().splitlines()
    assert torn == b'{"resourceLogs":[{"res'
    assert json.loads(whole)


def test_a_disk_that_is_full_is_tried_again_and_nothing_doubles(path: Path) -> None:
    """What was written of a batch that did not fit is taken back; once there is room, the batch is there once."""
    with writing(path) as exporter:
        exporter.deliver(batch("first"))
        size = path.stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        try:
            outcome = exporter.deliver(batch("second" * 100))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, previous)
        assert outcome == Retryable("EFBIG: File too large")
        assert path.stat().st_size == size
        assert exporter.deliver(batch("second" * 100)) == Delivered()
    assert bodies(path) == ["first", "second" * 100]


def test_a_path_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """A folder in the way of the file, a file in the way of the folder."""
    (tmp_path / "file").touch()
    for path, reason in ((tmp_path, "EISDIR"), (tmp_path / "file" / "app.jsonl", "ENOTDIR")):
        with writing(path) as exporter:
            outcome = exporter.deliver(batch("x"))
        assert isinstance(outcome, Retryable)
        assert outcome.reason.startswith((reason, "EEXIST"))


def test_a_lock_that_is_held_ends_at_the_deadline(path: Path) -> None:
    """A process that stops while it holds the file does not stop the others for ever."""
    with writing(path) as exporter:
        exporter.deliver(batch("one"))
        with path.open("rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            outcome = exporter.deliver(batch("two"), timeout=0.1)
        assert isinstance(outcome, Retryable)
        assert outcome.reason.startswith("ETIMEDOUT")
        assert exporter.deliver(batch("two")) == Delivered()
    assert bodies(path) == ["one", "two"]


def test_after_shutdown_nothing_is_written(path: Path) -> None:
    """Not even the folder is made."""
    exporter = FileExporter(path)
    exporter.shutdown()
    assert isinstance(exporter.deliver(batch("x")), Rejected)
    assert not path.parent.exists()


WRITER = """
import sys
from pathlib import Path
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from logspan.exporters.file import FileExporter
from logspan.outcome import Delivered
from logspan.record import Record, severity

path, name = Path(sys.argv[1]), sys.argv[2]
exporter = FileExporter(path, max_bytes=20_000, backup_count=10_000, timeout=30)
sys.stdin.readline()
for index in range(200):
    record = Record(InstrumentationScope("w"), *severity(20), f"{name}:{index}", {"pad": "x" * (index * 7 % 500)})
    record.resource = Resource({})
    assert exporter.deliver([record]) == Delivered()
exporter.shutdown()
"""


def test_four_processes_lose_and_interleave_nothing(path: Path) -> None:
    """All write and rotate at once; every line is whole, every record is there once, each writer's in order."""
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE) for n in range(4)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait(50) for writer in writers] == [0] * 4
    files = sorted(path.parent.glob("app-*.jsonl"))
    assert len(files) > 5
    found = bodies(*files, path)
    assert sorted(found) == sorted(f"{n}:{index}" for n in range(4) for index in range(200))
    for n in range(4):
        own = [int(body.split(":")[1]) for body in found if body.startswith(f"{n}:")]
        assert own == sorted(own)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # it is what is tested
def test_threads_and_a_forked_child_share_a_file(path: Path) -> None:
    """Two exporters in one process exclude each other, and a child does not share its parent's lock."""
    with writing(path) as one, writing(path) as two:
        threads = [
            threading.Thread(target=lambda e=exporter, n=name: [e.deliver(batch(f"{n}{i}")) for i in range(50)])
            for name, exporter in (("a", one), ("b", two), ("c", two))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        child = os.fork()
        if child == 0:
            os._exit(0 if one.deliver(batch("child")) == Delivered() else 1)
        assert one.deliver(batch("parent")) == Delivered()
        assert os.waitpid(child, 0)[1] == 0
    expected = [f"{name}{index}" for name in "abc" for index in range(50)]
    assert sorted(bodies(path)) == sorted([*expected, "child", "parent"])
