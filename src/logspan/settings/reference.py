"""The settings reference, made from the models: `python -m logspan.settings.reference > docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from logspan.settings.models import Settings
from logspan.settings.otel import RULES, SPAN_RULES
from logspan.settings.schema import SettingPath, section_of, type_name
from logspan.settings.sources import RESOURCE_FIELDS, variable_name

_INTRODUCTION = """\
<!-- Made by `python -m logspan.settings.reference`; change the models in src/logspan/settings instead. -->
# Settings

Everything has a default; nothing has to be set. A value comes from the first of these that has one:

1. **Arguments**: `Settings(service_name="shop", otlp=OtlpSettings(timeout=5))`.
2. **`LOGSPAN_*`** variables of the environment; sections are joined with two underscores: `LOGSPAN_OTLP__TIMEOUT=5`.
3. **`OTEL_*`** variables of the environment, the standard ones that are named below.
4. **A `.env` file**, when it is asked for: `Settings.load(env_file=".env")` or `LOGSPAN_ENV_FILE=.env`. It may hold
   `LOGSPAN_*` and `OTEL_*` variables; of one setting, the `LOGSPAN_*` variable counts.
5. **TOML**: `logspan.toml` in the working directory, or else `[tool.logspan]` in its `pyproject.toml`.
   `LOGSPAN_CONFIG_FILE` or `Settings.load(config_file=...)` names another file.
6. **Defaults**.

```toml
# logspan.toml
service_name = "shop"
exporters = ["otlp", "file"]

[otlp]
endpoint = "http://collector:4318"
headers = { x-team = "checkout" }
```

- An empty string means unset, everywhere.
- As text, a list is written `a,b` or as a JSON array; name=value pairs are written `a=1,b=2`, percent-encoded (a comma
  in a value is `%2C`), or as a JSON object. A whole section may be given as a JSON object:
  `LOGSPAN_QUEUE={"max_queue_size": 1000}`.
- Name=value pairs of several sources are merged name by name; everything else is replaced. A general setting of a
  higher source (`otlp.endpoint`, `otlp.protocol`, `otlp.headers`) goes before the special one of a lower source
  (`otlp.logs_endpoint`, ...).
- A wrong value stops the start with a `SettingsError` that names each wrong setting as you wrote it, its value (never
  a secret's), what is allowed and the nearest right spelling. An unknown name is refused in arguments and in TOML; an
  unknown `LOGSPAN_*` variable makes a `SettingsWarning`.
- The `OTEL_BLRP_*` variables set the queue in front of each exporter (`sending_queue`): that is where records wait
  while a receiver is slow, as they do in the OTel SDK's batch processor. The queue behind the callers (`queue`) is
  emptied every few milliseconds and has no counterpart there.
- Where logs and spans have variables of their own (`OTEL_EXPORTER_OTLP_LOGS_HEADERS`, `..._LOGS_PROTOCOL`), spans do
  not get those of the logs: they go by `..._TRACES_...`, else by the general one.
- `OTEL_*` booleans are true for `true` alone, as the specification says; anything else but `false` makes a
  `SettingsWarning`.
- `settings.describe()` lists each setting with its value and who set it.
"""

_HEADER = """\
| Setting | Variable | Type | Default | What it is | `OTEL_*` |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The reference page, in Markdown."""
    return "\n".join([_INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    otel = _otel_names()
    fields = Settings.model_fields
    top: dict[SettingPath, FieldInfo] = {(name,): field for name, field in fields.items() if section_of(field) is None}
    yield "## General\n\n" + _table(top, otel)
    for name, field in fields.items():
        section = section_of(field)
        if section is not None:
            inner: dict[SettingPath, FieldInfo] = {
                (name, own): setting for own, setting in section.model_fields.items()
            }
            yield f"## `{name}`\n\n{_summary(section.__doc__)}\n\n" + _table(inner, otel)


def _table(fields: dict[SettingPath, FieldInfo], otel: dict[SettingPath, list[str]]) -> str:
    return _HEADER + "".join(_row(path, field, otel.get(path, [])) for path, field in fields.items())


def _row(path: SettingPath, field: FieldInfo, otel: list[str]) -> str:
    cells = [
        f"`{path[-1]}`",
        f"`{variable_name(path)}`",
        type_name(field),
        _default(field),
        field.description or "",
        "<br>".join(otel),
    ]
    return f"| {' | '.join(cells)} |\n"


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value in ([], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _summary(docstring: str | None) -> str:
    return (docstring or "").split("\n\n", 1)[0]


def _otel_names() -> dict[SettingPath, list[str]]:
    """The variables of each setting, the most specific first."""
    names: dict[SettingPath, list[str]] = {}
    for rule in RULES:
        names.setdefault(rule.path, []).extend(f"`{name}`" for name in rule.names)
    for rule, _, _ in SPAN_RULES:
        names.setdefault(rule.path, []).append(f"`{rule.names[0]}`")
    for attribute, field in RESOURCE_FIELDS.items():
        names.setdefault((field,), []).append(f"`{attribute}` in `OTEL_RESOURCE_ATTRIBUTES`")
    return names


if __name__ == "__main__":
    sys.stdout.write(page())
