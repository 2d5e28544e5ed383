"""A batch that is taken only in parts: what would fit arrives, and what was taken stays taken (faults 8 and 11)."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from logspan.testing import GrpcReply, OtlpGrpcSink, OtlpSink, Reply, Request
from logspan.testing.grpc_sink import GrpcRequest
from tests.faults.support import GRPC, HTTP, Caller, Gate, Sink, Start, account, ids
from tests.waiting import until

WHOLE = {"schedule_delay": 30.0}
SPOOLS = ("no spool", "overflow", "always")
TOO_LARGE = {
    HTTP: Reply(413),
    GRPC: GrpcReply("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)"),
}
AWAY = {HTTP: Reply(503), GRPC: GrpcReply("UNAVAILABLE")}


def taking(protocol: str, most: int, then: Any = lambda: None) -> Sink:
    """A receiver of `most` records at once; what it says to those is `then`'s to decide."""

    def decide(request: Request | GrpcRequest) -> Any:
        return TOO_LARGE[protocol] if len(request.records()) > most else then()

    return OtlpGrpcSink(decide=decide) if protocol == GRPC else OtlpSink(decide=decide)


def storage(tmp_path: Path, spool: str) -> dict[str, Any]:
    """The setting for one of `SPOOLS`."""
    return {} if spool == "no spool" else {"file_storage": {"directory": tmp_path / "spool", "mode": spool}}


