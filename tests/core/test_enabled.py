"""What a source may ask before it makes a record, and what is left out when it is not wanted."""

from __future__ import annotations

import logging

from opentelemetry._logs import SeverityNumber

from logspan.sources.facade import StructuredLogger
from logspan.sources.stdlib import LogspanHandler
from logspan.testing import InMemoryExporter
from tests.core.conftest import Build


def test_enabled_answers_as_the_filter_does(build: Build) -> None:
    """A logger below its least severity, or excluded, says so before a record is made."""
    pipeline = build(
        settings={"level": "INFO", "filter": {"excluded_scopes": ["noisy"], "scope_levels": {"shop": "DEBUG"}}},
        mem=InMemoryExporter(),
    )
    provider = pipeline.logger_provider
    assert provider.get_logger("shop.orders").enabled(severity_number=SeverityNumber.DEBUG)
    assert not provider.get_logger("other").enabled(severity_number=SeverityNumber.DEBUG)
    assert provider.get_logger("other").enabled(severity_number=SeverityNumber.INFO)
    assert not provider.get_logger("noisy.child").enabled(severity_number=SeverityNumber.FATAL)
    pipeline.shutdown()
    assert not provider.get_logger("other").enabled(severity_number=SeverityNumber.FATAL)


def test_the_code_location_can_be_left_out(build: Build) -> None:
    """With `enrich.code_location` off no record tells where it was made, whatever its source."""
    memory = InMemoryExporter()
    pipeline = build(settings={"enrich": {"code_location": False}}, mem=memory)
    StructuredLogger("facade", pipeline.logger_provider).info("one")
    record = logging.LogRecord("stdlib", logging.INFO, "file.py", 1, "two", (), None)
    LogspanHandler(pipeline.logger_provider).handle(record)
    assert pipeline.flush(30)
    assert [record.log_record.body for record in memory.records()] == ["one", "two"]
    assert [key for record in memory.records() for key in record.log_record.attributes or {} if "code." in key] == []
