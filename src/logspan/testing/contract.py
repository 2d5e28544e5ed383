"""The rules that a pipeline relies on in an exporter, and a check of them that its author can run."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import TraceFlags

from logspan.outcome import Delivered, DeliveringExporter, Rejected, Retryable
from logspan.record import Record, exception_attributes, severity
from logspan.testing.rules import SECONDS, ContractError, verify
from logspan.values import safe_str

Factory = Callable[[], LogRecordExporter]
Check = Callable[[LogRecordExporter], None]


def check_exporter_contract(factory: Factory) -> None:
    """Raise `ContractError` if the exporters that `factory` makes break a rule.

    Each call of `factory` gives a new exporter that works: its peer is there and accepts what it gets. A rule is given
    20 seconds.
    """

    def run(check: Check) -> None:
        exporter = factory()
        try:
            check(exporter)
        finally:
            exporter.shutdown()

    verify(CHECKS, run)


def exports_a_batch(exporter: LogRecordExporter) -> None:
    """A batch of ordinary records, of ours and of the SDK's, is a SUCCESS."""
    _expect(exporter.export(sample_batch()), LogRecordExportResult.SUCCESS)


def exports_an_empty_batch(exporter: LogRecordExporter) -> None:
    """An empty batch is a SUCCESS."""
    _expect(exporter.export([]), LogRecordExportResult.SUCCESS)


def survives_hostile_values(exporter: LogRecordExporter) -> None:
    """Values that are hard to write do not raise, and their neighbours are exported."""
    _expect(exporter.export([*sample_batch(), *hostile_batch(), *sample_batch()]), LogRecordExportResult.SUCCESS)


def leaves_the_batch_alone(exporter: LogRecordExporter) -> None:
    """The batch and its records are shared with other exporters, and not to be changed."""
    batch = sample_batch()
    before = [_fields(record) for record in batch]
    items = list(batch)
    exporter.export(batch)
    if batch != items or [_fields(record) for record in batch] != before:
        raise ContractError("the batch was changed")


def delivers_outcomes(exporter: LogRecordExporter) -> None:
    """`deliver` returns one of the three outcomes, and respects its time-out."""
    if not isinstance(exporter, DeliveringExporter):
        return
    started = time.monotonic()
    for timeout in (None, 5.0, 0.0):
        outcome = exporter.deliver(sample_batch(), timeout)
        if not isinstance(outcome, Delivered | Rejected | Retryable):
            raise ContractError(f"returned {type(outcome).__name__}")
    if time.monotonic() - started > SECONDS:
        raise ContractError("took longer than its time-out")


def works_on_another_thread(exporter: LogRecordExporter) -> None:
    """An exporter is used by whichever thread delivers, also by one after the other."""
    _expect(exporter.export(sample_batch()), LogRecordExportResult.SUCCESS)
    results: list[LogRecordExportResult] = []
    thread = threading.Thread(target=lambda: results.append(exporter.export(sample_batch())))
    thread.start()
    thread.join(SECONDS)
    _expect(results[0] if results else None, LogRecordExportResult.SUCCESS)


def flushes_in_time(exporter: LogRecordExporter) -> None:
    """`force_flush` says whether it was done, with a bool, within its time-out."""
    exporter.export(sample_batch())
    started = time.monotonic()
    result: object = exporter.force_flush(1_000)
    if not isinstance(result, bool):
        raise ContractError(f"returned {type(result).__name__}")
    if time.monotonic() - started > 2.0:
        raise ContractError("took longer than its time-out")


def refuses_after_shutdown(exporter: LogRecordExporter) -> None:
    """After `shutdown` a batch is a FAILURE, and neither raises; a second `shutdown` changes nothing."""
    exporter.export(sample_batch())
    exporter.shutdown()
    _expect(exporter.export(sample_batch()), LogRecordExportResult.FAILURE)
    exporter.shutdown()


def works_after_a_fork(exporter: LogRecordExporter) -> None:
    """After `reset_after_fork` it exports with connections of its own."""
    if not isinstance(exporter, DeliveringExporter):
        return
    exporter.export(sample_batch())
    exporter.reset_after_fork()
    _expect(exporter.export(sample_batch()), LogRecordExportResult.SUCCESS)


CHECKS: tuple[Check, ...] = (
    exports_a_batch,
    exports_an_empty_batch,
    survives_hostile_values,
    leaves_the_batch_alone,
    delivers_outcomes,
    works_on_another_thread,
    flushes_in_time,
    refuses_after_shutdown,
    works_after_a_fork,
)


def sample_batch() -> list[ReadableLogRecord]:
    """Ordinary records: one with every field, one with hardly any, and one that the SDK made."""
    full = _record("order placed", {"order_id": 42, "total": 9.5, "paid": True, "items": ["a", "b"], "who": {"id": 1}})
    full.trace_id, full.span_id, full.trace_flags = (
        0x0AF7651916CD43DD8448EB211C80319C,
        0xB7AD6B7169203331,
        TraceFlags(1),
    )
    full.event_name = "order.placed"
    sdk = LogRecord(timestamp=time.time_ns(), severity_number=SeverityNumber.WARN, severity_text="WARN", body="plain")
    return [full, _record("", {}), ReadableLogRecord(sdk, _resource(), InstrumentationScope("api"))]


def hostile_batch() -> list[ReadableLogRecord]:
    """What clean values can still hold, and an exception."""
    texts = ["a\ud800b", "nul\0", "\r\n2026-01-01 forged\x1b[31m\x85\u202e", "x" * 100_000, "", "\U0001f600"]
    numbers: list[Any] = [2**63 - 1, -(2**63), math.nan, math.inf, -math.inf, 5e-324, -0.0]
    nested: list[Any] = [b"\x00\xff", None, [], {}, [None, [[]]], {"": {"": None}}, {"\ud800": "\udfff"}]
    error = ValueError("a\n\x1b[2Jb")
    error.__cause__ = KeyError("cause")
    records = [_record(value, {"value": value, "": value, "k\n\ud800": value}) for value in (*texts, *numbers, *nested)]
    return [*records, _record(None, {}), _record("failed", exception_attributes(error))]


def _record(body: Any, attributes: dict[str, Any]) -> Any:
    record = Record(InstrumentationScope("contract"), *severity(20), body, attributes)
    record.resource = _resource()
    return record


def _resource() -> Resource:
    return Resource({"service.name": "contract"})


def _fields(item: ReadableLogRecord) -> tuple[Any, ...]:
    log = item.log_record
    attributes = copy.deepcopy(dict(log.attributes or {}))
    return (log.timestamp, log.body, log.severity_number, attributes, log.trace_id, item.resource)


def _expect(result: object, expected: LogRecordExportResult) -> None:
    if result is not expected:
        raise ContractError(f"returned {safe_str(result)}, not {expected}")
