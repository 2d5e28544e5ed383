"""The registry: from a name to an exporter, an enricher or a resource detector.

Four exporters are ours and are built from the settings: `otlp`, `loki`, `file`, `console`; so are five detectors. Every
other name is looked up under an entry point group: exporters and detectors under the standard ones of OpenTelemetry,
enrichers under `logspan_enricher`. What a group names is called with no arguments when it is a class, as the SDK does.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.resources import ProcessResourceDetector, ResourceDetector

from logspan.errors import LogspanError, SettingsError, UnknownExporterError, UnknownPluginError
from logspan.processors.enrich import Enricher, named_enrichers
from logspan.resource.container import ContainerDetector, KubernetesDetector
from logspan.resource.detection import NamedDetector
from logspan.resource.machine import HostDetector, OsDetector
from logspan.settings.kubernetes import kubernetes_variables
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
        extra = next((extra for prefix, extra in _EXTRAS.items() if self is DETECTOR and name.startswith(prefix)), None)
        if extra:
            return self.error(f"{origin}{self.word} {name!r} needs a package: pip install 'logspan[{extra}]'")
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        text = f"no {self.word} is registered as {name!r}; {hint}Known: {', '.join(known) or 'none'}"
        return self.error(origin + text)


_EXTRAS = MappingProxyType({"aws_": "aws", "gcp": "gcp", "azure_": "azure"})

EXPORTER = Kind("exporter", "opentelemetry_logs_exporter", "exporters", UnknownExporterError)
ENRICHER = Kind("enricher", "logspan_enricher", "enrich.enrichers")
DETECTOR = Kind("resource detector", "opentelemetry_resource_detector", "resource.detectors")


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


def create_detectors(settings: Settings) -> list[NamedDetector]:
    """The resource detectors that the settings name, in their order; nothing is detected yet.

    Raises `UnknownPluginError` for a name that nobody registered, or whose registration is broken; what `*` finds may
    be broken.
    """
    detectors: list[NamedDetector] = []
    for name in settings.resource.detectors:
        if name == "*":
            detectors += _all_other_detectors(settings)
        elif name not in _ALWAYS:
            detectors.append(_create_detector(name, settings))
    return detectors


def _all_other_detectors(settings: Settings) -> list[NamedDetector]:
    found: list[NamedDetector] = []
    for name in _detector_names():
        if name not in settings.resource.detectors:
            with suppress(UnknownPluginError):
                found.append(_create_detector(name, settings))
    return found


def _detector_names() -> tuple[str, ...]:
    """Every name that can be asked for, ours first."""
    return (*DETECTORS, *(name for name in DETECTOR.names() if name not in DETECTORS and name not in _ALWAYS))


def _create_detector(name: str, settings: Settings) -> NamedDetector:
    build = DETECTORS.get(name)
    if build is not None:
        return NamedDetector(name, build(settings), local=name not in _ASKS)
    point = DETECTOR.find(name)
    if point is None:
        raise DETECTOR.unknown(name, _detector_names(), settings)
    detector = DETECTOR.load(point)
    if not isinstance(detector, ResourceDetector):
        raise UnknownPluginError(f"{DETECTOR.origin(point)} is no ResourceDetector of the OpenTelemetry SDK")
    return NamedDetector(name, detector)


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


_ALWAYS = frozenset({"otel", "service_instance"})
"""What these find is in every resource of ours: `OTEL_RESOURCE_ATTRIBUTES`, `service.instance.id`."""

_ASKS = frozenset({"process"})
"""Of ours, those that may ask a server all the same: the name of the process's owner is looked up, in LDAP say."""

DETECTORS: Mapping[str, Callable[[Settings], ResourceDetector]] = MappingProxyType(
    {
        "host": lambda _: HostDetector(),
        "os": lambda _: OsDetector(),
        "process": lambda settings: ProcessResourceDetector(include_command_args=settings.resource.command_args),
        "container": lambda _: ContainerDetector(),
        "k8s": lambda settings: KubernetesDetector(settings.resource.podinfo, kubernetes_variables),
    }
)
"""Our own resource detectors."""

BUILDERS: Mapping[str, Callable[[Settings], LogRecordExporter]] = MappingProxyType(
    {"otlp": _otlp, "loki": _loki, "file": _file, "console": _console}
)
"""Our own names, each imported when it is used."""
