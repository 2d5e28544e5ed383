"""The sources of settings, in terms of pydantic-settings: each yields entries, and remembers who set what."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from logspan.settings.reading import CONFIG_FILE, ENV_FILE, Reading
from logspan.settings.report import MASK, Origin, Problem, nearest
from logspan.settings.schema import SettingPath, find, is_secret, kind_of, walk
from logspan.settings.text import parse

PREFIX = "LOGSPAN_"
DELIMITER = "__"

RESOURCE_FIELDS = {
    "service.name": "service_name",
    "service.namespace": "service_namespace",
    "service.version": "service_version",
    "service.instance.id": "service_instance_id",
    "deployment.environment.name": "deployment_environment_name",
}
"""Resource attributes that are settings of their own, wherever they are written."""

_OVERRULED: Mapping[SettingPath, tuple[SettingPath, ...]] = {
    ("otlp", "endpoint"): (("otlp", "logs_endpoint"), ("otlp", "traces_endpoint")),
    ("otlp", "protocol"): (("otlp", "traces_protocol"),),
    ("otlp", "headers"): (("otlp", "traces_headers"),),
}
"""A general setting of a higher source goes before the special one of a lower source."""


class Entry(NamedTuple):
    """One value, by the path of its setting (for mappings: down to the key)."""

    path: SettingPath
    value: Any
    origin: Origin


class Source(PydanticBaseSettingsSource):
    """Base: turns entries into the nested mapping that pydantic-settings merges."""

    def __init__(self, settings_cls: type[BaseSettings], reading: Reading) -> None:
        super().__init__(settings_cls)
        self.reading = reading

    @abc.abstractmethod
    def entries(self) -> Iterable[Entry]:
        """What this source sets, in the order in which later entries replace earlier ones."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: `__call__` yields the whole tree at once."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The tree of values; the first source that sets one is remembered as its origin."""
        tree: dict[str, Any] = {}
        for path, value, origin in self._kept(_lifted(list(self.entries()))):
            _put(tree, path, value)
            self.reading.origins.known.setdefault(path, origin)
        return tree

    def _kept(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Without empty strings, which mean unset, and without what a higher source overrules."""
        overruled = {
            special
            for general, specials in _OVERRULED.items()
            if _get(self.current_state, general) is not None
            for special in specials
        }
        for entry in entries:
            unset = isinstance(entry.value, str) and not entry.value.strip()
            if entry.path[:2] not in overruled and not (unset and self._is_whole(entry.path)):
                yield entry

    def _is_whole(self, path: SettingPath) -> bool:
        """Whether a path ends at a setting, and not inside its value."""
        found, _ = find(self.settings_cls, path)
        return found == path


class StructuredSource(Source):
    """Values that have a structure already: arguments, and a TOML file."""

    def __init__(
        self, settings_cls: type[BaseSettings], reading: Reading, values: Mapping[str, Any], label: str
    ) -> None:
        super().__init__(settings_cls, reading)
        self.values = values
        self.label = label

    def entries(self) -> Iterator[Entry]:
        """The values, down to single settings."""
        for path, value in flattened(self.settings_cls, self.values):
            yield Entry(path, value, Origin(self.label + ".".join(path), path))


class VariableSource(Source):
    """`LOGSPAN_*` variables, of the environment or of a `.env` file; case does not matter."""

    def __init__(
        self, settings_cls: type[BaseSettings], reading: Reading, variables: Mapping[str, str], label: str = ""
    ) -> None:
        super().__init__(settings_cls, reading)
        self.variables = variables
        self.label = label

    def entries(self) -> Iterator[Entry]:
        """The variables that name a setting, whole sections first; the others make a warning."""
        known = variable_names(self.settings_cls)
        for upper, (written, text) in sorted(self._ours().items(), key=lambda item: item[0].count(DELIMITER)):
            if upper in known:
                yield from self._entries_of(*known[upper], written, text)
            elif upper not in (CONFIG_FILE, ENV_FILE):
                self.reading.warnings.append(f"{self.label}{written} is no setting of logspan{_near(upper, known)}")

    def _ours(self) -> dict[str, tuple[str, str]]:
        """Upper-case name to the name as it was written, and the text; the upper-case spelling goes first."""
        ours: dict[str, tuple[str, str]] = {}
        for written, text in self.variables.items():
            upper = written.upper()
            if upper.startswith(PREFIX) and text.strip() and (upper not in ours or written == upper):
                ours[upper] = (written, text)
        return ours

    def _entries_of(self, path: SettingPath, field: FieldInfo, written: str, text: str) -> Iterator[Entry]:
        origin = Origin(self.label + written, path, text)
        try:
            value = parse(kind_of(field), text)
        except ValueError as error:
            self.reading.problems.append(Problem(origin.label, str(error), shown_text(field, text)))
            return
        for inner, leaf in flattened_at(self.settings_cls, path, value):
            yield Entry(inner, leaf, origin)


def _near(upper: str, known: Iterable[str]) -> str:
    """The nearest variable, compared without the prefix that they all share."""
    near = nearest(upper.removeprefix(PREFIX), (name.removeprefix(PREFIX) for name in (*known, CONFIG_FILE, ENV_FILE)))
    return near.replace("did you mean ", f"did you mean {PREFIX}")


def variable_names(model: type[BaseModel]) -> dict[str, tuple[SettingPath, FieldInfo]]:
    """The `LOGSPAN_*` name of each setting and section."""
    return {variable_name(path): (path, field) for path, field in walk(model)}


def variable_name(path: SettingPath) -> str:
    """`("otlp", "endpoint")` as `LOGSPAN_OTLP__ENDPOINT`."""
    return PREFIX + DELIMITER.join(path).upper()


def shown_text(field: FieldInfo, text: str) -> str:
    """The text of a variable as it may be shown."""
    return MASK if is_secret(field) else repr(text)


def flattened(
    model: type[BaseModel], values: Mapping[str, Any], prefix: SettingPath = ()
) -> Iterator[tuple[SettingPath, Any]]:
    """Nested values as paths; a section's model stands for what was set in it."""
    for name, value in values.items():
        yield from flattened_at(model, (*prefix, str(name)), value)


def flattened_at(model: type[BaseModel], path: SettingPath, value: Any) -> Iterator[tuple[SettingPath, Any]]:
    """One value, opened up when it is a section or a mapping with something in it."""
    found, field = find(model, path)
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
    opens = field is not None and found == path and kind_of(field) in ("section", "mapping")
    if opens and isinstance(value, Mapping) and value:
        yield from flattened(model, value, path)
    else:
        yield path, value


def _lifted(entries: list[Entry]) -> Iterator[Entry]:
    """`service.name` among the resource attributes is `service_name`, unless the same source says that too."""
    set_here = {entry.path for entry in entries}
    for entry in entries:
        lifted = RESOURCE_FIELDS.get(entry.path[-1]) if entry.path[:1] == ("resource_attributes",) else None
        if lifted is None:
            yield entry
        elif (lifted,) not in set_here:
            yield entry._replace(path=(lifted,))


def _put(tree: dict[str, Any], path: SettingPath, value: Any) -> None:
    *sections, name = path
    for section in sections:
        inner = tree.get(section)
        if not isinstance(inner, dict):
            inner = tree[section] = {}
        tree = inner
    tree[name] = value


def _get(tree: Mapping[str, Any], path: SettingPath) -> Any:
    value: Any = tree
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
