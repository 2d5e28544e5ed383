"""The OTel globals: providers of ours stand there when nobody has set any, and can be pointed somewhere and away.

`set_tracer_provider` and its sisters work once in a process and cannot be undone. So what is set is a delegating
provider, which stays; `install_providers` points it at the SDK providers of a pipeline, and undoing points it at a
no-op. Under `opentelemetry-instrument`, or when the application has set its own, nothing is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry._logs import LoggerProvider, get_logger_provider, set_logger_provider
from opentelemetry.sdk.trace.export import SpanExporter

from logspan.metrics import observe_redaction
from logspan.notices import Notices
from logspan.providers.loggers import DelegatingLoggerProvider
from logspan.providers.meters import DelegatingMeterProvider, OwnMeterProvider
from logspan.providers.redaction import SpanRedactor
from logspan.providers.spans import Spans, otlp_span_exporter
from logspan.providers.tracers import DelegatingTracerProvider

if TYPE_CHECKING:
    from logspan.pipeline import Pipeline
    from logspan.settings import Settings

__all__ = [
    "DelegatingLoggerProvider",
    "DelegatingMeterProvider",
    "DelegatingTracerProvider",
    "InstalledProviders",
    "install_providers",
]

_UNSET = frozenset({"ProxyTracerProvider", "_ProxyMeterProvider", "ProxyLoggerProvider"})


class InstalledProviders:
    """What `install_providers` returns: call it to undo."""

    def __init__(self, owner: LoggerProvider, spans: Spans | None) -> None:
        self._owner = owner
        self._spans = spans

    def flush(self, timeout: float) -> bool:
        """Export the spans that have ended, `timeout` seconds at most; True when that is done.

        With 0 the export begins, and a later call waits for it.
        """
        return self._spans is None or self._spans.flush(timeout)

    def shutdown(self, timeout: float) -> bool:
        """Export the spans that have ended and stop, `timeout` seconds at most; with 0 as in `flush`."""
        return self._spans is None or self._spans.shutdown(timeout)

    def __call__(self) -> None:
        """Point the globals away from this pipeline, and begin to stop its providers; `shutdown` waits for that."""
        for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
            if isinstance(provider, DelegatingTracerProvider | DelegatingMeterProvider):
                provider.unpoint(self._owner)
        self.shutdown(0.0)


def install_providers(pipeline: Pipeline, settings: Settings) -> InstalledProviders:
    """Set up tracing, metrics and the OTel logs API for a pipeline, each where nobody has.

    Spans go to the OTLP endpoint of the settings, redacted, when there is one and `tracing.export` is on; otherwise
    they exist for their ids. With `tracing.instrumentation` off there is no tracer provider, as FastAPI's own telemetry
    would make spans as soon as there is one. Touches nothing when `sdk_disabled` is on.
    """
    owner = pipeline.logger_provider
    if settings.sdk_disabled:
        return InstalledProviders(owner, None)
    if _unset(get_logger_provider()):
        set_logger_provider(DelegatingLoggerProvider())
    spans = None
    if settings.tracing.instrumentation != "off" and (tracers := _tracers()) is not None:
        spans = Spans(lambda: pipeline.resource, _span_exporter(pipeline, settings))
        tracers.point(owner, spans.provider)
    if settings.metrics.enabled:
        _install_meters(pipeline)
    return InstalledProviders(owner, spans)


def _install_meters(pipeline: Pipeline) -> None:
    """Measure what the pipeline counts with the provider of whoever has set one, else with one of ours."""
    provider = metrics.get_meter_provider()
    if (meters := _meters()) is not None:
        provider = real = OwnMeterProvider(resource=pipeline.resource, shutdown_on_exit=False)
        meters.point(pipeline.logger_provider, lambda: real)
    if pipeline.redactor is not None:
        observe_redaction(provider, pipeline.redactor)


def _span_exporter(pipeline: Pipeline, settings: Settings) -> Callable[[], SpanExporter] | None:
    """What makes the exporter of a process, behind redaction; None when spans are not exported."""
    if not settings.tracing.export:
        return None
    if pipeline.redactor is None or not settings.redaction.spans:
        return otlp_span_exporter(settings.otlp)
    return otlp_span_exporter(settings.otlp, SpanRedactor(pipeline.redactor, pipeline.ledger, Notices()))


def _unset(provider: object) -> bool:
    """Whether this is the API's stand-in for a provider that nobody has set; the API has no question for it."""
    return type(provider).__name__ in _UNSET and type(provider).__module__.startswith("opentelemetry.")


def _tracers() -> DelegatingTracerProvider | None:
    if _unset(trace.get_tracer_provider()):
        trace.set_tracer_provider(DelegatingTracerProvider())
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, DelegatingTracerProvider) else None


def _meters() -> DelegatingMeterProvider | None:
    if _unset(metrics.get_meter_provider()):
        metrics.set_meter_provider(DelegatingMeterProvider())
    provider = metrics.get_meter_provider()
    return provider if isinstance(provider, DelegatingMeterProvider) else None
