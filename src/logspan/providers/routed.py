"""Which provider a signal goes to here and now: what the delegating globals share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from opentelemetry._logs import LoggerProvider

from logspan.context import ROUTING

Provider = TypeVar("Provider")


class Routes(Generic[Provider]):
    """The providers of all installed pipelines, each under the logger provider that names its pipeline.

    A signal goes where a log record made in the same place would go: to the context's own pipeline, else to the first
    that was installed, else nowhere. Providers are asked for at each use, as those of one process do not survive a
    fork.
    """

    target: Callable[[], Provider]
    """The provider for here and now; one that does nothing when no pipeline is installed."""

    def __init__(self, nowhere: Provider) -> None:
        self._nowhere = nowhere
        self._set(())

    def point(self, owner: LoggerProvider, provider: Callable[[], Provider]) -> None:
        """Send what belongs to `owner` to a provider, instead of the one before."""
        self._set((*(route for route in self._routes if route[0] is not owner), (owner, provider)))

    def unpoint(self, owner: LoggerProvider) -> None:
        """Forget an owner; one that is not known is passed over."""
        self._set(tuple(route for route in self._routes if route[0] is not owner))

    def _set(self, routes: tuple[tuple[LoggerProvider, Callable[[], Provider]], ...]) -> None:
        self._routes = routes
        self.target = routes[0][1] if len(routes) == 1 else self._chosen

    def _chosen(self) -> Provider:
        """Of several, or of none."""
        routes = self._routes
        if not routes:
            return self._nowhere
        current = ROUTING.target()
        return next((provider for owner, provider in routes if owner is current), routes[0][1])()
