"""The backends themselves: their configurations load, and data that goes in comes out where people look for it.

What is sent here is written by hand as OTLP JSON, so that a failure of these tests is a failure of the backends or of
their configurations, never of logspan.
"""

import json
import os
import re
import secrets
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.backends import build as builds
from tests.e2e.backends import otlp_json
from tests.e2e.backends.build import CONFIG, REPO, BuildError, Recipe
from tests.e2e.backends.process import NotReadyError, answers
from tests.e2e.backends.run import (
    BackendMissing,
    Collector,
    Jaeger,
    Loki,
    Prometheus,
    binary,
    collector,
    jaeger,
    loki,
    prometheus,
    validate,
    wait_for,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

COMPOSE = REPO / "docker-compose.otel.yml"
SETS = [
    ["collector.yaml"],
    ["collector.yaml", "collector.loki.yaml"],
    ["collector.yaml", "collector.loki.yaml", "collector.jaeger.yaml", "collector.tempo.yaml"],
    ["agent.yaml"],
    ["agent.yaml", "agent.loadbalancing.yaml"],
    ["gateway.yaml"],
]


# --- what is sent -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ids:
    """The ids of one made-up request."""

    trace: str
    span: str


def new_ids() -> Ids:
    """The ids of a request that nobody has seen yet."""
    return Ids(secrets.token_hex(16), secrets.token_hex(8))


def post(url: str, document: dict[str, Any], headers: dict[str, str] | None = None) -> int:
    """POST a JSON document and return the status; an HTTP error raises."""
    every = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, json.dumps(document).encode(), every)
    with urllib.request.urlopen(request, timeout=10) as response:
        response.read()
        return int(response.status)


def resource(service: str) -> dict[str, Any]:
    """A resource that names its service alone."""
    return {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}


def a_log(ids: Ids | None, body: str = "order placed", severity: int = 9, service: str = "shop") -> dict[str, Any]:
    """An export request with one log record."""
    record: dict[str, Any] = {
        "timeUnixNano": str(time.time_ns()),
        "severityNumber": severity,
        "severityText": {9: "INFO", 13: "WARN", 17: "ERROR"}[severity],
        "eventName": "shop.order",
        "body": {"stringValue": body},
        "attributes": [
            {"key": "order.id", "value": {"intValue": "42"}},
            {"key": "tags", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"boolValue": True}]}}},
        ],
    }
    if ids:
        record |= {"traceId": ids.trace, "spanId": ids.span, "flags": 1}
    scope = {"scope": {"name": "by hand", "version": "1"}, "logRecords": [record]}
    return {"resourceLogs": [{"resource": resource(service), "scopeLogs": [scope]}]}


def a_span(ids: Ids, name: str = "GET /orders/{id}", *, failed: bool = False, service: str = "shop") -> dict[str, Any]:
    """An export request with one span of a server."""
    now = time.time_ns()
    span = {
        "traceId": ids.trace,
        "spanId": ids.span,
        "name": name,
        "kind": 2,
        "startTimeUnixNano": str(now - 20_000_000),
        "endTimeUnixNano": str(now),
        "status": {"code": 2 if failed else 0},
        "attributes": [
            {"key": "http.request.method", "value": {"stringValue": "GET"}},
            {"key": "http.route", "value": {"stringValue": "/orders/{id}"}},
            {"key": "http.response.status_code", "value": {"intValue": "500" if failed else "200"}},
        ],
    }
    scope = {"scope": {"name": "by hand"}, "spans": [span]}
    return {"resourceSpans": [{"resource": resource(service), "scopeSpans": [scope]}]}


def send_log(to: Collector, document: dict[str, Any]) -> None:
    """Send to a Collector, which has to accept it."""
    assert post(f"{to.http_endpoint}/v1/logs", document) == 200


def send_span(to: Collector, document: dict[str, Any]) -> None:
    """Send to a Collector, which has to accept it."""
    assert post(f"{to.http_endpoint}/v1/traces", document) == 200


# --- the stack --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stack:
    """The backends as docker-compose.otel.yml joins them, less those that exist as images only."""

    collector: Collector
    loki: Loki
    jaeger: Jaeger
    prometheus: Prometheus


