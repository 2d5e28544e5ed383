"""R7.1: what leaves the process on spans is redacted like what leaves it on records, off the request's path."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from logspan import Settings, build_pipeline
from logspan.ledger import Ledger
from logspan.notices import Notices
from logspan.processors.redact import Redactor
from logspan.providers import install_providers
from logspan.providers.redaction import SpanRedactor
from logspan.providers.spans import GuardedSpanExporter, Spans
from logspan.settings import OtlpSettings, RedactionSettings
from logspan.testing import InMemoryExporter, OtlpSink

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
DSN = "postgres://shop:s3cr3t-pw@db:5432/orders"
ELSEWHERE = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))


def finished(make: Any, limits: SpanLimits | None = None) -> ReadableSpan:
    """The span that `make`, given a tracer, has started and ended."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({"service.name": "shop"}), span_limits=limits or SpanLimits(), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(memory))
    make(provider.get_tracer("shop.client", "1.2", "https://schema", {"dsn": DSN, "kind": "pool"}))
    (span,) = memory.get_finished_spans()
    return span


def redactor(ledger: Ledger | None = None) -> SpanRedactor:
    silent: Any = SimpleNamespace(write=lambda _: None, flush=lambda: None)
    return SpanRedactor(Redactor.from_settings(RedactionSettings()), ledger or Ledger(), Notices(lambda: silent))


def test_rules_are_counted_on_spans_and_no_summary_is_added() -> None:
    """By rule, for the metric and for the report of those that never fire; the summary is a record's."""
    silent: Any = SimpleNamespace(write=lambda _: None, flush=lambda: None)
    own = Redactor.from_settings(RedactionSettings(summary="debug"))
    (safe,) = SpanRedactor(own, Ledger(), Notices(lambda: silent))([finished(leaky)])
    assert {"password", "url-password", "basic-auth"} & set(own.hits) >= {"password", "url-password"}
    assert not [name for name in safe.attributes or {} if name.startswith("redaction.")]


def test_what_other_systems_write_into_the_tracestate_is_redacted() -> None:
    """Of the span and of its links; ids and harmless members stay, and a context without secrets is the same object."""
    state = TraceState([("shop", f"t:{JWT}"), ("rojo", "00f067aa0ba902b7")])
    parent = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)

    def make(tracer: Any) -> None:
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
        tracer.start_span("order", context=context, links=[Link(parent), Link(ELSEWHERE)]).end()

    span = finished(make)
    (safe,) = redactor()([span])
    for before, after in ((span.context, safe.context), (parent, safe.links[0].context)):
        assert before is not None
        assert after is not None
        assert dict(after.trace_state) == {"shop": "t:[REDACTED:jwt]", "rojo": "00f067aa0ba902b7"}
        assert (after.trace_id, after.span_id, after.is_remote) == (before.trace_id, before.span_id, before.is_remote)
        assert after.trace_flags == before.trace_flags
    assert safe.links[1].context is ELSEWHERE


def leaky(tracer: Any) -> None:
    """A secret in every text that a span has."""
    span = tracer.start_span(
        f"GET {DSN}",
        kind=SpanKind.CLIENT,
        attributes={"http.response.status_code": 200, "password": "hunter2", "db.query.text": f"-- {DSN}"},
        links=[Link(ELSEWHERE, {"url.full": DSN, "n": 1})],
    )
    span.add_event(f"retry {DSN}", {"authorization": "Basic c2hvcDpzM2NyM3QtcHc=", "attempt": 2})
    span.record_exception(ConnectionError(f"no route to {DSN}"), {"headers": [f"Bearer {JWT}"]})
    span.set_status(Status(StatusCode.ERROR, f"ConnectionError: {DSN}"))
    span.end()


def test_every_text_of_a_span_is_redacted_and_all_else_stays() -> None:
    """Name, attributes, links', events' and exceptions' attributes, status, scope; ids, times, numbers are kept."""
    span = finished(leaky)
    (safe,) = redactor()([span])
    scope = safe.instrumentation_scope
    assert scope is not None
    shown = safe.to_json() + repr([safe.events[0].name, dict(scope.attributes or {}), safe.status.description])
    for secret in ("s3cr3t-pw", "hunter2", "c2hvcDpzM2NyM3QtcHc", JWT):
        assert secret not in shown
    assert safe.name.startswith("GET postgres://")
    assert safe.attributes is not None
    assert safe.attributes["http.response.status_code"] == 200
    assert safe.events[0].attributes is not None
    assert safe.events[0].attributes["attempt"] == 2
    assert safe.events[1].attributes is not None
    assert str(safe.events[1].attributes["exception.message"]).startswith("no route to postgres://")
    assert "Traceback" not in str(safe.events[1].attributes["exception.message"])
    assert safe.links[0].attributes is not None
    assert (safe.links[0].context, safe.links[0].attributes["n"]) == (ELSEWHERE, 1)
    assert (scope.name, scope.version, scope.schema_url) == ("shop.client", "1.2", "https://schema")
    assert scope.attributes is not None
    assert scope.attributes["kind"] == "pool"
    assert (safe.context, safe.parent, safe.kind, safe.resource) == (
        span.context,
        span.parent,
        span.kind,
        span.resource,
    )
    assert (safe.start_time, safe.end_time, safe.status.status_code) == (
        span.start_time,
        span.end_time,
        StatusCode.ERROR,
    )
    assert [event.timestamp for event in safe.events] == [event.timestamp for event in span.events]


