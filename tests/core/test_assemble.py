"""What `build_pipeline` refuses, before anything is started."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from logspan.assemble import build_pipeline
from logspan.errors import SettingsError
from logspan.settings import Settings


@pytest.mark.parametrize(
    ("settings", "exporters", "message"),
    [
        ("shop", None, "settings must be a logspan.Settings, not a str"),
        ({"level": "DEBUG"}, None, r"not a dict; Settings\(\*\*\.\.\.\) makes one of a mapping"),
        (None, ["otlp"], r"'str' is a str, .*; names of exporters go into Settings\(exporters="),
        (None, [object()], "exporters: 'object' is a object, which is no opentelemetry LogRecordExporter"),
        (None, {"otlp": "http://x"}, "exporters: 'otlp' is a str, which is no opentelemetry LogRecordExporter"),
    ],
)
def test_what_is_no_exporter_or_no_settings_is_refused(settings: Any, exporters: Any, message: str) -> None:
    """By name, and with nothing left running."""
    before = set(threading.enumerate())
    with pytest.raises(SettingsError, match=message):
        build_pipeline(Settings() if settings is None else settings, exporters=exporters)
    assert set(threading.enumerate()) <= before  # one of another test may end just now
