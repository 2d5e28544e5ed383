"""An outlet with a spool: nothing is lost while the peer is away, or when the process ends (B2; faults 3, 6, 20-22)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.delivery.retry import RetryPolicy
from logspan.delivery.transit import Mode
from logspan.encoding import encode_logs_request
from logspan.exporters.otlp_http import OtlpHttpExporter
from logspan.outcome import Outcome, Rejected, Retryable
from logspan.spool import Frame, NotStored, Spool, SpoolConfig, Stored, survey
from logspan.spool.decoding import decode_logs_request
from logspan.testing import InMemoryExporter, OtlpSink, Reply, Request
from tests.core.conftest import Build
from tests.core.support import bodies, log
from tests.delivery.support import Kit
from tests.ports import free_port
from tests.waiting import until


class Spools:
    """Outlets that spool into one directory, one after the other, as processes would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def kit(self, exporter: LogRecordExporter, mode: Mode = "overflow", max_size: int = 1 << 20, **queue: Any) -> Kit:
        """An outlet with a spool of its own."""
        spool = Spool("test", SpoolConfig(self.directory, max_size=max_size, fsync=0))
        return Kit(exporter, spool=spool, mode=mode, **queue)

    @property
    def files(self) -> list[Path]:
        """Segments that are on disk."""
        return [path for path in self.directory.rglob("*") if path.is_file() and path.stat().st_size > 100]


@pytest.fixture
def spools(tmp_path: Path) -> Spools:
    return Spools(tmp_path / "spool")


def balanced(kit: Kit) -> bool:
    """Whether the exporter's equation holds."""
    return kit.ledger.snapshot().balanced


def test_what_memory_cannot_hold_goes_to_disk_and_comes_back_in_order(spools: Spools) -> None:
    """Many times the memory's bound, with a peer that is away: nothing is dropped, and the order is kept."""
    memory = InMemoryExporter()
    memory.hold()
    kit = spools.kit(memory, queue_size=100, max_export_batch_size=10)
    for _ in range(50):
        kit.put(40)
        until(lambda: kit.ledger.snapshot().in_flight < 60)
    assert kit.ledger.snapshot().spooled > 1_500
    assert spools.files
    memory.release()
    assert kit.drain()
    assert bodies(memory.records()) == list(range(2_000))
    snapshot = kit.ledger.snapshot()
    assert (snapshot.delivered, snapshot.spooled, snapshot.in_flight, snapshot.lost) == (2_000, 0, 0, 0)
    kit.close()
    assert balanced(kit)


def test_in_mode_always_every_record_is_on_disk_before_it_is_sent(spools: Spools) -> None:
    """What the exporter has in hand is still in the spool."""
    memory = InMemoryExporter()
    memory.hold()
    kit = spools.kit(memory, mode="always")
    kit.put(3)
    assert memory.wait_for_attempts(1, 20)
    assert kit.ledger.snapshot().spooled == 3
    memory.release()
    assert kit.drain()
    assert bodies(memory.records()) == [0, 1, 2]
    assert kit.ledger.snapshot().spooled == 0
    kit.close()
    assert balanced(kit)


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_what_a_shutdown_leaves_behind_the_next_process_delivers(spools: Spools, mode: Mode) -> None:
    """A deadline that ends with the peer away: every record is spooled, and adopted by who comes next."""
    kit = spools.kit(InMemoryExporter([Retryable("down")] * 1_000), mode=mode, max_export_batch_size=7)
    kit.put(100)
    kit.close(0.2, disk=20)
    first = kit.ledger.snapshot()
    assert (first.spooled, first.lost, first.in_flight) == (100, 0, 0)
    assert first.balanced
    memory = InMemoryExporter()
    kit = spools.kit(memory)
    assert memory.wait_for(100, 20)
    kit.put(1)
    assert kit.drain()
    assert sorted(bodies(memory.records())) == sorted([*range(100), 0])
    second = kit.ledger.snapshot()
    assert (second.adopted, second.delivered, second.spooled) == (100, 101, 0)
    kit.close()
    assert balanced(kit)


