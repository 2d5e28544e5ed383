"""Where records and spans go (R1.3): https://opentelemetry.io/docs/specs/otel/protocol/exporter/."""

from typing import Any

import pytest

from logspan.errors import SettingsError
from logspan.settings import LokiSettings, OtlpSettings, Settings


@pytest.mark.parametrize(
    ("given", "logs", "traces"),
    [
        ({}, "http://localhost:4318/v1/logs", "http://localhost:4318/v1/traces"),
        ({"endpoint": "http://c:4318"}, "http://c:4318/v1/logs", "http://c:4318/v1/traces"),
        ({"endpoint": "http://c:4318/"}, "http://c:4318/v1/logs", "http://c:4318/v1/traces"),
        ({"endpoint": "https://c/otlp/"}, "https://c/otlp/v1/logs", "https://c/otlp/v1/traces"),
        ({"endpoint": "https://c/a?k=v"}, "https://c/a/v1/logs?k=v", "https://c/a/v1/traces?k=v"),
        ({"logs_endpoint": "http://c/own/"}, "http://c/own/", "http://localhost:4318/v1/traces"),
        (
            {"endpoint": "http://c", "traces_endpoint": "https://t/own"},
            "http://c/v1/logs",
            "https://t/own",
        ),
    ],
)
def test_http(given: dict[str, Any], logs: str, traces: str) -> None:
    """The base URL gets the signal's path; a signal's own URL is used as it is."""
    otlp = OtlpSettings(**given)
    target, spans = otlp.resolved_logs_endpoint(), otlp.resolved_traces_endpoint()
    assert (target.protocol, target.address, target.secure) == ("http/protobuf", logs, logs.startswith("https"))
    assert (spans.protocol, spans.address, spans.secure) == ("http/protobuf", traces, traces.startswith("https"))


@pytest.mark.parametrize(
    ("endpoint", "insecure", "address", "secure"),
    [
        (None, None, "localhost:4317", False),
        ("http://c:4317", None, "c:4317", False),
        ("http://c:4317/ignored", False, "c:4317", False),
        ("https://c:4317", True, "c:4317", True),
        ("https://c", None, "c:443", True),
        ("http://c", None, "c:80", False),
        ("c:4317", None, "c:4317", True),
        ("c:4317", True, "c:4317", False),
        ("c:4317", False, "c:4317", True),
        ("http://[::1]:4317", None, "[::1]:4317", False),
        ("unix:/run/otel.sock", True, "unix:/run/otel.sock", False),
        ("dns:///c:4317", True, "dns:///c:4317", False),
    ],
)
def test_grpc(endpoint: str | None, insecure: bool | None, address: str, secure: bool) -> None:
    """A target for a channel; the scheme says whether TLS is used, `insecure` where there is none."""
    otlp = OtlpSettings(protocol="grpc", endpoint=endpoint, insecure=insecure)
    for target in (otlp.resolved_logs_endpoint(), otlp.resolved_traces_endpoint()):
        assert (target.protocol, target.address, target.secure) == ("grpc", address, secure)


def test_each_signal_may_have_its_own_transport() -> None:
    """Logs by HTTP, spans by gRPC."""
    otlp = OtlpSettings(traces_protocol="grpc", traces_endpoint="c:4317", insecure=True)
    assert otlp.resolved_logs_endpoint().address == "http://localhost:4318/v1/logs"
    assert otlp.resolved_traces_endpoint().address == "c:4317"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ("console",)),
        ({"otlp": {"endpoint": "http://c"}}, ("console", "otlp")),
        ({"otlp": {"logs_endpoint": "http://c"}}, ("console", "otlp")),
        ({"otlp": {"traces_endpoint": "http://c"}}, ("console",)),
        ({"otlp": {"endpoint": "http://c"}, "exporters": ["file"]}, ("file",)),
        ({"exporters": []}, ()),
        ({"exporters": ["otlp"]}, ("otlp",)),
    ],
)
def test_effective_exporters(given: dict[str, Any], names: tuple[str, ...]) -> None:
    """Those that were named; else the console, and OTLP as soon as it is known where logs go."""
    assert Settings(**given).effective_exporters() == names


@pytest.mark.parametrize(
    "given",
    [
        {"endpoint": "c:4318"},
        {"endpoint": "ftp://c"},
        {"logs_endpoint": "unix:/x"},
        {"traces_endpoint": "c:4317"},
        {"protocol": "grpc", "endpoint": "ftp://c"},
        {"protocol": "grpc", "traces_protocol": "http/protobuf", "traces_endpoint": "c:4317"},
        {"endpoint": "http://"},
        {"protocol": "grpc", "endpoint": ":4317"},
    ],
)
def test_endpoints_that_cannot_be_reached_are_refused(given: dict[str, Any]) -> None:
    """HTTP needs http:// or https://; gRPC takes host:port too; both need a host."""
    with pytest.raises(SettingsError, match=r"endpoint = '[^']*': must "):
        OtlpSettings(**given)


def test_loki() -> None:
    """Loki's own OTLP endpoint, below the base URL."""
    assert LokiSettings().logs_url() == "http://localhost:3100/otlp/v1/logs"
    assert LokiSettings(endpoint="https://l/base/").logs_url() == "https://l/base/otlp/v1/logs"
