"""The read position on disk: one small write in place for each step, never more than one step behind."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from logspan.spool.files import close_quietly, describe, open_regular
from logspan.spool.format import CURSOR_NAME, CURSOR_SIZE, CURSOR_SLOT, Cursor, pack_cursor


class CursorFile:
    """Writes to the two slots of the file in turn, so that a torn write leaves the one before.

    Never raises: a position that cannot be written is the matter of `trouble`, and costs frames that are sent twice if
    the process dies, not frames that are lost.
    """

    def __init__(self, directory: Path, cursor: Cursor) -> None:
        self._path = directory / CURSOR_NAME
        self._descriptor: int | None = None
        self._is_synced = True
        self.current = cursor
        self.trouble: str | None = None

    def write(self, cursor: Cursor) -> None:
        """Move to a position; `generation` is this class's own affair."""
        self.current = dataclasses.replace(cursor, generation=self.current.generation + 1, certain=True)
        slot = self.current.generation % 2 * CURSOR_SLOT
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            os.pwrite(self._descriptor, pack_cursor(self.current), slot)
            self.trouble, self._is_synced = None, False
        except OSError as error:
            self.trouble = describe(error)

    def _open(self) -> int:
        descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT)
        if os.fstat(descriptor).st_size != CURSOR_SIZE:
            os.ftruncate(descriptor, CURSOR_SIZE)
        return descriptor

    def sync(self) -> None:
        """Put it on stable storage; raises `OSError`."""
        if self._descriptor is not None and not self._is_synced:
            os.fdatasync(self._descriptor)
            self._is_synced = True

    def close(self) -> None:
        """Close the file; a later `write` opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        close_quietly(descriptor)
