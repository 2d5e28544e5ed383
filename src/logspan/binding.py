"""What `bind` puts on records: the attributes of a context, and those of a request as a whole.

Outside of a request they live in the context alone, as Python hands it on to tasks. A request has a state of its own,
`RequestBindings`: binding in a worker thread would be lost with the thread's copy of the context otherwise.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token, copy_context
from dataclasses import dataclass, replace
from types import MappingProxyType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from opentelemetry.util.types import AnyValue

from logspan.values import clean_attributes

REQUEST_ID = "http.request.id"
"""The attribute of a request's id, as in https://www.elastic.co/docs/reference/ecs/ecs-http: OTel has none."""
BACKGROUND = "logspan.background"
"""True on the records of what a request does when its response is out: background tasks, and tasks that outlive it."""

Attributes = Mapping[str, AnyValue]
_NOTHING: Attributes = MappingProxyType({})
_MISSING: Any = object()
_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(slots=True, eq=False)
class Place:
    """Where some code runs: in which request, with what bound, whether below its middleware (`inside`). Never changed.

    `apart` says that something was bound here that the request knows nothing of: here is a task of its own.
    `standing_in` says that a record is made here in the request's place, when it is over.
    """

    request: RequestBindings | None
    bound: Attributes
    inside: bool = False
    apart: bool = False
    standing_in: bool = False


_OUTSIDE = Place(None, _NOTHING)
_place: ContextVar[Place] = ContextVar("logspan.place", default=_OUTSIDE)


