"""The kinds of values that settings are made of: what each accepts, and how it is said when it does not.

A validator here never puts the value into its message: the report (`logspan.settings.report`) shows it, masked where
it is a secret.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_core import PydanticCustomError

LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVEL_ALIASES = {"WARN": "WARNING", "FATAL": "CRITICAL"}
_LEVEL_NUMBERS = {"5": "TRACE", "10": "DEBUG", "20": "INFO", "30": "WARNING", "40": "ERROR", "50": "CRITICAL"}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NAME_RULE = "must be a legal header name (RFC 9110: letters, digits and !#$%&'*+-.^_`|~)"


def broken_rule(message: str, *fields: str) -> PydanticCustomError:
    """A rule between settings of one section is broken; the report blames the first of `fields` that somebody set."""
    return PydanticCustomError("settings_rule", "{message}", {"message": message, "fields": list(fields)})


def each_once(names: list[str], what: str) -> list[str]:
    """A list of names in which none is empty and none comes twice; `none` alone is the empty list."""
    if names == ["none"]:
        return []
    if "none" in names or not all(names) or len(set(names)) < len(names):
        raise ValueError(f"{what}, each once; `none` stands alone")
    return names


def _folded(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _level(value: Any) -> Any:
    """`WARN`, `FATAL` and the numbers of `logging` become its names; case does not matter."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    name = str(value).strip().upper()
    name = _LEVEL_NUMBERS.get(name, _LEVEL_ALIASES.get(name, name))
    if name not in LEVELS:
        raise ValueError(f"allowed are {', '.join(LEVELS)}")
    return name


def _expanded(path: Path) -> Path:
    return path.expanduser()


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(_NAME_RULE)
    return name


def _none(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Lower-case names, as HTTP/2 and gRPC want them; of two spellings of one name the later counts."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise broken_rule(_NAME_RULE, name)
        if not _legal_header_value(value.get_secret_value()):
            raise broken_rule("must be one line of Latin-1 text without control characters", name)
    return {name.lower(): value for name, value in headers.items()}


def _legal_header_value(value: str) -> bool:
    return all(character == "\t" or " " <= character <= "~" or "\xa0" <= character <= "\xff" for character in value)


Choice = BeforeValidator(_folded)
"""Put on a `Literal` of lower-case words: case and surrounding space do not matter."""

Level = Annotated[str, BeforeValidator(_level)]
"""A level's name: one of `LEVELS`."""

FilePath = Annotated[Path, AfterValidator(_expanded)]
ExistingFile = Annotated[Path, AfterValidator(_expanded), AfterValidator(_existing)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
OptionalHeader = Annotated[HeaderName | None, BeforeValidator(_none)]
"""A header's name; `none` stands for no header, as an empty text would be an unset one."""

Headers = Annotated[dict[str, SecretStr], AfterValidator(_headers)]
