"""The main job, end to end: a real service under uvicorn, its logs and spans in a real Collector, Loki and Jaeger."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.e2e.backends.build import REPO
from tests.e2e.backends.run import Collector, Jaeger, Loki, collector, jaeger, loki, wait_for
from tests.ports import free_port

T = TypeVar("T")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@dataclass
class Service:
    """The service's process and where it answers."""

    url: str
    process: subprocess.Popen[bytes]
    output: Path

    def get(self, path: str) -> tuple[int, str]:
        """The status and the trace id of one request."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
                answer.read()
                return answer.status, answer.headers["x-trace-id"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["x-trace-id"]

    def stop(self) -> int:
        """Ask it to end, as a container's runtime does; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextlib.contextmanager
def service(folder: Path, *, workers: int = 1, **environment: str) -> Iterator[Service]:
    """Run the service with nothing but these variables; it is stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    output = folder / "service.log"
    command = [sys.executable, "-m", "uvicorn", "tests.e2e.service:app", "--host", "127.0.0.1", "--port", str(port)]
    with output.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO), "OTEL_SERVICE_NAME": "shop", **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    running = Service(f"http://127.0.0.1:{port}", process, output)
    try:
        wait_for(lambda: _listens(port, running), 30)
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def _listens(port: int, running: Service) -> bool:
    assert running.process.poll() is None, running.output.read_text()
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, Loki, Jaeger]]:
    """A Collector in front of a Loki and a Jaeger."""
    tmp = tmp_path_factory.mktemp("backends")
    with (
        loki(tmp) as logs,
        jaeger(tmp) as traces,
        collector(tmp, loki=logs.otlp_endpoint, jaeger=traces.otlp_grpc) as gate,
    ):
        yield gate, logs, traces


def new_item() -> str:
    """The name of one request, which its records carry."""
    return f"item-{uuid.uuid4().hex[:12]}"


def records_of(gate: Collector, item: str) -> list[Any]:
    """The records of one request, by the name that they carry."""
    return [record for record in gate.records() if record["attributes"].get("item") == item]


def at_least(count: int, probe: Callable[[], list[T]], timeout: float = 20.0) -> list[T]:
    """Wait until `probe` finds this many."""
    return wait_for(lambda: found if len(found := probe()) >= count else [], timeout)


def spans_of(gate: Collector, trace_id: str) -> list[Any]:
    """The spans of a trace, as the Collector wrote them."""
    return by_trace(gate.spans(), trace_id)


def by_trace(records: list[Any], trace_id: str) -> list[Any]:
    """Those of one trace, records or spans."""
    return [record for record in records if record["trace_id"] == trace_id]


@pytest.mark.parametrize(
    ("protocol", "client"),
    [("http/protobuf", "logspan"), ("grpc", "logspan"), ("http/protobuf", "stock"), ("grpc", "stock")],
)
def test_every_record_once_with_the_ids_of_its_request(
    tmp_path: Path, backends: tuple[Collector, Loki, Jaeger], protocol: str, client: str
) -> None:
    """Each source's record arrives once, with body, attributes, resource, and the ids of the exported server span."""
    gate = backends[0]
    endpoint = gate.http_endpoint if protocol == "http/protobuf" else f"http://{gate.grpc_endpoint}"
    with service(
        tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        LOGSPAN_OTLP__CLIENT=client,
        OTEL_RESOURCE_ATTRIBUTES="service.version=1.2.3,deployment.environment.name=test",
    ) as shop:
        items = {kind: new_item() for kind in ("records", "sync", "background")}
        answers = {kind: shop.get(f"/{kind}/{item}") for kind, item in items.items()}
        shop.stop()
    for kind, item in items.items():
        status, trace_id = answers[kind]
        assert status == 200
        found = wait_for(partial(records_of, gate, item))
        expected = [1] if kind == "background" else [0, 1, 2, 3]
        assert sorted(record["attributes"]["number"] for record in found) == expected
        assert {record["trace_id"] for record in found} == {trace_id}
        for record in found:
            assert record["body"] == f"{item} record {record['attributes']['number']}"
            assert record["severity_text"] == "INFO"
            assert record["severity_number"] == 9
            assert record["resource"]["service.name"] == "shop"
            assert record["resource"]["service.version"] == "1.2.3"
            assert record["resource"]["deployment.environment.name"] == "test"
            assert record["resource"]["process.pid"] == shop.process.pid
        spans = wait_for(partial(spans_of, gate, trace_id))
        assert {record["span_id"] for record in found} <= {span["span_id"] for span in spans}
        server = [span for span in spans if span["kind"] == 2]
        assert len(server) == 1
        assert server[0]["attributes"]["http.request.method"] == "GET"


