"""How the settings tree is put together from its sources, on pydantic-settings."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from logspan.errors import SettingsError
from logspan.settings.otel import OtelSource
from logspan.settings.reading import CURRENT, Reading, read
from logspan.settings.report import Origins, Problem, SettingsWarning, details_of, masked, problems_of, refusal
from logspan.settings.schema import leaves
from logspan.settings.sources import StructuredSource, VariableSource


class Described(NamedTuple):
    """One setting: its dotted name, its value (secrets masked), and who set it."""

    name: str
    value: Any
    origin: str


class LoadedSettings(BaseSettings):
    """Base of `Settings`: reads the sources, says what is wrong, remembers where each value came from."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, coerce_numbers_to_str=True, hide_input_in_errors=True
    )

    _origins: Origins = PrivateAttr(default_factory=Origins)

    def __init__(self, **values: Any) -> None:
        env_file, config_file = values.pop("_env_file", None), values.pop("_config_file", None)
        stacklevel = values.pop("_stacklevel", 2)
        reading = read(env_file, config_file)
        token = CURRENT.set(reading)
        problems: list[Problem] = []
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = problems_of(type(self), details_of(error), reading.origins)
        finally:
            CURRENT.reset(token)
        # outside of the handler, so that the values (secrets among them) are no part of the traceback
        _conclude(reading, problems, stacklevel + 1)
        self._origins = reading.origins

    @classmethod
    def load(
        cls, *, env_file: str | Path | None = None, config_file: str | Path | None = None, **arguments: Any
    ) -> Self:
        """Settings with a `.env` file, or with a TOML file at another place.

        `LOGSPAN_ENV_FILE` and `LOGSPAN_CONFIG_FILE` name these as well. Raises `SettingsError`.
        """
        return cls(_env_file=env_file, _config_file=config_file, _stacklevel=3, **arguments)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources, highest first."""
        del env_settings, dotenv_settings, file_secret_settings
        reading = CURRENT.get()
        arguments: Mapping[str, Any] = getattr(init_settings, "init_kwargs", {})
        return (
            StructuredSource(settings_cls, reading, arguments, "argument "),
            VariableSource(settings_cls, reading, reading.environ),
            OtelSource(settings_cls, reading, reading.environ),
            VariableSource(settings_cls, reading, reading.dotenv, reading.dotenv_label),
            OtelSource(settings_cls, reading, reading.dotenv, reading.dotenv_label),
            StructuredSource(settings_cls, reading, reading.toml, reading.toml_label),
        )

    def describe(self) -> tuple[Described, ...]:
        """Each setting, its value (secrets masked) and who set it (`default`: nobody)."""
        described = []
        for path, field in leaves(type(self)).items():
            value: Any = self
            for name in path:
                value = getattr(value, name)
            described.append(Described(".".join(path), masked(field, value), self._origins.all_of(path)))
        return tuple(described)


def _conclude(reading: Reading, problems: Iterable[Problem], stacklevel: int) -> None:
    for message in reading.warnings:
        warnings.warn(message, SettingsWarning, stacklevel=stacklevel)
    wrong = [*reading.problems, *problems]
    if wrong:
        raise SettingsError(refusal(wrong))
