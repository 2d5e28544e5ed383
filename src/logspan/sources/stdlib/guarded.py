"""A logger's list of handlers that keeps ours, and sets those aside whose output would be a second copy of it."""

# ruff: noqa: D102 - the methods of a list do what a list's do

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, SupportsIndex


def is_console(handler: logging.Handler) -> bool:
    """Whether it is a plain `StreamHandler` on standard output or standard error, and nothing more."""
    if type(handler) is not logging.StreamHandler:
        return False
    stream = getattr(handler, "stream", None)
    if stream is not None and any(stream is known for known in _standard_streams()):
        return True
    try:
        return stream.fileno() in (1, 2)  # type: ignore[union-attr]  # one that has none raises, as below
    except Exception:  # no file, or closed
        return False


def _standard_streams() -> tuple[Any, ...]:
    return (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


def is_stock(handler: logging.Handler) -> bool:
    """Whether it is OpenTelemetry's own handler: it would send each record a second time."""
    return any(
        kind.__name__ == "LoggingHandler" and kind.__module__.startswith("opentelemetry.")
        for kind in type(handler).__mro__
    )


class GuardedHandlers(list[logging.Handler]):
    """Stands in for `logger.handlers`. To the application it is its own list; `logging` finds ours in it as well.

    Iteration, by which `logging` calls handlers, yields ours and those of the application that are not set aside. All
    else (`len`, `in`, slices, `remove`) speaks of the application's handlers, those set aside included, so that
    `dictConfig` removes what it would have removed and `basicConfig` sees an empty list where it would have seen one.
    Ours cannot be removed. `needed` says whether ours belongs here, given the application's handlers.
    """

    def __init__(
        self,
        ours: logging.Handler,
        original: list[logging.Handler],
        *,
        is_ours: Callable[[logging.Handler], bool],
        replaces_console: Callable[[], bool],
        needed: Callable[[list[logging.Handler]], bool],
    ) -> None:
        super().__init__()
        self.ours: logging.Handler | None = ours
        self.original = original
        self._is_ours = is_ours
        self._replaces_console = replaces_console
        self._needed = needed
        self._all = [handler for handler in original if not is_ours(handler)]
        self._consoles: list[logging.Handler] = []
        self.refresh()

    def refresh(self) -> None:
        """Decide anew which handlers are called."""
        for handler in self._all:
            if is_console(handler) and handler not in self._consoles:
                self._consoles.append(handler)  # for good: `sys.stdout` may be another one later
        called = [handler for handler in self._all if not self._is_aside(handler)]
        if self.ours is not None and self._needed(self._all):
            called.insert(0, self.ours)  # first: before others change the record
        super().__setitem__(slice(None), called)

    def _is_aside(self, handler: logging.Handler) -> bool:
        if self.ours is None:
            return False
        return is_stock(handler) or (self._replaces_console() and handler in self._consoles)

    def release(self) -> list[logging.Handler]:
        """Take ours out, call all the others again, and return the list that was there before, up to date."""
        self.ours = None
        self.refresh()
        self.original[:] = self._all
        return self.original

    def _change(self, handlers: Iterable[logging.Handler]) -> None:
        self._all = [handler for handler in handlers if not self._is_ours(handler)]
        self.refresh()

    def append(self, handler: logging.Handler, /) -> None:
        self._change([*self._all, handler])

    def insert(self, index: SupportsIndex, handler: logging.Handler, /) -> None:
        handlers = list(self._all)
        handlers.insert(index, handler)
        self._change(handlers)

    def extend(self, handlers: Iterable[logging.Handler], /) -> None:
        self._change([*self._all, *handlers])

    def __iadd__(self, handlers: Iterable[logging.Handler], /) -> Self:  # type: ignore[override,misc]
        self.extend(handlers)
        return self

    def remove(self, handler: logging.Handler, /) -> None:
        if self._is_ours(handler):
            return
        handlers = list(self._all)
        handlers.remove(handler)
        self._change(handlers)

    def pop(self, index: SupportsIndex = -1, /) -> logging.Handler:
        handlers = list(self._all)
        taken = handlers.pop(index)
        self._change(handlers)
        return taken

    def clear(self) -> None:
        self._change(())

    def copy(self) -> list[logging.Handler]:
        return list(self._all)

    def index(self, handler: logging.Handler, *bounds: Any) -> int:
        return self._all.index(handler, *bounds)

    def __contains__(self, handler: object, /) -> bool:
        return handler in self._all or (isinstance(handler, logging.Handler) and self._is_ours(handler))

    def __len__(self) -> int:
        return len(self._all)

    def __bool__(self) -> bool:
        """Whether a record would be handled here: `hasHandlers` asks, and uvicorn asks that."""
        return super().__len__() > 0

    def __reversed__(self) -> Iterator[logging.Handler]:
        return reversed(self._all)

    def __getitem__(self, index: Any, /) -> Any:
        return self._all[index]

    def __setitem__(self, index: Any, value: Any, /) -> None:
        handlers = list(self._all)
        handlers[index] = value
        self._change(handlers)

    def __delitem__(self, index: SupportsIndex | slice, /) -> None:
        handlers = list(self._all)
        del handlers[index]
        self._change(handlers)
