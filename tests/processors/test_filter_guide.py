"""docs/guides/filter.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry._logs import SeverityNumber

from logspan import Settings, build_pipeline
from logspan.testing import InMemoryExporter, assert_balanced
from tests.core.support import attributes_of, bodies, log

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "filter.md"


def test_the_settings_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The TOML in it is taken, and drops what its comments say."""
    found = re.search(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (tmp_path / "logspan.toml").write_text(found[1])
    monkeypatch.chdir(tmp_path)
    memory = InMemoryExporter()
    pipeline = build_pipeline(Settings(), exporters={"memory": memory})
    log(pipeline, "noise", scope="httpx")
    log(pipeline, "heartbeat 7")
    log(pipeline, "cache hit")
    log(pipeline, "cache hits are fine", thread="x")
    log(pipeline, "quiet", severity=SeverityNumber.DEBUG)
    log(pipeline, "loud", scope="shop.cart", severity=SeverityNumber.DEBUG)
    report = pipeline.shutdown(5.0)
    assert bodies(memory.records()) == ["cache hits are fine", "loud"]
    assert attributes_of(memory.records()[0]) == {"thread": "x"}
    assert report.ledger.filtered == 4
    assert_balanced(report.ledger)
