"""Spans of one pipeline: an SDK tracer provider for each process, and the stock OTLP exporter, told what to use."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from logspan.clock import Latch
from logspan.context import mark_pipeline_thread
from logspan.forks import in_children
from logspan.notices import Notices

if TYPE_CHECKING:
    import requests

    from logspan.settings import OtlpSettings, OtlpTarget

Prepare = Callable[[Sequence[ReadableSpan]], Sequence[ReadableSpan]]

_LOOK = 0.05
"""Seconds."""


class Spans:
    """The tracer provider of this process, made when its first span is: a fork leaves threads and channels behind.

    `resource` gives the resource of the process that asks; `exporter` makes the exporter, or is None for spans that
    exist for their ids only.
    """

    def __init__(self, resource: Callable[[], Resource], exporter: Callable[[], SpanExporter] | None) -> None:
        self._resource = resource
        self._exporter = exporter
        self._built: list[_Process] = []
        """One, and for a moment more where several threads came first: the first counts."""
        self._of_parents: list[_Process] = []
        in_children(self._leave_to_parent)

    def _leave_to_parent(self) -> None:
        """Kept, as nobody knows what it would mean to take a parent's channels down in a child."""
        self._of_parents += self._built
        self._built = []

    def provider(self) -> TracerProvider:
        """The provider for this process."""
        return (self._built[0] if self._built else self._build()).provider

    def _build(self) -> _Process:
        made, built = _Process(self._resource(), self._exporter), self._built
        built.append(made)
        if built[0] is not made:  # two threads came first
            built.remove(made)
            made.abandon()
        return built[0]

    def flush(self, timeout: float) -> bool:
        """Export what has ended, `timeout` seconds at most; True when all of it was handed to the exporter in time.

        With 0 the export begins, and a later call waits for it.
        """
        return all(process.begin(process.provider.force_flush).wait(timeout) for process in self._built[:1])

    def shutdown(self, timeout: float) -> bool:
        """Export what has ended and stop, `timeout` seconds at most; what is left then is lost. 0 as in `flush`."""
        return all(process.end().wait(timeout) for process in self._built[:1])


class _Done:
    """An event without a lock of its own: a signal handler may wait for what the interrupted code waits for."""

    def __init__(self) -> None:
        self._done = False
        self._latch = Latch()

    def set(self) -> None:
        """It is done."""
        self._done = True
        self._latch.ring()

    def wait(self, timeout: float) -> bool:
        """Wait until it is done, `timeout` seconds at most; whether it is."""
        deadline = time.monotonic() + timeout
        while not self._done and (left := deadline - time.monotonic()) > 0:
            self._latch.wait(min(left, _LOOK))  # the ring wakes one only, and others may be waiting
        return self._done


class _Process:
    """A provider and, where spans are exported, a thread that waits for the exporter in place of whoever flushes.

    The SDK's own `force_flush` and `shutdown` keep no deadline, and at interpreter exit no thread can be started.
    """

    def __init__(self, resource: Resource, exporter: Callable[[], SpanExporter] | None) -> None:
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], _Done] | None] = queue.SimpleQueue()
        self._exports = exporter is not None
        self._ended: _Done | None = None
        if exporter is not None:
            self.provider.add_span_processor(BatchSpanProcessor(exporter()))
            threading.Thread(target=self._serve, name="logspan-spans", daemon=True).start()

    def begin(self, job: Callable[[], Any]) -> _Done:
        """Have the thread do a job; what is returned is set when it is done. After the end there is nothing to do."""
        if self._ended is not None:
            return self._ended
        done = _Done()
        if self._exports:
            self._jobs.put((job, done))
        else:
            job()
            done.set()
        return done

    def end(self) -> _Done:
        """The same of the shutdown, which happens once."""
        if self._ended is None:
            self._ended = self.begin(self.provider.shutdown)
            self._jobs.put(None)  # and the thread ends
        return self._ended

    def abandon(self) -> None:
        """Stop a provider that has never had a span."""
        self._jobs.put(None)
        self.provider.shutdown()

    def _serve(self) -> None:
        mark_pipeline_thread()
        while (work := self._jobs.get()) is not None:
            job, done = work
            try:
                job()
            except Exception:  # the SDK's; what it could not export is lost, as its exporter has said
                pass
            done.set()


