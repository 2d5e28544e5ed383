"""A program with no web app, a pipeline of its own, and a redactor on its own."""

from collections.abc import Mapping
from typing import assert_type

from opentelemetry.util.types import AnyValue

from logspan import (
    Handle,
    LedgerSnapshot,
    LogspanError,
    Redactor,
    Settings,
    SettingsError,
    bound,
    build_pipeline,
    configure_logging,
    unbind,
)
from logspan.testing import InMemoryExporter


def main() -> int:
    try:
        handle = configure_logging(Settings(service_name="nightly"))
    except SettingsError as error:
        assert_type(error, SettingsError)
        return 2
    assert_type(handle, Handle)
    assert_type(bound(), Mapping[str, AnyValue])
    unbind("order_id").reset()
    return 0 if handle.shutdown().complete else 1


def separate() -> LedgerSnapshot:
    pipeline = build_pipeline(Settings(), exporters={"memory": InMemoryExporter()})
    try:
        return pipeline.ledger.snapshot()
    finally:
        pipeline.shutdown(timeout=1.0)


def redact(redactor: Redactor) -> str:
    assert_type(redactor.attributes({"user": {"password": "x"}}), dict[str, AnyValue])
    return redactor.text("Authorization: Bearer abc")


def is_ours(error: Exception) -> bool:
    return isinstance(error, LogspanError)
