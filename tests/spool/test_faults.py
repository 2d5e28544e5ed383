"""File systems that refuse: full, read-only, missing, deleted underneath."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest

from logspan.spool import NotStored, Spool, Stored, survey
from logspan.spool.files import write_whole
from logspan.testing import FakeClock
from tests.spool.support import EXPORTER, config, drain, fill, lost, run, segments, small_disk, spool

LONGEST_PATIENCE = 30.0

ON_A_FULL_DISK = """
import os, sys
from pathlib import Path
from logspan.spool import NotStored, Stored
from logspan.testing import FakeClock
from tests.spool.support import EXPORTER, config, drain, payload, segments
from logspan.spool import Spool

root, clock = Path(sys.argv[1]), FakeClock()
it = Spool(EXPORTER, config(root / "spool", segment_size=20_000, fsync=float(sys.argv[2])), clock=clock)
ballast = root / "ballast"
ballast.write_bytes(bytes(60_000))
stored = 0
while isinstance(answer := it.append(payload(stored, 3000), 1), Stored):
    stored += 1
    assert stored < 1000
assert answer.reason == "spool_write_error", answer
assert answer.detail.startswith("ENOSPC"), answer
assert it.trouble == answer.detail
assert stored > 2
for _ in range(3):
    clock.advance(30)
    assert isinstance(it.append(payload(stored, 3000), 1), NotStored)
ballast.unlink()
assert isinstance(it.append(payload(stored, 3000), 1), NotStored)
clock.advance(30)
assert isinstance(it.append(payload(stored, 3000), 1), Stored)
assert it.trouble is None
assert drain(it) == list(range(stored + 1))
assert it.take_losses() == ()
it.close()
assert segments(root) == []
"""


@pytest.fixture
def tiny_disk(tmp_path: Path) -> list[str]:
    """A command that runs another one with a tmpfs of 128 KiB at `tmp_path`, which it alone sees."""
    return small_disk(tmp_path, "128k")


@pytest.mark.parametrize("fsync", ["1", "0"])
def test_a_full_disk(tmp_path: Path, tiny_disk: list[str], fsync: str) -> None:
    """Faults, row 20: frames are refused, none is half written, none that was stored is lost, and it recovers."""
    run(ON_A_FULL_DISK, str(tmp_path), fsync, on=tiny_disk)


READ_ONLY = """
import os, sys
from pathlib import Path
from logspan.spool import NotStored, Spool, Stored
from logspan.testing import FakeClock
from tests.spool.support import EXPORTER, config, drain, fill, payload

root, clock = Path(sys.argv[1]), FakeClock()
dead = Spool(EXPORTER, config(root))
fill(dead, range(3))
dead.close()
assert os.system(f"mount -o remount,ro {root}") == 0
it = Spool(EXPORTER, config(root), clock=clock)
assert it.adopt().owners == 0
assert it.trouble.startswith("EROFS"), it.trouble
answer = it.append(payload(3), 1)
assert (answer.reason, answer.detail[:5]) == ("spool_write_error", "EROFS"), answer
assert it.peek() is None
assert os.system(f"mount -o remount,rw {root}") == 0
clock.advance(30)
assert it.adopt().frames == 3
assert isinstance(it.append(payload(3), 1), Stored)
assert it.trouble is None
assert drain(it) == [0, 1, 2, 3]
it.close()
"""


def test_a_read_only_disk(tmp_path: Path, tiny_disk: list[str]) -> None:
    """Faults, row 21: appends are refused, nothing is adopted that could not be acknowledged, and both recover."""
    run(READ_ONLY, str(tmp_path), on=tiny_disk)


UNDER_A_LIMIT = """
import resource, signal, sys
from pathlib import Path
from logspan.spool import Spool, Stored
from logspan.testing import FakeClock
from tests.spool.support import EXPORTER, config, drain, payload

clock = FakeClock()
it = Spool(EXPORTER, config(Path(sys.argv[1]), segment_size=1 << 20), clock=clock)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 20_000))
assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
for number in range(20):
    assert isinstance(it.append(payload(number, 3000), 1), Stored)