class RequestBindings:
    """What is bound for one request, `attributes`, and what it is known by, `identity`; neither is changed in place.

    The request's own tasks share it with the threads that work for them: the task that the server runs it in, the one
    that runs its route (a `BaseHTTPMiddleware` makes another), the one that sends its response. Any other task has
    what was bound when it began, and what it binds itself. So have all, once the response is out.
    """

    __slots__ = (
        *("_current_task", "_lock", "_shared", "_tasks"),
        *("ask", "attributes", "base", "header", "identity", "over", "responded"),
    )

    def __init__(
        self, current_task: Callable[[], Any], identity: Attributes = _NOTHING, header: bytes | None = None
    ) -> None:
        """`current_task` is `asyncio.current_task`: whoever makes a request has asyncio imported, others need not.

        `header` names the one that the request's id goes in, along with calls to other services.
        """
        self._current_task = current_task
        self._lock = threading.RLock()
        self._tasks: tuple[Any, ...] = ()
        """Until it ends: tasks hold the request as well."""
        self._shared: Attributes = _NOTHING
        self.base = self.attributes = _NOTHING
        self.identity = identity
        self.header = header
        self.ask: Callable[[], Attributes | None] | None = None
        """Tells who the user is, or None for not yet; unset when that is known, or will not be."""
        self.responded = self.over = False

    def enter(self, *, inside: bool = False) -> Token[Place]:
        """Begin the request here and now: nothing of a request before it on the connection stays, whoever left it.

        `inside` says that there is no middleware to come back to from the routes.
        """
        before = _place.get()
        self.base = self.attributes = before.bound if before.request is None else before.request.base
        self.own_task()
        return _place.set(Place(self, self.attributes, inside))

    def leave(self, token: Token[Place] | None) -> None:
        """End it; with the token, the context is put back as well, else it is that of the server, after the request.

        Raises `ValueError` in another context than that of the token.
        """
        self.over = True
        self.ask = None
        self._tasks = ()
        if token is None:
            _place.set(Place(self, self.attributes))
        else:
            _place.reset(token)

    def stand_in(self) -> None:
        """Have what is recorded from here on carry all that was bound for the request, in whatever task or thread."""
        _place.set(Place(self, self.attributes, standing_in=True))

    def enter_routes(self) -> Place:
        """Go below the middleware; what a middleware in a task of its own has bound is the request's from here on."""
        before = _place.get()
        if before.apart:
            with self._lock:
                self.attributes = {**self.attributes, **before.bound}
        self.own_task()
        _place.set(Place(self, self.attributes, inside=True))
        return before

    def leave_routes(self, before: Place) -> None:
        """Come back from the routes, to the place that `enter_routes` has returned."""
        plain = before.request is self and before.bound is self.attributes and not before.apart
        _place.set(before if plain else Place(self, self.attributes, before.inside))

    def own_task(self) -> None:
        """Count the task that calls among the request's own."""
        try:
            task = self._current_task()
        except RuntimeError:  # a thread without an event loop
            return
        if task is not None and task not in self._tasks and not self.over:
            self._tasks = (*self._tasks, task)  # no lock: these run one after the other

    def _caller(self) -> Any:
        """The task that calls; None in a callback of the event loop, `_MISSING` in a thread without one."""
        try:
            return self._current_task()
        except RuntimeError:
            return _MISSING

    def accepts(self, place: Place) -> bool:
        """Whether what is bound at a place is bound for the request."""
        if self.over or place.apart or (place.inside and self.responded):
            return False
        caller = self._caller()
        return caller is _MISSING or caller in self._tasks

    def is_past(self) -> bool:
        """Whether a callback of the event loop asks when all is over: a connection keeps the context of a request."""
        return self.over and self._caller() is None

    def seen_from(self, place: Place) -> Attributes:
        """What is bound for a record that is made at a place of this request."""
        if place.standing_in or (place.bound is self.attributes and not self.over):
            return place.bound
        if self.is_past():
            return self.base
        if place.apart:
            return place.bound
        if self.accepts(place):
            return self.attributes
        return {**self._shared, **place.bound} if self._shared else place.bound

    def put(self, changes: Attributes) -> dict[str, Any]:
        """Bind for the request; `_MISSING` as a value unbinds. Returns the values that were there before."""
        with self._lock:
            before = {key: self.attributes.get(key, _MISSING) for key in changes}
            self.attributes = _changed(self.attributes, changes)
            if self._caller() is _MISSING:  # no task's context will hold it
                self._shared = _changed(self._shared, changes)
            elif self._shared:
                self._shared = _changed(self._shared, dict.fromkeys(changes, _MISSING))
        return before

    def take_back(self, changes: Attributes, before: Attributes) -> None:
        """Undo `put` where nobody has bound anything else since."""
        with self._lock:
            undo = _undone(self.attributes, changes, before)
            if undo:
                self.put(undo)

    def is_closed(self) -> bool:
        """Whether what is said from here comes too late for the request: its response is out."""
        return self.over or (self.responded and _place.get().inside)

    def identify(self, attributes: Attributes, instead_of: tuple[str, ...] = ()) -> None:
        """Have the request known by more, in place of all names that begin with one of `instead_of`."""
        with self._lock:
            kept = {key: value for key, value in self.identity.items() if not key.startswith(instead_of)}
            self.identity = {**kept, **attributes}
            self.ask = None

    def find_user(self) -> None:
        """Ask who the user is; again next time where nobody knows yet. What fails is not asked again."""
        ask, self.ask = self.ask, _nobody
        found = None
        try:
            found = ask() if ask is not None else None
        except BaseException:
            self.ask = None
            raise
        if self.ask is _nobody:  # else it was said meanwhile
            self.ask = ask if found is None else None
            if found:
                self.identify(found)


def _nobody() -> None:
    """While the user is being asked for: what is logged in there must not ask again."""


def _changed(attributes: Attributes, changes: Attributes) -> Attributes:
    return {key: value for key, value in {**attributes, **changes}.items() if value is not _MISSING}


def _undone(now: Attributes, changes: Attributes, before: Attributes) -> dict[str, Any]:
    """The values to put back: those of the keys that still hold what was put there."""
    return {key: before[key] for key, value in changes.items() if now.get(key, _MISSING) is value}


