"""R2.1, R8.3: the OTel globals of ours: they follow, they can be undone, and spans keep the deadline of the logs."""

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry import trace
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from logspan.context import ROUTING
from logspan.notices import Notices
from logspan.providers import DelegatingLoggerProvider, DelegatingMeterProvider, DelegatingTracerProvider
from logspan.providers.spans import GuardedSpanExporter, Spans, otlp_span_exporter
from logspan.settings import OtlpSettings
from logspan.testing import OtlpSink, Reply

OWNER, OTHER = LoggerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)


def sdk_tracers() -> tuple[TracerProvider, InMemorySpanExporter]:
    """A provider of the SDK, and what its spans end up in."""
    provider, memory = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return provider, memory


def names(memory: InMemorySpanExporter) -> list[str]:
    """The names of the spans that have ended."""
    return [span.name for span in memory.get_finished_spans()]


def test_a_tracer_follows_where_its_provider_is_pointed() -> None:
    """R2.1: a tracer that was handed out early makes real spans later, none after undoing, and real ones again."""
    delegating = DelegatingTracerProvider()
    tracer = delegating.get_tracer("early")
    assert not tracer.start_span("before").is_recording()
    first, first_memory = sdk_tracers()
    delegating.point(OWNER, lambda: first)
    tracer.start_span("one").end()
    delegating.unpoint(OWNER)
    assert not tracer.start_span("between").is_recording()
    second, second_memory = sdk_tracers()
    delegating.point(OWNER, lambda: second)
    tracer.start_span("two").end()
    assert (names(first_memory), names(second_memory)) == (["one"], ["two"])


async def test_a_decorator_applied_before_there_is_a_target_follows_too() -> None:
    """R2.1: `start_as_current_span` decorates functions and coroutines, and asks for its tracer at each call."""
    delegating = DelegatingTracerProvider()
    tracer = delegating.get_tracer("early")

    @tracer.start_as_current_span("function")
    def function() -> int:
        return 1

    @tracer.start_as_current_span("coroutine")
    async def coroutine() -> int:
        return 2

    provider, memory = sdk_tracers()
    delegating.point(OWNER, lambda: provider)
    with tracer.start_as_current_span("block"):
        assert (function(), await coroutine()) == (1, 2)
    assert names(memory) == ["function", "coroutine", "block"]
    parents = {span.parent.span_id for span in memory.get_finished_spans()[:2] if span.parent}
    assert parents == {memory.get_finished_spans()[2].context.span_id}


def test_spans_go_where_the_records_of_the_same_context_go() -> None:
    """R2.3: of two pipelines in one process, each gets the spans of its own context; the first gets the rest."""
    delegating = DelegatingTracerProvider()
    tracer = delegating.get_tracer("shared")
    (first, first_memory), (second, second_memory) = sdk_tracers(), sdk_tracers()
    delegating.point(OWNER, lambda: first)
    delegating.point(OTHER, lambda: second)
    token = ROUTING.current.set(OTHER)
    tracer.start_span("second's").end()
    ROUTING.current.reset(token)
    tracer.start_span("nobody's").end()
    assert (names(first_memory), names(second_memory)) == (["nobody's"], ["second's"])


def test_what_only_the_sdk_provider_has_is_the_targets() -> None:
    """R8.3: `get_tracer_provider().add_span_processor(...)` works as with the SDK's own."""
    delegating = DelegatingTracerProvider()
    provider, _ = sdk_tracers()
    delegating.point(OWNER, lambda: provider)
    more = InMemorySpanExporter()
    delegating.add_span_processor(SimpleSpanProcessor(more))
    delegating.get_tracer("x").start_span("seen").end()
    assert names(more) == ["seen"]


@pytest.fixture
def routed() -> Iterator[LoggerProvider]:
    """A provider that records go to."""
    provider = LoggerProvider(shutdown_on_exit=False)
    ROUTING.install(provider)
    yield provider
    ROUTING.uninstall(provider)


def test_a_record_through_the_api_goes_where_all_records_go_unless_it_is_claimed(routed: LoggerProvider) -> None:
    """R1.2: the OTel logs API is one more source; what another part makes a record of is not made twice."""
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    memory = InMemoryLogRecordExporter()
    routed.add_log_record_processor(SimpleLogRecordProcessor(memory))
    delegating = DelegatingLoggerProvider()
    logger = delegating.get_logger("library")
    assert logger.enabled()
    undo = delegating.add_claim(lambda scope, event, error: (scope, event) == ("library", "claimed"))
    logger.emit(body="one", event_name="free")
    logger.emit(body="two", event_name="claimed")
    undo()
    logger.emit(body="three", event_name="claimed")
    assert [record.log_record.body for record in memory.get_finished_logs()] == ["one", "three"]
    ROUTING.uninstall(routed)
    assert not logger.enabled()


