"""Whose a spool is: the living, the dead, forked children, and several who want the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from logspan.spool import Spool, survey
from logspan.spool.owners import create_owner, exporter_directory, owner_directories, try_adopt
from tests.spool.support import EXPORTER, config, drain, fill, kill, spool


def fork() -> int:
    """As `os.fork`, whose warning is of other threads: the child here takes no lock that they could hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def in_child(work: Callable[[], object]) -> None:
    """Do something in a forked child; what it raises fails the test."""
    pid = fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_the_living_are_left_alone(tmp_path: Path) -> None:
    """Faults, row 25: what a living process has spooled is not adopted; after its end it is, by whoever comes."""
    with spool(tmp_path) as it, spool(tmp_path) as other:
        fill(it, range(5))
        assert other.adopt().owners == 0
        (status,) = survey(tmp_path)
        assert (status.alive, status.frames, status.records) == (True, 5, 5)
        it.close()
        (status,) = survey(tmp_path)
        assert (status.alive, status.frames) == (False, 5)
        assert other.adopt().owners == 1
        assert drain(other) == list(range(5))


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """The survey is read-only: files, their content and their times are the same afterwards."""
    it = Spool(EXPORTER, config(tmp_path))
    fill(it, range(30))
    it.peek()
    kill(it)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    assert [status.frames for status in survey(tmp_path)] == [30]
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_a_forked_child_has_its_own(tmp_path: Path) -> None:
    """Faults, row 25: a child neither reads nor writes its parent's spool, and both are read once afterwards."""
    with spool(tmp_path) as it:
        fill(it, range(5))
        it.peek()

        def work() -> None:
            assert not it
            assert it.peek() is None
            it.ack()
            fill(it, range(100, 103))
            assert it.adopt().owners == 0
            it.close()

        in_child(work)
        assert len(survey(tmp_path)) == 2
        it.adopt()
        assert drain(it) == [0, *range(100, 103), *range(1, 5)]  # what was adopted goes first, but for what is in hand


def test_a_child_does_not_keep_its_parents_spool_alive(tmp_path: Path) -> None:
    """A child that lives longer lets go of the lock it inherited: the parent's spool can be adopted at once."""
    go_read, go_write = os.pipe()
    said_read, said_write = os.pipe()
    parent = fork()
    if parent == 0:
        it = Spool(EXPORTER, config(tmp_path))
        fill(it, range(5))
        if fork() == 0:
            it.reset_after_fork()
            os.write(said_write, b"r")
            os.read(go_read, 1)
        else:
            os.read(said_read, 1)
        os._exit(0)
    os.waitpid(parent, 0)
    try:
        with spool(tmp_path) as other:
            assert other.adopt().frames == 5
            assert drain(other) == list(range(5))
    finally:
        os.write(go_write, b"g")
        for descriptor in (go_read, go_write, said_read, said_write):
            os.close(descriptor)


def test_a_child_that_closes_takes_nothing_from_its_parent(tmp_path: Path) -> None:
    """The child's end leaves the parent's lock and files: nobody can adopt them, and the parent goes on."""
    with spool(tmp_path) as it, spool(tmp_path) as other:
        fill(it, range(3))
        in_child(it.close)
        in_child(it.reset_after_fork)
        assert other.adopt().owners == 0
        fill(it, range(3, 6))
        assert drain(it) == list(range(6))


def adopter(directory: Path, ready: Connection, result: Connection) -> None:
    with spool(directory) as it:
        ready.recv()
        it.adopt()
        result.send(drain(it))
        ready.recv()


