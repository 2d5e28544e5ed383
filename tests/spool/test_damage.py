"""What damage costs: the frame that it hit, counted, and no other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from logspan.spool import Spool, survey
from logspan.spool.format import FRAME_HEADER, SEGMENT_HEADER, pack_segment_header
from tests.spool.support import EXPORTER, config, drain, fill, kill, lost, segments, spool

LENGTH = 99
FRAME = FRAME_HEADER + LENGTH
PER_SEGMENT = 10


def left_by_the_dead(directory: Path, frames: int = 30, records: int = 3) -> list[Path]:
    """The segments of a process that was killed: ten frames of one size in each."""
    it = Spool(EXPORTER, config(directory, segment_size=SEGMENT_HEADER + PER_SEGMENT * FRAME))
    fill(it, range(frames), records, LENGTH)
    kill(it)
    found = segments(directory)
    assert len(found) == frames // PER_SEGMENT
    return found


def flip(path: Path, offset: int) -> None:
    """Turn one bit over."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ 0x10,)))


def reopened(directory: Path) -> tuple[list[int], dict[str, tuple[int, int]], int]:
    """What the next process reads, what it counts as lost, and how many files it has set aside."""
    with spool(directory) as it:
        adopted = it.adopt()
        found = lost(it.take_losses()).get("corrupt", (0, 0))
        numbers = drain(it)
        later = lost(it.take_losses()).get("corrupt", (0, 0))
        assert not it
        assert adopted.frames == len(numbers) + later[0]
        counted = (found[0] + later[0], found[1] + later[1])
        return numbers, {"corrupt": counted} if counted[0] else {}, adopted.set_aside


def test_a_flipped_bit_in_a_payload_costs_one_frame(tmp_path: Path) -> None:
    """Faults, row 5: the frame is skipped, its records are counted `corrupt`, the next ones are read."""
    path = left_by_the_dead(tmp_path)[1]
    flip(path, SEGMENT_HEADER + 3 * FRAME + FRAME_HEADER + 17)
    numbers, counted, _ = reopened(tmp_path)
    assert numbers == [number for number in range(30) if number != 13]
    assert counted == {"corrupt": (1, 3)}


@pytest.mark.parametrize("at", [0, 4, 9, 12, 17, 25, 33, 41, 47])
def test_a_flipped_bit_in_a_header_costs_one_frame(tmp_path: Path, at: int) -> None:
    """Faults, row 5: whichever field it hits, the next frame is found, and the hole tells how much is missing."""
    path = left_by_the_dead(tmp_path)[1]
    flip(path, SEGMENT_HEADER + 3 * FRAME + at)
    numbers, counted, _ = reopened(tmp_path)
    assert numbers == [number for number in range(30) if number != 13]
    assert counted == {"corrupt": (1, 3)}


def test_damage_to_the_last_frame_of_a_segment_is_counted(tmp_path: Path) -> None:
    """The first frame of the next segment tells what is missing at the end of this one."""
    path = left_by_the_dead(tmp_path)[0]
    flip(path, SEGMENT_HEADER + 9 * FRAME + 5)
    assert reopened(tmp_path)[:2] == ([number for number in range(30) if number != 9], {"corrupt": (1, 3)})


def test_a_flipped_bit_in_the_head_of_a_file_costs_nothing(tmp_path: Path) -> None:
    """The frames of a segment are found without its header."""
    path = left_by_the_dead(tmp_path)[1]
    flip(path, 3)
    assert reopened(tmp_path) == (list(range(30)), {}, 0)


def test_a_torn_payload_is_cut_off(tmp_path: Path) -> None:
    """Faults, row 4: killed in the middle of a write, the frame is lost with its records, earlier ones are kept."""
    path = left_by_the_dead(tmp_path)[-1]
    os.truncate(path, SEGMENT_HEADER + 9 * FRAME + FRAME_HEADER + 50)
    assert reopened(tmp_path) == (list(range(29)), {"corrupt": (1, 3)}, 0)


def test_a_torn_header_is_cut_off(tmp_path: Path) -> None:
    """Faults, row 4: of a header that is not whole the records are not known; the frame is counted."""
    path = left_by_the_dead(tmp_path)[-1]
    os.truncate(path, SEGMENT_HEADER + 9 * FRAME + 20)
    assert reopened(tmp_path) == (list(range(29)), {"corrupt": (1, 0)}, 0)


