"""What is compared: each variant gives a log call and a way to wait until everything is delivered.

Every call logs one record with a message, five attributes of ordinary types and the run's id and number, inside a span.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

MESSAGE = "order placed"


class Variant(NamedTuple):
    log: Callable[[int], None]
    drain: Callable[[], None]
    """Deliver what is there and shut down."""


def attributes(run: str, number: int) -> dict[str, object]:
    return {"run": run, "n": number, "user": "u-1234", "amount": 12.5, "paid": True}


def _stdlib_logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]
    return logger


def floor(_endpoint: str, run: str) -> Variant:
    """An empty handler: what `logging` itself costs."""

    class Empty(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            pass

    logger = _stdlib_logger(Empty())
    return Variant(lambda n: logger.info(MESSAGE, extra=attributes(run, n)), lambda: None)


def stock(endpoint: str, run: str) -> Variant:
    """The SDK's own handler, batch processor and OTLP/HTTP exporter, with their default sizes."""
    import warnings

    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger = _stdlib_logger(LoggingHandler(logger_provider=provider))
    return Variant(lambda n: logger.info(MESSAGE, extra=attributes(run, n)), provider.shutdown)


def _pipeline(endpoint: str, *, redaction: bool = True) -> object:
    from logspan import Settings, build_pipeline
    from logspan.settings import OtlpSettings, RedactionSettings

    return build_pipeline(
        Settings(
            service_name="bench",
            exporters=["otlp"],
            otlp=OtlpSettings(endpoint=endpoint),
            redaction=RedactionSettings(enabled=redaction),
        )
    )


def logspan_stdlib(endpoint: str, run: str, *, redaction: bool = True) -> Variant:
    """The same call through `logging` and our handler, default settings."""
    from logspan.sources.stdlib import LogspanHandler

    pipeline = _pipeline(endpoint, redaction=redaction)
    logger = _stdlib_logger(LogspanHandler(pipeline.logger_provider))
    return Variant(lambda n: logger.info(MESSAGE, extra=attributes(run, n)), lambda: pipeline.shutdown(60))


def logspan_stdlib_unredacted(endpoint: str, run: str) -> Variant:
    """The same with redaction switched off."""
    return logspan_stdlib(endpoint, run, redaction=False)


def logspan_facade(endpoint: str, run: str) -> Variant:
    """`get_logger()`, without `logging` in between."""
    from logspan import get_logger
    from logspan.context import ROUTING

    pipeline = _pipeline(endpoint)
    ROUTING.install(pipeline.logger_provider)
    logger = get_logger("shop.orders")
    return Variant(lambda n: logger.info(MESSAGE, **attributes(run, n)), lambda: pipeline.shutdown(60))


VARIANTS: dict[str, Callable[[str, str], Variant]] = {
    "empty handler": floor,
    "stock": stock,
    "logspan": logspan_stdlib,
    "logspan, no redaction": logspan_stdlib_unredacted,
    "logspan get_logger": logspan_facade,
}
