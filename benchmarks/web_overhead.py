"""What a request costs inside of one process, without a server or a socket, and without logs of its own.

python -m benchmarks.web_overhead SPANS ROUTES METRICS ENDPOINT ROUNDS     prints a JSON object, in us of CPU a request

Three apps of one process take turns, so that whatever slows the machine down slows all of them: without anything, with
the span instrumentation alone, and with logspan over that, the record of each request included. Both instrumentations
measure requests as well, where there is a meter provider: with METRICS `on` the service has set one, which both apps
use; with `off` it has not, and logspan sets its own up. Of many short turns the least disturbed twentieth counts.
`added_us` is what logspan adds in the request's own thread, `added_cpu_us` what it adds in the whole process, delivery
included. By its shares of the bare request (`added_to_bare`) and of what the instrumentation costs (`added_to_spans`)
another machine can be compared.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider, set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider

REQUESTS = 8
WARM_UP = 300
TURNS = 20
BODY = {"type": "http.request", "body": b"", "more_body": False}
HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"python-httpx/0.28.1"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
    (b"x-request-id", b"5b2b1c9a-0d1e-4f6f-9a53-7d0a2f6f3c11"),
]
OFF: Any = {"tracing": False, "metrics": False, "logs": False}


def make_app(routes: int, **options: Any) -> FastAPI:
    """The endpoint that is called is the last of them."""
    app = FastAPI(**options)
    for number in range(routes):

        @app.get(f"/orders-{number}/{{order}}")
        async def read_order(order: int) -> dict[str, int]:
            return {"order": order}

    return app


def spans_alone(spans: str, routes: int, meters: MeterProvider) -> FastAPI:
    """FastAPI's own telemetry, or contrib's, with a tracer provider that exports nothing."""
    from opentelemetry.sdk.trace import TracerProvider

    tracers = TracerProvider(shutdown_on_exit=False)
    if spans == "native":
        return make_app(routes, telemetry={"tracer_provider": tracers, "meter_provider": meters, "logs": False})
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app = make_app(routes)  # FastAPI's own steps aside
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=tracers, meter_provider=meters, exclude_spans=["receive", "send"]
    )
    return app


def with_logspan(spans: str, routes: int, endpoint: str) -> tuple[FastAPI, Callable[[], object]]:
    """The default settings, with delivery to the sink; and what waits for the delivery."""
    from logspan import Settings, instrument_app
    from logspan.settings import OtlpSettings, TracingSettings

    app = make_app(routes)
    settings = Settings(
        service_name="bench",
        exporters=["otlp"],
        otlp=OtlpSettings(logs_endpoint=f"{endpoint}/v1/logs"),
        tracing=TracingSettings.model_validate({"instrumentation": spans}),
    )
    handle = instrument_app(app, settings)
    return app, lambda: handle.flush(30)


async def requests(app: FastAPI, path: str, count: int) -> None:
    async def receive() -> dict[str, Any]:
        return BODY

    async def send(message: Any) -> None:
        pass

    for _ in range(count):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 54321),
            "scheme": "http",
            "root_path": "",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"page=2",
            "headers": HEADERS,
            "state": {},
        }
        await app(scope, receive, send)


async def measure(app: FastAPI, path: str) -> float:
    """CPU of this thread for a request; the first ones find the caches full of another app, and are not counted."""
    await requests(app, path, REQUESTS)
    before = time.thread_time()
    await requests(app, path, REQUESTS)
    return (time.thread_time() - before) / REQUESTS * 1e6


async def measure_all(app: FastAPI, path: str, flush: Callable[[], object]) -> float:
    """CPU of the process for a request, until all is delivered."""
    before, count = time.process_time(), TURNS * REQUESTS
    await requests(app, path, count)
    flush()
    return (time.process_time() - before) / count * 1e6


async def compare(spans: str, routes: int, endpoint: str, rounds: int, *, metrics: bool) -> dict[str, float]:
    path = f"/orders-{routes - 1}/42"
    meters: MeterProvider = NoOpMeterProvider()
    if metrics:
        meters = SdkMeterProvider(shutdown_on_exit=False)
        set_meter_provider(meters)
    ours, flush = with_logspan(spans, routes, endpoint)
    apps = (make_app(routes, telemetry=OFF), spans_alone(spans, routes, meters), ours)
    for app in apps:
        await requests(app, path, WARM_UP)
    turns = [[await measure(app, path) for app in apps] for _ in range(rounds * TURNS)]
    whole = [[await measure_all(app, path, flush) for app in apps[1:]] for _ in range(rounds)]
    bare, alone, logspan = (_least(row[index] for row in turns) for index in range(3))
    return {
        "bare_us": bare,
        "alone_us": alone,
        "logspan_us": logspan,
        "added_us": logspan - alone,
        "added_to_bare": (logspan - alone) / bare,
        "added_to_spans": (logspan - alone) / (alone - bare),
        "added_cpu_us": _least(row[1] for row in whole) - _least(row[0] for row in whole),
    }


def _least(figures: Iterable[float]) -> float:
    ordered = sorted(figures)
    return ordered[len(ordered) // 20]


def main(spans: str, routes: str, metrics: str, endpoint: str, rounds: str) -> None:
    logging.disable(logging.WARNING)
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    print(
        json.dumps(asyncio.run(compare(spans, int(routes), endpoint, int(rounds), metrics=metrics == "on"))), flush=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
