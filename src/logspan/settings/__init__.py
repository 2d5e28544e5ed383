"""Settings: one frozen tree, from arguments, the environment and files. The only place that reads either."""

from logspan.settings.endpoints import LokiSettings, OtlpSettings, OtlpTarget
from logspan.settings.models import (
    ConsoleSettings,
    EnrichSettings,
    FileSettings,
    FilterSettings,
    LimitSettings,
    MetricsSettings,
    QueueSettings,
    RedactionSettings,
    RequestSettings,
    RetrySettings,
    SamplingSettings,
    SendingQueueSettings,
    Settings,
    SourceSettings,
    TracingSettings,
)

__all__ = [
    "ConsoleSettings",
    "EnrichSettings",
    "FileSettings",
    "FilterSettings",
    "LimitSettings",
    "LokiSettings",
    "MetricsSettings",
    "OtlpSettings",
    "OtlpTarget",
    "QueueSettings",
    "RedactionSettings",
    "RequestSettings",
    "RetrySettings",
    "SamplingSettings",
    "SendingQueueSettings",
    "Settings",
    "SourceSettings",
    "TracingSettings",
]
