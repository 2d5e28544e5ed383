"""Where records come from: one part per origin, each given an OTel `LoggerProvider`, none knowing another.

`ProcessSources` is the set that stands on the hooks of a process: one, however many pipelines are installed.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from logspan.context import ROUTING
from logspan.errors import MissingExtraError
from logspan.sources.printed import Redact

if TYPE_CHECKING:
    from logspan.settings import Settings

__all__ = ["ProcessSources", "Source", "Wishes"]

ORDER = ("logging", "structlog", "loguru", "warnings", "uncaught")
"""The order of installation; later ones ask earlier ones what comes through them."""


_SERVERS = ("uvicorn.", "gunicorn.", "hypercorn.")
"""How the names of loggers begin that say again what a request's record says."""

Duplicate = Callable[[logging.LogRecord], bool]


class Source(Protocol):
    """What stands on a hook of the process."""

    def install(self) -> None:
        """Take the hook."""

    def reassert(self) -> None:
        """Take it again, if the application has replaced it in passing."""

    def replace_console(self, on: bool) -> None:  # noqa: FBT001 - the only argument
        """Say whether our console exporter writes what the hooked library would write."""

    def uninstall(self) -> None:
        """Give it back, if it is still ours."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one installed pipeline wants of the sources.

    `level` is a number of `logging`; `redact` is for what the interpreter prints, None where nothing is redacted.
    """

    names: frozenset[str]
    stdlib: bool
    servers: bool
    console: bool
    code_location: bool
    level: int
    redact: Redact | None = None

    @classmethod
    def of(cls, settings: Settings, *, console: bool, redact: Redact | None = None) -> Self:
        """Those of the settings; `console`: whether the pipeline writes to the console itself."""
        from logspan.sources.capture import level_number

        sources = settings.sources
        wanted = {
            "logging": sources.stdlib or sources.servers,
            "structlog": sources.structlog,
            "loguru": sources.loguru,
            "warnings": sources.warnings,
            "uncaught": sources.uncaught_exceptions,
        }
        return cls(
            names=frozenset(name for name, on in wanted.items() if on),
            stdlib=sources.stdlib,
            servers=sources.servers,
            console=console,
            code_location=settings.enrich.code_location,
            level=level_number(settings.level),
            redact=redact,
        )


class ProcessSources:
    """Installs what any of the pipelines wants; the last one that goes takes everything away."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._wishes: dict[object, Wishes] = {}
        self._installed: dict[str, Source] = {}
        self._requests: tuple[tuple[Duplicate, Duplicate], ...] = ()

    def add_request_source(self, repeats: Duplicate, strays: Duplicate) -> Callable[[], None]:
        """Have `repeats` asked which lines of a server say again what another source says of a request.

        `strays` is asked which are made in the context of a request that they have nothing to do with. What is
        returned undoes it.
        """
        entry = (repeats, strays)
        self._requests = (*self._requests, entry)
        return lambda: self._remove_request_source(entry)

    def _remove_request_source(self, entry: tuple[Duplicate, Duplicate]) -> None:
        self._requests = tuple(other for other in self._requests if other is not entry)

    @property
    def holders(self) -> tuple[object, ...]:
        """Who wants something, in the order in which they came."""
        return tuple(self._wishes)

    def retain(self, holder: object, wishes: Wishes) -> None:
        """Install what `holder` wants and is not there yet."""
        with self._lock:
            self._wishes[holder] = wishes
            self._apply()

    def release(self, holder: object) -> None:
        """Take away what nobody else wants; a holder that is not known is passed over."""
        with self._lock:
            if self._wishes.pop(holder, None) is not None:
                self._apply()

    def reassert(self) -> None:
        """Have every source take its hook again where the application has replaced it."""
        with self._lock:
            for source in self._installed.values():
                source.reassert()

    def _apply(self) -> None:
        wanted = {name for wishes in self._wishes.values() for name in wishes.names}
        for name in reversed(ORDER):
            if name in self._installed and name not in wanted:
                self._installed.pop(name).uninstall()
        for name in ORDER:
            if name in wanted and name not in self._installed:
                self._install(name)
        self._tune_logging()
        console = any(wishes.console for wishes in self._wishes.values())
        for source in self._installed.values():
            source.replace_console(console)

    def _install(self, name: str) -> None:
        try:
            source: Source = getattr(self, f"_make_{name}")()
        except MissingExtraError:  # the library is not installed, so nobody logs with it
            return
        source.install()
        self._installed[name] = source

    def _tune_logging(self) -> None:
        adoption: Any = self._installed.get("logging")
        if adoption is None:
            return
        adoption.handler.code_location = self._code_location
        adoption.root = any(wishes.stdlib for wishes in self._wishes.values())
        adoption.servers = any(wishes.servers for wishes in self._wishes.values())
        adoption.reassert()
        if adoption.root:
            adoption.lower_level(min(wishes.level for wishes in self._wishes.values() if wishes.stdlib))

    @property
    def _code_location(self) -> bool:
        return any(wishes.code_location for wishes in self._wishes.values())

    def _make_logging(self) -> Source:
        from logspan.sources.stdlib import Adoption, LogspanHandler

        return Adoption(
            LogspanHandler(
                ROUTING, code_location=self._code_location, duplicate=self._is_duplicate, stray=self._is_stray
            )
        )

    def _make_structlog(self) -> Source:
        from logspan.sources.structlog import StructlogSource

        through = any(wishes.stdlib for wishes in self._wishes.values())
        return StructlogSource(ROUTING, through_stdlib=through, code_location=self._code_location)

    def _make_loguru(self) -> Source:
        from logspan.sources.loguru import LoguruSink, LoguruSource

        return LoguruSource(LoguruSink(ROUTING, code_location=self._code_location, captured=self._captures))

    def _make_warnings(self) -> Source:
        from logspan.sources.warnings import WarningsSource

        return WarningsSource(ROUTING, self._redaction)

    def _make_uncaught(self) -> Source:
        from logspan.sources.uncaught import UncaughtSource

        return UncaughtSource(ROUTING, self._redaction)

    def _redaction(self) -> Redact | None:
        """What redacts a text as each of the pipelines wants it; None where none does."""
        wanted = [wishes.redact for wishes in self._wishes.values() if wishes.redact is not None]
        return (lambda text: functools.reduce(lambda so_far, redact: redact(so_far), wanted, text)) if wanted else None

    def _captures(self, logger: logging.Logger) -> bool:
        adoption: Any = self._installed.get("logging")
        return adoption is not None and bool(adoption.captures(logger))

    def _is_duplicate(self, record: logging.LogRecord) -> bool:
        """Whether another source records this: warnings, requests, and what loguru passes on to `logging`."""
        if record.name.startswith(_SERVERS):
            return any(repeats(record) for repeats, _ in self._requests)
        if record.name == "py.warnings":
            return "warnings" in self._installed and self._shows_warning(record)
        if "loguru" not in self._installed:
            return False
        from logspan.sources.loguru import is_passed_on

        return is_passed_on(record)

    def _is_stray(self, record: logging.LogRecord) -> bool:
        """Whether a server made it in the context of a request that has nothing to do with it."""
        return record.name.startswith("uvicorn.") and any(strays(record) for _, strays in self._requests)

    def _shows_warning(self, record: logging.LogRecord) -> bool:
        from logspan.sources.warnings import WarningsSource

        return WarningsSource.is_duplicate(record)
