"""A lifespan that instruments its app for as long as the app runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from logspan.errors import InstrumentationError
from logspan.fastapi import end_of_lifespan, handle_of, instrument_app
from logspan.settings import Settings

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


def instrumented(inner: Lifespan | None = None, settings: Settings | None = None, **options: Any) -> Lifespan:
    """The lifespan of a FastAPI or Starlette app: instruments it, runs the app's own lifespan, and undoes it all.

    `FastAPI(lifespan=instrumented(own))` stands in place of `instrument_app(app)`, for apps that are made and thrown
    away, as in tests. `settings` and `options` are those of `instrument_app`. At the end what waits is delivered,
    within `shutdown_timeout`, after the app's own lifespan has ended; what that yields is handed on. An app that is
    instrumented already stays it. A server that runs no lifespan (`--lifespan off`) instruments nothing.
    """
    if hasattr(inner, "router"):
        raise InstrumentationError("instrumented takes the app's own lifespan: FastAPI(lifespan=instrumented())")

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[Any]:
        if handle_of(app) is not None:
            async with _run(inner, app) as state:
                yield state
            return
        handle = instrument_app(app, settings, **options)
        handle.started()
        try:
            async with _run(inner, app) as state:
                handle.reassert()  # lifespans like to configure logging
                yield state
        finally:
            await end_of_lifespan(handle)()
            handle.uninstrument(handle.patience.left())

    return run


def _run(inner: Lifespan | None, app: Any) -> AbstractAsyncContextManager[Any]:
    return nullcontext() if inner is None else inner(app)