def host_and_port(url: str) -> str:
    """What Prometheus calls a target."""
    return url.removeprefix("http://").removesuffix("/metrics")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for the whole module: tests tell their data apart by trace ids."""
    tmp = tmp_path_factory.mktemp("stack")
    with (
        loki(tmp) as logs,
        jaeger(tmp) as traces,
        collector(tmp, loki=logs.otlp_endpoint, jaeger=traces.otlp_grpc) as gate,
        prometheus(tmp, host_and_port(gate.prometheus_url), host_and_port(gate.telemetry_url)) as metrics,
    ):
        yield Stack(gate, logs, traces, metrics)


# --- configurations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", SETS, ids=" + ".join)
def test_the_collector_accepts_each_configuration(files: list[str]) -> None:
    """Every configuration, with its overlays, loads with the defaults that it has outside of tests."""
    validate(*files)


def test_no_collector_configuration_is_left_out() -> None:
    """A file with pipelines for the Collector is in one of the sets above."""
    others = {"jaeger.yaml", "builder.yaml"}
    ours = {file.name for file in CONFIG.glob("*.yaml") if "service" in yaml.safe_load(file.read_text())}
    assert ours - others == {name for files in SETS for name in files}


def test_a_broken_configuration_is_refused_with_the_reason(tmp_path: Path) -> None:
    """The check can fail, and says what is wrong."""
    broken = tmp_path / "broken.yaml"
    broken.write_text((CONFIG / "collector.yaml").read_text().replace("[file/logs, debug]", "[file/nowhere]"))
    with pytest.raises(ValueError, match="file/nowhere"):
        validate(broken)


def test_promtool_accepts_the_prometheus_configuration() -> None:
    """prometheus.yml and its targets pass Prometheus's own check."""
    done = subprocess.run(
        [binary("prometheus", "promtool"), "check", "config", CONFIG / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_address_and_path_can_be_set() -> None:
    """No configuration that runs here has an address, port or folder that is not read from the environment."""
    for file in (
        *CONFIG.glob("collector*.yaml"),
        CONFIG / "agent.yaml",
        CONFIG / "gateway.yaml",
        CONFIG / "jaeger.yaml",
    ):
        for line in file.read_text().splitlines():
            setting = line.split("#")[0].strip()
            if re.match(r"(endpoint|host|port|path|directory):", setting):
                assert "${env:" in setting, f"{file.name}: {setting}"


def test_every_setting_is_documented_with_its_default() -> None:
    """docs/backends.md names each variable that a configuration reads, and none that is not read."""
    every = "".join(file.read_text() for file in CONFIG.glob("*.yaml"))
    read = dict(re.findall(r"\$\{(?:env:)?([A-Z_]+):-([^}]*)\}", every))
    rows = [line for line in (REPO / "docs" / "backends.md").read_text().splitlines() if line.startswith("| `")]
    told = {name: row for row in rows for name in re.findall(r"`([A-Z_]{4,})`", row)}
    assert set(told) == set(read)
    varying = {"OTELCOL_MEMORY_LIMIT_MIB", "OTELCOL_MEMORY_SPIKE_MIB", "GATEWAY_ENDPOINTS"}
    assert [name for name, default in read.items() if name not in varying and f"`{default}`" not in told[name]] == []


# --- one record and one span, all the way -----------------------------------------------------------------------------


def test_a_record_comes_out_of_the_file_as_it_went_in(stack: Stack) -> None:
    """The file has the record, complete, by the time its sender has an answer."""
    ids = new_ids()
    send_log(stack.collector, a_log(ids))
    (record,) = [record for record in stack.collector.records() if record["trace_id"] == ids.trace]
    assert 0 < record.pop("time") <= time.time_ns()  # type: ignore[misc]
    assert record == {
        "body": "order placed",
        "attributes": {"order.id": 42, "tags": ["a", True]},
        "severity_number": 9,
        "severity_text": "INFO",
        "trace_id": ids.trace,
        "span_id": ids.span,
        "flags": 1,
        "event_name": "shop.order",
        "observed_time": 0,
        "dropped_attributes_count": 0,
        "resource": {"service.name": "shop"},
        "scope": {"name": "by hand", "version": "1", "attributes": {}},
    }


def test_loki_finds_a_record_by_its_trace_id(stack: Stack) -> None:
    """LogQL on the trace id gives the record; its severity and attributes are beside it."""
    ids = new_ids()
    send_log(stack.collector, a_log(ids, "payment refused", severity=17))
    (line,) = wait_for(lambda: stack.loki.query(f'{{service_name="shop"}} | trace_id="{ids.trace}"'))
    assert line["line"] == "payment refused"
    expected = {"severity_text": "ERROR", "span_id": ids.span, "order_id": "42", "detected_level": "error"}
    assert expected.items() <= line["labels"].items()


def test_jaeger_finds_a_span_by_its_trace_id(stack: Stack) -> None:
    """The span is in Jaeger, and in the Collector's file."""
    ids = new_ids()
    send_span(stack.collector, a_span(ids))
    (found,) = wait_for(lambda: stack.jaeger.trace(ids.trace))
    assert (found["span_id"], found["name"], found["service"]) == (ids.span, "GET /orders/{id}", "shop")
    assert found["tags"]["http.route"] == "/orders/{id}"
    assert "shop" in stack.jaeger.services()
    assert [span["name"] for span in stack.collector.spans() if span["trace_id"] == ids.trace] == ["GET /orders/{id}"]
    assert stack.jaeger.trace(new_ids().trace) == []


def test_prometheus_gets_metrics_of_spans_with_exemplars(stack: Stack) -> None:
    """Requests are counted by route, and a duration leads to a trace."""
    ids = new_ids()
    send_span(stack.collector, a_span(ids, service="metered"))
    counted = 'traces_span_metrics_calls_total{service_name="metered", http_route="/orders/{id}"}'
    (series,) = wait_for(lambda: [one for one in stack.prometheus.query(counted) if one["value"][1] == "1"], 40)
    assert series["metric"]["job"] == "metered"
    wait_for(lambda: _sent_with_exemplar(stack, "metered"), 40)


def _sent_with_exemplar(stack: Stack, service: str) -> bool:
    """Send one more span, and look whether the endpoint shows it as an exemplar (for one interval)."""
    ids = new_ids()
    send_span(stack.collector, a_span(ids, service=service))
    time.sleep(1)
    return f'trace_id="{ids.trace}"' in stack.collector.scrape()


def test_metrics_that_services_send_reach_the_file_and_prometheus(stack: Stack) -> None:
    """A counter sent by OTLP is in the file and at the endpoint."""
    now = str(time.time_ns())
    point = {"startTimeUnixNano": now, "timeUnixNano": now, "asInt": "7"}
    total = {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True}
    metric = {"name": "otel.sdk.log.created", "unit": "{log_record}", "sum": total}
    per_scope = [{"scope": {"name": "by hand"}, "metrics": [metric]}]
    document = {"resourceMetrics": [{"resource": resource("shop"), "scopeMetrics": per_scope}]}
    assert post(f"{stack.collector.http_endpoint}/v1/metrics", document) == 200
    assert [(one["name"], one["kind"]) for one in stack.collector.metrics()] == [("otel.sdk.log.created", "sum")]
    assert re.search(r'^otel_sdk_log_created_total\{.*job="shop".*\} 7', stack.collector.scrape(), re.MULTILINE)


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_killed_collector_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """After SIGKILL the file has every acknowledged record; after the restart new ones follow, on the same port."""
    with collector(tmp_path) as gate:
        for number in range(50):
            send_log(gate, a_log(new_ids(), f"record {number}"))
        gate.kill()
        assert [record["body"] for record in gate.records()] == [f"record {number}" for number in range(50)]
        with pytest.raises(OSError, match="refused"):
            send_log(gate, a_log(new_ids()))
        gate.restart()
        send_log(gate, a_log(new_ids(), "after"))
        assert [record["body"] for record in gate.records()][-2:] == ["record 49", "after"]


def test_without_backends_the_collector_still_answers_and_writes(tmp_path: Path) -> None:
    """With overlays whose backends are down, records are accepted and in the file; they wait for the backends."""
    with collector(tmp_path, loki="http://127.0.0.1:9/otlp", jaeger="127.0.0.1:9") as gate:
        for _ in range(100):
            send_log(gate, a_log(new_ids()))
        assert len(gate.records()) == 100
        assert 'otelcol_exporter_queue_size{data_type="logs",exporter="otlp_http/loki"' in gate.telemetry()


def test_a_restarted_loki_gets_what_it_missed(stack: Stack) -> None:
    """The Collector's queue bridges an outage of Loki."""
    ids = new_ids()
    stack.loki.kill()
    send_log(stack.collector, a_log(ids, "while it was down"))
    stack.loki.start()
    (line,) = wait_for(lambda: stack.loki.query(f'{{service_name="shop"}} | trace_id="{ids.trace}"'), 40)
    assert line["line"] == "while it was down"


def test_a_suspended_backend_does_not_answer_until_it_is_resumed(tmp_path: Path) -> None:
    """A stuck backend can be played: it accepts connections and says nothing."""
    with collector(tmp_path) as gate:
        gate.suspend()
        assert not answers(gate.ready_url)
        gate.resume()
        assert wait_for(lambda: answers(gate.ready_url))


def test_a_backend_that_cannot_start_tells_why(tmp_path: Path) -> None:
    """The error has the end of the backend's own output, and nothing is left running."""
    with (
        pytest.raises(NotReadyError, match=r"ended with exit code 1(?s:.*)not-a-level"),
        collector(tmp_path, environment={"OTELCOL_LOG_LEVEL": "not-a-level"}),
    ):
        pass


# --- agent and gateway ------------------------------------------------------------------------------------------------


def test_an_agent_hands_over_after_an_outage_and_a_kill(tmp_path: Path) -> None:
    """Records that an agent accepted while its gateway was down survive a kill of the agent, and arrive."""
    with collector(tmp_path) as gateway:
        gateway.stop()
        with collector(tmp_path, config="agent.yaml", environment={"GATEWAY_ENDPOINT": gateway.grpc_endpoint}) as agent:
            for number in range(20):
                send_log(agent, a_log(new_ids(), f"record {number}"))
            agent.kill()
            agent.start()
            gateway.start()
            wanted = {f"record {number}" for number in range(20)}
            wait_for(lambda: wanted <= {str(record["body"]) for record in gateway.records()}, 60)
            assert {record["resource"]["host.name"] for record in gateway.records()} == {"unknown"}


def test_an_agent_reads_files(tmp_path: Path) -> None:
    """OTLP JSON lines arrive as they are; a JSON line of a text log gets its trace, time and level; text stays text."""
    ids, otlp_ids = new_ids(), new_ids()
    (tmp_path / "service.jsonl").write_text(json.dumps(a_log(otlp_ids, "from a file")) + "\n")
    fields = {"message": "hi", "level": "critical", "timestamp": "2026-01-02T03:04:05.678901Z"}
    line = json.dumps({**fields, "trace_id": ids.trace, "span_id": ids.span})
    (tmp_path / "service.log").write_text(f"{line}\nplain text\n{{not json}}\n")
    with collector(tmp_path) as gateway:
        environment = {
            "GATEWAY_ENDPOINT": gateway.grpc_endpoint,
            "OTELCOL_OTLP_JSON_FILES": str(tmp_path / "*.jsonl"),
            "OTELCOL_TEXT_LOG_FILES": str(tmp_path / "*.log"),
        }
        with collector(tmp_path, config="agent.yaml", environment=environment):
            wait_for(lambda: len(gateway.records()) == 4)
    records = {str(record["body"]): record for record in gateway.records()}
    assert records["from a file"]["trace_id"] == otlp_ids.trace
    assert records["from a file"]["attributes"] == {"order.id": 42, "tags": ["a", True]}
    assert {"plain text", "{not json}"} < set(records)
    parsed = records[line]
    assert (parsed["trace_id"], parsed["span_id"], parsed["severity_number"]) == (ids.trace, ids.span, 21)
    assert parsed["time"] == 1767323045_678901000
    assert parsed["attributes"]["message"] == "hi"


def test_spans_of_one_trace_meet_in_one_gateway(tmp_path: Path) -> None:
    """With the load-balancing overlay, agents send all spans of a trace to the same of two gateways."""
    with collector(tmp_path / "one") as one, collector(tmp_path / "two") as two:
        environment = {
            "GATEWAY_ENDPOINT": one.grpc_endpoint,
            "GATEWAY_ENDPOINTS": f"[{one.grpc_endpoint}, {two.grpc_endpoint}]",
        }
        traces = [secrets.token_hex(16) for _ in range(30)]
        overlays = ["agent.loadbalancing.yaml"]
        with collector(tmp_path, config="agent.yaml", overlays=overlays, environment=environment) as agent:
            for trace in traces * 2:
                send_span(agent, a_span(Ids(trace, secrets.token_hex(8))))
            wait_for(lambda: len(one.spans()) + len(two.spans()) >= 60)
    first, second = ({span["trace_id"] for span in gateway.spans()} for gateway in (one, two))
    assert first | second == set(traces)
    assert not first & second
    assert first
    assert second


def test_a_gateway_samples_but_keeps_what_matters(stack: Stack, tmp_path: Path) -> None:
    """Of the ordinary records those of the chosen traces pass; warnings and records outside of traces always do."""
    # The last 56 bits of a trace id are its randomness: the highest stay, the lowest go.
    kept, left = Ids(secrets.token_hex(9) + "f" * 14, "1" * 16), Ids(secrets.token_hex(8) + "1" + "0" * 15, "1" * 16)
    with gateway_of(stack, tmp_path, OTELCOL_LOG_SAMPLING_PERCENTAGE="10") as gateway:
        sent = [("kept", kept, 9), ("left", left, 9), ("warning", left, 13), ("no trace", None, 9)]
        for body, ids, severity in sent:
            send_log(gateway, a_log(ids, body, severity, service="sampled"))
        wait_for(lambda: len(stack.loki.query('{service_name="sampled"}')) >= 3)
    lines = {line["line"]: line["labels"] for line in stack.loki.query('{service_name="sampled"}')}
    assert set(lines) == {"kept", "warning", "no trace"}
    weighed = {body for body, labels in lines.items() if "sampling_threshold" in labels}
    assert weighed == {"kept"}
    assert not any("sampling_priority" in labels for labels in lines.values())


def test_a_gateway_keeps_failed_traces(stack: Stack, tmp_path: Path) -> None:
    """With a share of 0 only what failed (or was slow) passes; the metrics count every request all the same."""
    fine, failed = new_ids(), new_ids()
    with gateway_of(stack, tmp_path, OTELCOL_TRACE_SAMPLING_PERCENTAGE="0") as gateway:
        send_span(gateway, a_span(fine, service="tail"))
        send_span(gateway, a_span(failed, failed=True, service="tail"))
        assert wait_for(lambda: stack.jaeger.trace(failed.trace))
        counted = re.compile(
            r'traces_span_metrics_calls_total\{.*http_response_status_code="200".*service_name="tail".*\} 1'
        )
        wait_for(lambda: counted.search(gateway.scrape()))
    assert stack.jaeger.trace(fine.trace) == []


def test_a_gateway_with_its_defaults_keeps_everything_as_it_is(stack: Stack, tmp_path: Path) -> None:
    """Sampling is off until somebody asks for it, and leaves no trace of itself on a record."""
    ids = new_ids()
    with gateway_of(stack, tmp_path) as gateway:
        send_log(gateway, a_log(ids, service="unsampled"))
        send_span(gateway, a_span(ids))
        (line,) = wait_for(lambda: stack.loki.query('{service_name="unsampled"}'))
        assert wait_for(lambda: stack.jaeger.trace(ids.trace))
    assert not any("sampling" in label for label in line["labels"])


def gateway_of(stack: Stack, tmp: Path, **environment: str) -> AbstractContextManager[Collector]:
    """A gateway in front of the stack's Loki and Jaeger."""
    logs, traces = stack.loki.otlp_endpoint, stack.jaeger.otlp_grpc
    return collector(tmp, loki=logs, jaeger=traces, config="gateway.yaml", environment=environment)


def test_loki_with_tenants_shows_each_its_own(tmp_path: Path) -> None:
    """With authentication on, a request without a tenant is refused, and a tenant sees its records alone."""
    with loki(tmp_path, auth=True) as logs:
        ids = new_ids()
        url = f"{logs.otlp_endpoint}/v1/logs"
        assert post(url, a_log(ids, "of blue"), {"X-Scope-OrgID": "blue"}) == 204
        with pytest.raises(urllib.error.HTTPError, match="401"):
            post(url, a_log(ids))
        assert [line["line"] for line in wait_for(lambda: logs.query('{service_name="shop"}', tenant="blue"))] == [
            "of blue"
        ]
        assert logs.query('{service_name="shop"}', tenant="red") == []


# --- Grafana ----------------------------------------------------------------------------------------------------------


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    found: dict[str, Any] = json.loads((CONFIG / "grafana" / "dashboards" / "logspan.json").read_text())
    return found


def data_sources() -> dict[str, dict[str, Any]]:
    """The provisioned data sources by their ids."""
    file = CONFIG / "grafana" / "provisioning" / "datasources" / "datasources.yaml"
    return {source["uid"]: source for source in yaml.safe_load(file.read_text())["datasources"]}


def targets() -> list[tuple[str, str, str]]:
    """Every query of the dashboard: the panel's title, the data source, the expression."""
    return [
        (panel["title"], target["datasource"]["uid"], target["expr"])
        for panel in dashboard()["panels"]
        for target in panel["targets"]
    ]


def filled_in(expression: str, trace_id: str = "") -> str:
    """A query with the dashboard's variables replaced as Grafana would."""
    values = {"$service": ".+", "$trace_id": trace_id, "$__rate_interval": "1m", "$__auto": "1m"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@pytest.fixture(scope="module")
def observed(stack: Stack) -> Ids:
    """One failed request, seen by every backend, at least two scrapes ago (a rate needs two points)."""
    ids = new_ids()
    send_log(stack.collector, a_log(ids, severity=17))
    send_span(stack.collector, a_span(ids, failed=True))
    wait_for(lambda: stack.prometheus.query('traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"}'), 40)
    wait_for(
        lambda: stack.prometheus.query('rate(traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"}[1m])'), 40
    )
    wait_for(lambda: stack.loki.query(f'{{service_name="shop"}} | trace_id="{ids.trace}"'))
    return ids


@pytest.mark.parametrize(("title", "source", "expression"), targets())
def test_each_query_of_the_dashboard_finds_data(
    stack: Stack, observed: Ids, title: str, source: str, expression: str
) -> None:
    """A panel's query is accepted by its backend, and shows something after one failed request.

    Counters of losses exist only after a loss: their queries need only be accepted.
    """
    query = filled_in(expression)
    if source == "prometheus":
        found = stack.prometheus.query(query)
        assert found or "could not pass on" in title
    elif "count_over_time" in query:
        assert stack.loki.metric(query)
    else:
        assert stack.loki.query(query)


def test_the_trace_id_box_filters_the_records(stack: Stack, observed: Ids) -> None:
    """With an id typed in, the panel of records shows that request alone; with none, all."""
    ((_, _, expression),) = [target for target in targets() if target[0] == "Records"]
    assert {line["labels"]["trace_id"] for line in stack.loki.query(filled_in(expression, observed.trace))} == {
        observed.trace
    }
    send_log(stack.collector, a_log(None, "outside of any trace"))
    everything = filled_in(expression)
    wait_for(lambda: "outside of any trace" in [line["line"] for line in stack.loki.query(everything)])


def test_data_sources_point_at_each_other_and_at_compose_services() -> None:
    """Each link between data sources leads to one that exists, and each address is a service of the compose file."""
    sources = data_sources()
    text = json.dumps(list(sources.values())) + json.dumps(dashboard())
    uids = set(re.findall(r'"(?:datasourceUid|uid)": "(\w+)"', text)) - {"logspan"}
    assert uids == set(sources) == {"loki", "tempo", "jaeger", "prometheus"}
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for source in sources.values():
        host, port = source["url"].removeprefix("http://").split(":")
        assert any(published.endswith(f":{port}") for published in services[host]["ports"])


@pytest.mark.parametrize("uid", ["tempo", "jaeger"])
def test_the_way_from_a_trace_to_its_logs_finds_them(stack: Stack, observed: Ids, uid: str) -> None:
    """The query behind "Logs for this span" gives the records of that trace."""
    link = data_sources()[uid]["jsonData"]["tracesToLogsV2"]
    (tag,) = link["tags"]
    # What Grafana makes of it: `$$` is an escaped `$`, then the tags become label matchers.
    query = link["query"].replace("$$", "$")
    query = query.replace("${__tags}", f'{tag["value"]}="shop"').replace("${__trace.traceId}", observed.trace)
    assert stack.loki.query(query)
    assert tag["key"] == "service.name"


def test_the_way_from_a_record_to_its_trace_uses_a_label_that_loki_has(stack: Stack, observed: Ids) -> None:
    """Loki's derived fields match a label that OTLP records really carry."""
    (line,) = stack.loki.query(f'{{service_name="shop"}} | trace_id="{observed.trace}"')
    for field in data_sources()["loki"]["jsonData"]["derivedFields"]:
        assert field["matcherType"] == "label"
        assert line["labels"][field["matcherRegex"]] == observed.trace
        assert field["url"] == "$${__value.raw}"


def test_the_dashboard_has_the_form_grafana_reads() -> None:
    """Panels have ids of their own, do not overlap, and fit into the 24 columns."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 0
    cells = [
        (column, row)
        for place in (panel["gridPos"] for panel in panels)
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) < 24
    assert {variable["name"] for variable in dashboard()["templating"]["list"]} == {"service", "trace_id"}


# --- compose ----------------------------------------------------------------------------------------------------------


def composed() -> dict[str, Any]:
    """The compose file as the reference reader understands it, with paths and short forms resolved."""
    done = subprocess.run(
        [binary("compose"), "--format", "json", COMPOSE], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    model: dict[str, Any] = json.loads(done.stdout)
    return model


def test_compose_mounts_exactly_the_files_that_run_here() -> None:
    """Every mounted file exists in collector-config, read-only, and each command names what was mounted."""
    mounted: dict[str, Path] = {}
    for name, service in composed()["services"].items():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                source = Path(volume["source"])
                assert source.exists(), source
                assert source.is_relative_to(CONFIG), source
                assert volume["read_only"], source
                mounted[f"{name}:{volume['target']}"] = source
        for argument in service.get("command") or []:
            if found := re.match(r"--?config(?:\.file)?=(.*)", argument):
                assert f"{name}:{found[1]}" in mounted, argument
    ran = {
        "collector.yaml",
        "collector.loki.yaml",
        "collector.jaeger.yaml",
        "loki.yaml",
        "jaeger.yaml",
        "prometheus.yml",
    }
    image_only = {"collector.tempo.yaml", "tempo.yaml", "prometheus-targets.yml", "provisioning", "dashboards"}
    assert {path.name for path in mounted.values()} == ran | image_only


def test_compose_binds_loopback_and_pins_what_was_built() -> None:
    """No port is open to the network; each image has a full version; where the tests build one, the same."""
    services = composed()["services"]
    for service in services.values():
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), service["image"]
    for name in ("collector", "loki", "jaeger"):
        assert services[name]["image"].endswith(f":{builds.recipes()[name].version}")


def test_compose_targets_are_services_and_ports_of_the_collector() -> None:
    """Prometheus scrapes the two endpoints that collector.yaml opens by default."""
    listed = yaml.safe_load((CONFIG / "prometheus-targets.yml").read_text())
    defaults = re.findall(
        r"OTELCOL_(?:PROMETHEUS_ENDPOINT|TELEMETRY_PORT):-(?:[\d.]+:)?(\d+)", (CONFIG / "collector.yaml").read_text()
    )
    assert {target for group in listed for target in group["targets"]} == {f"collector:{port}" for port in defaults}


def test_files_that_never_ran_say_so() -> None:
    """What exists as an image only carries a note that no test started it."""
    provisioning = CONFIG / "grafana" / "provisioning"
    for file in (CONFIG / "tempo.yaml", *provisioning.rglob("*.yaml")):
        assert "NOT RUN BY THE TESTS" in file.read_text(), file
        assert yaml.safe_load(file.read_text())
    assert "NO TEST STARTED IT" in COMPOSE.read_text()


def test_the_manifest_is_one_set_of_versions() -> None:
    """A Collector is built from components of one release, by the builder of the same."""
    manifest = (CONFIG / "builder.yaml").read_text()
    versions = set(re.findall(r"gomod: .* (v[\d.]+)", manifest))
    assert versions == {f"v{builds.COLLECTOR_VERSION}", "v1.64.0"}


# --- building ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("BACKENDS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def recipe(make: Callable[[Path], None], **pins: str) -> Recipe:
    """A made-up recipe."""
    return Recipe("thing", "1.0", ("program",), pins, make)


def test_a_recipe_is_built_once_however_many_ask(empty_cache: Path) -> None:
    """Four at once: one builds, the others wait and find the result."""
    made: list[Path] = []

    def make(work: Path) -> None:
        time.sleep(0.2)
        made.append(work)
        (work / "out" / "program").touch()

    one = recipe(make)
    threads = [threading.Thread(target=builds.ensure, args=(one,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert one.is_built
    assert not made[0].exists()
    assert one.program().parent.parent == empty_cache


def test_a_changed_pin_is_another_folder(empty_cache: Path) -> None:
    """The folder's name covers everything that decides the result."""
    assert recipe(lambda _: None, module="a@1").folder != recipe(lambda _: None, module="a@2").folder
    assert recipe(lambda _: None, module="a@1").folder == recipe(lambda _: None, module="a@1").folder


def test_a_build_that_fails_leaves_nothing_behind(empty_cache: Path) -> None:
    """Neither a half-built folder nor a temporary one; the next try starts anew."""

    def fail(work: Path) -> None:
        (work / "out" / "program").touch()
        raise BuildError("no luck")

    with pytest.raises(BuildError, match="no luck"):
        builds.ensure(recipe(fail))
    assert [path.name for path in empty_cache.iterdir()] == [".thing.lock"]


def test_a_name_that_is_unknown_is_answered_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line names the backends there are."""
    assert builds.main(["lokki"]) == 1
    assert "collector, loki, jaeger" in capsys.readouterr().err


def test_without_go_the_error_says_which_is_needed(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Go, and a Go that is too old, are told apart; both name the version."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(BuildError, match=r"not on the PATH.*1\.26\.5"):
        builds.require_go()
    (tools / "go").write_text("#!/bin/sh\necho go1.19.8\n")
    (tools / "go").chmod(0o755)
    with pytest.raises(BuildError, match=r"go1\.19\.8.*1\.26\.5"):
        builds.require_go()
    (tools / "go").write_text("#!/bin/sh\necho go1.27rc1\n")
    builds.require_go()


def test_a_missing_backend_skips_here_and_builds_in_ci(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of CI a test is skipped with the command to run; in CI the backend is built, or the test fails."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(BackendMissing, match=r"python -m tests\.e2e\.backends\.build loki"):
        binary("loki")
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(BuildError, match="not on the PATH"):
        binary("loki")


# --- the reader of OTLP JSON ------------------------------------------------------------------------------------------


def test_the_reader_unwraps_every_kind_of_value() -> None:
    """OTLP JSON writes 64-bit integers as text and bytes as base64."""
    pairs: dict[str, tuple[dict[str, Any], Any]] = {
        "text": ({"stringValue": "a"}, "a"),
        "flag": ({"boolValue": False}, False),
        "whole": ({"intValue": "9007199254740993"}, 9007199254740993),
        "real": ({"doubleValue": "NaN"}, None),
        "raw": ({"bytesValue": "AAE="}, b"\x00\x01"),
        "list": ({"arrayValue": {"values": [{"intValue": 1}, {}]}}, [1, None]),
        "map": ({"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}, {"k": "v"}),
        "nothing": ({}, None),
    }
    for name, (wrapped, expected) in pairs.items():
        found = otlp_json.value(wrapped)
        assert found == expected or (name == "real" and found != found), name


def test_the_reader_gets_over_a_torn_document(tmp_path: Path) -> None:
    """What a killed Collector left half-written is skipped; what follows on the line, and rotated files, are not."""
    whole = [json.dumps(a_log(None, f"record {number}")) for number in range(3)]
    (tmp_path / "logs-2026-01-01T00-00-00.000.json").write_text(whole[0] + "\n")
    (tmp_path / "logs.json").write_text(whole[1][:100] + whole[1] + whole[2] + "\n" + whole[0][:-2])
    assert [record["body"] for record in otlp_json.log_records(tmp_path / "logs.json")] == [
        "record 0",
        "record 1",
        "record 2",
    ]
