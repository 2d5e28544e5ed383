"""The pipeline does not feed itself, and says elsewhere what it has lost (R10.2; faults 33, 46)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord

from logspan import configure_logging
from logspan.outcome import Delivered, DeliveringExporter, Outcome
from logspan.testing import GrpcReply, OtlpSink, Reply, assert_balanced
from tests.faults.support import GRPC, Caller, Sink, Start, account, ids, settings_for, sink_of
from tests.ports import free_port
from tests.waiting import until

CHATTY = ("urllib3", "requests", "httpx", "httpcore", "grpc", "opentelemetry")
EXTRAS: dict[str, Any] = {"tracing": {"export": False}, "metrics": {"enabled": False}}


@pytest.fixture
def debugging() -> Iterator[None]:
    """Root and the clients' own loggers at DEBUG."""
    names = (*CHATTY, "urllib3.connectionpool")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def comes_to_rest(handle: object, sink: Sink) -> None:
    """What a delivery logs must not cause the next one: after a few flushes no request is left to come."""
    for _ in range(3):
        assert handle.flush(10)  # type: ignore[attr-defined]
    before = len(sink.requests())
    for _ in range(3):
        assert handle.flush(10)  # type: ignore[attr-defined]
    assert not sink.wait_for(requests=before + 1, timeout=0.2)


@pytest.mark.usefixtures("debugging")
@pytest.mark.parametrize("client", ["logspan", "stock"])
def test_33_the_clients_own_logs_do_not_feed_back(protocol: str, client: str, overheard: list[str]) -> None:
    """Root at DEBUG, our clients and the stock ones (urllib3, requests, grpc), with a failure to talk about."""
    first = GrpcReply("UNAVAILABLE") if protocol == GRPC else Reply(503)
    with sink_of(protocol, replies=[first]) as sink:
        otlp = {"endpoint": sink.endpoint, "protocol": protocol, "client": client}
        with configure_logging(settings_for("", otlp=otlp, level="DEBUG", **EXTRAS)) as handle:
            logging.getLogger("app").debug("one", extra={"id": 1})
            comes_to_rest(handle, sink)
            snapshot = assert_balanced(handle.pipeline)
        mine = [record for record in sink.records() if record.scope == "app"]
    assert ids(mine) == [1]
    assert not [record.scope for record in sink.records() if record.scope.partition(".")[0] in CHATTY]
    assert snapshot.emitted == snapshot.exporters["otlp"].delivered == len(sink.records())
    assert snapshot.suppressed_self_logs == len(overheard)
    assert overheard or client == "logspan" or protocol == GRPC


@pytest.fixture
def overheard() -> Iterator[list[str]]:
    """The loggers of all that is logged on the pipeline's own threads, as an ordinary handler hears it."""
    names: list[str] = []

    class Hears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (record.threadName or "").startswith("logspan-"):
                names.append(record.name)

    handler = Hears()
    logging.getLogger().addHandler(handler)
    yield names
    logging.getLogger().removeHandler(handler)


class ByHttpx(DeliveringExporter):
    """Somebody's exporter: posts through httpx, and logs what it does, at every level."""

    def __init__(self, endpoint: str) -> None:
        import httpx

        self.client = httpx.Client()
        self.endpoint = endpoint
        self.taken: list[ReadableLogRecord] = []

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        log = logging.getLogger("somebody.exporter")
        log.debug("sending %d", len(batch))
        self.client.post(self.endpoint, content=b"")
        log.error("sent")
        self.taken += batch
        return Delivered()

    def shutdown(self) -> None:
        self.client.close()


@pytest.mark.usefixtures("debugging")
def test_33_logging_inside_an_exporter_is_suppressed_and_counted(overheard: list[str]) -> None:
    """Its own records and httpx's never come back as records; the application's use of httpx does."""
    import httpx

    with OtlpSink() as sink:
        exporter = ByHttpx(f"{sink.endpoint}/v1/other")
        settings = settings_for(sink.endpoint, level="DEBUG", **EXTRAS)
        with configure_logging(settings, exporters={"httpx": exporter}) as handle:
            logging.getLogger("app").debug("one")
            comes_to_rest(handle, sink)
            snapshot = assert_balanced(handle.pipeline)
            assert len(overheard) > 2
            assert snapshot.suppressed_self_logs == len(overheard)  # its own two, and what httpx and httpcore say
            assert [record.log_record.body for record in exporter.taken] == ["one"]
            httpx.get(sink.endpoint)
            assert handle.flush(10)
            scopes = {record.instrumentation_scope.name for record in exporter.taken if record.instrumentation_scope}
        assert "httpx" in scopes
        assert_balanced(handle.pipeline)


def test_46_drops_are_seen_on_stderr_and_in_health(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    """OTLP itself is broken: a line of each kind at once, one at the end, with exact numbers; health has the cause."""
    queue = {"queue_size": 10, "max_export_batch_size": 5, "schedule_delay": 0.01}
    pipeline = start(f"http://127.0.0.1:{free_port()}", sending_queue=queue)
    caller = Caller(pipeline)
    for _ in range(50):
        caller.log(20)
        until(lambda: pipeline.ledger.snapshot().fanned_out == len(caller.ids))
    until(lambda: pipeline.health().status == "failing")
    causes = " ".join(pipeline.health().causes)
    _, exporter = account(pipeline, caller, [], timeout=0.2)
    dropped = exporter.dropped["queue_full"]
    lines = capfd.readouterr().err.splitlines()
    assert "otlp: " in causes
    assert "Connection" in causes
    assert dropped >= 950
    kinds = {reason: [int(line.split()[1]) for line in lines if f"({reason})" in line] for reason in exporter.dropped}
    assert len(kinds["queue_full"]) == 2
    assert all(len(told) <= 2 for told in kinds.values())
    assert {reason: sum(told) for reason, told in kinds.items()} == exporter.dropped
    others = [line for line in lines if "records dropped" not in line]
    assert all(line.startswith("logspan: ") for line in lines)
    assert len(others) <= 2


def test_46_refusals_are_told_as_rarely_and_as_exactly(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    """Twenty batches that are refused one by one: a line at once, one at the end, and the status in health."""
    with OtlpSink(decide=lambda request: Reply(401)) as sink:
        pipeline = start(sink.endpoint)
        caller = Caller(pipeline)
        for _ in range(20):
            caller.log(1)
            assert not pipeline.flush(10)
        assert any("401" in cause for cause in pipeline.health().causes)
        _, exporter = account(pipeline, caller, [])
    assert exporter.rejected == {"401": 20}
    told = [int(line.split()[1]) for line in capfd.readouterr().err.splitlines() if "401" in line]
    assert told == [1, 19]
