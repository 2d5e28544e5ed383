"""The registry: our names, everybody's entry points, and what is said about a name that nobody registered."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as StockGrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as StockHttpExporter
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, LogRecordExporter, LogRecordExportResult

from logspan.entry_points import FileExporter as FileEntryPoint
from logspan.errors import UnknownExporterError
from logspan.exporters.console import ConsoleExporter
from logspan.exporters.file import FileExporter
from logspan.exporters.loki import LokiExporter
from logspan.exporters.otlp_grpc import OtlpGrpcExporter
from logspan.exporters.otlp_http import OtlpHttpExporter
from logspan.outcome import Delivered
from logspan.plugins import BUILDERS, create_exporter, exporter_names
from logspan.settings import LokiSettings, OtlpSettings, Settings
from logspan.testing import OtlpSink, check_exporter_contract
from logspan.testing.contract import sample_batch

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
GROUP = "opentelemetry_logs_exporter"

PLUGIN = """
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

class Good(LogRecordExporter):
    def export(self, batch):
        return LogRecordExportResult.SUCCESS
    def shutdown(self):
        pass
    def force_flush(self, timeout_millis=30_000):
        return True

class Greedy(Good):
    def __init__(self, must):
        pass

class Foreign:
    pass
"""


def register(folder: Path, entry_points: dict[str, str], group: str = GROUP) -> None:
    """What an installed package looks like on disk."""
    info = folder / "acme_logs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-logs\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {target}" for name, target in entry_points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers a good exporter and three bad ones."""
    (tmp_path / "acme_logs.py").write_text(PLUGIN)
    classes = {"acme": "Good", "acme_greedy": "Greedy", "acme_foreign": "Foreign", "acme_gone": "Gone"}
    register(tmp_path, {name: f"acme_logs:{target}" for name, target in classes.items()})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_logs", raising=False)


@pytest.mark.parametrize(
    ("name", "otlp", "kind"),
    [
        ("console", {}, ConsoleExporter),
        ("file", {}, FileExporter),
        ("loki", {}, LokiExporter),
        ("otlp", {}, OtlpHttpExporter),
        ("otlp", {"protocol": "grpc"}, OtlpGrpcExporter),
        ("otlp", {"client": "stock"}, StockHttpExporter),
        ("otlp", {"client": "stock", "protocol": "grpc"}, StockGrpcExporter),
        ("logspan_otlp", {}, OtlpHttpExporter),
        ("logspan_console", {}, ConsoleExporter),
    ],
)
def test_our_names_are_built_from_the_settings(name: str, otlp: dict[str, Any], kind: type) -> None:
    """R5.4: also under the names of our entry points, so that the settings of this pipeline count."""
    exporter = create_exporter(name, Settings(otlp=OtlpSettings(**otlp)))
    assert type(exporter) is kind
    exporter.shutdown()