def _as_they_are(spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
    return spans


class GuardedSpanExporter(SpanExporter):
    """Makes the real exporter at the first batch, keeps what it logs out of the pipeline, and says once what failed."""

    def __init__(
        self,
        make: Callable[[], SpanExporter],
        address: str,
        notices: Notices,
        prepare: Prepare = _as_they_are,
    ) -> None:
        """`prepare` makes the spans that are sent from those that ended; where it raises, none are."""
        self._make = make
        self._address = address
        self._notices = notices
        self._prepare = prepare
        self._exporter: SpanExporter | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch; never raises."""
        result = contextvars.copy_context().run(self._export, spans)
        if result is not SpanExportResult.SUCCESS:
            self._notices.say("spans", f"spans could not be exported to {self._address}")
        return result

    def _export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        mark_pipeline_thread()
        try:
            if self._exporter is None:
                self._exporter = self._make()
            return self._exporter.export(self._prepare(spans))
        except Exception:
            return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Close the connection, if there is one."""
        if self._exporter is not None:
            contextvars.copy_context().run(self._shutdown, self._exporter)

    @staticmethod
    def _shutdown(exporter: SpanExporter) -> None:
        mark_pipeline_thread()
        exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        del timeout_millis
        return True


def otlp_span_exporter(settings: OtlpSettings, prepare: Prepare = _as_they_are) -> Callable[[], SpanExporter] | None:
    """What makes the stock OTLP exporter for spans, as `prepare` leaves them; None when nobody said where they go."""
    if not settings.has_traces_endpoint:
        return None
    target = settings.resolved_traces_endpoint()
    make = _grpc_exporter if target.protocol == "grpc" else _http_exporter
    return lambda: GuardedSpanExporter(lambda: make(target, settings), target.address, Notices(), prepare)


def _http_exporter(target: OtlpTarget, settings: OtlpSettings) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    session = _session(_revealed(target))
    exporter = OTLPSpanExporter(
        endpoint=target.address,
        timeout=settings.timeout,
        compression=Compression.Gzip if settings.compression == "gzip" else Compression.NoCompression,
        session=session,
    )
    # The exporter's own arguments fall back to the environment where the settings have nothing.
    session.verify = str(settings.certificate) if settings.certificate else True
    session.cert = _client_certificate(settings)
    return exporter


def _session(headers: dict[str, str]) -> requests.Session:
    import requests

    class Session(requests.Session):
        """Sends the protocol's headers and ours, none that the exporter found in the environment."""

        def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
            own = {
                name: value
                for name, value in (options.pop("headers", None) or {}).items()
                if name.lower() in ("content-type", "content-encoding", "user-agent")
            }
            return super().request(method, url, headers={**own, **headers}, **options)

    session = Session()
    session.trust_env = False
    return session


def _client_certificate(settings: OtlpSettings) -> str | tuple[str, str] | None:
    if settings.client_certificate is None:
        return None
    if settings.client_key is None:
        return str(settings.client_certificate)
    return str(settings.client_certificate), str(settings.client_key)


def _grpc_exporter(target: OtlpTarget, settings: OtlpSettings) -> SpanExporter:
    import grpc  # type: ignore[import-untyped]
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def content(path: Any) -> bytes | None:
        return path.read_bytes() if path else None

    credentials = grpc.ssl_channel_credentials(
        content(settings.certificate), content(settings.client_key), content(settings.client_certificate)
    )
    return OTLPSpanExporter(
        # The exporter takes a scheme apart again; the address has none, and `insecure` is what decides.
        endpoint=target.address,
        insecure=not target.secure,
        credentials=credentials if target.secure else None,
        headers=tuple(_revealed(target).items()) or " ",  # an empty one would be looked up in the environment
        timeout=settings.timeout,
        compression=grpc.Compression.Gzip if settings.compression == "gzip" else grpc.Compression.NoCompression,
    )


def _revealed(target: OtlpTarget) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in target.headers.items()}
