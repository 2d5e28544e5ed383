"""What the sources' tests share: a provider that keeps what it gets, and programs that are run for real."""

import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from logspan.context import ROUTING
from logspan.record import Record
from logspan.sources import ORDER, ProcessSources, Wishes


class Sink:
    """A real provider of the SDK, and the records that came through it."""

    def __init__(self) -> None:
        self._exporter = InMemoryLogRecordExporter()  # the SDK's
        self.provider = LoggerProvider(
            resource=Resource.get_empty(), shutdown_on_exit=False, meter_provider=NoOpMeterProvider()
        )
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))

    @property
    def records(self) -> list[Record]:
        found = [readable.log_record for readable in self._exporter.get_finished_logs()]
        assert all(isinstance(record, Record) for record in found)
        return found  # type: ignore[return-value]

    @property
    def bodies(self) -> list[Any]:
        return [record.body for record in self.records]

    @property
    def only(self) -> Record:
        (record,) = self.records
        return record

    def scopes(self) -> list[str]:
        return [record.instrumentation_scope.name for record in self.records if record.instrumentation_scope]


@pytest.fixture
def sink() -> Sink:
    """A sink of its own for each test."""
    return Sink()


@pytest.fixture
def routed(sink: Sink) -> Iterator[Sink]:
    """A sink that the records of the whole process go to."""
    ROUTING.install(sink.provider)
    yield sink
    ROUTING.uninstall(sink.provider)


Install = Callable[..., ProcessSources]


def wishes(*names: str, console: bool = False, level: int = logging.INFO, servers: bool = True) -> Wishes:
    """The wishes of a pipeline for the named sources (default: all)."""
    return Wishes(
        names=frozenset(names or ORDER),
        stdlib="logging" in (names or ORDER),
        servers=servers,
        console=console,
        code_location=True,
        level=level,
    )


@pytest.fixture
def install(routed: Sink) -> Iterator[Install]:
    """Installs the named sources (default: all) and takes them away at the end; other loggers stay as they were."""
    sources = ProcessSources()
    holder = object()

    def start(*names: str, **options: Any) -> ProcessSources:
        sources.retain(holder, wishes(*names, **options))
        return sources

    yield start
    sources.release(holder)


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> logging.Logger:
    """A logger of its own for each test, outside of the tree: nobody else's handler gets its records."""
    return logging.Logger(f"tests.{request.node.name}", logging.DEBUG)


PRELUDE = """
import json, logging, sys
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from logspan.context import ROUTING
from logspan.sources import ORDER, ProcessSources, Wishes

exporter = InMemoryLogRecordExporter()
provider = LoggerProvider(shutdown_on_exit=False)
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
sources = ProcessSources()

def start(*names, console=True, level=20):
    ROUTING.install(provider)
    names = names or ORDER
    sources.retain("test", Wishes(frozenset(names), "logging" in names, True, console, True, level))

def stop():
    sources.release("test")
    ROUTING.uninstall(provider)

def report():
    records = [readable.log_record for readable in exporter.get_finished_logs()]
    keep = lambda r: {"body": r.body, "severity": r.severity_text, "scope": r.instrumentation_scope.name,
                      "attributes": {k: v for k, v in r.attributes.items() if not isinstance(v, bytes)}}
    sys.__stdout__.write("\\nREPORT " + json.dumps([keep(r) for r in records]) + "\\n")
    sys.__stdout__.flush()
"""


class Ran:
    """What a program wrote, and the records that it reported."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.returncode = done.returncode
        self.stderr = done.stderr
        self.stdout, _, reported = done.stdout.partition("\nREPORT ")
        self.records: list[dict[str, Any]] = json.loads(reported.splitlines()[0]) if reported else []

    @property
    def bodies(self) -> list[Any]:
        return [record["body"] for record in self.records]


@pytest.fixture
def run() -> Callable[[str], Ran]:
    """Runs a program in an interpreter of its own; it calls `start()`, `stop()` and `report()`."""

    def execute(program: str) -> Ran:
        text = PRELUDE + textwrap.dedent(program)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=50, check=False)
        ran = Ran(done)
        assert ran.records or done.returncode == 0, done.stderr
        return ran

    return execute