def test_the_span_that_other_processors_see_is_not_changed() -> None:
    """Redaction makes new spans: another exporter may be holding the same object."""
    span = finished(leaky)
    before = span.to_json()
    redactor()([span])
    assert span.to_json() == before


def test_what_the_limits_of_the_sdk_left_out_stays_counted() -> None:
    """The counts of dropped attributes, events and links of the data model survive."""

    def crowded(tracer: Any) -> None:
        many = {f"k{number}": number for number in range(5)}
        span = tracer.start_span("x", attributes=many, links=[Link(ELSEWHERE, many)] * 3)
        for _ in range(4):
            span.add_event("e", many)
        span.end()

    limits = SpanLimits(max_span_attributes=2, max_events=1, max_links=1, max_event_attributes=3)
    span = finished(crowded, limits)
    (safe,) = redactor()([span])
    assert (safe.dropped_attributes, safe.dropped_events, safe.dropped_links) == (3, 3, 2)
    assert safe.events[0].dropped_attributes == 2
    assert safe.links[0].dropped_attributes == span.links[0].dropped_attributes


def test_scopes_are_redacted_once() -> None:
    """All spans of a tracer keep one scope, by which the encoder groups them."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("t", attributes={"dsn": DSN})
    for _ in range(2):
        tracer.start_span("x").end()
    one, two = redactor()(memory.get_finished_spans())
    assert one.instrumentation_scope is two.instrumentation_scope


class Broken(Redactor):
    """Fails on what it is told to fail on."""

    def text(self, text: str, *, tenant: str = "") -> str:
        if text == "bad":
            raise RuntimeError(text)
        return super().text(text, tenant=tenant)


def test_a_span_on_which_redaction_fails_is_dropped_and_counted() -> None:
    """Fails closed: its neighbours are exported, it is not, and the ledger says so."""
    ledger, lines = Ledger(), list[str]()
    stream: Any = SimpleNamespace(write=lines.append, flush=lambda: None)
    spans = [finished(lambda tracer, name=name: tracer.start_span(name).end()) for name in ("good", "bad", "fine")]
    safe = SpanRedactor(Broken.from_settings(RedactionSettings()), ledger, Notices(lambda: stream))(spans)
    assert [span.name for span in safe] == ["good", "fine"]
    assert ledger.snapshot().processor_errors == {"redact_span": 1}
    assert lines == ["logspan: redaction failed on a span, which is dropped: RuntimeError\n"]


class Kept(SpanExporter):
    """Keeps the spans, and the thread that brought them."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.threads: set[int] = set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


def test_nothing_is_sent_when_the_preparation_of_a_batch_fails() -> None:
    """Fails closed as a whole too."""
    kept = Kept()

    def prepare(spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        raise MemoryError(len(spans))

    silent: Any = SimpleNamespace(write=lambda _: None, flush=lambda: None)
    exporter = GuardedSpanExporter(lambda: kept, "somewhere", Notices(lambda: silent), prepare)
    assert exporter.export([finished(leaky)]) is SpanExportResult.FAILURE
    assert kept.spans == []


def test_spans_are_redacted_off_the_callers_thread() -> None:
    """The thread that ends a span does not redact it."""
    kept, threads = Kept(), set()

    def prepare(spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        threads.add(threading.get_ident())
        return spans

    spans = Spans(Resource.get_empty, lambda: GuardedSpanExporter(lambda: kept, "somewhere", Notices(), prepare))
    spans.provider().get_tracer("t").start_span("x").end()
    assert spans.flush(30)
    assert len(kept.spans) == 1
    assert threading.get_ident() not in threads
    assert spans.shutdown(5.0)


@pytest.mark.parametrize(
    ("redaction", "leaks"),
    [({}, ()), ({"spans": False}, (b"s3cr3t-pw",)), ({"enabled": False}, (b"s3cr3t-pw", b"0f-the-env"))],
    ids=["default", "spans off", "redaction off"],
)
def test_the_settings_decide(redaction: dict[str, bool], leaks: tuple[bytes, ...]) -> None:
    """On by default; `redaction.spans` or `redaction.enabled` switches it off. The resource goes with the records."""
    with OtlpSink() as sink:
        settings = Settings(
            otlp=OtlpSettings(endpoint=sink.endpoint),
            redaction=RedactionSettings(**redaction),  # type: ignore[arg-type]
            resource_attributes={"db.password": "0f-the-env"},
        )
        pipeline = build_pipeline(settings, exporters=[InMemoryExporter()])
        installed = install_providers(pipeline, settings)
        leaky(trace.get_tracer("shop.client"))
        assert installed.flush(30)
        sent = b"".join(request.body for request in sink.requests())
        installed()
        assert installed.shutdown(5.0)
        pipeline.shutdown(1.0)
    assert b"postgres://shop" in sent
    assert tuple(secret for secret in (b"s3cr3t-pw", b"0f-the-env") if secret in sent) == leaks
