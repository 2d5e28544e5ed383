"""OpenTelemetry logs for Python services, FastAPI first: `instrument_app(app)`, and each log carries its trace.

Importing this package only defines names. Each is imported from its own module when it is first used, so that a
program pays for what it uses.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from logspan.assemble import build_pipeline
    from logspan.binding import bind, bound, carry, unbind
    from logspan.errors import (
        InstrumentationError,
        LogspanError,
        MissingExtraError,
        SettingsError,
        UnknownExporterError,
        UnknownPluginError,
    )
    from logspan.fastapi import instrument_app
    from logspan.fastapi.dependencies import get_pipeline, request_logger, user_of
    from logspan.fastapi.lifespan import instrumented
    from logspan.fastapi.options import request_settings
    from logspan.health import HealthReport
    from logspan.identity import set_user
    from logspan.install import Handle, configure_logging
    from logspan.ledger import LedgerSnapshot
    from logspan.pipeline import DrainReport, Pipeline
    from logspan.processors.enrich import EnrichContext, Enricher, RecordView, enricher
    from logspan.processors.redact import Redactor
    from logspan.propagation import outgoing_headers
    from logspan.settings import Settings
    from logspan.sources.facade import StructuredLogger, get_logger

    __version__: str

__all__ = [
    "DrainReport",
    "EnrichContext",
    "Enricher",
    "Handle",
    "HealthReport",
    "InstrumentationError",
    "LedgerSnapshot",
    "LogspanError",
    "MissingExtraError",
    "Pipeline",
    "RecordView",
    "Redactor",
    "Settings",
    "SettingsError",
    "StructuredLogger",
    "UnknownExporterError",
    "UnknownPluginError",
    "__version__",
    "bind",
    "bound",
    "build_pipeline",
    "carry",
    "configure_logging",
    "enricher",
    "get_logger",
    "get_pipeline",
    "instrument_app",
    "instrumented",
    "outgoing_headers",
    "request_logger",
    "request_settings",
    "set_user",
    "unbind",
    "user_of",
]

_MODULES: Final = MappingProxyType(
    {
        "DrainReport": "pipeline",
        "EnrichContext": "processors.enrich",
        "Enricher": "processors.enrich",
        "Handle": "install",
        "HealthReport": "health",
        "InstrumentationError": "errors",
        "LedgerSnapshot": "ledger",
        "LogspanError": "errors",
        "MissingExtraError": "errors",
        "Pipeline": "pipeline",
        "RecordView": "processors.enrich",
        "Redactor": "processors.redact",
        "Settings": "settings",
        "SettingsError": "errors",
        "StructuredLogger": "sources.facade",
        "UnknownExporterError": "errors",
        "UnknownPluginError": "errors",
        "bind": "binding",
        "bound": "binding",
        "build_pipeline": "assemble",
        "carry": "binding",
        "configure_logging": "install",
        "enricher": "processors.enrich",
        "get_logger": "sources.facade",
        "get_pipeline": "fastapi.dependencies",
        "instrument_app": "fastapi",
        "instrumented": "fastapi.lifespan",
        "outgoing_headers": "propagation",
        "request_logger": "fastapi.dependencies",
        "request_settings": "fastapi.options",
        "set_user": "identity",
        "unbind": "binding",
        "user_of": "fastapi.dependencies",
    }
)


def __getattr__(name: str) -> Any:
    """The public name, from its module, once (PEP 562)."""
    if name == "__version__":
        value: Any = _version()
    elif name in _MODULES:
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)


def _version() -> str:
    """That of the installed distribution; a source tree that is not installed has none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("logspan")
    except PackageNotFoundError:
        return "0+unknown"
