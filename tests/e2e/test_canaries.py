"""The canaries once more, through a real Collector: its file exporter has written every one, and no secret of any."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.canary.search import leaks, missing
from tests.canary.support import CANARIES, on, plant, service
from tests.e2e.backends.run import collector, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_no_canary_reaches_a_collector(tmp_path: Path, protocol: str) -> None:
    """Log records and spans, over both protocols; what the Collector logs itself is looked at too."""
    with collector(tmp_path) as gate:
        endpoint = gate.http_endpoint if protocol == "http/protobuf" else f"http://{gate.grpc_endpoint}"
        with service(
            tmp_path / "service",
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            LOGSPAN_EXPORTERS="console,otlp",
            LOGSPAN_REQUEST__RECORD="false",
        ) as running:
            plant(running)
        wait_for(lambda: not missing(gate.logs_file.read_bytes(), on("logs")))
        wait_for(lambda: not missing(gate.traces_file.read_bytes(), on("spans")))
    written = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert leaks(written, CANARIES) == []