def test_a_refusal_takes_the_batch_off_the_disk(spools: Spools) -> None:
    """It would be refused for ever."""
    kit = spools.kit(InMemoryExporter([Rejected("400")]), mode="always")
    kit.put(5)
    assert kit.drain()
    assert kit.ledger.snapshot().rejected == {"400": 5}
    assert kit.ledger.snapshot().spooled == 0
    kit.close()
    assert balanced(kit)


def test_a_disk_that_refuses_costs_nothing_while_memory_lasts(spools: Spools) -> None:
    """Delivery goes on from memory; the refusals are counted, and health names them."""
    spools.directory.write_text("a file where the directory should be")
    memory = InMemoryExporter()
    kit = spools.kit(memory, mode="always")
    kit.put(30)
    assert kit.drain()
    assert bodies(memory.records()) == list(range(30))
    assert kit.ledger.snapshot().spool_errors["spool_write_error"] > 0
    assert kit.outlet.spool_trouble
    kit.close()
    assert balanced(kit)


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_a_full_spool_counts_what_it_drops(spools: Spools, mode: Mode) -> None:
    """The limit holds, the oldest go, and the ledger has every one of them (fault 22)."""
    memory = InMemoryExporter()
    memory.hold()
    kit = spools.kit(memory, mode=mode, max_size=1 << 16, queue_size=1_000, max_export_batch_size=50)
    for _ in range(100):
        kit.put(50)
        until(lambda: kit.ledger.snapshot().in_flight < 600)
    assert sum(path.stat().st_size for path in spools.directory.rglob("*") if path.is_file()) <= 1 << 16
    memory.release()
    assert kit.drain(50)
    snapshot = kit.ledger.snapshot()
    assert snapshot.dropped["spool_full"] > 0
    assert snapshot.delivered + snapshot.dropped["spool_full"] == 5_000
    assert bodies(memory.records()) == sorted(bodies(memory.records()))
    kit.close()
    assert balanced(kit)


PROGRAM = """
import sys, time
from logspan.assemble import build_pipeline
from logspan.settings import Settings
from tests.core.support import log
pipeline = build_pipeline(Settings(
    service_name="killed", exporters=["otlp"], otlp={"endpoint": sys.argv[1]},
    file_storage={"directory": sys.argv[2], "mode": "always", "fsync": 0},
))
for number in range(int(sys.argv[3]), int(sys.argv[4])):
    log(pipeline, number)
while pipeline.ledger.snapshot().queued or pipeline.ledger.snapshot().exporters["otlp"].in_flight:
    time.sleep(0.01)
print("on disk", flush=True)
if sys.argv[5] == "stay":
    time.sleep(60)
while not pipeline.flush(1):
    pass
print(pipeline.shutdown(5).ledger.balanced, flush=True)
"""


def test_kill_9_loses_nothing_that_was_on_disk(tmp_path: Path) -> None:
    """Killed with the Collector away, restarted with it back: every record arrives (fault 3)."""
    root = Path(__file__).parents[2]

    def start(endpoint: str, first: int, last: int, then: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(PROGRAM), endpoint, str(tmp_path / "spool")]
        return subprocess.Popen([*command, str(first), str(last), then], stdout=subprocess.PIPE, text=True, cwd=root)

    killed = start(f"http://127.0.0.1:{free_port()}", 0, 500, "stay")  # nobody listens there
    assert killed.stdout is not None
    assert killed.stdout.readline() == "on disk\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    with OtlpSink() as sink:
        restarted = start(sink.endpoint, 500, 600, "end")
        output, _ = restarted.communicate(timeout=50)
        assert output == "on disk\nTrue\n"
        sink.wait_for(600, timeout=20)
        assert sorted(record.body for record in sink.records()) == list(range(600))