def _reset(token: Token[Place]) -> bool:
    """Whether this is the context that the token belongs to, which is now as it was; never raises."""
    try:
        _place.reset(token)
    except (ValueError, RuntimeError):
        return False
    return True


class BoundToken:
    """What `bind` returns: undo it with `reset()`, or use it as a context manager."""

    __slots__ = ("_before", "_changes", "_request", "_token")

    def __init__(
        self, token: Token[Place], changes: Attributes, before: Attributes, request: RequestBindings | None
    ) -> None:
        self._token: Token[Place] | None = token
        self._changes = changes
        self._before = before
        self._request = request

    def reset(self) -> None:
        """Put back what was bound before, where nothing else was bound since.

        Never raises, also from another task or a second time.
        """
        token, self._token = self._token, None
        if token is None:
            return
        now = _place.get()
        request = self._request if self._request is not None and self._request.accepts(now) else None
        if request is not None:
            request.take_back(self._changes, self._before)
        if _reset(token):
            undone = _changed(now.bound, _undone(now.bound, self._changes, self._before))
            _place.set(replace(now, bound=undone if request is None else request.attributes))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.reset()


def bind(attributes: Mapping[str, Any] | None = None, /, **more: Any) -> BoundToken:
    """Put attributes on every record of this context, until it ends or they are unbound.

    In a request, what its endpoint, its dependencies and its middleware bind is on all of its later records and on the
    request's own, also when they run in a worker thread. What another task binds, one of `asyncio.gather` say, is on
    the records of that task alone; likewise what a background task binds.

    Names that are no Python identifiers (`"order.id"`) come in a mapping: `bind({"order.id": 42})`.
    Values are captured as they are now, like those of a log call.
    """
    given = clean_attributes(attributes) if attributes is not None else {}
    return _put({**given, **clean_attributes(more)})


def unbind(*keys: str) -> BoundToken:
    """Take attributes off the records of this context; keys that are not bound are passed over."""
    return _put({key: _MISSING for key in keys if key in bound_attributes()})


def _put(changes: Attributes) -> BoundToken:
    place = _place.get()
    request = place.request
    if request is not None and request.accepts(place):
        before: Attributes = request.put(changes)
        return BoundToken(_place.set(replace(place, bound=request.attributes)), changes, before, request)
    seen = place.bound if request is None else request.seen_from(place)
    before = {key: seen.get(key, _MISSING) for key in changes}
    token = _place.set(replace(place, bound=_changed(seen, changes), apart=request is not None))
    return BoundToken(token, changes, before, None)


def bound() -> Mapping[str, AnyValue]:
    """What is bound in this context: a read-only view, in the order of binding."""
    return MappingProxyType(dict(bound_attributes()))


def bound_attributes() -> Attributes:
    """The same without a copy, for the pipeline: not to be changed by who gets it."""
    place = _place.get()
    return place.bound if place.request is None else place.request.seen_from(place)


def request_here() -> RequestBindings | None:
    """The request that this code works for, if it does; it may be over."""
    place = _place.get()
    if place.request is None or (place.request.is_past() and not place.standing_in):
        return None
    return place.request


def is_background() -> bool:
    """Whether this code works for a request whose response is out already."""
    place = _place.get()
    return place.request is not None and place.inside and (place.request.responded or place.request.over)


def carry(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function, to be called in another thread with the context of here and now: its request, its trace.

    For what starts threads without handing on the context: `loop.run_in_executor(None, carry(work))`,
    `pool.map(carry(work), orders)`, `threading.Thread(target=carry(work))`. It may be called many times, and several
    times at once. `asyncio.to_thread`, Starlette's `run_in_threadpool`, tasks and `def` endpoints need no help.
    """
    context = copy_context()

    @functools.wraps(function)
    def carried(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return context.copy().run(function, *args, **kwargs)

    return carried
