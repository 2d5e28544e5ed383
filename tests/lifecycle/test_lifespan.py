"""R3.2: what follows the end of the lifespan, in this process: delivered at once, within the time that is left."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from fastapi import FastAPI
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult

from logspan import Settings, instrument_app
from logspan.install import Handle
from logspan.outcome import Delivered, DeliveringExporter
from logspan.settings import MetricsSettings, SendingQueueSettings, TracingSettings
from logspan.signals import HURRY, Patience
from tests.fastapi.support import TestClient

logger = logging.getLogger("tests.lifespan")


class Gate(DeliveringExporter):
    """Keeps bodies; holds each batch back while it is shut."""

    def __init__(self) -> None:
        self.bodies: list[object] = []
        self.open = threading.Event()
        self.open.set()

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Delivered:
        self.open.wait()
        self.bodies += [readable.log_record.body for readable in batch]
        return Delivered()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self.deliver(batch)
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is open."""


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def app() -> FastAPI:
    return FastAPI()


@pytest.fixture
def handle(app: FastAPI, gate: Gate) -> Iterator[Handle]:
    """Its records wait for a minute for their batch to fill, unless somebody is in a hurry."""
    settings = Settings(
        shutdown_timeout=0.6,
        sending_queue=SendingQueueSettings(schedule_delay=60.0),
        tracing=TracingSettings(instrumentation="off"),
        metrics=MetricsSettings(enabled=False),
    )
    with instrument_app(app, settings, exporters={"gate": gate}) as made:
        yield made
        gate.open.set()


def test_a_record_after_the_end_has_left_when_the_call_returns(app: FastAPI, gate: Gate, handle: Handle) -> None:
    """The last lines of a server arrive, though nothing of ours runs after them."""
    with TestClient(app):
        logger.warning("during")
        assert gate.bodies == []
    assert gate.bodies == ["during"]
    logger.warning("after")
    assert gate.bodies == ["during", "after"]


def test_a_new_lifespan_makes_everything_as_it_was(app: FastAPI, gate: Gate, handle: Handle) -> None:
    """An app that is started again does not wait for its records."""
    with TestClient(app):
        pass
    with TestClient(app):
        gate.open.clear()
        logger.warning("not waited for")
        assert gate.bodies == []
        gate.open.set()
    assert gate.bodies == ["not waited for"]


def test_all_waits_share_one_time(app: FastAPI, gate: Gate, handle: Handle) -> None:
    """With an exporter that hangs the lifespan's end takes what there is, later records nothing; nothing is lost."""
    gate.open.clear()
    with TestClient(app):
        logger.warning("during")
    assert handle.patience.left() == 0
    for number in range(5):
        logger.warning("after %d", number)
    gate.open.set()
    assert handle.flush(10)
    assert gate.bodies == ["during", *(f"after {number}" for number in range(5))]
    assert handle.shutdown().complete


def test_patience() -> None:
    """Waits that overlap count once, a cut leaves less and never more, a rest renews."""
    patience = Patience(5.0)
    assert patience.left() == 5.0
    with patience.waiting(), patience.waiting():
        time.sleep(0.01)
        during = patience.left()
        assert during < 5.0
    after = patience.left()
    assert 0 < after <= during
    time.sleep(0.01)
    assert patience.left() == after
    patience.renew_when_rested()
    assert patience.left() == after
    patience.cut(9.0)
    assert patience.left() == after
    patience.cut(HURRY)
    assert patience.left() <= HURRY
    with patience.waiting():
        patience.cut(0.0)
        assert patience.left() == 0
    patience.renew()
    assert patience.left() == 5.0
