"""The registry of exporters: from a name to an exporter.

Four names are ours and are built from the settings: `otlp`, `loki`, `file`, `console`. Every other name is looked up
under the standard entry point group of OpenTelemetry, where its class is called with no arguments, as the SDK does.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.errors import LogspanError, UnknownExporterError
from logspan.values import safe_str

if TYPE_CHECKING:
    from pydantic import SecretStr

    from logspan.settings import Settings

ENTRY_POINT_GROUP = "opentelemetry_logs_exporter"

_COLORS = MappingProxyType({"auto": None, "always": True, "never": False})


def create_exporter(name: str, settings: Settings) -> LogRecordExporter:
    """A new exporter.

    Raises `UnknownExporterError` for a name that nobody registered, or whose registration is broken, and
    `SettingsError` when the settings can never work. Nothing is connected or opened yet.
    """
    build = BUILDERS.get(name.removeprefix("logspan_"))
    if build is not None:
        return build(settings)
    found = entry_points(group=ENTRY_POINT_GROUP, name=name)
    if not found:
        raise UnknownExporterError(_unknown(name, settings))
    return _load(next(iter(found)))


def exporter_names() -> tuple[str, ...]:
    """Every name that `create_exporter` knows, ours first."""
    others = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    return (*BUILDERS, *sorted(name for name in others if name.removeprefix("logspan_") not in BUILDERS))


def _load(point: EntryPoint) -> LogRecordExporter:
    origin = f"exporter {point.name!r} ({point.value}{_from(point)})"
    try:
        exporter = point.load()()
    except LogspanError:
        raise
    except Exception as error:
        raise UnknownExporterError(f"{origin} cannot be made: {type(error).__name__}: {safe_str(error)}") from error
    if not isinstance(exporter, LogRecordExporter):
        raise UnknownExporterError(f"{origin} is no LogRecordExporter of the OpenTelemetry SDK")
    return exporter


def _from(point: EntryPoint) -> str:
    return f", of {point.dist.name}" if point.dist else ""


def _unknown(name: str, settings: Settings) -> str:
    origins = [f"{known.origin}: " for known in settings.describe() if known.name == "exporters"]
    origin = origins[0] if name in (settings.exporters or ()) else ""
    names = exporter_names()
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{origin}no exporter is registered as {name!r}; {hint}Known: {', '.join(names)}"


def _otlp(settings: Settings) -> LogRecordExporter:
    otlp = settings.otlp
    target = otlp.resolved_logs_endpoint()
    headers = _revealed(target.headers)
    if otlp.client == "stock":
        from logspan.exporters.otlp_stock import stock_otlp_exporter

        return stock_otlp_exporter(
            target.protocol,
            target.address,
            insecure=not target.secure,
            headers=headers,
            compression=otlp.compression,
            timeout=otlp.timeout,
            certificate=otlp.certificate,
            client_certificate=otlp.client_certificate,
            client_key=otlp.client_key,
        )
    if target.protocol == "grpc":
        from logspan.exporters.otlp_grpc import OtlpGrpcExporter

        return OtlpGrpcExporter(
            target.address,
            insecure=not target.secure,
            headers=headers,
            compression=otlp.compression,
            timeout=otlp.timeout,
            certificate=otlp.certificate,
            client_certificate=otlp.client_certificate,
            client_key=otlp.client_key,
        )
    from logspan.exporters.otlp_http import OtlpHttpExporter

    return OtlpHttpExporter(
        target.address,
        headers=headers,
        compression=otlp.compression,
        timeout=otlp.timeout,
        certificate=otlp.certificate,
        client_certificate=otlp.client_certificate,
        client_key=otlp.client_key,
    )


def _loki(settings: Settings) -> LogRecordExporter:
    from logspan.exporters.loki import LokiExporter

    loki = settings.loki
    return LokiExporter(
        loki.endpoint,
        tenant_id=loki.tenant_id,
        username=loki.username,
        password=loki.password.get_secret_value() if loki.password else None,
        headers=_revealed(loki.headers),
        compression=loki.compression,
        timeout=loki.timeout,
        certificate=loki.certificate,
    )


def _file(settings: Settings) -> LogRecordExporter:
    from logspan.exporters.file import FileExporter

    return FileExporter(settings.file.path, max_bytes=settings.file.max_bytes, backup_count=settings.file.backup_count)


def _console(settings: Settings) -> LogRecordExporter:
    from logspan.exporters.console import ConsoleExporter

    console = settings.console
    return ConsoleExporter(format=console.format, stream=console.stream, color=_COLORS[console.color])


def _revealed(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


BUILDERS: Mapping[str, Callable[[Settings], LogRecordExporter]] = MappingProxyType(
    {"otlp": _otlp, "loki": _loki, "file": _file, "console": _console}
)
"""Our own names, each imported when it is used."""
