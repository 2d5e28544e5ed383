"""An outlet with a spool: nothing is lost while the peer is away, or when the process ends (B2; faults 3, 6, 20-22)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from logspan.delivery.spooled_queue import Mode
from logspan.outcome import Rejected, Retryable
from logspan.spool import Spool, SpoolConfig
from logspan.testing import InMemoryExporter, OtlpSink
from tests.core.conftest import Build
from tests.core.support import bodies, log
from tests.delivery.support import Kit


class Spools:
    """Outlets that spool into one directory, one after the other, as processes would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def kit(self, exporter: InMemoryExporter, mode: Mode = "overflow", max_size: int = 1 << 20, **queue: Any) -> Kit:
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


def until(probe: Any) -> None:
    """Wait for another thread."""
    import time

    deadline = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < deadline
        time.sleep(0.005)


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
    kit.close(0.2)
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
    assert kit.outlet.trouble
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
    kit.drain()
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

    with OtlpSink() as sink:
        sink_endpoint = sink.endpoint
    killed = start(sink_endpoint, 0, 500, "stay")  # nobody listens there now
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