def test_values_arrive_as_they_were(tmp_path: Path, backends: tuple[Collector, Loki, Jaeger]) -> None:
    """Typed, nested and non-ASCII values come out of the Collector as they went in; a password does not."""
    gate, item = backends[0], new_item()
    with service(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=gate.http_endpoint) as shop:
        shop.get(f"/values/{item}")
    (record,) = wait_for(lambda: records_of(gate, item))
    assert record["body"] == f"values of {item}"
    assert record["severity_text"] == "WARN"
    attributes = record["attributes"]
    assert attributes["integer"] == 2**53 + 1
    assert attributes["ratio"] == 0.25
    assert attributes["yes"] is True
    assert attributes["when"] == "2026-01-02T03:04:05+00:00"
    assert attributes["price"] == "12.50"
    assert attributes["id"] == str(uuid.UUID(int=42))
    assert attributes["nested"] == {
        "lines": [{"sku": "a-1", "quantity": 2}, {"sku": "b-2", "quantity": 1}],
        "gift": None,
    }
    assert attributes["raw"] == b"\x00\xff"
    assert attributes["password"] == "[REDACTED:password]"
    assert attributes["umlaut"] == "Größe 📦"
    assert attributes["tenant"] == "acme"
    assert attributes["code.function.name"] == "values"


def test_failures_tell_their_story_once(tmp_path: Path, backends: tuple[Collector, Loki, Jaeger]) -> None:
    """A handled and an unhandled exception: one record with the stack trace each, and one request record each."""
    gate, item = backends[0], new_item()
    with service(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=gate.http_endpoint) as shop:
        status, handled = shop.get(f"/handled/{item}")
        assert status == 409
        status, broken = shop.get(f"/broken/{item}")
        assert status == 500
        status, missing = shop.get(f"/nowhere/{item}")
        assert status == 404
    wait_for(lambda: by_trace(gate.records(), missing))
    records = gate.records()
    logged = [r for r in by_trace(records, handled) if "exception.stacktrace" in r["attributes"]]
    assert [r["attributes"]["exception.type"] for r in logged] == ["KeyError"]
    failed = [r for r in by_trace(records, broken) if "exception.stacktrace" in r["attributes"]]
    assert [r["attributes"]["exception.type"] for r in failed] == ["ValueError"]
    assert f"cannot handle {item}" in failed[0]["attributes"]["exception.stacktrace"]
    for trace_id, route, status in [
        (handled, "/handled/{item}", 409),
        (broken, "/broken/{item}", 500),
        (missing, None, 404),
    ]:
        requests = [r for r in by_trace(records, trace_id) if "http.response.status_code" in r["attributes"]]
        assert len(requests) == 1, [r["body"] for r in requests]
        assert requests[0]["attributes"]["http.response.status_code"] == status
        assert requests[0]["attributes"].get("http.route") == route
        assert requests[0]["attributes"]["http.request.method"] == "GET"


def test_one_trace_id_finds_spans_and_records(tmp_path: Path, backends: tuple[Collector, Loki, Jaeger]) -> None:
    """From one trace id: Jaeger's API has the spans, Loki's the records, through the Collector."""
    gate, logs, traces = backends
    item = new_item()
    with service(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=gate.http_endpoint) as shop:
        _, trace_id = shop.get(f"/spans/{item}")
    spans = wait_for(lambda: traces.trace(trace_id))
    inner = next(span for span in spans if span["name"] == "inner")
    assert {span["service"] for span in spans} == {"shop"}
    query = f'{{service_name="shop"}} | trace_id="{trace_id}"'
    lines = at_least(3, lambda: logs.query(query))
    assert {line["line"] for line in lines} >= {"inside", "outside"}
    inside = next(line for line in lines if line["line"] == "inside")
    assert inside["labels"]["span_id"] == inner["span_id"]
    assert {line["labels"]["span_id"] for line in lines} <= {span["span_id"] for span in spans}


