from pathlib import Path

from own_exporter import ErrorFile

from logspan import Settings, build_pipeline
from logspan.testing import InMemoryExporter, check_exporter_contract


def test_it_keeps_the_rules(tmp_path: Path) -> None:
    check_exporter_contract(lambda: ErrorFile(tmp_path / "errors.txt"))


def test_a_record_comes_out(tmp_path: Path) -> None:
    memory = InMemoryExporter()
    exporters = {"memory": memory, "errors": ErrorFile(tmp_path / "errors.txt")}
    pipeline = build_pipeline(Settings(service_name="test"), exporters=exporters)
    logger = pipeline.logger_provider.get_logger("orders")

    logger.emit(body="placed", attributes={"order_id": 42})

    assert pipeline.flush(timeout=5.0)
    (record,) = memory.records()
    assert record.log_record.attributes == {"order_id": 42}
    assert pipeline.shutdown().complete
    assert pipeline.ledger.snapshot().balanced
