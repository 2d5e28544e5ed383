"""Where each value came from, and what is wrong with it, in words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from logspan.errors import SettingsError
from logspan.settings.schema import SettingPath, allowed, choices, find, is_secret, leaves

MASK = "***"
_SHOWN = 100
_USERINFO = re.compile(r"(//|^)[^/\s@]*:[^/\s]*@")
_NOTHING = object()


class SettingsWarning(UserWarning):
    """A setting is probably not what was meant; logspan runs without it."""


class RefusedError(SettingsError):
    """A section that was refused, with the details, so that the whole tree can report them in its own terms."""

    def __init__(self, message: str, details: list[ErrorDetails]) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a value: the name as it was written, what that name stands for, and the text where there was one."""

    label: str
    path: SettingPath
    text: str | None = None

    def label_of(self, path: SettingPath) -> str:
        """The label; of something inside what the name stands for, with its place there."""
        inside = [part for part in path[len(self.path) :] if not part.isdecimal()]
        return f"{self.label} ({'.'.join(inside)})" if inside and path[: len(self.path)] == self.path else self.label


@dataclass
class Origins:
    """The origin of each value that is not a default. It does not count when settings are compared."""

    known: dict[SettingPath, Origin] = field(default_factory=dict, compare=False, repr=False)

    def of(self, path: SettingPath) -> Origin | None:
        """The origin of a value; of something inside a value, that of the whole; of a whole, that of a part."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.known:
                return self.known[path[:end]]
        return next((origin for known, origin in self.known.items() if known[: len(path)] == path), None)

    def all_of(self, path: SettingPath) -> str:
        """Everybody who had a part in a value, or `default`."""
        labels = {origin.label: None for known, origin in self.known.items() if known[: len(path)] == path}
        return ", ".join(labels) or "default"


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting: its name as the user wrote it, the value (never a secret), what is allowed."""

    label: str
    message: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.label}{' = ' if self.value else ''}{self.value}: {self.message}"


def refusal(problems: Iterable[Problem]) -> str:
    """The message of a `SettingsError`."""
    lines = list(dict.fromkeys(str(problem) for problem in problems))
    title = "a setting is wrong:" if len(lines) == 1 else f"{len(lines)} settings are wrong:"
    return "\n  ".join([title, *lines])


def details_of(error: ValidationError) -> list[ErrorDetails]:
    """The details of a validation; those of a section that was refused on its own are opened up."""
    return [opened for detail in error.errors(include_url=False) for opened in _open(detail)]


def problems_of(model: type[BaseModel], details: Iterable[ErrorDetails], origins: Origins) -> list[Problem]:
    """What a validation found, each with the origin of its value."""
    return [_problem(model, detail, origins) for detail in details]


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing when nothing is near."""
    by_fold = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_fold, n=1, cutoff=0.6)
    return f"; did you mean {by_fold[close[0]]}?" if close else ""


def masked(setting: FieldInfo | None, value: Any) -> Any:
    """A value as it may be shown: secrets replaced, mappings keep their names."""
    if setting is None or is_secret(setting):
        if isinstance(value, Mapping):
            return dict.fromkeys(value, MASK)
        return None if value is None else MASK
    return _USERINFO.sub(rf"\1{MASK}@", value) if isinstance(value, str) else value


def _open(detail: ErrorDetails) -> Iterator[ErrorDetails]:
    inner = detail.get("ctx", {}).get("error")
    if not isinstance(inner, RefusedError):
        yield detail
        return
    for part in inner.details:
        yield {**part, "loc": (*detail["loc"], *part["loc"])}


def _problem(model: type[BaseModel], detail: ErrorDetails, origins: Origins) -> Problem:
    path = tuple(str(part) for part in detail["loc"])
    if detail["type"] == "settings_rule":
        return _rule_problem(model, path, detail, origins)
    origin = origins.of(path) or _argument(path)
    label = origin.label_of(path)
    if detail["type"] == "extra_forbidden":
        return Problem(label, "there is no such setting" + _near_name(model, path))
    _, setting = find(model, path)
    return Problem(label, _message(setting, detail), _shown(setting, detail["input"], path, origin))


def _rule_problem(model: type[BaseModel], path: SettingPath, detail: ErrorDetails, origins: Origins) -> Problem:
    context = detail.get("ctx", {})
    names: list[str] = context.get("fields", [])
    given: Mapping[str, Any] = detail["input"] if isinstance(detail["input"], Mapping) else {}
    blamed = next((name for name in names if name in given), names[0])
    path = (*path, blamed)
    origin = origins.of(path) or _argument(path)
    value = given.get(blamed, _NOTHING)
    _, setting = find(model, path)
    shown = "" if value is _NOTHING else _shown(setting, value, path, origin)
    return Problem(origin.label_of(path), context["message"], shown)


def _argument(path: SettingPath) -> Origin:
    return Origin("argument " + ".".join(path), path)


def _message(setting: FieldInfo | None, detail: ErrorDetails) -> str:
    own = detail.get("ctx", {}).get("error")
    text = str(own) if own is not None else f"must be {allowed(setting)}" if setting else detail["msg"]
    given = detail["input"]
    words = choices(setting) if setting else ()
    return text + (nearest(given, words) if isinstance(given, str) else "")


def _near_name(model: type[BaseModel], path: SettingPath) -> str:
    """The same name in another section, else the nearest one in the same section."""
    section, name = path[:-1], path[-1]
    siblings = {known[len(section)] for known in leaves(model) if known[: len(section)] == section}
    elsewhere = [".".join(known) for known in leaves(model) if known[-1] == name.lower()]
    return f"; did you mean {' or '.join(elsewhere)}?" if elsewhere else nearest(name, siblings)


def _shown(setting: FieldInfo | None, value: Any, path: SettingPath, origin: Origin) -> str:
    if setting is None or is_secret(setting) or isinstance(value, SecretStr):
        return MASK
    if origin.text is not None and origin.path == path and not isinstance(value, str):
        value = origin.text
    text = repr(masked(setting, value))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