def test_loki_without_a_collector(tmp_path: Path) -> None:
    """The `loki` exporter sends to Loki's own OTLP endpoint, for a tenant; LogQL finds the records by trace id."""
    item = new_item()
    with loki(tmp_path, auth=True) as logs:
        with service(
            tmp_path / "service",
            LOGSPAN_EXPORTERS="loki",
            LOGSPAN_LOKI__ENDPOINT=logs.url,
            LOGSPAN_LOKI__TENANT_ID="acme",
        ) as shop:
            _, trace_id = shop.get(f"/records/{item}")
        query = f'{{service_name="shop"}} | trace_id="{trace_id}" | item="{item}"'
        lines = wait_for(lambda: logs.query(query, tenant="acme"))
        assert sorted(line["line"] for line in lines) == [f"{item} record {number}" for number in range(4)]
        assert logs.query(query, tenant="other") == []


def test_ten_thousand_records_in_concurrent_requests(tmp_path: Path, backends: tuple[Collector, Loki, Jaeger]) -> None:
    """500 requests from 16 clients, 20 records each: 10,000 arrive, each once, each with its own request's trace id."""
    gate = backends[0]
    with service(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=gate.http_endpoint) as shop:
        items = [new_item() for _ in range(500)]
        with ThreadPoolExecutor(16) as clients:
            paths = [f"/{'sync' if n % 2 else 'records'}/{item}?count=20" for n, item in enumerate(items)]
            answers = dict(zip(items, clients.map(shop.get, paths), strict=True))
        shop.stop()
    wanted = Counter((item, number, answers[item][1]) for item in items for number in range(20))

    def arrived() -> list[Any]:
        return [record for record in gate.records() if record["attributes"].get("item") in answers]

    found = at_least(10_000, arrived, 60)
    told = [(record["attributes"], record["trace_id"]) for record in found]
    assert Counter((says["item"], says["number"], trace_id) for says, trace_id in told) == wanted


def test_workers_each_deliver_their_own(tmp_path: Path, backends: tuple[Collector, Loki, Jaeger]) -> None:
    """Under `uvicorn --workers 2` the records of both processes arrive, each with its own process id and instance."""
    gate = backends[0]
    with service(tmp_path, workers=2, OTEL_EXPORTER_OTLP_ENDPOINT=gate.http_endpoint) as shop:
        items = [new_item() for _ in range(60)]
        with ThreadPoolExecutor(8) as clients:
            list(clients.map(lambda item: shop.get(f"/records/{item}?count=2"), items))
        shop.stop()

    def arrived() -> list[Any]:
        return [record for record in gate.records() if record["attributes"].get("item") in items]

    found = at_least(120, arrived)
    assert len(found) == 120
    instances = {(r["resource"]["process.pid"], r["resource"]["service.instance.id"]) for r in found}
    assert len({pid for pid, _ in instances}) == len({instance for _, instance in instances}) == len(instances)


def test_the_service_goes_on_while_the_collector_is_away(tmp_path: Path) -> None:
    """A Collector that is killed and comes back: requests are answered meanwhile, and every record arrives."""
    with (
        collector(tmp_path) as gate,
        service(
            tmp_path / "service",
            OTEL_EXPORTER_OTLP_ENDPOINT=gate.http_endpoint,
            LOGSPAN_RETRY_ON_FAILURE__INITIAL_INTERVAL="0.5",
        ) as shop,
    ):
        before, during, after = new_item(), new_item(), new_item()
        shop.get(f"/records/{before}")
        wait_for(lambda: records_of(gate, before))
        gate.kill()
        started = time.monotonic()
        status, _ = shop.get(f"/records/{during}")
        assert status == 200
        assert time.monotonic() - started < 5
        gate.start()
        shop.get(f"/records/{after}")
        for item in (during, after):
            found = at_least(4, partial(records_of, gate, item))
            assert sorted(record["attributes"]["number"] for record in found) == [0, 1, 2, 3]
