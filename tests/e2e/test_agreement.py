"""Where logspan does what the Collector does as well, both must agree."""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

import pytest
import yaml
from opentelemetry.sdk._logs import Logger
from opentelemetry.trace import SpanContext, TraceFlags

from logspan import Pipeline, Settings, build_pipeline
from logspan.processors.sample import TraceIdSampler
from logspan.record import Record, severity
from logspan.settings import FileSettings, OtlpSettings
from tests.e2e.backends.run import collector, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def emit(pipeline: Pipeline, trace_ids: list[int]) -> None:
    """One record for each trace id."""
    logger = cast("Logger", pipeline.logger_provider.get_logger("agreement"))
    number, text = severity(20)
    for index, trace_id in enumerate(trace_ids):
        context = SpanContext(trace_id, 1, is_remote=False, trace_flags=TraceFlags(1))
        scope = logger.instrumentation_scope
        logger.emit(Record(scope, number, text, f"record {index}", {"index": index}, span_context=context))


@pytest.mark.parametrize("seed", [0, 22])
@pytest.mark.parametrize("percentage", [0.5, 15, 70])
def test_both_samplers_keep_the_same_traces(tmp_path: Path, seed: int, percentage: float) -> None:
    """Our sampler keeps exactly the traces that the Collector's probabilistic_sampler keeps, with the same settings."""
    chance = random.Random(seed)
    trace_ids = [chance.getrandbits(128) | 1 for _ in range(3_000)]
    overlay = tmp_path / "sampler.yaml"
    overlay.write_text(
        yaml.safe_dump(
            {
                "processors": {"probabilistic_sampler": {"sampling_percentage": percentage, "hash_seed": seed}},
                "service": {"pipelines": {"logs": {"processors": ["probabilistic_sampler"]}}},
            }
        )
    )
    with collector(tmp_path, overlays=[overlay]) as gate:
        everything = Settings(exporters=["otlp"], otlp=OtlpSettings(endpoint=gate.http_endpoint))
        pipeline = build_pipeline(everything)
        emit(pipeline, trace_ids)
        assert pipeline.shutdown(20).complete
        theirs = wait_for(lambda: {int(record["trace_id"], 16) for record in gate.records()})
    ours = {trace_id for trace_id in trace_ids if TraceIdSampler(percentage, seed).keeps(trace_id)}
    assert ours == theirs


def test_the_collector_reads_our_files(tmp_path: Path) -> None:
    """The Collector's otlp_json_file receiver reads back whole what the file exporter writes, also rotated files."""
    folder = tmp_path / "files"
    settings = Settings(
        exporters=["file"], file=FileSettings(path=folder / "shop.jsonl", max_bytes=40_000, backup_count=50)
    )
    pipeline = build_pipeline(settings)
    emit(pipeline, [7] * 2_000)
    assert pipeline.shutdown(20).complete
    assert len(list(folder.iterdir())) > 2
    overlay = tmp_path / "files.yaml"
    overlay.write_text(
        yaml.safe_dump(
            {
                "receivers": {"otlp_json_file": {"include": [f"{folder}/shop*.jsonl*"], "start_at": "beginning"}},
                "service": {"pipelines": {"logs": {"receivers": ["otlp", "otlp_json_file"]}}},
            }
        )
    )
    with collector(tmp_path, overlays=[overlay]) as gate:
        records = wait_for(lambda: found if len(found := gate.records()) >= 2_000 else [])
    assert sorted(record["attributes"]["index"] for record in records) == list(range(2_000))
    assert {record["trace_id"] for record in records} == {f"{7:032x}"}