@pytest.mark.parametrize("client", ["logspan", "stock"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_the_settings_of_otlp_reach_the_wire(client: str, compression: str) -> None:
    """Endpoint, headers and compression, whoever sends."""
    with OtlpSink() as sink:
        otlp: dict[str, Any] = {"headers": {"X-Key": "k"}, "compression": compression, "client": client}
        exporter = create_exporter("otlp", Settings(otlp=OtlpSettings(endpoint=sink.endpoint, **otlp)))
        assert exporter.export(sample_batch()) is LogRecordExportResult.SUCCESS
        exporter.shutdown()
        request = sink.requests()[0]
    assert request.path == "/v1/logs"
    assert request.headers["x-key"] == "k"
    assert request.headers.get("content-encoding", "none") == compression


def test_the_settings_of_loki_reach_the_wire() -> None:
    """Tenant, credentials, headers."""
    with OtlpSink() as sink:
        loki: dict[str, Any] = {"tenant_id": "t", "username": "u", "password": "p", "headers": {"X-A": "1"}}
        exporter = create_exporter("loki", Settings(loki=LokiSettings(endpoint=sink.endpoint, **loki)))
        assert exporter.export(sample_batch()) is LogRecordExportResult.SUCCESS
        exporter.shutdown()
        headers = sink.requests()[0].headers
    assert (headers["x-scope-orgid"], headers["authorization"], headers["x-a"]) == ("t", "Basic dTpw", "1")


@pytest.mark.usefixtures("acme")
def test_any_registered_exporter_works_by_its_name() -> None:
    """R5.4: by the standard entry point group; the SDK's own among them."""
    assert type(create_exporter("acme", Settings())).__name__ == "Good"
    assert isinstance(create_exporter("otlp_proto_http", Settings()), StockHttpExporter)
    assert {"otlp", "console", "acme", "otlp_proto_http"} <= set(exporter_names())


def test_our_console_goes_before_the_sdks() -> None:
    """The SDK registers a `console` too."""
    assert not isinstance(create_exporter("console", Settings()), ConsoleLogRecordExporter)


def test_an_unknown_name_is_told_its_neighbours() -> None:
    """The message names what was given, the near ones and all others."""
    with pytest.raises(UnknownExporterError, match=r"'otpl'; did you mean 'otlp'.*Known: otlp, loki, file, console"):
        create_exporter("otpl", Settings())


def test_an_unknown_name_is_told_with_who_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """R10.3: a bad value is named with its variable."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otpl")
    with pytest.raises(UnknownExporterError, match=r"^OTEL_LOGS_EXPORTER: no exporter is registered as 'otpl'"):
        create_exporter("otpl", Settings())


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acme_greedy", "TypeError"),
        ("acme_foreign", "no LogRecordExporter"),
        ("acme_gone", "AttributeError"),
    ],
)
def test_a_broken_registration_is_named(name: str, said: str) -> None:
    """With the package that it comes from."""
    with pytest.raises(UnknownExporterError, match=rf"(?s){name}.*acme-logs.*{said}"):
        create_exporter(name, Settings())


def our_entry_points() -> dict[str, str]:
    """As pyproject.toml registers them."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    registered: dict[str, str] = project["entry-points"][GROUP]
    return registered


def test_all_ours_are_registered() -> None:
    """Each name of ours has an entry point, and each is a class of exporters, as the SDK asks."""
    points = our_entry_points()
    assert set(points) == {f"logspan_{name}" for name in BUILDERS}
    for name, target in points.items():
        assert issubclass(EntryPoint(name, target, GROUP).load(), LogRecordExporter)


def test_an_entry_point_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made with no arguments, it reads the settings and passes everything on."""
    path = tmp_path / "out.jsonl"
    monkeypatch.setenv("LOGSPAN_FILE__PATH", str(path))
    check_exporter_contract(FileEntryPoint)
    exporter = FileEntryPoint()
    assert exporter.deliver(sample_batch()) == Delivered()
    exporter.shutdown()
    assert path.stat().st_size > 0


SDK = """
import logging
from opentelemetry._logs import get_logger_provider, SeverityNumber
from opentelemetry.sdk._configuration import _OTelSDKConfigurator

_OTelSDKConfigurator().configure()
get_logger_provider().get_logger("app").emit(body="through the SDK", severity_number=SeverityNumber.INFO)
get_logger_provider().shutdown()
"""


def test_the_sdk_finds_ours_by_name(tmp_path: Path) -> None:
    """`OTEL_LOGS_EXPORTER=logspan_file` with the SDK's own configuration, and no pipeline of ours."""
    register(tmp_path, our_entry_points())
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))),
        "OTEL_LOGS_EXPORTER": "logspan_file",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "LOGSPAN_FILE__PATH": str(tmp_path / "sdk.jsonl"),
    }
    subprocess.run([sys.executable, "-c", SDK], check=True, env=environment, timeout=50)
    assert "through the SDK" in (tmp_path / "sdk.jsonl").read_text(encoding="utf-8")
