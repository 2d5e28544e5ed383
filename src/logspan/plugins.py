"""The registry: from a name to an exporter or an enricher.

Four exporters are ours and are built from the settings: `otlp`, `loki`, `file`, `console`. Every other name is looked
up under an entry point group: exporters under the standard one of OpenTelemetry, enrichers under `logspan_enricher`.
What a group names is called with no arguments when it is a class, as the SDK does.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.errors import LogspanError, SettingsError, UnknownExporterError, UnknownPluginError
from logspan.processors.enrich import Enricher, named_enrichers
from logspan.values import safe_str

if TYPE_CHECKING:
    from pydantic import SecretStr

    from logspan.settings import Settings

_COLORS = MappingProxyType({"auto": None, "always": True, "never": False})


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be registered: its word, its entry point group, the setting that names it, and what is raised."""

    word: str
    group: str
    setting: str
    error: type[UnknownPluginError] = UnknownPluginError

    def find(self, name: str) -> EntryPoint | None:
        """The entry point of a name; of several the first."""
        return next(iter(entry_points(group=self.group, name=name)), None)

    def names(self) -> list[str]:
        """What installed packages have registered."""
        return sorted({point.name for point in entry_points(group=self.group)})

    def load(self, point: EntryPoint) -> object:
        """What the entry point names; an instance of it when it is a class."""
        try:
            found = point.load()
            return found() if inspect.isclass(found) else found
        except LogspanError:
            raise
        except Exception as error:
            text = f"{self.origin(point)} cannot be made: {type(error).__name__}: {safe_str(error)}"
            raise self.error(text) from error

    def origin(self, point: EntryPoint) -> str:
        """The name, and the package that it comes from."""
        package = f", of {point.dist.name}" if point.dist else ""
        return f"{self.word} {point.name!r} ({point.value}{package})"

    def unknown(self, name: str, known: tuple[str, ...], settings: Settings) -> UnknownPluginError:
        """What to raise for a name that nobody has registered: who set it, what comes near, what there is."""
        set_by = {described.name: described.origin for described in settings.describe()}[self.setting]
        section: object = settings
        for part in self.setting.split("."):
            section = getattr(section, part)
        origin = f"{set_by}: " if isinstance(section, list) and name in section else ""
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        text = f"no {self.word} is registered as {name!r}; {hint}Known: {', '.join(known) or 'none'}"
        return self.error(origin + text)


EXPORTER = Kind("exporter", "opentelemetry_logs_exporter", "exporters", UnknownExporterError)
ENRICHER = Kind("enricher", "logspan_enricher", "enrich.enrichers")


def create_exporter(name: str, settings: Settings) -> LogRecordExporter:
    """A new exporter.

    Raises `UnknownExporterError` for a name that nobody registered, or whose registration is broken, and
    `SettingsError` when the settings can never work. Nothing is connected or opened yet.
    """
    build = BUILDERS.get(name.removeprefix("logspan_"))
    if build is not None:
        return build(settings)
    point = EXPORTER.find(name)
    if point is None:
        raise EXPORTER.unknown(name, exporter_names(), settings)
    exporter = EXPORTER.load(point)
    if not isinstance(exporter, LogRecordExporter):
        raise UnknownExporterError(f"{EXPORTER.origin(point)} is no LogRecordExporter of the OpenTelemetry SDK")
    return exporter


def exporter_names() -> tuple[str, ...]:
    """Every name that `create_exporter` knows, ours first."""
    return (*BUILDERS, *(name for name in EXPORTER.names() if name.removeprefix("logspan_") not in BUILDERS))


def create_enricher(name: str, settings: Settings) -> Enricher:
    """The enricher that a package has registered: a function, an object that can be called, or a class of such.

    Raises `UnknownPluginError` for a name that nobody registered, or whose registration is broken.
    """
    point = ENRICHER.find(name)
    if point is None:
        raise ENRICHER.unknown(name, tuple(ENRICHER.names()), settings)
    found = ENRICHER.load(point)
    try:
        return named_enrichers({name: found})[0]  # type: ignore[dict-item]  # what it is not, is said
    except SettingsError as error:
        raise UnknownPluginError(f"{ENRICHER.origin(point)} is no enricher: {error}") from error


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
