"""Run the real backends with the files of `collector-config/`: on loopback, on free ports, with their data in `tmp`.

    with loki(tmp) as logs, jaeger(tmp) as traces:
        with collector(tmp, loki=logs.otlp_endpoint, jaeger=traces.otlp_grpc) as gate:
            ...                                   # send OTLP to gate.http_endpoint or gate.grpc_endpoint
            assert wait_for(gate.records)[0]["body"] == "hello"
            assert wait_for(lambda: logs.query('{service_name="shop"}'))

Each context manager returns when the backend is ready and stops it on leaving. A backend that was never built raises
`BackendMissing`, which pytest counts as a skip; where `CI` is true it is built instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from tests.e2e.backends import otlp_json
from tests.e2e.backends.build import CONFIG, build, recipes
from tests.e2e.backends.process import Process
from tests.ports import free_ports

T = TypeVar("T")


class BackendMissing(unittest.SkipTest):
    """The binary was not built yet. pytest reports a test that meets this as skipped, with the command to run."""


class LokiLine(TypedDict):
    """One line of a Loki answer: the time in ns, the text, and stream labels and structured metadata together."""

    time: int
    line: str
    labels: dict[str, str]


class JaegerSpan(TypedDict):
    """One span of a Jaeger answer; `tags` are its attributes, `service` its resource's service.name."""

    trace_id: str
    span_id: str
    name: str
    service: str
    tags: dict[str, Any]


# --- the Collector ----------------------------------------------------------------------------------------------------


@dataclass
class Collector(Process):
    """A running Collector. `kill`, `restart`, `stop`, `start` come from `Process`; ports and data stay the same."""

    data: Path = Path()
    grpc_endpoint: str = ""
    """host:port of OTLP over gRPC, plain text."""
    http_endpoint: str = ""
    """http://host:port of OTLP over HTTP; the signal's path (/v1/logs) comes after it."""
    prometheus_url: str = ""
    """What Prometheus would scrape: metrics of spans, and those that were sent."""
    telemetry_url: str = ""
    """The Collector's own metrics."""

    @property
    def logs_file(self) -> Path:
        """Where the file exporter writes log records, as OTLP JSON lines."""
        return self.data / "logs.json"

    @property
    def traces_file(self) -> Path:
        """Where the file exporter writes spans."""
        return self.data / "traces.json"

    @property
    def metrics_file(self) -> Path:
        """Where the file exporter writes metrics."""
        return self.data / "metrics.json"

    def records(self) -> list[otlp_json.LogRecord]:
        """Every log record that was written, flat. Only collector.yaml writes files."""
        return otlp_json.log_records(self.logs_file)

    def spans(self) -> list[otlp_json.Span]:
        """Every span that was written, flat."""
        return otlp_json.spans(self.traces_file)

    def metrics(self) -> list[otlp_json.Metric]:
        """Every metric that was written, with its points."""
        return otlp_json.metrics(self.metrics_file)

    def scrape(self) -> str:
        """The Prometheus endpoint's text, in the OpenMetrics form: the one that has exemplars."""
        return _get(self.prometheus_url, {"Accept": "application/openmetrics-text; version=1.0.0"})

    def telemetry(self) -> str:
        """The Collector's own metrics as text, e.g. `otelcol_receiver_accepted_log_records`."""
        return _get(self.telemetry_url)