def test_instruments_follow_where_their_provider_is_pointed() -> None:
    """R8.1: every kind of instrument that was handed out early measures in each later target."""
    delegating = DelegatingMeterProvider()
    meter = delegating.get_meter("early")
    counter, both = meter.create_counter("counter"), meter.create_up_down_counter("both")
    histogram, gauge = meter.create_histogram("histogram"), meter.create_gauge("gauge")
    observed = [Observation(3)]
    meter.create_observable_counter("observable_counter", [lambda _: observed])
    meter.create_observable_gauge("observable_gauge", [lambda _: observed])
    meter.create_observable_up_down_counter("observable_both", [lambda _: observed])
    counter.add(1)
    for _ in range(2):
        reader = InMemoryMetricReader()
        target = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        delegating.point(OWNER, lambda target=target: target)  # type: ignore[misc]
        counter.add(1)
        both.add(-1)
        histogram.record(0.5)
        gauge.set(7)
        data = reader.get_metrics_data()
        assert data is not None
        seen = {metric.name for metric in data.resource_metrics[0].scope_metrics[0].metrics}
        expected = {"counter", "both", "histogram", "gauge"}
        assert seen == expected | {"observable_counter", "observable_gauge", "observable_both"}
        target.shutdown()


def spans_to(sink: OtlpSink, **otlp: Any) -> Spans:
    """Spans of a shop that go to a sink."""
    settings = OtlpSettings(endpoint=sink.endpoint, **otlp)
    return Spans(lambda: Resource.create({"service.name": "shop"}), otlp_span_exporter(settings))


def test_spans_reach_the_endpoint_of_the_settings_and_nothing_else_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """R2.1: endpoint, headers and compression are those of the settings, whatever the environment says."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/elsewhere")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-from=environment")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "deflate")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with OtlpSink() as sink:
        spans = spans_to(sink, headers={"x-tenant": "a"}, compression="gzip")
        spans.provider().get_tracer("t").start_span("request").end()
        assert spans.flush(30)
        (span,) = sink.spans()
        assert (span.name, span.resource["service.name"]) == ("request", "shop")
        (request,) = sink.requests()
        assert request.path == "/v1/traces"
        assert request.headers["x-tenant"] == "a"
        assert request.headers["content-encoding"] == "gzip"
        assert "x-from" not in request.headers
        assert spans.shutdown(5.0)


@pytest.mark.parametrize("end", ["flush", "shutdown"])
def test_a_hanging_endpoint_does_not_hold_longer_than_the_deadline(end: str) -> None:
    """R3.2: flush and shutdown of spans come back in time, and say that they did not succeed."""
    with OtlpSink([Reply(delay=60.0)]) as sink:
        spans = spans_to(sink, timeout=30.0)
        spans.provider().get_tracer("t").start_span("request").end()
        began = time.monotonic()
        assert getattr(spans, end)(0.2) is False
        assert time.monotonic() - began < 15.0
        assert sink.wait_for(requests=1)


def test_a_failing_exporter_is_told_of_once_and_raises_nothing() -> None:
    """R10.2: an exporter that cannot even be made is said on stderr, not to the application."""

    def broken() -> SpanExporter:
        raise OSError("no such certificate")

    lines: list[str] = []
    stream: Any = SimpleNamespace(write=lines.append, flush=lambda: None)
    exporter = GuardedSpanExporter(broken, "http://collector:4318", Notices(lambda: stream))
    for _ in range(3):
        assert exporter.export([]).name == "FAILURE"
    exporter.shutdown()
    assert lines == ["logspan: spans could not be exported to http://collector:4318\n"]


def test_no_exporter_is_made_where_nobody_said_where_spans_go() -> None:
    """R2.1: without an endpoint spans exist for their ids, and end without a thread."""
    assert otlp_span_exporter(OtlpSettings()) is None
    spans = Spans(Resource.get_empty, None)
    assert spans.provider().get_tracer("t").start_span("x").get_span_context().is_valid
    assert spans.flush(0.0)
    assert spans.shutdown(0.0)


def test_threads_that_come_first_together_have_one_provider() -> None:
    """Each has begun to make one: all but the first that was made are taken down."""
    together = threading.Barrier(4)

    def resource() -> Resource:
        together.wait(30.0)
        return Resource.get_empty()

    spans = Spans(resource, None)
    with ThreadPoolExecutor(4) as pool:
        provided = {id(made.result(30.0)) for made in [pool.submit(spans.provider) for _ in range(4)]}
    assert provided == {id(spans.provider())}
    assert spans.provider().get_tracer("shop").start_span("order").is_recording()
    assert spans.shutdown(5.0)


def run(program: str, **environment: str) -> str:
    """Run a program in a process of its own: OTel's globals can be set once only."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LOGSPAN_"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**clean, **environment},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