def test_a_truncated_segment_costs_what_was_cut(tmp_path: Path) -> None:
    """Faults, row 5: a segment that lost its second half is read up to there, and the next ones after it."""
    path = left_by_the_dead(tmp_path)[1]
    os.truncate(path, SEGMENT_HEADER + 4 * FRAME + 60)
    assert reopened(tmp_path) == ([*range(14), *range(20, 30)], {"corrupt": (6, 18)}, 0)


def test_a_segment_that_somebody_deleted_is_counted(tmp_path: Path) -> None:
    """Nothing is lost in silence: the numbers of the neighbours tell what was in it."""
    left_by_the_dead(tmp_path)[1].unlink()
    assert reopened(tmp_path) == ([*range(10), *range(20, 30)], {"corrupt": (10, 30)}, 0)


def test_zeros_in_place_of_frames_are_skipped(tmp_path: Path) -> None:
    """After a power failure a file may have its length, and zeros for content."""
    path = left_by_the_dead(tmp_path)[1]
    with path.open("r+b") as file:
        file.seek(SEGMENT_HEADER + 2 * FRAME)
        file.write(bytes(3 * FRAME))
    assert reopened(tmp_path) == ([*range(12), *range(15, 30)], {"corrupt": (3, 9)}, 0)


def test_damage_beyond_the_buffer_is_passed(tmp_path: Path) -> None:
    """However long the damaged stretch is, the frame behind it is found."""
    it = Spool(EXPORTER, config(tmp_path, segment_size=8 << 20))
    fill(it, range(1), length=3_000_000)
    fill(it, range(1, 3))
    kill(it)
    with segments(tmp_path)[0].open("r+b") as file:
        file.seek(SEGMENT_HEADER)
        file.write(b"\xf5LS\x0a" * 1000)
    assert reopened(tmp_path)[0] == [1, 2]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def beginning(path: Path) -> None:
    path.write_bytes(pack_segment_header()[:5])


def head_only(path: Path) -> None:
    path.write_bytes(pack_segment_header())


@pytest.mark.parametrize("begin", [empty, beginning, head_only])
def test_a_segment_that_was_just_begun_holds_nothing(tmp_path: Path, begin: Callable[[Path], None]) -> None:
    """Killed while a segment was created: it is removed, and is no damage."""
    last = left_by_the_dead(tmp_path)[-1]
    begin(last.with_name(f"{4:016d}.seg"))
    assert reopened(tmp_path) == (list(range(30)), {}, 0)
    assert survey(tmp_path) == ()


def test_a_foreign_file_is_set_aside(tmp_path: Path) -> None:
    """Faults, row 5: a file that has the name of a segment and is none is renamed and counted; the others are read."""
    last = left_by_the_dead(tmp_path)[-1]
    last.with_name(f"{4:016d}.seg").write_bytes(os.urandom(5000))
    assert reopened(tmp_path) == (list(range(30)), {}, 1)
    (status,) = survey(tmp_path)
    assert (status.frames, status.unreadable, status.alive) == (0, 1, False)
    assert [path.name for path in last.parent.iterdir()] == [f"{4:016d}.seg.corrupt"]


def test_what_is_no_file_is_set_aside(tmp_path: Path) -> None:
    """A pipe, a link or a directory in place of a segment is not opened, followed or waited for."""
    folder = left_by_the_dead(tmp_path)[-1].parent
    os.mkfifo(folder / f"{4:016d}.seg")
    (folder / f"{5:016d}.seg").mkdir()
    (folder / f"{6:016d}.seg").symlink_to("/dev/zero")
    assert reopened(tmp_path) == (list(range(30)), {}, 3)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """What does not have the name of a segment is nobody's business; the directory stays because of it."""
    folder = left_by_the_dead(tmp_path)[-1].parent
    (folder / "notes.txt").write_text("mine")
    (folder / "1.seg").write_text("mine")
    assert reopened(tmp_path) == (list(range(30)), {}, 0)
    assert sorted(path.name for path in folder.iterdir()) == ["1.seg", "notes.txt"]
    assert reopened(tmp_path) == ([], {}, 0)