@contextlib.contextmanager
def collector(
    tmp: Path,
    *,
    loki: str | None = None,
    jaeger: str | None = None,
    config: str | Path = "collector.yaml",
    overlays: Sequence[str | Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Collector]:
    """Run the Collector with a file of `collector-config/` (or any other, by its path).

    `loki` is the base of an OTLP/HTTP endpoint (`Loki.otlp_endpoint`), `jaeger` a host:port of OTLP/gRPC
    (`Jaeger.otlp_grpc`). For collector.yaml each adds its overlay; other configurations read the endpoints from the
    environment. `overlays` are further files, merged in this order. `environment` sets or overrides variables of the
    configuration (`OTELCOL_...`). The data is kept in a folder below `tmp` that is named after the configuration, and a
    second Collector with the same `tmp` and configuration continues with it.
    """
    files = [_config(config), *_overlays(config, loki, jaeger), *(_config(overlay) for overlay in overlays)]
    folder = tmp / f"collector-{files[0].stem}"
    grpc, http, health, prometheus, telemetry = free_ports(5)
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    gate = Collector(
        name="the Collector",
        command=[str(binary("collector")), *(f"--config={file}" for file in files)],
        ready_url=f"http://127.0.0.1:{health}/",
        folder=folder,
        environment={
            "OTELCOL_DATA": str(data),
            "OTELCOL_GRPC_ENDPOINT": f"127.0.0.1:{grpc}",
            "OTELCOL_HEALTH_ENDPOINT": f"127.0.0.1:{health}",
            "OTELCOL_HTTP_ENDPOINT": f"127.0.0.1:{http}",
            "OTELCOL_PROMETHEUS_ENDPOINT": f"127.0.0.1:{prometheus}",
            "OTELCOL_SPAN_METRICS_INTERVAL": "1s",
            "OTELCOL_STORAGE": str(data / "storage"),
            "OTELCOL_TAIL_SAMPLING_WAIT": "1s",
            "OTELCOL_TELEMETRY_HOST": "127.0.0.1",
            "OTELCOL_TELEMETRY_PORT": str(telemetry),
            # A configuration that names a backend which a test did not start must not look for it in the network.
            "LOKI_OTLP_ENDPOINT": loki or "http://127.0.0.1:9/otlp",
            "JAEGER_OTLP_ENDPOINT": jaeger or "127.0.0.1:9",
            "GATEWAY_ENDPOINT": "127.0.0.1:9",
            **(environment or {}),
        },
        data=data,
        grpc_endpoint=f"127.0.0.1:{grpc}",
        http_endpoint=f"http://127.0.0.1:{http}",
        prometheus_url=f"http://127.0.0.1:{prometheus}/metrics",
        telemetry_url=f"http://127.0.0.1:{telemetry}/metrics",
    )
    with _running(gate):
        yield gate


def validate(*configs: str | Path, environment: Mapping[str, str] | None = None) -> None:
    """Let the Collector check configuration files, merged in this order. Raises `ValueError` with what it says."""
    command = [str(binary("collector")), "validate", *(f"--config={_config(config)}" for config in configs)]
    clean = {"PATH": os.environ.get("PATH", ""), **(environment or {})}
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"the Collector refuses {', '.join(map(str, configs))}:\n{done.stdout}{done.stderr}"
        raise ValueError(message)


def _overlays(config: str | Path, loki: str | None, jaeger: str | None) -> list[Path]:
    if str(config) != "collector.yaml":
        return []
    wanted = {"collector.loki.yaml": loki, "collector.jaeger.yaml": jaeger}
    return [CONFIG / name for name, endpoint in wanted.items() if endpoint]


def _config(name: str | Path) -> Path:
    """A file of `collector-config/` by its name, or any file by its path."""
    ours = CONFIG / name
    return ours if ours.exists() else Path(name).resolve()


# --- Loki -------------------------------------------------------------------------------------------------------------


@dataclass
class Loki(Process):
    """A running Loki."""

    url: str = ""

    @property
    def otlp_endpoint(self) -> str:
        """The base of the OTLP endpoint; logs go to `<base>/v1/logs`."""
        return f"{self.url}/otlp"

    @property
    def push_url(self) -> str:
        """The push API."""
        return f"{self.url}/loki/api/v1/push"

    def query(
        self,
        logql: str,
        *,
        tenant: str | None = None,
        limit: int = 1000,
        start: int | None = None,
        end: int | None = None,
    ) -> list[LokiLine]:
        """Lines that match a LogQL log query, oldest first. Times are ns since the epoch; by default the last hour."""
        found = self._ask(logql, tenant, limit=limit, start=start, end=end)
        lines = [
            LokiLine(time=int(at), line=line, labels=stream["stream"])
            for stream in found["result"]
            for at, line, *_ in stream["values"]
        ]
        return sorted(lines, key=lambda line: line["time"])

    def metric(self, logql: str, *, tenant: str | None = None) -> dict[str, float]:
        """The present values of a LogQL metric query, by their labels as JSON (`{}` when there are none)."""
        answer = self._get("/loki/api/v1/query", {"query": logql}, tenant)
        return {json.dumps(one["metric"], sort_keys=True): float(one["value"][1]) for one in answer["data"]["result"]}

    def _ask(self, logql: str, tenant: str | None, *, limit: int, start: int | None, end: int | None) -> Any:
        now = time.time_ns()
        span = {"start": start or now - 3_600_000_000_000, "end": end or now + 600_000_000_000}
        parameters = {"query": logql, "limit": limit, "direction": "forward", **span}
        return self._get("/loki/api/v1/query_range", parameters, tenant)["data"]

    def _get(self, path: str, parameters: Mapping[str, Any], tenant: str | None) -> Any:
        headers = {"X-Scope-OrgID": tenant} if tenant else {}
        return json.loads(_get(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", headers))


@contextlib.contextmanager
def loki(tmp: Path, *, auth: bool = False, environment: Mapping[str, str] | None = None) -> Iterator[Loki]:
    """Run Loki. With `auth` each request has to name its tenant in the header X-Scope-OrgID."""
    http, grpc = free_ports(2)
    folder = tmp / "loki"
    server = Loki(
        name="Loki",
        command=[str(binary("loki")), f"-config.file={CONFIG / 'loki.yaml'}", "-config.expand-env=true"],
        ready_url=f"http://127.0.0.1:{http}/ready",
        folder=folder,
        environment={
            "LOKI_AUTH_ENABLED": str(auth).lower(),
            "LOKI_DATA": str(folder / "data"),
            "LOKI_GRPC_PORT": str(grpc),
            "LOKI_HTTP_PORT": str(http),
            "LOKI_LISTEN_ADDRESS": "127.0.0.1",
            **(environment or {}),
        },
        url=f"http://127.0.0.1:{http}",
    )
    with _running(server):
        yield server


# --- Jaeger -----------------------------------------------------------------------------------------------------------


@dataclass
class Jaeger(Process):
    """A running Jaeger. Its traces are in memory: a restart forgets them."""

    url: str = ""
    """The query API and the user interface."""
    otlp_grpc: str = ""
    """host:port of OTLP over gRPC, plain text."""
    otlp_http: str = ""
    """http://host:port of OTLP over HTTP."""

    def trace(self, trace_id: str) -> list[JaegerSpan]:
        """The spans of a trace by its id in hex; empty when Jaeger does not know it (yet)."""
        try:
            answer = json.loads(_get(f"{self.url}/api/traces/{trace_id}"))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return [_jaeger_span(span, trace["processes"]) for trace in answer["data"] for span in trace["spans"]]

    def services(self) -> list[str]:
        """The names of all services that sent a span."""
        return sorted(json.loads(_get(f"{self.url}/api/services"))["data"] or [])


def _jaeger_span(span: Mapping[str, Any], processes: Mapping[str, Any]) -> JaegerSpan:
    return {
        "trace_id": span["traceID"],
        "span_id": span["spanID"],
        "name": span["operationName"],
        "service": processes[span["processID"]]["serviceName"],
        "tags": {tag["key"]: tag["value"] for tag in span["tags"]},
    }


@contextlib.contextmanager
def jaeger(tmp: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[Jaeger]:
    """Run Jaeger v2 with its storage in memory."""
    query, query_grpc, health, grpc, http, telemetry = free_ports(6)
    server = Jaeger(
        name="Jaeger",
        command=[str(binary("jaeger")), f"--config={CONFIG / 'jaeger.yaml'}"],
        ready_url=f"http://127.0.0.1:{health}/status",
        folder=tmp / "jaeger",
        environment={
            "JAEGER_HEALTH_ENDPOINT": f"127.0.0.1:{health}",
            "JAEGER_OTLP_GRPC_ENDPOINT": f"127.0.0.1:{grpc}",
            "JAEGER_OTLP_HTTP_ENDPOINT": f"127.0.0.1:{http}",
            "JAEGER_QUERY_GRPC_ENDPOINT": f"127.0.0.1:{query_grpc}",
            "JAEGER_QUERY_HTTP_ENDPOINT": f"127.0.0.1:{query}",
            "JAEGER_TELEMETRY_HOST": "127.0.0.1",
            "JAEGER_TELEMETRY_PORT": str(telemetry),
            **(environment or {}),
        },
        # It would wait 10 s for clients that are gone, and has nothing to write down.
        patience=0.5,
        url=f"http://127.0.0.1:{query}",
        otlp_grpc=f"127.0.0.1:{grpc}",
        otlp_http=f"http://127.0.0.1:{http}",
    )
    with _running(server):
        yield server


# --- Prometheus -------------------------------------------------------------------------------------------------------


@dataclass
class Prometheus(Process):
    """A running Prometheus."""

    url: str = ""

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The present result of a PromQL query: a list of `{"metric": labels, "value": [time, text]}`."""
        answer = json.loads(_get(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': promql})}"))
        return list(answer["data"]["result"])

    def exemplars(self, promql: str) -> list[dict[str, Any]]:
        """The exemplars of the last hour for a selector, by series."""
        parameters = {"query": promql, "start": time.time() - 3600, "end": time.time() + 60}
        answer = json.loads(_get(f"{self.url}/api/v1/query_exemplars?{urllib.parse.urlencode(parameters)}"))
        return list(answer["data"])


@contextlib.contextmanager
def prometheus(tmp: Path, *targets: str) -> Iterator[Prometheus]:
    """Run Prometheus with prometheus.yml, scraping `targets` (host:port) in place of the targets that compose has."""
    (port,) = free_ports(1)
    folder = tmp / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(CONFIG / "prometheus.yml", folder)
    # Prometheus reads no environment, so the targets are a file of their own, looked for beside prometheus.yml.
    (folder / "prometheus-targets.yml").write_text(json.dumps([{"targets": list(targets)}]))
    server = Prometheus(
        name="Prometheus",
        command=[
            str(binary("prometheus")),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ],
        ready_url=f"http://127.0.0.1:{port}/-/ready",
        folder=folder,
        url=f"http://127.0.0.1:{port}",
    )
    with _running(server):
        yield server


# --- shared -----------------------------------------------------------------------------------------------------------


def binary(name: str, program: str | None = None) -> Path:
    """The path of a built backend. Where `CI` is true it is built now; elsewhere `BackendMissing` says how to."""
    recipe = recipes()[name]
    if not recipe.is_built:
        if os.environ.get("CI", "").lower() not in ("true", "1"):
            message = f"{name} {recipe.version} is not built: run `python -m tests.e2e.backends.build {name}`"
            raise BackendMissing(message)
        build(name)
    return recipe.program(program)


def wait_for(probe: Callable[[], T], timeout: float = 20.0) -> T:
    """Call `probe` until what it returns is true (a non-empty list, say), and return that.

    Raises `TimeoutError` with the last answer, or with the last error of a backend that cannot be reached.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            last = answer = probe()
            if answer:
                return answer
        except OSError as error:
            last = error
        if time.monotonic() > deadline:
            message = f"still {last!r} after {timeout} s"
            raise TimeoutError(message)
        time.sleep(0.1)


@contextlib.contextmanager
def _running(process: Process) -> Iterator[None]:
    process.start()
    try:
        yield
    finally:
        # A suspended process would sleep through SIGTERM.
        process.resume()
        process.stop()


def _get(url: str, headers: Mapping[str, str] | None = None) -> str:
    request = urllib.request.Request(url, headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(response.read(), "utf-8")
