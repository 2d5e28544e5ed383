"""What the tests of the core share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.clock import Clock
from logspan.pipeline import Pipeline
from tests.core.support import built

Build = Callable[..., Pipeline]


@pytest.fixture
def build() -> Iterator[Build]:
    """Builds pipelines from exporters by name and settings, and shuts them down after the test."""
    pipelines: list[Pipeline] = []

    def make(
        clock: Clock | None = None, settings: dict[str, Any] | None = None, **exporters: LogRecordExporter
    ) -> Pipeline:
        pipelines.append(built(exporters, clock, **(settings or {})))
        return pipelines[-1]

    yield make
    for pipeline in pipelines:
        pipeline.shutdown(timeout=2)
