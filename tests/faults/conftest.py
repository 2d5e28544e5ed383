"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.support import PROTOCOLS, Sink, Start, sink_of


@pytest.fixture
def start() -> Iterator[Start]:
    """Builds pipelines that are shut down after the test."""
    made = Start()
    yield made
    made.end()


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    """Each of the two protocols of OTLP."""
    return str(request.param)


@pytest.fixture
def sink(protocol: str) -> Iterator[Sink]:
    """A receiver for this protocol, which takes everything."""
    with sink_of(protocol) as sink:
        yield sink