def test_a_forked_child_leaves_its_parents_spool_alone(build: Build, tmp_path: Path) -> None:
    """The child's records go to the child's own spool; the parent's are sent by the parent, once (fault 25)."""
    memory = InMemoryExporter()
    memory.hold()
    pipeline = build(settings={"file_storage": {"directory": tmp_path, "mode": "always"}}, mem=memory)
    for number in range(20):
        log(pipeline, number)
    until(lambda: pipeline.ledger.snapshot().exporters["mem"].spooled == 20)
    child = os.fork()
    if child == 0:
        clean = pipeline.ledger.snapshot().exporters["mem"].spooled == 0
        log(pipeline, "child")
        os._exit(0 if clean and pipeline.shutdown(0.5).ledger.balanced else 1)
    assert os.waitpid(child, 0)[1] == 0
    memory.release()
    assert pipeline.flush(20)
    assert bodies(memory.records())[:20] == list(range(20))


# ---------------------------------------------------------------------------------- an outage that takes long

BRIEF = RetryPolicy(initial_interval=0.01, max_interval=0.02, max_elapsed_time=0.03, randomization_factor=0.0)


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_an_outage_longer_than_max_elapsed_time_loses_nothing(spools: Spools, mode: Mode) -> None:
    """With a spool no batch is given up for its age, be it on disk or still in memory (fault 6)."""
    memory = InMemoryExporter([Retryable("down")] * 20)
    kit = spools.kit(memory, mode=mode, retry=BRIEF, max_export_batch_size=5)
    kit.put(20)
    assert memory.wait_for(20, 30)
    assert kit.drain()
    assert bodies(memory.records()) == list(range(20))
    assert kit.ledger.snapshot().lost == 0
    kit.close()
    assert balanced(kit)


def test_a_batch_is_given_up_for_its_age_when_the_user_has_asked_for_it(spools: Spools) -> None:
    """`max_age`: what an earlier process has stored too long ago is counted as expired, and never sent."""
    kit = spools.kit(InMemoryExporter([Retryable("down")] * 1_000))
    kit.put(10)
    kit.close(0.1, disk=20)
    assert kit.ledger.snapshot().spooled == 10
    memory = InMemoryExporter()
    kit = spools.kit(memory, policy={"max_age": 1e-9})
    until(lambda: kit.ledger.snapshot().dropped == {"spool_expired": 10})
    kit.put(3)
    assert kit.drain()
    assert bodies(memory.records()) == [0, 1, 2]
    assert (kit.ledger.snapshot().adopted, kit.ledger.snapshot().spooled) == (10, 0)
    kit.close()
    assert balanced(kit)


def test_a_batch_grows_too_old_while_it_is_tried(spools: Spools) -> None:
    """`max_age` again, for a batch in hand: after `max_elapsed_time` it is given up, as it would be without a spool."""
    kit = spools.kit(InMemoryExporter([Retryable("down")] * 1_000), "always", retry=BRIEF, policy={"max_age": 0.05})
    kit.put(10)
    until(lambda: kit.ledger.snapshot().dropped == {"spool_expired": 10})
    kit.close(0.1)
    assert balanced(kit)


# ---------------------------------------------------------------------------------- a disk that hangs (D state, NFS)


class HangingSpool(Spool):
    """Hangs in the call that `at` names, as on a disk that does not answer any more, until `disk` is set."""

    def __init__(self, directory: Path, at: str) -> None:
        super().__init__("test", SpoolConfig(directory, fsync=0.001))
        self.disk, self.reached = threading.Event(), threading.Event()
        self.at = at

    def _hang(self, at: str) -> None:
        if at == self.at and not self.disk.is_set():
            self.reached.set()
            self.disk.wait(50)

    def append(self, payload: bytes, records: int) -> Stored | NotStored:
        self._hang("append")
        return super().append(payload, records)

    def peek(self) -> Frame | None:
        self._hang("peek")
        return super().peek()

    def ack(self) -> None:
        self._hang("ack")
        super().ack()

    def sync(self, now: float | None = None) -> bool:
        if self:
            self._hang("sync")
        return super().sync(now)


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Callable[[str], HangingSpool]]:
    """Makes one; the disk answers at the end of the test."""
    made: list[HangingSpool] = []

    def make(at: str) -> HangingSpool:
        made.append(HangingSpool(tmp_path / "spool", at))
        return made[-1]

    yield make
    for spool in made:
        spool.disk.set()