large = it.append(payload(20, 15_000), 1)
assert (large.reason, large.detail[:5]) == ("spool_write_error", "EFBIG"), large
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
clock.advance(30)
assert isinstance(it.append(payload(20, 15_000), 1), Stored)
assert drain(it) == list(range(21))
assert it.take_losses() == ()
it.close()
"""


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """Faults, row 20: at RLIMIT_FSIZE a new segment is begun, and a frame over it is refused; SIGXFSZ kills nobody."""
    run(UNDER_A_LIMIT, str(tmp_path))


def test_a_short_write_is_finished_or_taken_back(tmp_path: Path) -> None:
    """A write that ends early goes on; when it cannot, the file is as long as it was before."""
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        write_whole(descriptor, 0, b"head", b"tail")
        assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        with pytest.raises(OSError, match="File too large"):
            write_whole(descriptor, 8, b"x" * 10, b"y" * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        os.close(descriptor)
    assert path.read_bytes() == b"headtail"


def test_waits_between_attempts(tmp_path: Path) -> None:
    """After a failure the file system is left in peace for 1, 2, 4, ... at most 30 seconds."""
    clock, root = FakeClock(), tmp_path / "file"
    root.write_text("in the way")
    it = Spool(EXPORTER, config(root), clock=clock)
    refused = [it.append(b"x", 1)]
    root.unlink()
    refused.append(it.append(b"x", 1))
    clock.advance(0.9)
    refused.append(it.append(b"x", 1))
    assert [answer.reason for answer in refused if isinstance(answer, NotStored)] == ["spool_write_error"] * 3
    clock.advance(0.2)
    assert isinstance(it.append(b"x", 1), Stored)
    it.close()


def test_a_directory_that_is_missing_is_made(tmp_path: Path) -> None:
    """Faults, row 21: the directory is made with its parents at the first append."""
    with spool(tmp_path / "a" / "b" / "c") as it:
        assert it.adopt().owners == 0
        fill(it, range(3))
        assert drain(it) == [0, 1, 2]


@pytest.mark.parametrize("in_hand", [False, True])
def test_a_directory_that_is_deleted_is_made_again(tmp_path: Path, in_hand: bool) -> None:
    """Faults, row 21: somebody deletes everything; what was in it is counted, and what comes is stored in a new one."""
    root = tmp_path / "spool"
    with spool(root) as it:
        fill(it, range(30), records=2)
        if in_hand:
            it.peek()
        shutil.rmtree(root)
        fill(it, range(30, 40), records=2)
        assert lost(it.take_losses()) == {"spool_gone": (30 - in_hand, 60 - 2 * in_hand)}
        assert drain(it) == [*([0] if in_hand else []), *range(30, 40)]
    assert survey(root) == ()


def test_a_segment_that_is_deleted_is_counted(tmp_path: Path) -> None:
    """What goes missing while nothing is written is noticed when it is to be read."""
    with spool(tmp_path, segment_size=1000) as it:
        fill(it, range(30))
        segments(tmp_path)[0].unlink()
        left = drain(it)
        assert lost(it.take_losses()) == {"spool_gone": (30 - len(left), 30 - len(left))}
        assert left == list(range(left[0], 30))


def test_what_cannot_be_read_now_is_not_lost(tmp_path: Path) -> None:
    """With no descriptor left nothing can be read, and nothing is given up for it: it is read later, in order."""
    clock = FakeClock()
    it = Spool(EXPORTER, config(tmp_path, segment_size=1000), clock=clock)
    fill(it, range(30))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        for _ in range(5):
            assert it.peek() is None
            clock.advance(LONGEST_PATIENCE)
        assert (it.trouble or "").startswith("EMFILE")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert drain(it) == list(range(30))
    assert it.trouble is None
    assert it.take_losses() == ()
    it.close()


def test_what_can_never_be_read_is_set_aside(tmp_path: Path) -> None:
    """A segment that cannot be read in three attempts is put aside and counted, and those after it are read."""
    clock = FakeClock()
    it = Spool(EXPORTER, config(tmp_path, segment_size=1000), clock=clock)
    fill(it, range(30))
    first = segments(tmp_path)[0]
    first.unlink()
    first.symlink_to("/dev/null")  # opening it is refused
    for _ in range(3):
        assert it.peek() is None
        clock.advance(LONGEST_PATIENCE)
    left = drain(it)
    assert left == list(range(left[0], 30))
    assert lost(it.take_losses()) == {"corrupt": (left[0], left[0])}
    assert first.with_name(f"{first.name}.corrupt").is_symlink()
    it.close()


def test_a_sync_that_has_failed_is_not_made_good_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux tells only once of what it could not write: those records stay unsynced until they are read."""
    errors, fdatasync = [OSError(errno.EIO, "no")], os.fdatasync

    def fails_once(descriptor: int) -> None:
        if errors:
            raise errors.pop()
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", fails_once)
    with spool(tmp_path, fsync=2.0) as it:
        fill(it, range(3))
        assert [it.sync(), it.sync()] == [False, False]
        assert it.trouble is not None
        fill(it, range(3, 5))
        assert it.backlog.unsynced == 5
        assert not it.sync()
        assert (it.backlog.unsynced, it.sync_at) == (3, None)
        assert it.peek() is not None
        it.ack()
        assert it.backlog.unsynced == 2
        assert drain(it) == [1, 2, 3, 4]
        assert it.backlog.unsynced == 0
        assert it.sync()
