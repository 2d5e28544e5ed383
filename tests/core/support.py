"""What the tests of the core share: pipelines that are shut down again, and a short way to log."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.assemble import build_pipeline
from logspan.clock import Clock, Latch, SystemClock
from logspan.pipeline import Pipeline
from logspan.record import Record
from logspan.settings import Settings

SCOPE = InstrumentationScope("app")


def built(exporters: Mapping[str, LogRecordExporter], clock: Clock | None = None, **settings: Any) -> Pipeline:
    """A pipeline that is called `test`; sections of the settings as dicts."""
    return build_pipeline(Settings(service_name="test", **settings), exporters=exporters, clock=clock)


def log(
    pipeline: Pipeline,
    body: Any = "hello",
    *,
    scope: str = "app",
    severity: SeverityNumber = SeverityNumber.INFO,
    **attributes: Any,
) -> None:
    """One log call, as a source makes it."""
    logger = pipeline.logger_provider.get_logger(scope)
    logger.emit(Record(InstrumentationScope(scope), severity, severity.name, body, attributes))


class WorkersClock(SystemClock):
    """Tells what the delivery worker of one pipeline waits for: for work, or for a `schedule_delay` of a minute."""

    REST = 60.0

    def __init__(self) -> None:
        self.idle, self.rests = threading.Event(), threading.Event()

    def wait(self, latch: Latch, timeout: float) -> bool:
        if threading.current_thread().name == "logspan-delivery":
            (self.rests if timeout == self.REST else self.idle).set()
        return super().wait(latch, timeout)


def rest(pipeline: Pipeline, clock: WorkersClock) -> None:
    """Have the worker wait for `schedule_delay`, which it does after some work; until then no log call wakes it.

    After a flush it may be idle instead, if it was quick enough to do the work before it was asked to.
    """
    assert clock.idle.wait(20)
    log(pipeline, "work")
    assert clock.rests.wait(20)


def record(body: Any = "hello", scope: str = "app", severity: int = 9, **attributes: Any) -> Record:
    """A record that has not gone anywhere yet."""
    number = SeverityNumber(severity)
    made = Record(InstrumentationScope(scope), number, number.name, body, attributes)
    made.resource = Resource({})
    return made


def bodies(records: Sequence[ReadableLogRecord]) -> list[Any]:
    """What was logged."""
    return [item.log_record.body for item in records]


def attributes_of(item: ReadableLogRecord) -> dict[str, Any]:
    """The attributes of a delivered record."""
    return dict(item.log_record.attributes or {})