def test_each_spool_has_one_adopter(tmp_path: Path) -> None:
    """Faults, row 25: several workers start at once; each dead owner's frames are read by exactly one of them."""
    for start in range(0, 40, 10):
        it = Spool(EXPORTER, config(tmp_path))
        fill(it, range(start, start + 10))
        kill(it)
    context = multiprocessing.get_context("spawn")
    pairs = [(context.Pipe(), context.Pipe()) for _ in range(4)]
    workers = [
        context.Process(target=adopter, args=(tmp_path, ready[1], result[1]), daemon=True) for ready, result in pairs
    ]
    for worker in workers:
        worker.start()
    for ready, _ in pairs:
        ready[0].send(True)
    numbers = [number for _, result in pairs for number in result[0].recv()]
    for ready, _ in pairs:
        ready[0].send(True)
    for worker in workers:
        worker.join()
    assert sorted(numbers) == list(range(40))
    assert survey(tmp_path) == ()


def test_adopters_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    """The lock belongs to the open file: threads that adopt at the same time share nothing."""
    for start in range(0, 200, 10):
        it = Spool(EXPORTER, config(tmp_path))
        fill(it, range(start, start + 10))
        kill(it)
    numbers: list[list[int]] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        with spool(tmp_path) as it:
            barrier.wait()
            while it.adopt().owners:
                numbers.append(drain(it))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for some in numbers for number in some) == list(range(200))


def test_what_died_while_it_was_created_is_cleaned_away(tmp_path: Path) -> None:
    """A directory without its final name holds no frame; it is removed when its maker is dead, and not before."""
    owner = create_owner(tmp_path, EXPORTER)
    hidden = owner.path.with_name(f".{owner.path.name}")
    owner.path.rename(hidden)
    with spool(tmp_path) as it:
        it.adopt()
        assert hidden.exists()
        owner.release()
        it.adopt()
        assert not hidden.exists()
    assert list(exporter_directory(tmp_path, EXPORTER).iterdir()) == []


def test_who_comes_late_adopts_nothing(tmp_path: Path) -> None:
    """A directory that was read to its end and removed between the look and the lock is nobody's any more."""
    owner = create_owner(tmp_path, EXPORTER)
    (path,) = owner_directories(tmp_path, EXPORTER)
    assert try_adopt(path) is None
    owner.remove()
    with spool(tmp_path) as it:
        assert it.adopt().owners == 0


PROGRAM = """
import sys
from pathlib import Path
from tests.spool.support import EXPORTER, config, payload
from logspan.spool import Spool

it = Spool(EXPORTER, config(Path(sys.argv[1]), fsync=0.001, segment_size=100_000, max_size=1 << 30))
number = 0
while True:
    it.append(payload(number, number * 37 % 3000), 2)
    number += 1
    if number % 7 == 0:
        it.peek()
        it.ack()
        sys.stdout.write(f"a {number // 7}\\n")
    if number % 5 == 0 and it.sync():
        sys.stdout.write(f"s {number}\\n")
    sys.stdout.flush()
"""


def killed_after(directory: Path, lines: int) -> tuple[int, int]:
    """Let a process append, acknowledge and sync until it was heard to do so, and kill it: acknowledged, synced."""
    command = [sys.executable, "-c", PROGRAM, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().splitlines(keepends=True)
    whole = [line.split() for line in said if line.endswith("\n")]
    acknowledged = max((int(number) for what, number in whole if what == "a"), default=0)
    synced = max((int(number) for what, number in whole if what == "s"), default=0)
    return acknowledged, synced


def test_kill_9_loses_nothing_that_was_synced(tmp_path: Path) -> None:
    """Faults, rows 3 and 4: all that was synced is read, in order; at most one acknowledged frame is read again."""
    for run, lines in enumerate((1, 10, 50, 200, 500)):
        directory = tmp_path / str(run)
        acknowledged, synced = killed_after(directory, lines)
        assert synced
        with spool(directory, segment_size=100_000, max_size=1 << 30) as it:
            adopted = it.adopt()
            assert adopted.owners == 1
            numbers = drain(it)
            assert all(loss.reason == "corrupt" and loss.frames == 1 for loss in it.take_losses())
        assert acknowledged <= numbers[0] <= acknowledged + 1
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert numbers[-1] >= synced - 1
        assert survey(directory) == ()
