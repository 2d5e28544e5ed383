"""What the tests of exporters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from logspan.testing import OtlpSink


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """A receiver that takes everything."""
    with OtlpSink() as sink:
        yield sink
