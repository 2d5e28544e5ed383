"""Where in the code a record was made: only its source knows, so the stage can but leave it out."""

from __future__ import annotations

from logspan.record import Record

_LOCATION = ("code.function.name", "code.file.path", "code.line.number")


def leave_out_code_location(record: Record) -> None:
    """Take the code location off, for those who have switched it off: it tells paths of the machine."""
    for key in _LOCATION:
        record.attributes.pop(key, None)
