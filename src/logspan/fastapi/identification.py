"""What a request is known by, as the settings and the application have it: its id, and who its user is."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from logspan.binding import REQUEST_ID, RequestBindings
from logspan.errors import InstrumentationError
from logspan.fastapi.asgi import Scope
from logspan.identity import request_id, user_attributes
from logspan.notices import Notices
from logspan.values import clean_attributes

if TYPE_CHECKING:
    from opentelemetry.util.types import AnyValue
    from starlette.requests import HTTPConnection

    from logspan.settings import Settings

UserResolver = Callable[["HTTPConnection"], object]
"""Tells who makes a request: an id, a mapping of attributes, an object with an `id`; None where that is not known."""

_SLOW = 0.05
"""Seconds that a resolver may take and be asked again for the same request."""


@dataclass(frozen=True, slots=True)
class UserLookup:
    """Where the user of a request is looked for: by `resolver`, else in `request.state`, else in `request.user`."""

    resolver: UserResolver | None = None
    state: str | None = None
    scope: bool = True
    notices: Notices = field(default_factory=Notices)

    def is_near(self, scope: Scope) -> bool:
        """Whether asking could find somebody: there is more to ask than the scope, or the scope knows."""
        return self.resolver is not None or self.state is not None or "user" in scope

    def find(self, scope: Scope) -> dict[str, AnyValue] | None:
        """The user's attributes; None when nobody knows yet. Raises what the application's code raises."""
        user = None if self.resolver is None else self._resolve(self.resolver, scope)
        if user is None and self.state is not None:
            user = scope.get("state", {}).get(self.state)
        if user is None and self.scope:
            user = scope.get("user")
        described = None if user is None else user_attributes(user)
        return None if described is None else clean_attributes(described)

    def _resolve(self, resolver: UserResolver, scope: Scope) -> object:
        """What the application's own function says; one that takes too long is not asked again for this request."""
        from starlette.requests import HTTPConnection

        began = perf_counter()
        user = resolver(HTTPConnection(scope))
        took = perf_counter() - began
        if inspect.iscoroutine(user):
            user.close()
            raise TypeError("a user resolver must not be async")
        if took <= _SLOW:
            return user
        self.notices.say("user", f"the user resolver took {took * 1000:.0f} ms on the caller's time; it must not wait")
        return {} if user is None else user


@dataclass(frozen=True, slots=True)
class Identification:
    """What the requests of an app are known by. `header` (lower case) carries the id; None: there are no ids."""

    header: bytes | None = None
    accept: bool = True
    propagate: bool = True
    user: UserLookup | None = None

    @classmethod
    def of(cls, settings: Settings, resolver: UserResolver | None) -> Identification:
        """As the settings have it; raises `InstrumentationError` for a resolver that cannot be called."""
        check_resolver(resolver)
        header, user = settings.request_id.header, settings.user
        looks = resolver is not None or user.state is not None or user.scope
        return cls(
            header=header.lower().encode("latin-1") if header else None,
            accept=settings.request_id.accept,
            propagate=settings.request_id.propagate,
            user=UserLookup(resolver, user.state, user.scope) if looks else None,
        )

    def bindings(self, scope: Scope) -> RequestBindings:
        """The bindings of a request that begins."""
        name = self.header
        if name is None:
            return RequestBindings(asyncio.current_task)
        identity = {REQUEST_ID: request_id(scope["headers"] if self.accept else (), name)}
        return RequestBindings(asyncio.current_task, identity, name if self.propagate else None)


def check_resolver(resolver: UserResolver | None) -> None:
    """Raise `InstrumentationError` for what is no plain function."""
    if resolver is None:
        return
    if not callable(resolver):
        raise InstrumentationError(f"user_resolver must be a function of the request, not a {type(resolver).__name__}")
    if inspect.iscoroutinefunction(resolver) or inspect.iscoroutinefunction(type(resolver).__call__):
        raise InstrumentationError(
            "user_resolver must not be async, as it is asked while a record is made; "
            "await what you need in a dependency and call logspan.set_user there"
        )
