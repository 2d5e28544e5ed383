"""What a stranger runs first: `make demo`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from examples import demo
from logspan.testing import OtlpSink

ROOT = Path(__file__).parents[1]


def run_demo(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run it as make does."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LOGSPAN_"))}
    return subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=ROOT,
        env={**clean, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )


@pytest.mark.slow
def test_the_demo_shows_the_records_by_trace_and_a_ledger_that_balances() -> None:
    """R1.2, R2.1, R2.2: five requests, each with its records, and nothing lost."""
    done = run_demo()
    assert done.returncode == 0, done.stdout + done.stderr
    for call in demo.CALLS:
        assert f"{call.method:<5}{call.path}" in done.stdout
        assert all(body in done.stdout for body in call.bodies)
    assert "file: fanned_out" in done.stdout
    assert "✓ 5 requests" in done.stdout


@pytest.mark.slow
def test_with_an_endpoint_the_demo_ships_there_as_well() -> None:
    """R2.1, R8.3: records and spans of one trace arrive there."""
    with OtlpSink() as sink:
        done = run_demo(OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "otlp: fanned_out" in done.stdout
        requests = [record for record in sink.records() if record.event_name == "http.server.request"]
        assert len(requests) == len(demo.CALLS)
        spans = {span.trace_id: span for span in sink.spans() if not span.parent_span_id}
        assert {(record.trace_id, record.span_id) for record in requests} == {
            (span.trace_id, span.span_id) for span in spans.values()
        }


def test_the_demo_says_what_is_missing() -> None:
    """R1.2: an answer without its records, and a ledger that does not balance, are told of."""
    answer = demo.Answer(demo.CALLS[1], 404, "0" * 31 + "1", 1.0)
    problems = list(demo.check_records([answer], []))
    assert any("no such product" in problem for problem in problems)
    assert any("request record" in problem for problem in problems)
    exporter: dict[str, Any] = {"fanned_out": 2, "adopted": 0, "routed_away": 0, "delivered": 1, "rejected": {}}
    exporter |= {"dropped": {}, "spooled": 0, "in_flight": 0}
    ledger: dict[str, Any] = {"emitted": 3, "filtered": 0, "sampled_out": 0, "dropped": {}, "held": 0, "queued": 0}
    ledger |= {"fanned_out": 2, "exporters": {"file": exporter}}
    assert len(list(demo.check_ledger({"complete": False, "ledger": ledger}))) == 4
