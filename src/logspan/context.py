"""What a record inherits from where it is made: bound attributes, and the pipeline that it goes to."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self

from opentelemetry._logs import Logger, LoggerProvider, NoOpLogger
from opentelemetry.util.types import AnyValue

from logspan.values import clean_attributes

_NOTHING: Mapping[str, AnyValue] = MappingProxyType({})
_bound: ContextVar[Mapping[str, AnyValue]] = ContextVar("logspan.bound", default=_NOTHING)
_inside_pipeline: ContextVar[bool] = ContextVar("logspan.inside_pipeline", default=False)


class RequestInfo(Protocol):
    """The request that is being handled, as code below the web framework sees it: an enricher, say."""

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


class BoundToken:
    """What `bind` returns: undo it with `reset()`, or use it as a context manager."""

    __slots__ = ("_token",)

    def __init__(self, token: Token[Mapping[str, AnyValue]]) -> None:
        self._token: Token[Mapping[str, AnyValue]] | None = token

    def reset(self) -> None:
        """Put back what was bound before. Never raises, also from another task or a second time."""
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _bound.reset(token)
        except ValueError:  # another context: what was bound there ends with it
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.reset()


def bind(attributes: Mapping[str, Any] | None = None, /, **more: Any) -> BoundToken:
    """Put attributes on every record of this context, until it ends or they are unbound.

    Names that are no Python identifiers (`"order.id"`) come in a mapping: `bind({"order.id": 42})`.
    Values are captured as they are now, like those of a log call.
    """
    given = clean_attributes(attributes) if attributes is not None else {}
    return BoundToken(_bound.set({**_bound.get(), **given, **clean_attributes(more)}))


def unbind(*keys: str) -> BoundToken:
    """Take attributes off the records of this context; keys that are not bound are passed over."""
    return BoundToken(_bound.set({key: value for key, value in _bound.get().items() if key not in keys}))


def bound() -> Mapping[str, AnyValue]:
    """What is bound in this context: a read-only view, in the order of binding."""
    return MappingProxyType(dict(_bound.get()))


def bound_attributes() -> Mapping[str, AnyValue]:
    """The same without a copy, for the pipeline: not to be changed by who gets it."""
    return _bound.get()


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
        self._current: ContextVar[LoggerProvider | None] = ContextVar("logspan.provider", default=None)
        self._installed: tuple[LoggerProvider, ...] = ()
        self.sources: Any = None
        """What captures records on this process's hooks; kept here by `install`, as there is one of both."""
        self.signals: Any = None
        """What watches this process's signals, likewise."""

    def target(self) -> LoggerProvider | None:
        """The provider for a record made here and now, or None when nothing is installed."""
        return self._current.get() or (self._installed[0] if self._installed else None)

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

    def install(self, provider: LoggerProvider) -> None:
        """Add a provider, behind those already installed; a second time changes nothing."""
        if provider not in self._installed:
            self._installed = (*self._installed, provider)

    def uninstall(self, provider: LoggerProvider) -> None:
        """Take a provider out; one that is not installed is passed over."""
        self._installed = tuple(other for other in self._installed if other is not provider)

    def enter(self, provider: LoggerProvider) -> Token[LoggerProvider | None]:
        """Send the records of this context to a provider, until `leave` is called with the token."""
        return self._current.set(provider)

    def leave(self, token: Token[LoggerProvider | None]) -> None:
        """Undo `enter`. Never raises, also from another context or a second time."""
        try:
            self._current.reset(token)
        except (ValueError, RuntimeError):
            pass


ROUTING = Routing()
