"""The spool against a list: whatever is done to it, in whatever order, and wherever its process dies."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from logspan.spool import NotStored, Spool, Stored, survey
from logspan.spool.format import CURSOR_SIZE
from tests.spool.support import EXPORTER, config, kill, number_of, payload, segments, size_on_disk

RECORDS = 3


class SpoolMachine(RuleBasedStateMachine):
    """The model is the numbers that are in the spool, oldest first; a loss takes as many away as it says.

    A death copies the directory as it is, with or without damage to it, and goes on with the copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.generation = 0
        self.next_number = 0
        self.model: list[int] = []
        self.in_hand: int | None = None
        self.may_be_gone = 0

    @property
    def directory(self) -> Path:
        return self.root / str(self.generation)

    max_size = 0

    @initialize(max_size=st.sampled_from([3000, 8000, 100_000]), drop=st.sampled_from(["oldest", "newest"]))
    def begin(self, max_size: int, drop: str) -> None:
        self.max_size = max_size
        self.options: dict[str, Any] = {"max_size": max_size, "drop": drop, "segment_size": 1500, "fsync": 1.0}
        self.spool = Spool(EXPORTER, config(self.directory, **self.options))

    def forget(self, reason: str) -> int:
        """Take what was dropped off the old end; how many frames that were."""
        frames = 0
        for loss in self.spool.take_losses():
            assert loss.reason == reason
            assert loss.records == RECORDS * loss.frames
            frames += loss.frames
        kept = [self.in_hand] if self.in_hand is not None else []
        others = [number for number in self.model if number != self.in_hand]
        self.model = sorted(kept + others[frames:])
        return frames

    @rule(length=st.integers(9, 900))
    def append(self, length: int) -> None:
        answer = self.spool.append(payload(self.next_number, length), RECORDS)
        dropped = self.forget("spool_full")
        if isinstance(answer, Stored):
            self.model.append(self.next_number)
        else:
            assert isinstance(answer, NotStored)
            assert answer.reason == "spool_full"
            assert dropped == 0
            assert self.options["drop"] == "newest"
        if self.options["drop"] == "newest":
            assert dropped == 0
        self.next_number += 1

    @rule()
    def peek(self) -> None:
        frame = self.spool.peek()
        if not self.model:
            assert frame is None
            return
        assert frame is not None
        assert number_of(frame.payload) == self.model[0]
        assert frame.records == RECORDS
        assert self.in_hand in (None, self.model[0])
        self.in_hand = self.model[0]

    @precondition(lambda self: self.in_hand is not None)
    @rule()
    def ack(self) -> None:
        self.spool.ack()
        assert self.in_hand is not None
        self.model.remove(self.in_hand)
        self.in_hand = None

    @rule(count=st.integers(1, 20))
    def deliver(self, count: int) -> None:
        for _ in range(count):
            self.peek()
            if self.in_hand is None:
                return
            self.ack()

    @rule()
    def sync(self) -> None:
        assert self.spool.sync()
        assert self.spool.backlog.unsynced == 0

    @rule()
    def restart(self) -> None:
        """An orderly end; the next process goes on."""
        self.spool.close()
        if self.forget_in_hand():
            assert [loss.frames for loss in self.spool.take_losses()] == [1]
        self.adopt()

    @rule()
    def die(self) -> None:
        """Killed: everything that was written is there; what is in hand comes again."""
        self.copy()
        self.forget_in_hand()
        self.adopt()

    def forget_in_hand(self) -> bool:
        """After the end: a frame whose segment was dropped lived in memory only."""
        in_hand, self.in_hand = self.in_hand, None
        on_disk = sum(status.frames for status in survey(self.directory)) if self.directory.exists() else 0
        if in_hand is None or on_disk == len(self.model):
            return False
        assert on_disk == len(self.model) - 1
        self.model.remove(in_hand)
        return True

    @rule(cut=st.integers(1, 1000))
    def die_in_the_middle_of_a_write(self, cut: int) -> None:
        """The end of the newest segment is missing: so are the frames that were there, and no others."""
        self.copy()
        self.forget_in_hand()
        found = segments(self.directory)
        if found:
            size = found[-1].stat().st_size
            with found[-1].open("r+b") as file:
                file.truncate(max(size - cut, 0))
        self.adopt(damaged=True)
        self.read_all(lost_at="end")

    @rule(seed=st.integers(0, 2**32))
    def die_and_flip_a_bit(self, seed: int) -> None:
        """Any bit of any segment: at most the frame that it is in is lost, and is counted."""
        self.copy()
        self.forget_in_hand()
        self.flip(segments(self.directory), seed)
        self.adopt(damaged=True)
        self.read_all(lost_at="anywhere")

    @rule(seed=st.integers(0, 2**32))
    def die_and_flip_a_bit_of_the_cursor(self, seed: int) -> None:
        """No frame is lost by it: the step before the last is known as well."""
        self.copy()
        self.forget_in_hand()
        cursors = [path for path in self.directory.rglob("cursor") if path.stat().st_size == CURSOR_SIZE]
        self.flip(cursors, seed)
        self.spool = Spool(EXPORTER, config(self.directory, **self.options))
        self.spool.adopt()
        numbers = self.drain()
        assert self.spool.take_losses() == ()
        assert numbers == sorted(set(numbers))
        repeated = set(numbers) - set(self.model)
        assert set(self.model) <= set(numbers)
        assert len(repeated) <= 1
        self.model = []

    def flip(self, files: list[Path], seed: int) -> None:
        chance = random.Random(seed)
        if files:
            path = chance.choice(files)
            content = bytearray(path.read_bytes())
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(content)

    def copy(self) -> None:
        before = self.directory
        self.generation += 1
        if before.exists():
            shutil.copytree(before, self.directory)
        kill(self.spool)
        shutil.rmtree(before, ignore_errors=True)

    def adopt(self, *, damaged: bool = False) -> None:
        self.spool = Spool(EXPORTER, config(self.directory, **self.options))
        adopted = self.spool.adopt()
        while adopted.owners and not damaged:  # every dead owner fits, since all of it did before
            adopted = self.spool.adopt()
        if not damaged:
            assert self.spool.take_losses() == ()
            assert self.spool.backlog.frames == len(self.model)

    def read_all(self, *, lost_at: str) -> None:
        numbers = self.drain()
        losses = self.spool.take_losses()
        missing = [number for number in self.model if number not in numbers]
        assert numbers == [number for number in self.model if number in numbers]
        assert all(loss.reason == "corrupt" for loss in losses)
        counted = sum(loss.frames for loss in losses)
        if lost_at == "end":
            assert missing == self.model[len(numbers) :]
            assert counted <= len(missing)  # frames that were cut off whole leave no trace
        else:
            assert len(missing) <= 1
            assert counted == len(missing)
        self.model = []

    def drain(self) -> list[int]:
        numbers = []
        while (frame := self.spool.peek()) is not None:
            numbers.append(number_of(frame.payload))
            self.spool.ack()
        assert not self.spool
        return numbers

    @invariant()
    def stays_below_the_limit(self) -> None:
        if self.directory.exists():
            assert size_on_disk(self.directory) <= self.max_size

    @invariant()
    def knows_what_it_holds(self) -> None:
        if hasattr(self, "spool"):
            backlog = self.spool.backlog
            assert (backlog.frames, backlog.records) == (len(self.model), RECORDS * len(self.model))
            assert bool(self.spool) == bool(self.model)
            assert self.spool.trouble is None

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            kill(self.spool)
        shutil.rmtree(self.root, ignore_errors=True)


def test_the_spool_keeps_to_its_model() -> None:
    """B2: order is kept, what is lost is counted, and nothing comes twice but what was in hand."""
    run_state_machine_as_test(SpoolMachine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_spool_keeps_to_its_model_at_length() -> None:
    """The same, ten times as long."""
    run_state_machine_as_test(SpoolMachine, settings=settings(max_examples=400, stateful_step_count=60, deadline=None))