@pytest.mark.parametrize("most", [1, 4])
def test_11_what_would_fit_is_never_lost(start: Start, protocol: str, most: int) -> None:
    """However small the parts: all arrive, once, in order, for fewer than two requests a record."""
    with taking(protocol, most) as sink:
        pipeline = start(sink.endpoint, protocol, sending_queue=WHOLE)
        caller = Caller(pipeline)
        caller.log(512)
        assert pipeline.flush(30)
        account(pipeline, caller, ids(sink.records()))
    assert ids(sink.records()) == caller.ids
    assert len(sink.requests()) == 2 * (512 // most) - 1


def test_11_many_records_that_are_too_large_cost_only_themselves(start: Start) -> None:
    """A hundred of them in a row among others that fit."""
    with OtlpSink(decide=lambda request: Reply(413) if len(request.body) > 4_000 else None) as sink:
        pipeline = start(sink.endpoint, sending_queue=WHOLE)
        caller = Caller(pipeline)
        fitting = caller.log(150)
        caller.log(100, text="x" * 5_000)
        fitting += caller.log(150)
        assert not pipeline.flush(30)
        _, exporter = account(pipeline, caller, ids(sink.records()))
    assert exporter.rejected == {"413": 100}
    assert ids(sink.records()) == fitting


@pytest.mark.parametrize("spool", SPOOLS)
def test_8_a_part_that_was_taken_is_not_sent_again(start: Start, tmp_path: Path, protocol: str, spool: str) -> None:
    """Two of three parts fail at first: only those are tried again, and every record arrives once, in order."""
    turn = itertools.count()
    with taking(protocol, 64, lambda: AWAY[protocol] if next(turn) % 3 else None) as sink:
        pipeline = start(sink.endpoint, protocol, sending_queue=WHOLE, **storage(tmp_path, spool))
        caller = Caller(pipeline)
        caller.log(512)
        assert pipeline.flush(20)
        account(pipeline, caller, ids(sink.records()))
    assert ids(sink.records()) == caller.ids
    assert len(sink.requests()) == 7 + 8 + 2 * 7


@pytest.mark.parametrize("spool", SPOOLS)
def test_15_each_part_has_a_deadline_of_its_own(start: Start, tmp_path: Path, spool: str) -> None:
    """32 parts at 0.05 s each do not fit into one time-out of 1.5 s; each of them does."""
    with taking(HTTP, 16, lambda: Reply(delay=0.05)) as sink:
        pipeline = start(sink.endpoint, otlp={"timeout": 1.5}, sending_queue=WHOLE, **storage(tmp_path, spool))
        caller = Caller(pipeline)
        caller.log(512)
        assert pipeline.flush(20)
        account(pipeline, caller, ids(sink.records()))
    assert ids(sink.records()) == caller.ids


def test_8_a_shutdown_in_the_middle_of_a_batch(start: Start) -> None:
    """The peer goes away after two parts of eight: these are delivered, the rest is counted, none twice."""
    turn = itertools.count()
    with taking(HTTP, 64, lambda: Reply(503) if next(turn) >= 2 else None) as sink:
        pipeline = start(sink.endpoint, sending_queue=WHOLE)
        caller = Caller(pipeline)
        caller.log(512)
        until(lambda: pipeline.ledger.snapshot().exporters["otlp"].delivered == 128)
        assert not pipeline.flush(0.2)
        _, exporter = account(pipeline, caller, ids(sink.records()), timeout=0.5)
    assert ids(sink.records()) == caller.ids[:128]
    assert (exporter.delivered, exporter.dropped) == (128, {"shutdown_timeout": 384})


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_8_the_next_process_has_the_rest_of_a_batch(start: Start, tmp_path: Path, mode: str) -> None:
    """As before, with a spool: what was not taken is on disk, and nothing arrives twice."""
    turn, is_back = itertools.count(), False
    with taking(HTTP, 64, lambda: Reply(503) if not is_back and next(turn) >= 2 else None) as sink:
        pipeline = start(sink.endpoint, sending_queue=WHOLE, **storage(tmp_path, mode))
        caller = Caller(pipeline)
        caller.log(512)
        until(lambda: pipeline.ledger.snapshot().exporters["otlp"].delivered == 128)
        assert not pipeline.flush(0.2)
        ledger = pipeline.shutdown(0.5).ledger
        assert (ledger.balanced, ids(sink.records())) == (True, caller.ids[:128])
        first = ledger.exporters["otlp"]
        assert (first.delivered, first.spooled, first.lost) == (128, 384, 0)
        is_back = True
        following = start(sink.endpoint, **storage(tmp_path, mode))
        until(lambda: set(ids(sink.records())) == set(caller.ids))
        until(lambda: following.ledger.snapshot().exporters["otlp"].spooled == 0)
    assert ids(sink.records()) == caller.ids


LOGS_A_BATCH = """
import sys, time
from logspan import build_pipeline
from tests.faults.support import Caller, settings_for
storage = {"directory": sys.argv[2], "mode": "always", "fsync": 30.0}
pipeline = build_pipeline(settings_for(sys.argv[1], file_storage=storage, sending_queue={"schedule_delay": 30.0}))
Caller(pipeline).log(512)
time.sleep(60)
"""


def test_3_kill_9_in_the_middle_of_a_divided_batch(start: Start, tmp_path: Path) -> None:
    """Killed between two parts: the whole batch is on disk still, all of it arrives, and only of it anything twice."""
    turn, gate, third = itertools.count(), Gate(), threading.Event()

    def answer() -> None:
        if next(turn) == 2:
            third.set()
            gate(None)

    with taking(HTTP, 64, answer) as sink:
        command = [sys.executable, "-c", LOGS_A_BATCH, sink.endpoint, str(tmp_path / "spool")]
        with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as child:
            assert third.wait(30)
            child.kill()
        before = len(sink.records())
        gate.open()
        pipeline = start(sink.endpoint, **storage(tmp_path, "always"))
        until(lambda: set(ids(sink.records())) == set(range(512)), 30)
        until(lambda: pipeline.ledger.snapshot().exporters["otlp"].spooled == 0, 30)
        exporter = pipeline.ledger.snapshot().exporters["otlp"]
        twice = len(sink.records()) - 512
    assert before == 128
    assert 128 <= twice <= 192  # with the part whose answer nobody has read
    assert (exporter.adopted, exporter.replayed, exporter.delivered, exporter.lost) == (512, 512, 512, 0)
    assert exporter.balanced
