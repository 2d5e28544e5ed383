"""Settings: one frozen tree, from arguments, the environment and files. The only place that reads either."""

from logspan.settings.endpoints import LokiSettings, OtlpSettings, OtlpTarget
from logspan.settings.enrichment import EnrichSettings, ResourceSettings
from logspan.settings.loading import Described
from logspan.settings.models import (
    BreakerSettings,
    ConsoleSettings,
    FileSettings,
    FileStorageSettings,
    FilterSettings,
    LimitSettings,
    MetricsSettings,
    QueueSettings,
    RetrySettings,
    SamplingSettings,
    SendingQueueSettings,
    Settings,
    SourceSettings,
    TracingSettings,
    given_settings,
)
from logspan.settings.redaction import RedactionRuleSettings, RedactionSetSettings, RedactionSettings
from logspan.settings.report import SettingsWarning
from logspan.settings.requests import RequestSettings
from logspan.settings.section import Section

__all__ = [
    "BreakerSettings",
    "ConsoleSettings",
    "Described",
    "EnrichSettings",
    "FileSettings",
    "FileStorageSettings",
    "FilterSettings",
    "LimitSettings",
    "LokiSettings",
    "MetricsSettings",
    "OtlpSettings",
    "OtlpTarget",
    "QueueSettings",
    "RedactionRuleSettings",
    "RedactionSetSettings",
    "RedactionSettings",
    "RequestSettings",
    "ResourceSettings",
    "RetrySettings",
    "SamplingSettings",
    "Section",
    "SendingQueueSettings",
    "Settings",
    "SettingsWarning",
    "SourceSettings",
    "TracingSettings",
    "given_settings",
]
