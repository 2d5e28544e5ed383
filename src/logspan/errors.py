"""The errors that logspan raises, all of them at start-up or from a tool, never from a log call.

```
LogspanError
├── SettingsError        a setting is wrong: names it, its value, what is allowed
├── MissingExtraError    an optional package is needed: names the command that installs it
├── UnknownPluginError   nothing is registered under a name, or it cannot be used: names the near ones
│   └── UnknownExporterError   the same of an exporter
└── InstrumentationError an application cannot be instrumented, and why
```
"""


class LogspanError(Exception):
    """The root of all errors that logspan raises."""


class SettingsError(LogspanError, ValueError):
    """One or more settings are wrong; the message has one line for each of them."""


class MissingExtraError(LogspanError, ImportError):
    """An optional package is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional package: pip install 'logspan[{extra}]'")
        self.extra = extra


class UnknownPluginError(LogspanError, LookupError):
    """No enricher or resource detector is registered under the name that was given, or it cannot be made."""


class UnknownExporterError(UnknownPluginError):
    """No exporter is registered under the name that was given, or it cannot be made."""


class InstrumentationError(LogspanError, RuntimeError):
    """An application cannot be instrumented as asked."""
