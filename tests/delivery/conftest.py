"""The fixtures of the core's tests, and an end for every outlet: its thread would be seen by other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from logspan.testing import InMemoryExporter
from tests.core.conftest import build
from tests.delivery.support import Kit

__all__ = ["build", "end_of_outlets"]


@pytest.fixture(autouse=True)
def end_of_outlets() -> Iterator[None]:
    """Close what the test has opened, where it has not done so itself."""
    yield
    while Kit.opened:
        kit = Kit.opened.pop()
        kit.close(0)
        if isinstance(kit.outlet.exporter, InMemoryExporter):
            kit.outlet.exporter.release()
        kit.outlet.join(kit.clock.monotonic() + 10)