def test_a_later_version_is_left_as_it_is(tmp_path: Path) -> None:
    """A directory of a later version is for that version: nothing in it is touched, and it is counted."""
    paths = left_by_the_dead(tmp_path)
    for path in paths:
        path.write_bytes(pack_segment_header(2) + path.read_bytes()[SEGMENT_HEADER:])
    before = {path: path.read_bytes() for path in paths[0].parent.iterdir()}
    for _ in range(2):
        assert reopened(tmp_path) == ([], {}, 3)
    assert {path: path.read_bytes() for path in paths[0].parent.iterdir()} == before


def test_a_torn_cursor_costs_one_frame_twice(tmp_path: Path) -> None:
    """The position is written to two places in turn: the one that was torn is the next after the other."""
    it = Spool(EXPORTER, config(tmp_path))
    fill(it, range(10))
    for _ in range(4):
        it.peek()
        it.ack()
    kill(it)
    cursor = next(tmp_path.rglob("cursor"))
    flip(cursor, 20)  # the fourth `ack` was the eighth step, in the first slot
    assert reopened(tmp_path)[0] == list(range(3, 10))


@pytest.mark.parametrize("content", [b"", b"\0" * 128, b"garbage", None])
def test_a_lost_cursor_loses_no_frame(tmp_path: Path, content: bytes | None) -> None:
    """Without a position all that is there is read: what was read of the oldest segment comes twice."""
    it = Spool(EXPORTER, config(tmp_path, segment_size=1000))
    fill(it, range(30))
    for _ in range(15):
        it.peek()
        it.ack()
    kill(it)
    cursor = next(tmp_path.rglob("cursor"))
    cursor.unlink()
    if content is not None:
        cursor.write_bytes(content)
    numbers, counted, _ = reopened(tmp_path)
    assert numbers == list(range(numbers[0], 30))
    assert 10 <= numbers[0] <= 15
    assert counted == {}


def test_a_cursor_beyond_the_end_reads_the_next_segment(tmp_path: Path) -> None:
    """A segment that is shorter than the read position is at its end; what was cut from it was read, or is counted."""
    it = Spool(EXPORTER, config(tmp_path, segment_size=SEGMENT_HEADER + PER_SEGMENT * (FRAME_HEADER + 100)))
    fill(it, range(20))
    for _ in range(5):
        it.peek()
        it.ack()
    kill(it)
    os.truncate(segments(tmp_path)[0], SEGMENT_HEADER + 10)
    assert reopened(tmp_path) == (list(range(10, 20)), {"corrupt": (5, 5)}, 0)


def test_damage_under_a_running_process_is_counted(tmp_path: Path) -> None:
    """A bit that flips while the owner is alive is found when the frame is read; it goes on writing to that file."""
    with spool(tmp_path, segment_size=100_000) as it:
        fill(it, range(10), records=3)
        flip(segments(tmp_path)[0], SEGMENT_HEADER + 2 * (FRAME_HEADER + 100) + 5)
        flip(segments(tmp_path)[0], SEGMENT_HEADER + 9 * (FRAME_HEADER + 100) + 5)
        assert drain(it) == [0, 1, 3, 4, 5, 6, 7, 8]
        assert lost(it.take_losses()) == {"corrupt": (2, 6)}
        fill(it, range(10, 13))
        assert drain(it) == [10, 11, 12]
        assert it.take_losses() == ()


def test_a_frame_inside_of_a_frame_is_none(tmp_path: Path) -> None:
    """What looks like an earlier frame in the middle of a damaged one is not read again."""
    it = Spool(EXPORTER, config(tmp_path, segment_size=100_000))
    fill(it, range(3))
    earlier = segments(tmp_path)[0].read_bytes()[SEGMENT_HEADER:]
    it.append(earlier, 3)
    fill(it, range(4, 6))
    kill(it)
    flip(segments(tmp_path)[0], SEGMENT_HEADER + len(earlier) + 9)
    assert reopened(tmp_path) == ([0, 1, 2, 4, 5], {"corrupt": (1, 3)}, 0)