@pytest.mark.parametrize("at", ["append", "peek", "ack", "sync"])
def test_a_disk_that_hangs_holds_up_nobody(hanging: Callable[[str], HangingSpool], at: str) -> None:
    """Callers put, the watchdog looks, the end comes in time: nobody waits for it, and every record is counted."""
    spool = hanging(at)
    memory = InMemoryExporter()
    kit = Kit(memory, spool=spool, mode="always", policy={"gather": 0.0})
    kit.put(10)
    assert spool.reached.wait(20)
    started = time.monotonic()
    kit.put(1_000)
    kit.outlet.revive()
    assert kit.outlet.spool_trouble is None
    kit.close(0.2)
    assert time.monotonic() - started < 20
    snapshot = kit.ledger.snapshot()
    assert snapshot.balanced
    assert snapshot.in_flight == 0
    assert snapshot.delivered == len(memory.records())
    assert snapshot.delivered + snapshot.spooled + sum(snapshot.dropped.values()) == 1_010
    assert set(snapshot.dropped) == {"shutdown_timeout"}
    spool.disk.set()  # the thread that was left there comes back
    kit.outlet.join(kit.clock.monotonic() + 20)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("logspan-spool")])
    after = kit.ledger.snapshot()
    assert (after.balanced, after.delivered, after.dropped) == (True, snapshot.delivered, snapshot.dropped)


@pytest.mark.parametrize("at", ["append", "peek", "ack", "sync"])
def test_a_disk_that_hangs_for_long_is_passed_by(hanging: Callable[[str], HangingSpool], at: str) -> None:
    """After `stall_timeout` memory goes straight to the peer, health tells, and the disk is used again later."""
    spool = hanging(at)
    memory = InMemoryExporter()
    kit = Kit(memory, spool=spool, mode="always", stall_timeout=0.2, policy={"gather": 0.0})
    kit.put(10)
    assert spool.reached.wait(20)
    kit.put(500)
    assert memory.wait_for(500, 30)
    assert kit.outlet.spool_trouble == "the disk of the spool does not answer"
    spool.disk.set()
    kit.put(10)
    assert kit.drain()
    assert sorted(bodies(memory.records())) == list(range(520))
    until(lambda: kit.outlet.spool_trouble is None)
    kit.close()
    assert kit.ledger.snapshot().delivered == 520
    assert balanced(kit)


def test_the_watchdog_does_not_wait_for_the_disk(hanging: Callable[[str], HangingSpool]) -> None:
    """An exporter hangs with a batch of the spool, and the disk hangs too: its thread is replaced all the same."""
    spool = hanging("sync")
    memory = InMemoryExporter()
    memory.hold()
    kit = Kit(memory, spool=spool, mode="always", stall_timeout=0.3, policy={"gather": 0.0, "stall_timeout": 60.0})
    spool.disk.set()
    kit.put(5)
    assert memory.wait_for_attempts(1, 20)
    spool.disk.clear()
    kit.put(5)
    assert spool.reached.wait(20)
    time.sleep(0.3)
    started = time.monotonic()
    kit.outlet.revive()
    assert time.monotonic() - started < 20
    assert kit.ledger.restarts.value() == 1
    memory.release()
    kit.close(0.1)
    assert balanced(kit)


def replace_stuck(kit: Kit) -> None:
    """Have the watchdog look until it has replaced the outlet's thread once more."""
    before = kit.ledger.restarts.value()

    def replaced() -> bool:
        kit.outlet.revive()
        return kit.ledger.restarts.value() > before

    until(replaced)


PATIENT = {"stall_timeout": 60.0}


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_what_an_exporter_that_hangs_has_in_hand_is_tried_again(spools: Spools, mode: Mode) -> None:
    """With a spool only the thread is replaced: the batch is offered again, and counted once when both bring it."""
    memory = InMemoryExporter()
    memory.hold()
    kit = spools.kit(memory, mode, stall_timeout=0.05, policy=PATIENT)
    kit.put(5)
    for attempts in (1, 2, 3):
        assert memory.wait_for_attempts(attempts, 20)
        replace_stuck(kit)
    assert kit.ledger.snapshot().lost == 0
    assert kit.outlet.trouble == "exporter_stuck"
    memory.release()
    kit.put(5)
    assert kit.drain()
    kit.close()
    snapshot = kit.ledger.snapshot()
    assert (snapshot.delivered, snapshot.lost, snapshot.spooled, snapshot.balanced) == (10, 0, 0, True)
    assert set(bodies(memory.records())) == set(range(10))


