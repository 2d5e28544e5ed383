"""What goes along with outgoing calls: the trace and the baggage by the OTel propagators, and the request's id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry import propagate
from opentelemetry.baggage import get_all, remove_baggage
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from logspan.binding import REQUEST_ID, request_here


class NamesAllowed:
    """Which names are allowed; a `*` at the end stands for any rest."""

    def __init__(self, allowed: Iterable[str]) -> None:
        allowed = (allowed,) if isinstance(allowed, str) else tuple(allowed)
        self._names = frozenset(name for name in allowed if not name.endswith("*"))
        self._prefixes = tuple(name[:-1] for name in allowed if name.endswith("*"))

    def have(self, name: str) -> bool:
        """Whether a name is one of them."""
        return name in self._names or name.startswith(self._prefixes)


def outgoing_headers(headers: Mapping[str, str] | None = None, *, baggage: Iterable[str] = ()) -> dict[str, str]:
    """Headers for a call to another service: `traceparent`, `baggage` and the request's id, beside those given.

    For clients that no OTel instrumentation has been told of: `httpx.get(url, headers=outgoing_headers())`. Of the
    W3C baggage go along only the entries that `baggage` names (`["app.plan", "app.cell.*"]`): whoever calls this
    service has put there what they like, or what is for us alone. Instrumented clients send all of it by themselves, as
    the OTel propagators have it.
    """
    carrier, context, allowed = dict(headers or {}), get_current(), NamesAllowed(baggage)
    for name in get_all(context):
        if not allowed.have(name):
            context = remove_baggage(name, context)
    propagate.inject(carrier, context)
    return carrier


class RequestIdPropagator(TextMapPropagator):
    """Injects what `inner` does and the id of the request that makes the call, in the header that it came in.

    The id of an incoming request is no business of a propagator: it belongs to one request, and not to a trace.
    """

    def __init__(self, inner: TextMapPropagator) -> None:
        self.inner = inner
        self._users = 0

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """What `inner` finds."""
        return self.inner.extract(carrier, context, getter)

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Set the headers of an outgoing call."""
        self.inner.inject(carrier, context, setter)
        request = request_here() if self._users else None
        if request is not None and request.header is not None:
            setter.set(carrier, request.header.decode("latin-1"), str(request.identity[REQUEST_ID]))

    @property
    def fields(self) -> set[str]:
        """The headers that `inner` sets; the id's is the application's own choice."""
        return self.inner.fields

    def use(self) -> Callable[[], None]:
        """Count a user; what is returned takes that back, and with the last one the propagator is gone again."""
        self._users += 1
        return self._leave

    def _leave(self) -> None:
        self._users -= 1
        current: Any = propagate.get_global_textmap()
        if not self._users and current is self:
            propagate.set_global_textmap(self.inner)


def propagate_request_ids() -> Callable[[], None]:
    """Put the propagator round the global one, unless it is there already; what is returned undoes it."""
    current = propagate.get_global_textmap()
    ours = current if isinstance(current, RequestIdPropagator) else RequestIdPropagator(current)
    if ours is not current:
        propagate.set_global_textmap(ours)
    return ours.use()
