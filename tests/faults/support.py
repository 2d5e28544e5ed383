"""What the tests of faults share: a caller that remembers what it logged, sinks, the final account."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan import Settings, build_pipeline
from logspan.ledger import ExporterSnapshot, LedgerSnapshot
from logspan.pipeline import Pipeline
from logspan.processors.enrich import Enrichers
from logspan.testing import FakeClock, OtlpGrpcSink, OtlpSink, ReceivedRecord, assert_balanced

HTTP, GRPC = "http/protobuf", "grpc"
PROTOCOLS = (HTTP, GRPC)
QUICK = {"initial_interval": 0.002, "max_interval": 0.02, "max_elapsed_time": 0}
NO_JITTER = {"randomization_factor": 0.0}

Sink = OtlpSink | OtlpGrpcSink


def sink_of(protocol: str, **arguments: Any) -> Sink:
    """A receiver for a protocol, not started yet."""
    return OtlpGrpcSink(**arguments) if protocol == GRPC else OtlpSink(**arguments)


def port_of(sink: Sink) -> int:
    """Where it listens."""
    return int(sink.endpoint.rsplit(":", 1)[1])


def settings_for(endpoint: str, protocol: str = HTTP, **more: Any) -> Settings:
    """Settings with one OTLP exporter, which tries again quickly; sections given here are merged into these."""
    sections: dict[str, Any] = {
        "otlp": {"endpoint": endpoint, "protocol": protocol},
        "retry_on_failure": QUICK,
        "sending_queue": {"schedule_delay": 0.01},
    }
    for name, value in more.items():
        sections[name] = {**sections.get(name, {}), **value} if isinstance(value, dict) else value
    return Settings(service_name="faults", exporters=["otlp"], **sections)


class Start:
    """Builds pipelines, and shuts down after the test what the test has left running."""

    def __init__(self) -> None:
        self._pipelines: list[tuple[Pipeline, FakeClock | None]] = []

    def __call__(
        self,
        endpoint: str,
        protocol: str = HTTP,
        clock: FakeClock | None = None,
        enrichers: Enrichers = (),
        **more: Any,
    ) -> Pipeline:
        """One with one OTLP exporter."""
        settings = settings_for(endpoint, protocol, **more)
        return self._add(build_pipeline(settings, clock=clock, enrichers=enrichers), clock)

    def several(
        self, exporters: Mapping[str, LogRecordExporter], clock: FakeClock | None = None, **more: Any
    ) -> Pipeline:
        """One with exporters of the test's own."""
        sections = {"retry_on_failure": QUICK, "sending_queue": {"schedule_delay": 0.01}, **more}
        settings = Settings(service_name="faults", **sections)
        return self._add(build_pipeline(settings, exporters=exporters, clock=clock), clock)

    def _add(self, pipeline: Pipeline, clock: FakeClock | None) -> Pipeline:
        self._pipelines.append((pipeline, clock))
        return pipeline

    def end(self) -> None:
        """Shut all of them down, each by its own clock."""
        for pipeline, clock in self._pipelines:
            with contextlib.nullcontext() if clock is None else running(clock):
                pipeline.shutdown(timeout=1)


class Caller:
    """An application that numbers its records, through the OTel API."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._provider = pipeline.logger_provider
        self._numbers = itertools.count()
        self.ids: list[int] = []

    def log(self, count: int = 1, severity: SeverityNumber = SeverityNumber.INFO, **attributes: Any) -> list[int]:
        """Log so many records; their ids."""
        logger = self._provider.get_logger("app")
        made = list(itertools.islice(self._numbers, count))
        for number in made:
            logger.emit(
                body=f"record {number}",
                severity_number=severity,
                severity_text=severity.name,
                attributes={"id": number, **attributes},
            )
        self.ids += made
        return made


def ids(records: Iterable[ReceivedRecord]) -> list[Any]:
    """The numbers that arrived, in order."""
    return [record.attributes["id"] for record in records]


def account(
    pipeline: Pipeline, caller: Caller, arrived: Iterable[Any], *, name: str = "otlp", timeout: float | None = None
) -> tuple[LedgerSnapshot, ExporterSnapshot]:
    """The end of a test: shut down; the ledger balances, and says what the caller and the sink know on their own."""
    snapshot = assert_balanced(pipeline.shutdown(timeout).ledger)
    exporter = snapshot.exporters[name]
    distinct = Counter(arrived)
    assert snapshot.emitted == len(caller.ids)
    assert set(distinct) <= set(caller.ids)
    assert exporter.delivered == len(distinct), f"{exporter.delivered} counted as delivered, {len(distinct)} arrived"
    assert exporter.lost + sum(snapshot.dropped.values()) == len(set(caller.ids) - set(distinct))
    return snapshot, exporter


def end_of(name: str) -> None:
    """Wait for the end of a thread that was left behind."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(30)
            assert not thread.is_alive()


class Gate:
    """What a sink's `decide` waits at, until the test opens it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.open = self._open.set

    def __call__(self, request: object) -> None:
        self._open.wait(30)


@contextlib.contextmanager
def running(clock: FakeClock, step: float = 0.05, pause: float = 0.001) -> Iterator[Callable[[float], bool]]:
    """Let a clock run fast: `step` seconds of its own every `pause`; gives a way to wait until it has come so far."""
    stop, changed = threading.Event(), threading.Condition()

    def run() -> None:
        while not stop.wait(pause):
            clock.advance(step)
            with changed:
                changed.notify_all()

    def reaches(time: float) -> bool:
        with changed:
            return changed.wait_for(lambda: clock.monotonic() >= time, 30)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield reaches
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Without pytest's own handlers on the root logger: they raise at what is logged here."""
    theirs = [handler for handler in logging.root.handlers if "pytest" in type(handler).__module__]
    for handler in theirs:
        logging.root.removeHandler(handler)
    try:
        yield
    finally:
        for handler in theirs:
            logging.root.addHandler(handler)
