"""The FastAPI table: a service that logs three records a request, one connection and then sixteen."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import uuid

from benchmarks.receiver import Receiver
from benchmarks.table import Case, Column, Figures, Table

VARIANTS = ("bare", "stock logs", "logspan logs", "stock logs+traces", "logspan logs+traces")
COLUMNS = {
    "per_second_16": Column("req/s, 16", "{:,.0f}"),
    "p99_ms_16": Column("p99, 16", "{:.1f} ms"),
    "p50_us_1": Column("p50, 1", "{:.0f} us"),
    "p99_us_1": Column("p99, 1", "{:,.0f} us"),
    "longest_ms_1": Column("longest, 1", "{:.1f} ms"),
    "cpu_us": Column("CPU/req", "{:.0f} us"),
    "lost_percent": Column("lost", "{:.1f} %"),
}
RATIOS = ("per_second_16", "p99_ms_16", "p50_us_1", "p99_us_1", "cpu_us")
WARM_UP = 1.5


def fastapi(arguments: argparse.Namespace) -> Table:
    def case(variant: str) -> Case:
        _, _, signals = variant.partition(" ")
        return Case(variant, signals, variant, lambda sink: measure(sink, variant, arguments.seconds))

    title = f"FastAPI: three records a request, {arguments.seconds} s with 1 connection and with 16"
    return Table(title, [case(variant) for variant in VARIANTS], COLUMNS, RATIOS, ("stock logs", "stock logs+traces"))


OVERHEAD = {
    "bare_us": Column("bare", "{:.0f} us"),
    "alone_us": Column("spans alone", "{:.0f} us"),
    "logspan_us": Column("logspan", "{:.0f} us"),
    "added_us": Column("added", "{:.0f} us"),
    "added_to_bare": Column("of bare", "{:.2f}"),
    "added_to_spans": Column("of spans", "{:.2f}"),
    "added_cpu_us": Column("with delivery", "{:.0f} us"),
}


def overhead(arguments: argparse.Namespace) -> Table:
    """CPU of a request without logs of its own, with the record of the request, over the spans alone."""

    def case(spans: str, routes: int, metrics: str) -> Case:
        label = f"{spans}, {routes} route{'s' if routes > 1 else ''}{', no metrics' if metrics == 'off' else ''}"
        return Case(label, spans, spans, lambda sink: measure_overhead(sink, spans, routes, metrics, arguments.turns))

    title = "Overhead of a request: CPU in process, no logs of its own, its record included"
    kinds = [(spans, *rest) for spans in ("native", "contrib") for rest in ((1, "on"), (100, "on"), (1, "off"))]
    return Table(title, [case(*kind) for kind in kinds], OVERHEAD, ())


def measure_overhead(sink: Receiver, spans: str, routes: int, metrics: str, turns: int) -> Figures:
    arguments = (spans, str(routes), metrics, sink.endpoint, str(turns))
    command = [sys.executable, "-m", "benchmarks.web_overhead", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    figures: Figures = json.loads(done.stdout)
    return figures


def measure(sink: Receiver, variant: str, seconds: float) -> Figures:
    run = uuid.uuid4().hex
    command = [sys.executable, "-m", "benchmarks.web_service", variant, sink.endpoint, run]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as service:
        assert service.stdout is not None
        port = service.stdout.readline().strip()
        loads = [
            _load(port, connections, duration) for connections, duration in ((4, WARM_UP), (1, seconds), (16, seconds))
        ]
        out, _ = service.communicate(timeout=90)
    requests = sum(load["requests"] for load in loads)
    _, alone, many = loads
    figures = {
        "per_second_16": many["per_second"],
        "p99_ms_16": many["p99_us"] / 1e3,
        "p50_us_1": alone["p50_us"],
        "p99_us_1": alone["p99_us"],
        "longest_ms_1": alone["longest_ms"],
        "cpu_us": float(out) / requests * 1e6,
    }
    if variant != "bare":
        figures["lost_percent"] = max(100 * (1 - sink.counts(run)["distinct"] / (3 * requests)), 0)
    return figures


def _load(port: str, connections: int, seconds: float) -> Figures:
    command = [sys.executable, "-m", "benchmarks.web_client", port, str(connections), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    figures: Figures = json.loads(done.stdout)
    return figures