class HangsThenFails(InMemoryExporter):
    """Its first call ends badly, when the test says so; the second is held as well."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []
        self.gates = [threading.Event(), threading.Event()]

    def deliver(self, batch: Any, timeout: float | None = None) -> Outcome:
        self.threads.append(threading.current_thread())
        first = len(self.threads) == 1
        if len(self.threads) <= len(self.gates):
            self.gates[len(self.threads) - 1].wait(50)
        return Rejected("400") if first else super().deliver(batch, timeout)


def test_bad_news_of_a_thread_that_was_replaced_is_not_heard(spools: Spools) -> None:
    """What counts is the answer that the new thread gets."""
    exporter = HangsThenFails()
    kit = spools.kit(exporter, "always", stall_timeout=0.05, policy=PATIENT)
    kit.put(5)
    until(lambda: len(exporter.threads) == 1)
    replace_stuck(kit)
    until(lambda: len(exporter.threads) == 2)
    exporter.gates[0].set()
    exporter.threads[0].join(20)
    assert kit.ledger.snapshot().lost == 0
    exporter.gates[1].set()
    assert kit.drain()
    assert (kit.ledger.snapshot().delivered, kit.ledger.snapshot().lost) == (5, 0)
    kit.close()
    assert balanced(kit)


def test_retry_switched_off_is_no_matter_of_age(spools: Spools) -> None:
    """One attempt, spool or not, counted as what it is; a hang is that attempt."""
    memory = InMemoryExporter([Retryable("503")])
    kit = spools.kit(memory, "always", retry=RetryPolicy(enabled=False), stall_timeout=0.05, policy=PATIENT)
    kit.put(2)
    assert kit.drain()
    assert kit.ledger.snapshot().dropped == {"retry_exhausted": 2}
    memory.hold()
    kit.put(3)
    assert memory.wait_for_attempts(2, 20)
    replace_stuck(kit)
    assert kit.ledger.snapshot().dropped == {"retry_exhausted": 2, "exporter_stuck": 3}
    memory.release()
    kit.close()
    assert balanced(kit)


def test_what_comes_after_the_end_is_counted() -> None:
    """Nobody looks after the queue any more, so what a late worker puts there does not stay in flight."""
    kit = Kit(InMemoryExporter())
    kit.close(0.1)
    kit.put(3)
    snapshot = kit.ledger.snapshot()
    assert (snapshot.in_flight, snapshot.dropped, snapshot.balanced) == (0, {"shutdown_timeout": 3}, True)


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_what_comes_after_the_end_is_on_disk_when_the_call_returns(spools: Spools, mode: Mode) -> None:
    """The last lines of a worker whose peer is away: the next process delivers them; a disk that refuses is counted."""
    kit = spools.kit(InMemoryExporter([Retryable("down")] * 1_000), mode)
    kit.put(3)
    kit.close(0.1, disk=20)
    for _ in range(2):
        kit.put(1)
    assert sum(owner.records for owner in survey(spools.directory)) == 5
    snapshot = kit.ledger.snapshot()
    assert (snapshot.spooled, snapshot.in_flight, snapshot.lost, snapshot.balanced) == (5, 0, 0, True)
    kit.close(0.1)
    memory = InMemoryExporter()
    following = spools.kit(memory)
    assert memory.wait_for(5, 20)
    following.close()
    assert bodies(memory.records()) == list(range(5))
    shutil.rmtree(spools.directory)
    spools.directory.write_text("a file where the directory should be")
    kit.put(2)
    snapshot = kit.ledger.snapshot()
    assert (snapshot.in_flight, snapshot.dropped, snapshot.balanced) == (0, {"shutdown_timeout": 2}, True)


class DeadlySpool(Spool):
    """Ends the thread that asks it, once."""

    is_deadly = False

    @property
    def sync_at(self) -> float | None:
        """What the thread asks for before it rests."""
        if self.is_deadly:
            self.is_deadly = False
            raise SystemExit
        return super().sync_at


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_spools_thread_that_has_died_is_replaced(tmp_path: Path) -> None:
    """The watchdog sees it, counts it, and a new one goes on (fault 28)."""
    earlier = set(threading.enumerate())
    memory = InMemoryExporter()
    spool = DeadlySpool("test", SpoolConfig(tmp_path / "spool"))
    kit = Kit(memory, spool=spool, mode="always")
    kit.put(3)
    assert memory.wait_for(3, 20)
    (thread,) = [each for each in set(threading.enumerate()) - earlier if each.name == "logspan-spool-test"]
    spool.is_deadly = True
    thread.join(20)
    assert not thread.is_alive()
    kit.put(3)
    kit.outlet.revive()
    assert memory.wait_for(6, 20)
    assert kit.ledger.restarts.value() == 1
    kit.close()
    assert balanced(kit)


# ---------------------------------------------------------------------------------- order, and the size of batches


def test_what_is_in_flight_at_the_end_is_older_than_what_is_spooled(spools: Spools) -> None:
    """A batch is being tried, newer ones are on disk, the process ends: the next one sends them in their order."""
    first = InMemoryExporter()
    first.hold()
    kit = spools.kit(first, queue_size=40, max_export_batch_size=10)
    kit.put(10)
    assert first.wait_for_attempts(1, 20)
    for _ in range(5):
        kit.put(20)
        until(lambda: kit.ledger.snapshot().in_flight < 30)
    assert kit.ledger.snapshot().spooled >= 80
    kit.close(0.1, disk=20)
    assert kit.ledger.snapshot().spooled == 110
    second = InMemoryExporter()
    kit = spools.kit(second)
    assert second.wait_for(110, 20)
    assert bodies(second.records()) == list(range(110))
    kit.close()
    assert balanced(kit)


def test_what_comes_while_the_spool_is_read_goes_to_disk_in_whole_batches(spools: Spools) -> None:
    """A record at a time, behind a spool: in frames of one record it would be read more slowly than it is written."""
    memory = InMemoryExporter()
    memory.hold()
    kit = spools.kit(memory, queue_size=100, max_export_batch_size=10)
    kit.put(60)
    until(lambda: kit.ledger.snapshot().spooled > 0)
    for _ in range(200):
        kit.put(1)
        until(lambda: kit.ledger.snapshot().in_flight < 60)
    memory.release()
    assert kit.drain()
    assert bodies(memory.records()) == list(range(260))
    assert len(memory.batches()) <= 40
    kit.close()
    assert balanced(kit)


def test_mode_always_gathers_records_for_a_moment(spools: Spools) -> None:
    """A hundred records, one after the other, are a few batches on disk; a flush does not wait for more."""
    memory = InMemoryExporter()
    kit = spools.kit(memory, mode="always", policy={"gather": 30.0})
    for _ in range(100):
        kit.put(1)
    assert kit.drain(20)
    assert len(memory.batches()) <= 3
    kit.close()
    assert balanced(kit)


def test_a_disk_that_refuses_does_not_slow_mode_always_down(spools: Spools) -> None:
    """While it rests after a refusal, memory goes straight to the peer, and not a batch a second."""
    spools.directory.write_text("a file where the directory should be")
    memory = InMemoryExporter()
    kit = spools.kit(memory, mode="always", max_export_batch_size=100)
    started = time.monotonic()
    kit.put(20_000)
    assert kit.drain(60)
    assert time.monotonic() - started < 20  # 200 batches
    assert bodies(memory.records()) == list(range(20_000))
    assert kit.ledger.snapshot().spool_errors["spool_write_error"] < 20
    kit.close()
    assert balanced(kit)


def test_a_batch_whose_segment_was_dropped_is_counted_at_the_end(spools: Spools) -> None:
    """In hand when the limit took its segment, it is in memory only: at the end it is a loss, and not spooled."""
    memory = InMemoryExporter()
    memory.hold()
    kit = spools.kit(memory, mode="always", max_size=1 << 16, queue_size=1_000, max_export_batch_size=50)
    kit.put(50)
    assert memory.wait_for_attempts(1, 20)
    for _ in range(100):
        kit.put(50)
        until(lambda: kit.ledger.snapshot().in_flight < 600)
    kit.close(0.1)
    on_disk = sum(owner.records for owner in survey(spools.directory))
    snapshot = kit.ledger.snapshot()
    assert (snapshot.spooled, snapshot.in_flight) == (on_disk, 0)
    assert snapshot.spooled + sum(snapshot.dropped.values()) == 5_050
    assert balanced(kit)


def test_a_part_of_a_batch_whose_segment_was_dropped_is_counted_once(spools: Spools) -> None:
    """As above, when a part of it is delivered already: only the rest is a loss."""
    gate = threading.Event()

    def decide(request: Request) -> Reply | None:
        if len(request.records()) > 25:
            return Reply(413)
        if request.records()[0].body != 0:
            gate.wait(30)
        return None

    with OtlpSink(decide=decide) as sink:
        exporter = OtlpHttpExporter(sink.logs_endpoint)
        kit = spools.kit(exporter, mode="always", max_size=1 << 16, queue_size=1_000, max_export_batch_size=50)
        kit.put(50)
        assert sink.wait_for(requests=3)
        for _ in range(100):
            kit.put(50)
            until(lambda: kit.ledger.snapshot().in_flight < 600)
        kit.close(0.1)
        gate.set()
    on_disk = sum(owner.records for owner in survey(spools.directory))
    snapshot = kit.ledger.snapshot()
    assert (snapshot.delivered, snapshot.spooled, snapshot.in_flight) == (25, on_disk, 0)
    assert snapshot.spooled + sum(snapshot.dropped.values()) == 5_025
    assert balanced(kit)


# ---------------------------------------------------------------------------------- bytes that are encoded already


def test_what_is_stored_is_sent_as_it_is(spools: Spools) -> None:
    """By an exporter that sends bytes: neither decoded nor encoded again, and split all the same when it has to be."""
    with OtlpSink(decide=lambda request: Reply(413) if len(request.records()) > 60 else None) as sink:
        exporter = OtlpHttpExporter(sink.logs_endpoint)
        kit = spools.kit(exporter, mode="always")
        kit.put(40)
        assert kit.drain()
        (stored,) = sink.requests()
        again = encode_logs_request(decode_logs_request(stored.body))
        assert again.payload == stored.body
        kit.put(400)
        assert kit.drain()
        assert [record.body for record in sink.records()] == list(range(440))
        kit.close()
    assert (kit.ledger.snapshot().delivered, kit.ledger.snapshot().lost) == (440, 0)
    assert balanced(kit)


@pytest.mark.parametrize("decoded", [True, False])
def test_a_stored_batch_that_is_none_costs_only_itself(spools: Spools, decoded: bool) -> None:
    """Its checksum is right, and yet nobody can read it: corrupt, or refused by the peer, and the next one goes."""
    left = Spool("test", SpoolConfig(spools.directory, fsync=0))
    assert isinstance(left.append(b"\xff\xff\xff", 3), Stored)
    left.close()

    def decide(request: Request) -> Reply | None:
        return Reply(400) if request.body == b"\xff\xff\xff" else None

    with OtlpSink(decide=decide) as sink:
        memory = InMemoryExporter()
        kit = spools.kit(memory if decoded else OtlpHttpExporter(sink.logs_endpoint))
        until(lambda: kit.ledger.snapshot().lost == 3)
        kit.put(5)
        assert kit.drain()
        snapshot = kit.ledger.snapshot()
        arrived = bodies(memory.records()) if decoded else [record.body for record in sink.records()]
        kit.close()
    assert arrived == [0, 1, 2, 3, 4]
    assert (dict(snapshot.dropped), dict(snapshot.rejected)) == (({"corrupt": 3}, {}) if decoded else ({}, {"400": 3}))
    assert balanced(kit)
