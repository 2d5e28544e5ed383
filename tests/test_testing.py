"""The test kit: what it promises to those who test with it, and that the contract check sees what breaks it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from logspan import EnrichContext, RecordView, enricher
from logspan.clock import Latch
from logspan.ledger import ExporterSnapshot, LedgerSnapshot
from logspan.outcome import Delivered, Rejected, Retryable
from logspan.testing import (
    ContractError,
    FakeClock,
    GrpcReply,
    InMemoryExporter,
    OtlpGrpcSink,
    OtlpSink,
    SampleRequest,
    assert_balanced,
    check_enricher,
    check_exporter_contract,
)
from logspan.testing.contract import sample_batch
from tests.ports import free_port

BATCH = sample_batch()


def test_the_in_memory_exporter_keeps_the_contract() -> None:
    """The rules of every exporter."""
    check_exporter_contract(InMemoryExporter)


def test_it_follows_its_script() -> None:
    """Outcomes in order, exceptions raised, then everything delivered; kept is what was delivered."""
    exporter = InMemoryExporter([Retryable("x"), Rejected("400"), KeyError("y"), Delivered(1)])
    assert exporter.deliver(BATCH) == Retryable("x")
    assert exporter.deliver(BATCH) == Rejected("400")
    with pytest.raises(KeyError):
        exporter.deliver(BATCH)
    assert exporter.records() == []
    assert exporter.deliver(BATCH[:1]) == Delivered(1)
    assert exporter.deliver(BATCH) == Delivered()
    assert exporter.attempts == 5
    assert exporter.batches() == [tuple(BATCH[:1]), tuple(BATCH)]
    exporter.clear()
    assert exporter.records() == []


def test_it_hangs_until_it_is_released() -> None:
    """`hold` stands for a peer that does not answer; a time-out still ends the wait."""
    exporter = InMemoryExporter()
    exporter.hold()
    assert exporter.deliver(BATCH, timeout=0.01) == Retryable("timeout")
    thread = threading.Thread(target=exporter.deliver, args=(BATCH,))
    thread.start()
    assert exporter.wait_for_attempts(2)
    assert not exporter.wait_for(1, timeout=0.01)
    exporter.release()
    assert exporter.wait_for(len(BATCH))
    thread.join(10)


def test_a_fake_clock_moves_by_hand() -> None:
    """A waiter goes on when its latch is rung, or when the clock has been moved far enough; never before."""
    clock, latch, results = FakeClock(), Latch(), []

    def wait() -> None:
        results.append(clock.wait(latch, 10))

    def move() -> None:
        clock.advance(10)

    for act, rung in ((move, False), (latch.ring, True)):
        thread = threading.Thread(target=wait)
        thread.start()
        assert clock.wait_for_waiters()
        clock.advance(9)
        assert thread.is_alive()
        act()
        thread.join(10)
        assert results.pop() is rung
    assert clock.monotonic() == 1_000 + 9 + 10 + 9


def test_a_sink_can_be_closed_with_a_connection_open() -> None:
    """Nobody has to wait for a client that keeps its connection."""
    from logspan.exporters.otlp_http import OtlpHttpExporter

    with OtlpSink(port=free_port()) as sink:  # nobody else is given it afterwards
        exporter = OtlpHttpExporter(sink.logs_endpoint)
        assert exporter.deliver(BATCH) == Delivered()
        assert sink.wait_for(len(BATCH), requests=1)
        sink.clear()
        assert not sink.records()
        assert not sink.requests()
    assert isinstance(exporter.deliver(BATCH), Retryable)
    exporter.shutdown()


class Sound(LogRecordExporter):
    """The least exporter that keeps the contract."""

    def __init__(self) -> None:
        self.closed = False

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        return LogRecordExportResult.FAILURE if self.closed else LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        self.closed = True

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class WantsARecord(Sound):
    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        _ = batch[0]
        return super().export(batch)


class WantsUnicode(Sound):
    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        for record in batch:
            str(record.log_record.body).encode()
        return super().export(batch)


class ReturnsNothing(Sound):
    def export(self, batch: Sequence[ReadableLogRecord]) -> Any:
        return None


class Changes(Sound):
    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        for record in batch:
            record.log_record.body = "changed"
        return super().export(batch)


class ShutsDownOnce(Sound):
    def shutdown(self) -> None:
        if self.closed:
            raise RuntimeError("twice")
        super().shutdown()


class ExportsForEver(Sound):
    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        return LogRecordExportResult.SUCCESS


class FlushesVaguely(Sound):
    def force_flush(self, timeout_millis: int = 30_000) -> Any:
        return None


class OneThreadOnly(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.owner = 0

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self.owner = self.owner or threading.get_ident()
        return super().export(batch) if self.owner == threading.get_ident() else LogRecordExportResult.FAILURE


def test_a_sound_exporter_passes() -> None:
    """The check asks for no more than the SDK's interface."""
    check_exporter_contract(Sound)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (WantsARecord, "exports_an_empty_batch"),
        (WantsUnicode, "survives_hostile_values"),
        (ReturnsNothing, "exports_a_batch"),
        (Changes, "leaves_the_batch_alone"),
        (ShutsDownOnce, "refuses_after_shutdown"),
        (ExportsForEver, "refuses_after_shutdown"),
        (FlushesVaguely, "flushes_in_time"),
        (OneThreadOnly, "works_on_another_thread"),
    ],
)
def test_the_check_names_the_rule_that_is_broken(broken: type[Sound], rule: str) -> None:
    """Each rule finds an exporter that was made to break it."""
    with pytest.raises(ContractError, match=rule):
        check_exporter_contract(broken)


