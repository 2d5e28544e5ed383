"""The base of the sections of the settings tree."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from logspan.settings.report import Origins, RefusedError, details_of, problems_of, refusal


class Section(BaseModel):
    """A frozen group of settings; a name that it does not have is refused.

    Raises `SettingsError`, with a line for each setting that is wrong.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, coerce_numbers_to_str=True, hide_input_in_errors=True
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
            return
        except ValidationError as error:
            details = details_of(error)
        # outside of the handler, so that the values (secrets among them) are no part of the traceback
        raise RefusedError(refusal(problems_of(type(self), details, Origins())), details)
