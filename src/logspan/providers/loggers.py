"""The logger provider that stands in the OTel global: records made through the OTel API go where all others go."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from opentelemetry._logs import Logger, LoggerProvider

from logspan.context import ROUTING

Claim = Callable[[str, str | None, BaseException | None], bool]
"""Given a record's scope name, event name and exception: whether somebody else makes it, so that it is dropped."""

_MOST_LOGGERS = 256
"""How many are remembered; names are those of libraries, but nobody keeps an application from making them up."""


class DelegatingLoggerProvider(LoggerProvider):
    """Hands each record to `context.ROUTING`, unless it has been claimed; loggers handed out earlier follow."""

    def __init__(self) -> None:
        self._claims: tuple[tuple[Claim], ...] = ()
        self._logger = lru_cache(_MOST_LOGGERS)(self._new_logger)

    def _new_logger(self, *arguments: str | None) -> Logger:
        return _DelegatingLogger(self, (*arguments, None))

    def add_claim(self, claim: Claim) -> Callable[[], None]:
        """Ask `claim` about every record from now on; what is returned undoes it, once for each time it was added."""
        entry = (claim,)
        self._claims = (*self._claims, entry)
        return lambda: self._remove(entry)

    def _remove(self, entry: tuple[Claim]) -> None:
        self._claims = tuple(other for other in self._claims if other is not entry)

    def claimed(self, scope: str, event: str | None, exception: BaseException | None) -> bool:
        """Whether one of the claims holds; one that fails does not."""
        try:
            return any(claim(scope, event, exception) for (claim,) in self._claims)
        except Exception:  # a failure of ours: the record is made
            return False

    def get_logger(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> Logger:
        """A logger that asks for its provider at each record; the same each time, as FastAPI asks at each request."""
        if attributes is not None:
            return _DelegatingLogger(self, (name, version, schema_url, attributes))
        return self._logger(name, version, schema_url)


class _DelegatingLogger(Logger):
    def __init__(self, provider: DelegatingLoggerProvider, arguments: tuple[Any, ...]) -> None:
        super().__init__(*arguments)
        self._provider = provider
        self._arguments = arguments

    def emit(self, record: Any = None, **fields: Any) -> None:  # both overloads in one
        """Emit through the logger for here and now, unless the record is claimed."""
        if record is None:
            event, exception = fields.get("event_name"), fields.get("exception")
        else:
            event, exception = record.event_name, getattr(record, "exception", None)
        if self._provider.claimed(self._arguments[0], event, exception):
            return
        logger = ROUTING.get_logger(*self._arguments)
        if record is None:
            logger.emit(**fields)
        else:
            logger.emit(record)

    def enabled(self, **question: Any) -> bool:
        """What the logger for here and now says."""
        return ROUTING.get_logger(*self._arguments).enabled(**question)