INSTALL = """
    from logspan.assemble import build_pipeline
    from logspan.providers import install_providers
    from logspan.settings import Settings
    from logspan.testing import InMemoryExporter
    from opentelemetry import trace, metrics, _logs
    def install(**settings):
        settings = Settings(**settings)
        pipeline = build_pipeline(settings, exporters=[InMemoryExporter()])
        return pipeline, install_providers(pipeline, settings)
"""


def test_the_globals_are_set_when_nobody_has_undone_and_set_again() -> None:
    """R2.1, R8.3: ids exist after installing, not after undoing, and again after a second time."""
    out = run(
        INSTALL
        + """
    tracer = trace.get_tracer("early")
    for name in ("one", "two"):
        pipeline, undo = install(service_name=name)
        assert trace.get_tracer("x").start_span("s").resource.attributes["service.name"] == name
        print(tracer.start_span("s").get_span_context().is_valid, _logs.get_logger("x").enabled() is not None)
        undo()
        print(tracer.start_span("s").get_span_context().is_valid)
        pipeline.shutdown(1)
    """
    )
    assert out.split() == ["True", "True", "False"] * 2


def test_providers_that_others_have_set_are_left_alone() -> None:
    """R8.3: under `opentelemetry-instrument` and the like there is nothing of ours in the globals."""
    out = run(
        INSTALL
        + """
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    theirs = TracerProvider()
    trace.set_tracer_provider(theirs)
    pipeline, undo = install()
    print(trace.get_tracer_provider() is theirs)
    undo()
    print(theirs.get_tracer("x").start_span("s").is_recording())
    pipeline.shutdown(1)
    """
    )
    assert out.split() == ["True", "True"]


@pytest.mark.parametrize("settings", ["sdk_disabled=True", "tracing={'instrumentation': 'off'}"])
def test_what_is_switched_off_sets_no_tracer_provider(settings: str) -> None:
    """R2.1: a tracer provider alone would make FastAPI's own telemetry begin."""
    out = run(INSTALL + f"    install({settings})\n    print(type(trace.get_tracer_provider()).__name__)")
    assert out == "ProxyTracerProvider"


def test_a_forked_child_exports_its_own_spans_under_its_own_resource() -> None:
    """R3.2, R4.1: spans of a preforked worker arrive with the worker's process id, those of its parent with theirs."""
    with OtlpSink() as sink:
        out = run(
            INSTALL
            + """
    import os
    pipeline, undo = install(otlp={"endpoint": os.environ["SINK"]})
    trace.get_tracer("x").start_span("parent").end()
    child = os.fork()
    if not child:
        trace.get_tracer("x").start_span("child").end()
        undo()
        undo.shutdown(5)
        os._exit(0)
    os.waitpid(child, 0)
    undo()
    undo.shutdown(5)
    print(os.getpid(), child)
    pipeline.shutdown(1)
    """,
            SINK=sink.endpoint,
        )
        parent, child = map(int, out.split())
        assert {span.name: span.resource["process.pid"] for span in sink.spans()} == {"parent": parent, "child": child}


def test_where_nothing_is_traced_the_trace_of_others_goes_on() -> None:
    """A tracer whose pipeline is gone hides nothing from those who make spans beside it."""
    others = TracerProvider(shutdown_on_exit=False).get_tracer("others")
    tracer = DelegatingTracerProvider().get_tracer("app")
    with others.start_as_current_span("theirs") as theirs, tracer.start_as_current_span("ours"):
        assert trace.get_current_span().get_span_context() == theirs.get_span_context()


@pytest.mark.parametrize("end_on_exit", [True, False])
def test_a_current_span_is_like_the_sdk_s_own(*, end_on_exit: bool) -> None:
    """Parent, attributes, links, the exception and its status, the end."""
    own, provider = TracerProvider(shutdown_on_exit=False), DelegatingTracerProvider()
    provider.point(OWNER, lambda: own)
    outer = own.get_tracer("outer").start_span("outer")
    options: dict[str, Any] = {"attributes": {"a": 1}, "links": [trace.Link(outer.get_span_context())], "start_time": 5}

    def made_by(tracer: trace.Tracer) -> ReadableSpan:
        with (
            contextlib.suppress(ValueError),
            trace.use_span(outer),
            tracer.start_as_current_span("s", end_on_exit=end_on_exit, **options) as span,
        ):
            assert trace.get_current_span() is span
            raise ValueError("no")
        return cast("ReadableSpan", span)

    stock, ours = made_by(own.get_tracer("x")), made_by(provider.get_tracer("x"))
    for part in ("name", "kind", "attributes", "start_time", "parent"):
        assert getattr(ours, part) == getattr(stock, part)
    assert [link.context for link in ours.links] == [link.context for link in stock.links]
    assert (ours.status.status_code, ours.status.description) == (stock.status.status_code, stock.status.description)
    assert [event.name for event in ours.events] == [event.name for event in stock.events] == ["exception"]
    assert (ours.end_time is not None) is (stock.end_time is not None) is end_on_exit
