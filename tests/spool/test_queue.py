"""The spool as a queue: order, acknowledgement, bounds, what it leaves behind."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from logspan.spool import Frame, Loss, NotStored, Spool, Stored, survey
from logspan.testing import FakeClock
from tests.spool.support import (
    EXPORTER,
    config,
    drain,
    fill,
    kill,
    lost,
    number_of,
    payload,
    segments,
    size_on_disk,
    spool,
)


def test_frames_come_out_as_they_went_in(tmp_path: Path) -> None:
    """B2: whole payloads, in order, with their records, over many segments; then it is empty."""
    with spool(tmp_path) as it:
        fill(it, range(100))
        assert len(segments(tmp_path)) > 3
        assert (it.backlog.frames, it.backlog.records) == (100, 100)
        assert drain(it) == list(range(100))
        assert not it
        assert it.peek() is None
        assert it.take_losses() == ()


def test_a_frame_stays_until_it_is_acknowledged(tmp_path: Path) -> None:
    """`peek` gives the same frame again and again; what was acknowledged does not come back."""
    with spool(tmp_path) as it:
        fill(it, range(2), records=7)
        first = it.peek()
        assert first is not None
        assert it.peek() is first
        assert (first.records, first.adopted, first.redelivered) == (7, False, False)
        it.ack()
        second = it.peek()
        assert second is not None
        assert number_of(second.payload) == 1
        it.ack()
        it.ack()
        assert it.peek() is None


def test_reading_and_writing_take_turns(tmp_path: Path) -> None:
    """A queue that is emptied and filled again goes on, and what is read is deleted."""
    with spool(tmp_path) as it:
        for turn in range(50):
            fill(it, range(turn * 3, turn * 3 + 3))
            assert drain(it) == [turn * 3, turn * 3 + 1, turn * 3 + 2]
            assert len(segments(tmp_path)) <= 1


def test_nothing_is_created_before_it_is_needed(tmp_path: Path) -> None:
    """A spool that is never needed leaves no trace, and one that was emptied neither."""
    directory = tmp_path / "spool"
    with spool(directory) as it:
        assert it.peek() is None
        assert it.sync()
        assert not directory.exists()
        fill(it, range(3))
        assert directory.exists()
        drain(it)
    assert list((directory / EXPORTER).iterdir()) == []


def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    """Directories are made with mode 0700, files with 0600: logs hold what users send."""
    previous = os.umask(0)
    try:
        with spool(tmp_path / "new" / "spool") as it:
            fill(it, range(1))
            made = [tmp_path / "new" / "spool", *(tmp_path / "new" / "spool").rglob("*")]
            modes = {path: stat.S_IMODE(path.stat().st_mode) for path in made}
    finally:
        os.umask(previous)
    assert set(modes.values()) == {0o700, 0o600}
    assert all(modes[path] == 0o700 for path in made[:1])


@pytest.mark.parametrize("name", ["otlp", "../../etc", ".", "..", ".hidden", "a/b", "名前", ""])
def test_an_exporter_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    """Whatever an exporter is called, its spool is a directory right below the root, and is found by that name."""
    root = tmp_path / "spool"
    it = Spool(name, config(root))
    fill(it, range(1))
    assert [path.parent for path in root.iterdir()] == [root]
    assert [path.name for path in tmp_path.iterdir()] == ["spool"]
    if name:
        assert [status.exporter for status in survey(root)] == [name]
    it.close()


def test_the_oldest_give_way_at_the_limit(tmp_path: Path) -> None:
    """Faults, row 22: with `drop` oldest whole segments go at the old end, and each record in them is counted."""
    with spool(tmp_path, max_size=5000, segment_size=600) as it:
        fill(it, range(200), records=3)
        kept = drain(it)
        dropped = lost(it.take_losses())["spool_full"]
    assert kept == list(range(200 - len(kept), 200))
    assert dropped == (200 - len(kept), 3 * (200 - len(kept)))
    assert 20 < len(kept) < 40


def test_the_newest_give_way_at_the_limit(tmp_path: Path) -> None:
    """Faults, row 22: with `drop` newest a frame that does not fit is refused, until there is room again."""
    with spool(tmp_path, max_size=5000, drop="newest") as it:
        answers = [it.append(payload(number), 1) for number in range(60)]
        stored = sum(isinstance(answer, Stored) for answer in answers)
        refused = answers[stored:]
        assert all(isinstance(answer, NotStored) and answer.reason == "spool_full" for answer in refused)
        assert drain(it) == list(range(stored))
        assert isinstance(it.append(payload(99), 1), Stored)
        assert drain(it) == [99]
        assert it.take_losses() == ()


@pytest.mark.parametrize("drop", ["oldest", "newest"])
def test_a_frame_that_can_never_fit_costs_no_other(tmp_path: Path, drop: str) -> None:
    """A batch larger than the whole limit is refused; nothing is dropped for it."""
    with spool(tmp_path, max_size=5000, drop=drop) as it:
        fill(it, range(5))
        answer = it.append(b"x" * 5000, 1)
        assert isinstance(answer, NotStored)
        assert answer.reason == "spool_full"
        assert drain(it) == list(range(5))
        assert it.take_losses() == ()


def test_the_limit_is_that_of_all_files(tmp_path: Path) -> None:
    """Faults, row 22: lock, cursor, headers and segments together never exceed `max_size`."""
    with spool(tmp_path, max_size=4000) as it:
        for number in range(300):
            it.append(payload(number, number * 7 % 400), 1)
            assert size_on_disk(tmp_path) <= 4000
            assert it.backlog.size == size_on_disk(tmp_path)
            if number % 5 == 0:
                it.peek()
                it.ack()


def test_a_frame_in_hand_is_not_dropped(tmp_path: Path) -> None:
    """A frame that is being sent while its segment is dropped is settled by what comes of it, and counted once."""
    with spool(tmp_path, max_size=5000, segment_size=600) as it:
        fill(it, range(4))
        head = it.peek()
        fill(it, range(4, 200))
        assert it.peek() is head
        it.ack()
        kept = drain(it)
        assert lost(it.take_losses())["spool_full"] == (199 - len(kept), 199 - len(kept))
        assert not it


def test_a_frame_in_hand_that_lost_its_segment_is_counted_at_the_end(tmp_path: Path) -> None:
    """What lives in memory only when the spool is closed is a loss, and is said so."""
    it = Spool(EXPORTER, config(tmp_path, max_size=5000, segment_size=600))
    fill(it, range(4), records=5)
    it.peek()
    fill(it, range(4, 200), records=5)
    before = lost(it.take_losses())["spool_full"][0]
    left = it.close()
    assert it.take_losses() == (Loss("spool_full", 1, 5),)
    assert before + 1 + left.frames == 200
    assert left.records == 5 * left.frames


def test_what_is_left_at_the_end_is_there_at_the_next_start(tmp_path: Path) -> None:
    """B2: `close` leaves what was not acknowledged, the frame in hand included, to the next process."""
    with spool(tmp_path) as it:
        fill(it, range(10))
        it.peek()
        it.ack()
        it.peek()
        left = it.close()
        assert (left.frames, left.records) == (9, 9)
        assert isinstance(it.append(payload(1), 1), NotStored)
        assert it.peek() is None
    with spool(tmp_path) as again:
        adopted = again.adopt()
        assert (adopted.owners, adopted.frames, adopted.records) == (1, 9, 9)
        fill(again, range(10, 12))
        assert drain(again) == list(range(1, 12))
    assert survey(tmp_path) == ()


def test_only_the_frame_in_hand_is_read_twice_after_a_kill(tmp_path: Path) -> None:
    """Faults, row 3: acknowledged frames do not come again; the one that was being sent does, and says so."""
    it = Spool(EXPORTER, config(tmp_path))
    fill(it, range(10))
    it.peek()
    it.ack()
    it.peek()
    kill(it)
    with spool(tmp_path) as again:
        again.adopt()
        first = again.peek()
        assert first is not None
        assert (number_of(first.payload), first.adopted, first.redelivered) == (1, True, True)
        again.ack()
        second = again.peek()
        assert second is not None
        assert (number_of(second.payload), second.redelivered) == (2, False)
        assert drain(again) == list(range(2, 10))


def test_adoption_outlives_its_adopter(tmp_path: Path) -> None:
    """An adopter that dies too leaves what it has not read, from where it had read to."""
    it = Spool(EXPORTER, config(tmp_path))
    fill(it, range(50))
    kill(it)
    second = Spool(EXPORTER, config(tmp_path))
    second.adopt()
    fill(second, range(50, 60))
    for _ in range(20):
        second.peek()
        second.ack()
    kill(second)
    with spool(tmp_path) as third:
        assert third.adopt().owners == 2
        assert drain(third) == list(range(20, 60))


def test_adopted_spools_count_towards_the_limit(tmp_path: Path) -> None:
    """Faults, row 22: what was adopted and what is added stay below the limit together; the oldest is the adopted."""
    it = Spool(EXPORTER, config(tmp_path, max_size=5000, segment_size=600))
    fill(it, range(30))
    kill(it)
    with spool(tmp_path, max_size=5000, segment_size=600) as again:
        again.adopt()
        for number in range(30, 90):
            fill(again, range(number, number + 1))
            assert size_on_disk(tmp_path) <= 5000
        kept = drain(again)
        assert kept == list(range(90 - len(kept), 90))
        assert again.take_losses() == (
            Loss("spool_full", 30, 30, adopted=True),
            Loss("spool_full", 60 - len(kept), 60 - len(kept)),
        )


def test_further_spools_are_adopted_as_they_fit(tmp_path: Path) -> None:
    """One dead owner is adopted whatever its size, the next one when there is room for it: none is lost by it."""
    for start in (0, 20):
        it = Spool(EXPORTER, config(tmp_path, max_size=5000))
        fill(it, range(start, start + 20))
        it.close()
    with spool(tmp_path, max_size=5000) as again:
        assert again.adopt().owners == 1
        assert again.adopt().owners == 0
        assert drain(again) == list(range(20))
        assert again.adopt().owners == 1
        assert drain(again) == list(range(20, 40))
        assert again.take_losses() == ()


def test_each_exporter_has_its_own(tmp_path: Path) -> None:
    """The spool of one exporter is not adopted by another."""
    one = Spool("otlp", config(tmp_path))
    fill(one, range(3))
    one.close()
    other = Spool("loki", config(tmp_path))
    assert other.adopt().owners == 0
    other.close()
    assert [(status.exporter, status.frames) for status in survey(tmp_path)] == [("otlp", 3)]


def test_sync_keeps_to_its_interval(tmp_path: Path) -> None:
    """`fsync` seconds after the first append there is something to do, and not before; then nothing is unsynced."""
    clock = FakeClock()
    it = Spool(EXPORTER, config(tmp_path, fsync=2.0), clock=clock)
    due = [it.sync_at]
    fill(it, range(30))
    due.append(it.sync_at)
    assert not it.sync(clock.monotonic() + 1.9)
    assert it.backlog.unsynced == 30
    assert it.sync(clock.monotonic() + 2)
    assert it.backlog.unsynced == 0
    assert [*due, it.sync_at] == [None, clock.monotonic() + 2, None]
    it.close()


def test_fsync_zero_syncs_each_append(tmp_path: Path) -> None:
    """With `fsync` 0 what is stored is synced; with None nothing ever is, and nobody waits for it."""
    with spool(tmp_path, fsync=0) as it:
        assert it.append(payload(1), 1) == Stored(synced=True)
        assert it.backlog.unsynced == 0
        assert it.sync_at is None
    with spool(tmp_path, fsync=None) as it:
        assert it.append(payload(1), 1) == Stored(synced=False)
        assert it.sync()
        assert it.sync_at is None


def test_age_is_that_of_the_oldest_frame(tmp_path: Path) -> None:
    """A frame and the survey tell how old it is; a clock that was put back makes no negative age."""
    with spool(tmp_path) as it:
        fill(it, range(2))
        frame = it.peek()
        assert frame is not None
        assert 0 <= frame.age < 30
        (status,) = survey(tmp_path)
        assert status.oldest is not None
        assert 0 <= status.oldest < 30
    assert Frame(b"", 0, 0, time.time_ns() + 10**12).age == 0


def test_what_is_put_in_front_is_read_first(tmp_path: Path) -> None:
    """A batch that was in hand is older than all that was appended: here, and for who adopts it."""
    with spool(tmp_path) as it:
        assert isinstance(it.put_in_front(payload(0), 1), Stored)  # nothing is there yet: as `append`
        fill(it, range(3, 6))
        assert it.peek() is not None
        it.ack()
        assert isinstance(it.put_in_front(payload(2), 1), Stored)
        frame = it.peek()
        assert frame is not None
        assert number_of(frame.payload) == 2
        assert not frame.adopted
        it.ack()
        assert isinstance(it.put_in_front(payload(2), 1), Stored)
        assert isinstance(it.put_in_front(payload(1), 1), Stored)
        frame = it.peek()
        assert frame is not None
        assert number_of(frame.payload) == 1
        assert it.backlog.frames == 5
        assert size_on_disk(tmp_path) == it.backlog.size
    with spool(tmp_path) as it:
        assert it.adopt().frames == 5
        assert drain(it) == [1, 2, 3, 4, 5]


def test_what_is_put_in_front_keeps_to_the_limit(tmp_path: Path) -> None:
    """With `drop` newest it is refused, with `drop` oldest what is oldest on disk gives way to it."""
    with spool(tmp_path / "newest", max_size=3000, drop="newest") as it:
        while isinstance(it.append(payload(1), 1), Stored):
            pass
        assert it.put_in_front(payload(0), 1) == NotStored("spool_full", "100 bytes do not fit into 3000")
    with spool(tmp_path / "oldest", max_size=3000) as it:
        fill(it, range(1, 40))
        before = lost(it.take_losses())["spool_full"][0]
        assert isinstance(it.put_in_front(payload(0), 1), Stored)
        assert size_on_disk(tmp_path / "oldest") <= 3000
        gone = before + lost(it.take_losses()).get("spool_full", (0, 0))[0]
        assert drain(it) == [0, *range(1 + gone, 40)]
