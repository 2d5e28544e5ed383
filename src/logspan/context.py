"""What a record inherits from where it is made: its request, and the pipeline that it goes to. See also `binding`."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, Protocol

from opentelemetry._logs import Logger, LoggerProvider, NoOpLogger

_inside_pipeline: ContextVar[bool] = ContextVar("logspan.inside_pipeline", default=False)


class RequestInfo(Protocol):
    """The request that is being handled, as code below the web framework sees it: an enricher, say."""

    @property
    def id(self) -> str | None:
        """The request's id, `http.request.id`; None where requests have none."""

    @property
    def method(self) -> str:
        """`GET`, `POST`, ...; `GET` for a WebSocket, which begins with one."""

    @property
    def path(self) -> str:
        """The path as the client asked for it, without the query: `url.path`."""

    @property
    def route(self) -> str | None:
        """The template of the route that was matched, `/orders/{order_id}`; None before there is one."""

    def header(self, name: str) -> str | None:
        """The value of a request header, whatever its case; the first of several; None when it is not there."""


REQUEST: ContextVar[RequestInfo | None] = ContextVar("logspan.request", default=None)
"""The request of this context. It may be over: some servers run a later one in the context of an earlier."""


def mark_pipeline_thread() -> None:
    """Say that this thread (or task) is the pipeline's own: what is logged from here on never enters a pipeline."""
    _inside_pipeline.set(True)


def enter_pipeline() -> Token[bool]:
    """Say so for a part of a call, until `leave_pipeline` is called with the token, in the same context."""
    return _inside_pipeline.set(True)


def leave_pipeline(token: Token[bool]) -> None:
    """Undo `enter_pipeline`."""
    _inside_pipeline.reset(token)


def inside_pipeline() -> bool:
    """Whether the caller is the pipeline itself: a worker, an exporter, an enricher, the HTTP client that it uses."""
    return _inside_pipeline.get()


def current_request() -> RequestInfo | None:
    """The request that this context handles, or has handled: background tasks see it too; None outside of one."""
    return REQUEST.get()


class Routing(LoggerProvider):
    """Where the records of this process go: to the context's own pipeline, else to the first that was installed.

    The counterpart of the root logger, and like it the one process-wide thing: sources that stand on process-wide
    hooks (`logging`, `warnings`) are given this as their `LoggerProvider`, others the provider of one pipeline.
    """

    def __init__(self) -> None:
        self.current: ContextVar[LoggerProvider | None] = ContextVar("logspan.provider", default=None)
        """The provider of this context's own pipeline; whoever sets it puts it back."""
        self._installed: tuple[LoggerProvider, ...] = ()
        self.sources: Any = None
        """What captures records on this process's hooks; kept here by `install`, as there is one of both."""
        self.signals: Any = None
        """What watches this process's signals, likewise."""

    def target(self) -> LoggerProvider | None:
        """The provider for a record made here and now, or None when nothing is installed."""
        return self.current.get() or (self._installed[0] if self._installed else None)

    def get_logger(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> Logger:
        """The logger of the provider for here and now; ask anew for each record, it is cheap."""
        provider = self.target()
        if provider is None:
            return NoOpLogger(name, version, schema_url, attributes)
        return provider.get_logger(name, version, schema_url, attributes)

    def count_self_log(self) -> None:
        """Count a record that the pipeline for here and now has itself caused, and that goes no further."""
        count = getattr(self.target(), "count_self_log", None)
        if count is not None:
            count()

    def install(self, provider: LoggerProvider) -> None:
        """Add a provider, behind those already installed; a second time changes nothing."""
        if provider not in self._installed:
            self._installed = (*self._installed, provider)

    def uninstall(self, provider: LoggerProvider) -> None:
        """Take a provider out; one that is not installed is passed over."""
        self._installed = tuple(other for other in self._installed if other is not provider)


ROUTING = Routing()
