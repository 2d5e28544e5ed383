"""A FastAPI service under uvicorn with one worker, whose endpoint logs three records.

python -m benchmarks.web_service VARIANT ENDPOINT RUN     prints its port; when its stdin is closed, stops, delivers
what is there and prints the CPU seconds that it took since its first request.
"""

from __future__ import annotations

import itertools
import logging
import socket
import sys
import threading
import warnings
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from benchmarks.measure import cpu_seconds

logger = logging.getLogger("shop.orders")


def make_app(run: str, started: list[float]) -> FastAPI:
    app = FastAPI()
    numbers = itertools.count()

    @app.get("/orders/{order}")
    async def read_order(order: int) -> dict[str, int]:
        if not started:
            started.append(cpu_seconds())
        extra = {"run": run, "user": "u-1234", "amount": 12.5, "paid": True}
        logger.info("order asked for", extra={**extra, "n": next(numbers)})
        logger.info("order %d found", order, extra={**extra, "n": next(numbers)})
        logger.info("order sent", extra={**extra, "n": next(numbers)})
        return {"order": order}

    return app


def bare(_app: FastAPI, _endpoint: str) -> Callable[[], object]:
    logger.setLevel(logging.ERROR)
    return lambda: None


def stock_logs(_app: FastAPI, endpoint: str) -> Callable[[], object]:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
    logging.getLogger().setLevel(logging.INFO)
    return provider.shutdown


def stock_both(app: FastAPI, endpoint: str) -> Callable[[], object]:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    shut_logs_down = stock_logs(app, endpoint)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    return lambda: (shut_logs_down(), provider.shutdown())


def logspan_logs(app: FastAPI, endpoint: str) -> Callable[[], object]:
    return _logspan(app, endpoint, traces=False)


def logspan_both(app: FastAPI, endpoint: str) -> Callable[[], object]:
    return _logspan(app, endpoint, traces=True)


def _logspan(app: FastAPI, endpoint: str, *, traces: bool) -> Callable[[], object]:
    """Default settings, but for the record of each request, which stock does not make: three records on both sides."""
    from logspan import Settings, instrument_app
    from logspan.settings import OtlpSettings, RequestSettings, TracingSettings

    settings = Settings(
        service_name="bench",
        exporters=["otlp"],
        otlp=OtlpSettings(endpoint=endpoint),
        request=RequestSettings(record=False),
        tracing=TracingSettings(instrumentation="auto" if traces else "off"),
    )
    handle = instrument_app(app, settings)
    return lambda: handle.shutdown(60)


VARIANTS: dict[str, Callable[[FastAPI, str], Callable[[], object]]] = {
    "bare": bare,
    "stock logs": stock_logs,
    "logspan logs": logspan_logs,
    "stock logs+traces": stock_both,
    "logspan logs+traces": logspan_both,
}


def main(variant: str, endpoint: str, run: str) -> None:
    started: list[float] = []
    app = make_app(run, started)
    drain = VARIANTS[variant](app, endpoint)
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning"))

    def stop_at_end_of_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    server.run(sockets=[listening])
    drain()
    print(cpu_seconds() - started[0], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
