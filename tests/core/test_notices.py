"""What the pipeline says of itself on stderr: rarely, with the right numbers, and nothing is kept back at the end."""

from __future__ import annotations

import io

import pytest

from logspan.notices import Notices
from logspan.outcome import Rejected, Retryable
from logspan.testing import InMemoryExporter
from tests.core.conftest import Build
from tests.core.support import log


def test_losses_are_told_with_their_whole_number() -> None:
    """One line at first, and one at the end with all that came since."""
    stream = io.StringIO()
    notices = Notices(lambda: stream)
    for total in (94, 200, 734):
        notices.lost("dropped by file (queue_full)", total)
    notices.last_words()
    notices.last_words()
    assert stream.getvalue().splitlines() == [
        "logspan: 94 records dropped by file (queue_full)",
        "logspan: 640 records dropped by file (queue_full) (734 in all)",
    ]


def test_a_stream_that_fails_or_is_not_there_is_no_trouble() -> None:
    """There is nobody left to tell."""
    closed = io.StringIO()
    closed.close()
    Notices(lambda: closed).say("kind", "text")
    Notices(lambda: None).lost("dropped", 3)


def test_each_loss_of_a_pipeline_is_told_by_its_end(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    """Drops at admission and refusals of a peer, with the numbers that the ledger has."""
    memory = InMemoryExporter([Rejected("400", "no such tenant")] * 100)
    pipeline = build(settings={"queue": {"max_queue_size": 5, "overflow": "drop_newest"}}, mem=memory)
    for number in range(500):
        log(pipeline, number)
    snapshot = pipeline.shutdown().ledger
    lines = capfd.readouterr().err.splitlines()
    for text, total in [
        ("dropped before any exporter (queue_full)", snapshot.dropped["queue_full"]),
        ("refused by the peer of mem (400)", snapshot.exporters["mem"].rejected["400"]),
    ]:
        told = [line for line in lines if text in line]
        assert sum(int(line.split()[1]) for line in told) == total


def test_the_first_failure_to_deliver_is_told(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    """While it lasts, once; the records are not lost yet."""
    memory = InMemoryExporter([Retryable("connection refused")] * 2)
    pipeline = build(settings={"retry_on_failure": {"initial_interval": 0.01}}, mem=memory)
    log(pipeline, "one")
    assert memory.wait_for(1, 20)
    assert pipeline.flush(30)
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["logspan: mem: cannot deliver now, will go on trying: connection refused"]
