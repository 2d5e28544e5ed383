"""How our handler comes to the loggers that matter, stays there whatever the application configures, and goes again."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from logspan.sources.stdlib.guarded import GuardedHandlers, is_console
from logspan.sources.stdlib.handler import LogspanHandler
from logspan.sources.stdlib.reconfigured import Reconfigured

SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "gunicorn.error", "gunicorn.access")


class RelayHandler(logging.Handler):
    """Stands on one adopted logger and passes records on, unless another of ours further up gets them too."""

    def __init__(self, target: LogspanHandler) -> None:
        super().__init__(logging.NOTSET)
        self.target = target

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass the record on once."""
        if last_of_ours(logging.root.manager.loggerDict.get(record.name)) in (None, self):
            return self.target.handle(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """As `handle`."""
        self.handle(record)


def last_of_ours(logger: object) -> logging.Handler | None:
    """The last handler of ours that a record of this logger comes to; None when it comes to none."""
    found: logging.Handler | None = None
    while isinstance(logger, logging.Logger):
        handlers = logger.handlers
        if isinstance(handlers, GuardedHandlers):
            if handlers and handlers.ours is not None and list.__contains__(handlers, handlers.ours):
                found = handlers.ours
        else:
            found = next((handler for handler in handlers if isinstance(handler, LogspanHandler)), found)
        logger = logger.parent if logger.propagate else None
    return found


class Adoption:
    """Puts `handler` on the root logger, and on every logger that writes to the console by itself.

    While our console exporter writes (`replace_console`), the application's plain console handlers are set aside; all
    others stay. `uninstall` puts everything back that is still ours.
    """

    def __init__(self, handler: LogspanHandler) -> None:
        self.handler = handler
        self.root = True
        self.servers = True
        self._console = False
        self._guards: list[tuple[logging.Logger, GuardedHandlers]] = []
        self._level: int | None = None
        self._reconfigured = Reconfigured(self._adopt_again)

    def install(self) -> None:
        """Hear of new configurations; it is `reassert` that adopts, once `root` and `servers` say what."""
        self._reconfigured.install()

    def reassert(self) -> None:
        """Adopt the root logger, the servers' loggers and those with a console handler of their own.

        Again: whatever has been replaced since (`logger.handlers = [...]`), and what is new.
        """
        if self.root:
            self._adopt(logging.getLogger(), self.handler)
        for logger in self._others():
            self._adopt(logger, None)

    def _adopt_again(self) -> None:
        try:
            self.reassert()
        except Exception:  # a failure of ours: the application's configuration stands
            pass

    def replace_console(self, on: bool) -> None:  # noqa: FBT001 - the only argument
        """Say whether our own console exporter writes what the application's console handlers would write."""
        self._console = on
        for _, guard in self._guards:
            guard.refresh()

    def lower_level(self, level: int) -> None:
        """Let records of `level` through the root logger, unless the application has set a level there."""
        root = logging.getLogger()
        if root.level == (logging.WARNING if self._level is None else self._level):
            self._level = level
            root.setLevel(level)

    def captures(self, logger: logging.Logger) -> bool:
        """Whether a record of this logger comes to our handler."""
        return last_of_ours(logger) is not None

    def uninstall(self) -> None:
        """Give every list back that is still ours, and the root logger's level."""
        self._reconfigured.uninstall()
        guards, self._guards = self._guards, []
        for logger, guard in guards:
            restored = guard.release()
            if logger.handlers is guard:
                logger.handlers = restored
        root = logging.getLogger()
        if self._level is not None and root.level == self._level:
            root.setLevel(logging.WARNING)
        self._level = None

    def _adopt(self, logger: logging.Logger, ours: logging.Handler | None) -> None:
        handlers = logger.handlers
        if isinstance(handlers, GuardedHandlers) and handlers.ours is not None:
            handlers.refresh()
            return
        guard = GuardedHandlers(
            ours or RelayHandler(self.handler),
            handlers,
            is_ours=self._is_ours,
            replaces_console=lambda: self._console,
            needed=_always if ours else _says_something,
        )
        logger.handlers = guard
        self._guards.append((logger, guard))

    def _is_ours(self, handler: logging.Handler) -> bool:
        return handler is self.handler or (isinstance(handler, RelayHandler) and handler.target is self.handler)

    def _others(self) -> Iterator[logging.Logger]:
        if self.servers:
            yield from map(logging.getLogger, SERVER_LOGGERS)
        if self.root:
            for logger in list(logging.root.manager.loggerDict.values()):
                if isinstance(logger, logging.Logger) and logger.name not in SERVER_LOGGERS and _writes(logger):
                    yield logger


def _always(handlers: list[logging.Handler]) -> bool:
    del handlers
    return True


def _says_something(handlers: list[logging.Handler]) -> bool:
    """A logger that the application has left without handlers is either silenced or passes on to its parent."""
    return any(not isinstance(handler, logging.NullHandler) for handler in handlers)


def _writes(logger: logging.Logger) -> bool:
    return any(is_console(handler) for handler in logger.handlers)
