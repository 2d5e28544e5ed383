"""R7.3: what redaction has found, by rule, as a metric of whichever provider the process has."""

from __future__ import annotations

import gc
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from logspan.metrics import observe_redaction
from logspan.processors.redact import Redactor
from logspan.settings import RedactionSettings
from tests.test_providers import INSTALL, run


def redactor() -> Redactor:
    return Redactor.from_settings(RedactionSettings())


def points(reader: InMemoryMetricReader, name: str = "logspan.redaction.hits") -> list[tuple[str, Any]]:
    """The rules that are reported, with their counts."""
    data = reader.get_metrics_data()
    return [
        (str(point.attributes["logspan.redaction.rule"]), point.value)  # type: ignore[index, union-attr]
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


def test_every_rule_is_reported_with_its_hits() -> None:
    """Those that never fired too, as 0: they are what one looks for."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    observed = redactor()
    observe_redaction(provider, observed)
    observed.attributes({"password": "hunter2"})
    observed.attributes({"password": "hunter2"})
    counts = dict(points(reader))
    assert set(counts) == set(observed.rules)
    assert counts["password"] == 2
    assert sum(counts.values()) == 2
    provider.shutdown()


def test_rules_that_failed_are_reported() -> None:
    """By rule; those that never did are left out."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    observed = Redactor.from_settings(RedactionSettings(timeout=1e-9))
    observe_redaction(provider, observed)
    observed.text("to postgres://shop:hunter2@db/")
    failed = points(reader, "logspan.redaction.failures")
    assert dict(failed) == dict(observed.failures)
    assert sum(count for _, count in failed) == 1
    provider.shutdown()


def test_two_pipelines_are_both_reported_and_one_that_is_gone_is_not() -> None:
    """The provider is the application's, and outlives what is observed."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    first, second = redactor(), redactor()
    for observed in (first, second):
        observe_redaction(provider, observed)
    first.attributes({"password": "hunter2"})
    assert sorted(value for rule, value in points(reader) if rule == "password") == [0, 1]
    del first, observed
    gc.collect()
    assert [value for rule, value in points(reader) if rule == "password"] == [0]
    provider.shutdown()


READ = """
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from tests.test_metrics import points
    reader = InMemoryMetricReader()
    def hits():
        return [value for rule, value in points(reader) if rule == "password"]
    """


def test_the_applications_own_provider_has_them() -> None:
    """Where somebody has set a meter provider, that one is asked."""
    out = run(
        f"""{INSTALL}{READ}
    from opentelemetry.sdk.metrics import MeterProvider
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
    pipeline, undo = install()
    pipeline.redactor.attributes({{"password": "hunter2"}})
    print(*hits())
    """
    )
    assert out == "1"


def test_without_one_a_reader_can_be_added_to_ours() -> None:
    """The provider that stands in the global takes readers; with `metrics.enabled` off there is nothing."""
    program = f"""{INSTALL}{READ}
    pipeline, undo = install(metrics={{"enabled": ENABLED}})
    if ENABLED:
        metrics.get_meter_provider().add_metric_reader(reader)
        pipeline.redactor.attributes({{"password": "hunter2"}})
    print(*hits()) if ENABLED else print(type(metrics.get_meter_provider()).__name__)
    """
    assert run(program.replace("ENABLED", "True")) == "1"
    assert run(program.replace("ENABLED", "False")) == "_ProxyMeterProvider"


def test_instruments_of_others_count_from_the_first_reader_on() -> None:
    """Where nobody reads, nothing is worked out: FastAPI measures each request three times."""
    out = run(
        f"""{INSTALL}
    from opentelemetry.sdk.metrics import Counter
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    pipeline, undo = install()
    asked, add = [], Counter.add
    Counter.add = lambda self, *args: asked.append(args) or add(self, *args)
    meter = metrics.get_meter("shop")
    counter, histogram, gauge = meter.create_counter("n"), meter.create_histogram("h"), meter.create_gauge("g")
    def measure(number):
        counter.add(number)
        histogram.record(number)
        gauge.set(number)
    measure(1)
    print(asked)
    reader = InMemoryMetricReader()
    metrics.get_meter_provider().add_metric_reader(reader)
    measure(2)
    measure(3)
    (resource,) = reader.get_metrics_data().resource_metrics
    data = {{metric.name: metric.data for scope in resource.scope_metrics for metric in scope.metrics}}
    print(data["n"].data_points[0].value, data["h"].data_points[0].sum, data["g"].data_points[0].value)
    """
    )
    assert out.splitlines() == ["[]", "5 5 3"]


def test_whoever_asks_is_told_that_nobody_reads() -> None:
    """FastAPI asks at each request whether the provider is a no-op: it is one, until there is a reader; and after."""
    out = run(
        f"""{INSTALL}
    from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from logspan.providers import DelegatingMeterProvider
    pipeline, undo = install()
    provider = metrics.get_meter_provider()
    def kinds():
        asked = (NoOpMeterProvider, MeterProvider, DelegatingMeterProvider)
        print(*(isinstance(provider, kind) for kind in asked), type(provider) is DelegatingMeterProvider)
    kinds()
    provider.add_metric_reader(InMemoryMetricReader())
    kinds()
    undo()
    kinds()
    """
    )
    assert out.splitlines() == ["True True True True", "False True True True", "True True True True"]


def test_requests_are_measured_from_the_first_reader_on() -> None:
    """FastAPI's own telemetry: a request that was running when the reader came is not counted off."""
    out = run(
        """
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from logspan import Settings, instrument_app
    reader = InMemoryMetricReader()
    app = FastAPI()
    @app.get("/begin")
    async def begin():
        metrics.get_meter_provider().add_metric_reader(reader)
    @app.get("/orders")
    async def orders():
        return []
    with instrument_app(app, Settings(exporters=[], tracing={"instrumentation": "native"})):
        client = TestClient(app)
        client.get("/orders")
        client.get("/begin")
        client.get("/orders")
        (resource,) = reader.get_metrics_data().resource_metrics
        found = {metric.name: metric.data for scope in resource.scope_metrics for metric in scope.metrics}
        print(found["http.server.request.duration"].data_points[0].count)
        print([point.value for point in found["http.server.active_requests"].data_points])
    """
    )
    assert out.splitlines() == ["1", "[0]"]
