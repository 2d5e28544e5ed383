"""R3.2: what follows the end of the lifespan, in this process: delivered at once, within the time that is left."""

import asyncio
import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult

from logspan import Settings, instrument_app
from logspan.install import Handle
from logspan.outcome import Delivered, DeliveringExporter
from logspan.settings import MetricsSettings, SendingQueueSettings, TracingSettings
from logspan.signals import HURRY, Patience, taking_turns
from logspan.testing import InMemoryExporter
from tests.core.support import bodies
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
def patience() -> float:
    """Seconds that the end may take; not to be reached where nothing hangs."""
    return 30.0


@pytest.fixture
def handle(app: FastAPI, gate: Gate, patience: float) -> Iterator[Handle]:
    """Its records wait for a minute for their batch to fill, unless somebody is in a hurry."""
    settings = Settings(
        shutdown_timeout=patience,
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


@pytest.mark.parametrize("patience", [0.6])
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


def test_an_exporter_that_keeps_up_loses_nothing_to_one_that_hangs(app: FastAPI, gate: Gate) -> None:
    """The one that hangs has taken all the time: the other has each record all the same, and the end has a moment."""
    memory = InMemoryExporter()
    settings = Settings(
        shutdown_timeout=0.3,
        sending_queue=SendingQueueSettings(schedule_delay=60.0),
        tracing=TracingSettings(instrumentation="off"),
        metrics=MetricsSettings(enabled=False),
    )
    handle = instrument_app(app, settings, exporters={"gate": gate, "memory": memory})
    gate.open.clear()
    with TestClient(app):
        logger.warning("during")
    assert handle.patience.left() == 0
    logger.warning("after")
    assert memory.wait_for(2, 20)
    assert bodies(memory.records()) == ["during", "after"]
    logger.warning("nobody waits for it")
    handle.drain()
    assert bodies(memory.records()) == ["during", "after", "nobody waits for it"]
    gate.open.set()
    handle.uninstrument()


class Lifespan:
    """What a server does to an app's lifespan, step by step."""

    def __init__(self, app: FastAPI) -> None:
        self._to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.create_task(app({"type": "lifespan", "state": {}}, self._to_app.get, self._from_app.put))

    async def start(self) -> None:
        await self._to_app.put({"type": "lifespan.startup"})
        assert (await self._from_app.get())["type"] == "lifespan.startup.complete"

    async def begin_to_end(self) -> None:
        await self._to_app.put({"type": "lifespan.shutdown"})


async def test_a_cancelled_end_passes_on(app: FastAPI, gate: Gate, handle: Handle) -> None:
    """Fault 36: the event loop goes on meanwhile, the cancellation is its sender's, and the records are kept."""
    lifespan = Lifespan(app)
    await lifespan.start()
    gate.open.clear()
    logger.warning("during")
    await lifespan.begin_to_end()
    for _ in range(20):  # were the loop held up by the flush, the first of these would see its end
        await asyncio.sleep(0.001)
        assert not lifespan.task.done()
    lifespan.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lifespan.task
    assert gate.bodies == []
    gate.open.set()
    logger.warning("after")
    assert gate.bodies == ["during", "after"]


async def test_a_cancelled_task_keeps_its_records(gate: Gate, handle: Handle) -> None:
    """Fault 36: what a task logs when it is cancelled, or while it flushes beside the loop, arrives."""

    async def work() -> None:
        try:
            logger.warning("works")
            await asyncio.to_thread(handle.flush, 10)
        except asyncio.CancelledError:
            logger.warning("cancelled")
            raise

    gate.open.clear()
    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open.set()
    assert handle.flush(10)
    assert gate.bodies == ["works", "cancelled"]


def test_a_closed_loop_is_no_matter(gate: Gate, handle: Handle) -> None:
    """Fault 36: records, a flush and a shutdown need no event loop, also where there was one."""

    async def main() -> None:
        logger.warning("inside")

    asyncio.run(main())
    logger.warning("outside")
    assert handle.flush(10)
    assert gate.bodies == ["inside", "outside"]
    assert handle.shutdown().complete


def test_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that overlap count once, a cut leaves less and never more, a rest renews."""
    now = [100.0]
    monkeypatch.setattr("logspan.signals.time.monotonic", lambda: now[0])
    patience = Patience(5.0)
    assert patience.left() == 5.0
    with patience.waiting(), patience.waiting():
        now[0] += 0.5
        assert patience.left() == 4.5
    now[0] += HURRY / 2
    assert patience.left() == 4.5
    patience.renew_when_rested()
    assert patience.left() == 4.5
    patience.cut(9.0)
    assert patience.left() == 4.5
    patience.cut(HURRY)
    assert patience.left() == HURRY
    with patience.waiting():
        patience.cut(0.0)
        assert patience.left() == 0
    patience.renew()
    assert patience.left() == 5.0


def test_a_second_signal_before_the_end_counts_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 2: it came while requests were still running; what is left is not renewed, until it was long ago."""
    now = [100.0]
    monkeypatch.setattr("logspan.signals.time.monotonic", lambda: now[0])
    patience = Patience(5.0)
    now[0] += 60
    patience.cut(HURRY)
    now[0] += 2
    patience.renew_when_rested()
    assert patience.left() == HURRY
    now[0] += 60
    patience.renew_when_rested()
    assert patience.left() == 5.0


def test_ends_that_take_turns_have_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each its share of what is left; what one does not need is there for those behind it."""
    now = [100.0]
    monkeypatch.setattr("logspan.signals.time.monotonic", lambda: now[0])
    first, second, third = patiences = [Patience(6.0) for _ in range(3)]
    now[0] += 60
    shares = []
    for number, patience in enumerate(patiences):
        with taking_turns(patience, patiences[number + 1 :]), patience.waiting():
            shares.append(patience.left())
            now[0] += 1.0 if patience is first else patience.left()
    assert shares == [2.0, 2.5, 2.5]
    assert (second.left(), third.left()) == (0, 0)
