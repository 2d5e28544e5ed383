"""What an app does with its requests, and what single routes do otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, NoReturn, TypeVar

from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.errors import InstrumentationError
from logspan.fastapi.asgi import Scope
from logspan.fastapi.client import Proxies
from logspan.fastapi.content import ContentTypes
from logspan.fastapi.identification import Identification
from logspan.notices import Notices
from logspan.pipeline import PipelineLoggerProvider

_ATTRIBUTE = "__logspan_request_settings__"

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """What may differ from route to route. `slow_threshold` in seconds, 0 for never; `body_size` in bytes.

    `asked_for` says that a route of an excluded path wants its records nevertheless.
    """

    record: bool = True
    asked_for: bool = False
    slow_threshold: float = 0.0
    request_headers: frozenset[bytes] = frozenset()
    response_headers: frozenset[bytes] = frozenset()
    request_body: bool = False
    response_body: bool = False
    body_size: int = 4_096


@dataclass(frozen=True, slots=True)
class RequestConfig:
    """What an instrumented app does with its requests; `header` is the response header's name, if there is one.

    `scope` is that of the requests' records, None where a disabled SDK makes none; `routes` gives the app's routes as
    they are now.
    """

    provider: PipelineLoggerProvider
    scope: InstrumentationScope | None = None
    routes: Callable[[], Iterable[Any]] = tuple
    options: Options = field(default_factory=Options)
    excluded_paths: frozenset[str] = frozenset()
    excluded_prefixes: tuple[str, ...] = ()
    header: bytes | None = None
    proxies: Proxies = field(default_factory=Proxies)
    known_methods: frozenset[str] = frozenset()
    content_types: ContentTypes = field(default_factory=ContentTypes)
    identification: Identification = field(default_factory=Identification)
    notices: Notices = field(default_factory=Notices)

    def excludes(self, path: str) -> bool:
        """Whether a path's requests get a record only when they fail."""
        return path in self.excluded_paths or path.startswith(self.excluded_prefixes)


@dataclass(frozen=True, slots=True)
class RequestOverrides:
    """What a route does otherwise; None: as the router, or the app, has it."""

    record: bool | None = None
    slow_threshold: float | None = None
    request_headers: frozenset[bytes] | None = None
    response_headers: frozenset[bytes] | None = None
    request_body: bool | None = None
    response_body: bool | None = None
    body_size: int | None = None

    def __call__(self, endpoint: _Endpoint) -> _Endpoint:
        """Mark an endpoint, which stays the function or the class that it is."""
        setattr(endpoint, _ATTRIBUTE, self)
        return endpoint

    @property
    def __signature__(self) -> NoReturn:
        """What FastAPI asks of a dependency: it would take the endpoint for a parameter of the request."""
        raise InstrumentationError(
            "request_settings(...) is no dependency: write dependencies=[request_settings(...).dependency()]"
        )

    def dependency(self) -> Any:
        """The same for all routes of a FastAPI app or router: `APIRouter(dependencies=[... .dependency()])`."""
        from fastapi import Depends

        return Depends(_OnRouter(self))

    def applied_to(self, options: Options) -> Options:
        """The options with what is set here."""
        given = {name.name: value for name in fields(self) if (value := getattr(self, name.name)) is not None}
        return replace(options, **given, asked_for=options.asked_for if self.record is None else self.record)


def request_settings(
    *,
    record: bool | None = None,
    slow_threshold: float | None = None,
    request_headers: Iterable[str] | None = None,
    response_headers: Iterable[str] | None = None,
    request_body: bool | None = None,
    response_body: bool | None = None,
    body_size: int | None = None,
) -> RequestOverrides:
    """Settings of one route, or of a router, that go before those of the app; what is left out stays as it is.

    Put it on an endpoint, below the route's own decorator: `@request_settings(record=False)`; or on a router:
    `APIRouter(dependencies=[request_settings(record=False).dependency()])`. The names are those of the section
    `request` of the settings. `record=False` leaves a record only of requests that fail, `record=True` makes one for an
    excluded path too. `slow_threshold` is in seconds, 0 for never, `body_size` in bytes.
    """
    return RequestOverrides(
        record=record,
        slow_threshold=slow_threshold,
        request_headers=None if request_headers is None else header_names(request_headers),
        response_headers=None if response_headers is None else header_names(response_headers),
        request_body=request_body,
        response_body=response_body,
        body_size=body_size,
    )


def header_names(names: Iterable[str]) -> frozenset[bytes]:
    """As ASGI has them: in lower case, as bytes."""
    return frozenset(name.lower().encode("latin-1") for name in names)


@dataclass(frozen=True, slots=True)
class _OnRouter:
    """A dependency that does nothing when it is called: it is found in the route before anything runs."""

    overrides: RequestOverrides

    async def __call__(self) -> None:
        pass


def options_of(scope: Scope, options: Options) -> Options:
    """What the route that was matched makes of them: its routers from the outermost, then its endpoint."""
    route = scope["fastapi"].get("effective_route_context") if "fastapi" in scope else None
    for dependency in getattr(route or scope.get("route"), "dependencies", ()):
        on_router = getattr(dependency, "dependency", None)
        if isinstance(on_router, _OnRouter):
            options = on_router.overrides.applied_to(options)
    own = getattr(scope.get("endpoint"), _ATTRIBUTE, None)
    return own.applied_to(options) if isinstance(own, RequestOverrides) else options
