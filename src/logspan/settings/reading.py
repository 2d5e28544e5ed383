"""One reading of everything that settings come from. This is the only place that reads the environment and files."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from logspan.settings.report import Origins, Problem

ENV_FILE = "LOGSPAN_ENV_FILE"
CONFIG_FILE = "LOGSPAN_CONFIG_FILE"
_TABLE = ("tool", "logspan")


@dataclass
class Reading:
    """What was found, and what was wrong with it, while one `Settings` is made."""

    environ: Mapping[str, str] = field(default_factory=dict)
    dotenv: Mapping[str, str] = field(default_factory=dict)
    dotenv_label: str = ""
    toml: Mapping[str, Any] = field(default_factory=dict)
    toml_label: str = ""
    origins: Origins = field(default_factory=Origins)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


CURRENT: ContextVar[Reading] = ContextVar("logspan.settings.reading")
"""How the sources, which pydantic-settings makes, find the reading that they belong to."""


def read(env_file: str | Path | None, config_file: str | Path | None) -> Reading:
    """The process's environment, and the files that it (or an argument) names."""
    reading = Reading(environ=dict(os.environ))
    named = env_file or reading.environ.get(ENV_FILE)
    if named:
        _read_dotenv(reading, Path(named), ENV_FILE if not env_file else "argument env_file")
    chosen = config_file or reading.environ.get(CONFIG_FILE) or reading.dotenv.get(CONFIG_FILE)
    if chosen:
        _read_toml(reading, Path(chosen), CONFIG_FILE if not config_file else "argument config_file")
    else:
        _find_toml(reading)
    return reading


def _read_dotenv(reading: Reading, path: Path, asked_by: str) -> None:
    try:
        text = path.expanduser().open(encoding="utf-8")
        with text:
            values = dotenv_values(stream=text)
    except (OSError, UnicodeDecodeError) as error:
        reading.problems.append(_unreadable(asked_by, path, error))
        return
    reading.dotenv = {name: value for name, value in values.items() if value is not None}
    reading.dotenv_label = f"{path}: "


def _find_toml(reading: Reading) -> None:
    """`logspan.toml` of the working directory, else `[tool.logspan]` of its `pyproject.toml`."""
    for name in ("logspan.toml", "pyproject.toml"):
        if os.path.isfile(name):  # noqa: PTH113 - Path.is_file raises where a folder may not be entered
            _read_toml(reading, Path(name), "")
            return


def _read_toml(reading: Reading, path: Path, asked_by: str) -> None:
    try:
        tree: Any = tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reading.problems.append(_unreadable(asked_by, path, error))
        return
    prefix = _TABLE if path.name == "pyproject.toml" else ()
    for name in prefix:
        tree = tree.get(name, {}) if isinstance(tree, Mapping) else {}
    reading.toml_label = f"{path}: " + "".join(f"{name}." for name in prefix)
    if isinstance(tree, Mapping):
        reading.toml = tree
    else:
        reading.problems.append(Problem(reading.toml_label.rstrip("."), "must be a table of settings"))


def _unreadable(asked_by: str, path: Path, error: Exception) -> Problem:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if not asked_by:
        return Problem(str(path), f"cannot be read: {reason}")
    return Problem(asked_by, f"cannot be read: {reason}", repr(str(path)))
