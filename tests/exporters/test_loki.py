"""Loki's own OTLP endpoint: the path, the tenant, the credentials, and what its answers mean."""

from __future__ import annotations

import pytest
from opentelemetry.sdk._logs.export import LogRecordExportResult

from logspan.errors import SettingsError
from logspan.exporters.loki import LokiExporter
from logspan.outcome import Delivered, Outcome, Rejected, Retryable
from logspan.testing import OtlpSink, Reply, Request, check_exporter_contract
from logspan.testing.contract import sample_batch


def deliver_once(sink: OtlpSink, reply: Reply) -> Outcome:
    """One attempt at a sink that gives one answer."""
    sink.reply_with(reply)
    exporter = LokiExporter(sink.endpoint)
    try:
        return exporter.deliver(sample_batch()[:1])
    finally:
        exporter.shutdown()


def test_it_keeps_the_contract(sink: OtlpSink) -> None:
    """The rules of every exporter."""
    check_exporter_contract(lambda: LokiExporter(sink.endpoint))


def test_a_request_is_as_loki_wants_it(sink: OtlpSink) -> None:
    """Path, exact content type, gzip, tenant, basic authentication, headers of the user's own."""
    exporter = LokiExporter(
        f"{sink.endpoint}/", tenant_id="team-a", username="me", password="p@ss", headers={"X-More": "1"}
    )
    assert exporter.deliver(sample_batch()) == Delivered()
    exporter.shutdown()
    request = sink.requests()[0]
    assert request.path == "/otlp/v1/logs"
    expected = {
        "content-type": "application/x-protobuf",
        "content-encoding": "gzip",
        "x-scope-orgid": "team-a",
        "authorization": "Basic bWU6cEBzcw==",
        "x-more": "1",
    }
    assert {name: request.headers.get(name) for name in expected} == expected
    assert [record.body for record in sink.records()] == ["order placed", "", "plain"]


def test_without_a_tenant_no_tenant_is_sent(sink: OtlpSink) -> None:
    """A Loki of a single tenant gets no header."""
    assert deliver_once(sink, Reply(204)) == Delivered()
    assert not {"x-scope-orgid", "authorization"} & set(sink.requests()[0].headers)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, Retryable) for status in (429, 500, 502, 503, 504)),
        *((status, Rejected) for status in (200, 260, 301, 400, 401, 404, 413, 422, 501)),
    ],
)
def test_a_status_means_what_loki_says(sink: OtlpSink, status: int, kind: type) -> None:
    """204 alone is success; 260 is a block by policy; a 400 will never be taken, a 429 or a 5xx may be."""
    outcome = deliver_once(sink, Reply(status, {"content-type": "text/plain"}, b"entry too far behind\n"))
    assert isinstance(outcome, kind)
    if status == 400:
        assert outcome == Rejected("400", "entry too far behind", "content")


def test_retry_after_is_read(sink: OtlpSink) -> None:
    """A rate limit may say when it ends."""
    assert deliver_once(sink, Reply(429, {"retry-after": "7"})) == Retryable("HTTP 429", 7.0)


def test_a_tenant_cannot_break_out(sink: OtlpSink) -> None:
    """CR/LF in a tenant id would be a header of somebody else's."""
    with pytest.raises(SettingsError):
        LokiExporter(sink.endpoint, tenant_id="a\r\nX-Scope-OrgID: b")


def one_bad(request: Request) -> Reply | None:
    """As Loki does: one name that it cannot use, and it takes nothing."""
    return Reply(400, {}, b"") if any(record.body == "bad" for record in request.records()) else None


def test_one_record_that_is_refused_does_not_take_the_others_along() -> None:
    """400 for one of 500: 499 are taken, one is counted."""
    batch = sample_batch()[:1] * 500
    bad = sample_batch()[0]
    bad.log_record.body = "bad"
    batch[123] = bad
    with OtlpSink(decide=one_bad) as sink:
        exporter = LokiExporter(sink.endpoint)
        assert exporter.deliver(batch) == Rejected("400", divisible="content")
        assert exporter.export(batch) is LogRecordExportResult.FAILURE
        exporter.shutdown()
        assert len(sink.records()) == 499


def test_the_search_for_bad_records_is_bounded() -> None:
    """A Loki that refuses everything for its content is not asked a thousand times for one batch."""
    with OtlpSink(decide=lambda request: Reply(400)) as sink:
        exporter = LokiExporter(sink.endpoint)
        assert exporter.export(sample_batch()[:1] * 512) is LogRecordExportResult.FAILURE
        exporter.shutdown()
        assert len(sink.requests()) < 60


@pytest.mark.parametrize(
    ("key", "sent"), [("", "key"), ("\u65e5\u672c", "key_65e5_672c"), ("a\u65e5", "a\u65e5"), ("-", "key_2d")]
)
def test_a_name_that_loki_cannot_use_is_spelled_out(sink: OtlpSink, key: str, sent: str) -> None:
    """Loki refuses the whole request for it; what other exporters see is not changed."""
    record = sample_batch()[0]
    record.log_record.attributes = {key: 1, "ok": 2}
    exporter = LokiExporter(sink.endpoint)
    assert exporter.deliver([record]) == Delivered()
    exporter.shutdown()
    assert sink.records()[0].attributes == {sent: 1, "ok": 2}
    assert record.log_record.attributes == {key: 1, "ok": 2}