def test_a_ledger_that_adds_up_is_returned() -> None:
    """A snapshot is looked at once, a pipeline until it is at rest."""
    snapshot = LedgerSnapshot(emitted=3, filtered=1, fanned_out=2, exporters={"a": ExporterSnapshot(2, delivered=2)})
    assert assert_balanced(snapshot) is snapshot


@pytest.mark.parametrize(
    ("snapshot", "says"),
    [
        (LedgerSnapshot(emitted=3, fanned_out=2), "pipeline: 3 emitted != 2 fanned_out: 1 unaccounted for"),
        (LedgerSnapshot(emitted=1, dropped={"x": 2}), "pipeline: 1 emitted != 2 dropped[x]: 1 counted twice"),
        (LedgerSnapshot(emitted=1, queued=1), "pipeline: 1 still queued"),
        (LedgerSnapshot(exporters={"a": ExporterSnapshot(2, in_flight=2)}), "a: 2 still in flight"),
        (LedgerSnapshot(exporters={"a": ExporterSnapshot(1)}), "a: 1 fanned_out != 0: 1 unaccounted for"),
        (LedgerSnapshot(emitted=-1, queued=-1), "pipeline: queued is -1"),
    ],
)
def test_a_ledger_that_is_off_shows_the_term(snapshot: LedgerSnapshot, says: str) -> None:
    """The equation, its terms and the difference."""
    with pytest.raises(AssertionError, match="does not add up") as failure:
        assert_balanced(snapshot)
    assert says in str(failure.value)


def test_what_is_on_its_way_can_be_allowed() -> None:
    """With a peer that is down, in flight is where the records are."""
    assert_balanced(LedgerSnapshot(exporters={"a": ExporterSnapshot(2, in_flight=2)}), idle=False)


def test_the_grpc_sink_follows_its_script() -> None:
    """Replies in order, then `decide`, then success; what is not OK is kept as a request only."""
    from logspan.exporters.otlp_grpc import OtlpGrpcExporter

    refusal = GrpcReply("INVALID_ARGUMENT", "no")
    replies = [GrpcReply("UNAVAILABLE", "busy", retry_delay=1.5), GrpcReply(rejected=1, message="old")]
    decided = iter([refusal, None])
    with OtlpGrpcSink(replies, decide=lambda request: next(decided)) as sink:
        exporter = OtlpGrpcExporter(sink.target, insecure=True)
        outcomes = [exporter.deliver(BATCH) for _ in range(4)]
        exporter.shutdown()
        assert sink.wait_for(2 * len(BATCH), requests=4)
    assert outcomes == [
        Retryable("UNAVAILABLE: busy", 1.5),
        Delivered(1, "old"),
        Rejected("INVALID_ARGUMENT", "no"),
        Delivered(),
    ]
    assert len(sink.records()) == 2 * len(BATCH)
    assert [len(request.records()) for request in sink.requests()] == [len(BATCH)] * 4


@enricher
def sound(record: RecordView, context: EnrichContext) -> dict[str, Any] | None:
    """An enricher that keeps the rules, and uses all that it is given."""
    request = context.request
    if request is None:
        return None
    found = {"method": request.method, "path": request.path, "severity": record.severity_number}
    return {**found, "tenant": (request.header("x-tenant") or "")[:16], "bound": len(context.bound)}


def test_a_sound_enricher_passes() -> None:
    """R13.7: with the decorator, or as any other callable."""
    check_enricher(sound)
    check_enricher(lambda record, context: {"region": "eu"})


def _needs_a_request(record: RecordView, context: EnrichContext) -> dict[str, Any]:
    assert context.request is not None
    return {"path": context.request.path}


def _trusts_headers(record: RecordView, context: EnrichContext) -> dict[str, Any] | None:
    found = context.request and context.request.header("x-number")
    return {"number": int(found)} if found else None


def _returns_anything(record: RecordView, context: EnrichContext) -> dict[str, Any]:
    return {"context": context}


def _returns_a_list(record: RecordView, context: EnrichContext) -> Any:
    return [("a", 1)]


def _writes(record: RecordView, context: EnrichContext) -> None:
    nested: Any = record.attributes.get("items")
    if nested:
        nested.append("c")


class _Remembers:
    def __init__(self) -> None:
        self.last: str | None = None

    def __call__(self, record: RecordView, context: EnrichContext) -> dict[str, Any]:
        if self.last is None and context.request is not None:
            self.last = context.request.path
        return {"path": self.last or ""}


def _waits(record: RecordView, context: EnrichContext) -> None:
    threading.Event().wait(0.002)


class _OneThreadOnly:
    def __call__(self, record: RecordView, context: EnrichContext) -> None:
        if threading.current_thread().name.startswith("Thread-"):
            raise RuntimeError("not here")


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (_needs_a_request, "adds_to_records_of_every_kind"),
        (_returns_a_list, "adds_to_records_of_every_kind"),
        (_trusts_headers, "survives_what_clients_send"),
        (_returns_anything, "returns_values_of_opentelemetry"),
        (_writes, "leaves_the_record_alone"),
        (_Remembers(), "keeps_nothing_of_another_request"),
        (_waits, "is_quick"),
        (_OneThreadOnly(), "works_on_several_threads"),
    ],
)
def test_an_enricher_that_breaks_a_rule_is_told_which(broken: Any, rule: str) -> None:
    """R13.7: each rule sees what breaks it."""
    with pytest.raises(ContractError, match=rule):
        check_enricher(broken)


def test_a_sample_request_has_the_headers_that_it_is_given() -> None:
    """Whatever their case; another one is not there, or is what a test says."""
    assert SampleRequest(headers={"x-tenant": "acme"}).header("X-Tenant") == "acme"
    assert SampleRequest().header("x-tenant") is None
    assert SampleRequest(any_header="y").header("x-tenant") == "y"
