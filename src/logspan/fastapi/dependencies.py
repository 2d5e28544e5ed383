"""What dependency injection hands out: `Depends(request_logger)`, `Depends(get_pipeline)`, `Depends(user_of(...))`.

They are plain async functions, so that `app.dependency_overrides` puts something else in their place, and that an
endpoint of Starlette can await them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import HTTPConnection

from logspan.context import ROUTING
from logspan.errors import InstrumentationError
from logspan.identity import set_user
from logspan.pipeline import Pipeline, PipelineLoggerProvider
from logspan.sources.facade import StructuredLogger


async def request_logger(connection: HTTPConnection) -> StructuredLogger:
    """A logger for this request, named like the module of its endpoint: `log: Annotated[..., Depends(request_logger)]`.

    Its records go to the pipeline of the app that serves the request, whatever thread or task they are made in.
    """
    endpoint = connection.scope.get("endpoint")
    name = getattr(endpoint, "__module__", None) or __name__
    return StructuredLogger(name, ROUTING.target() or ROUTING)


async def get_pipeline() -> Pipeline:
    """The pipeline of the app that serves this request: a mounted app's own, if it has one.

    Outside of a request it is the one that was installed first. Raises `InstrumentationError` when there is none.
    """
    provider = ROUTING.target()
    pipeline = provider.pipeline() if isinstance(provider, PipelineLoggerProvider) else None
    if pipeline is None:
        raise InstrumentationError("there is no pipeline here: call logspan.instrument_app(app) before it serves")
    return pipeline


def user_of(authenticate: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """A dependency that calls the application's own one, and says with `set_user` whom that has found.

    `authenticate` returns an id, a mapping, an object with an `id`, or None; or raises, as it likes. FastAPI calls it
    once for each request, however many ask for it: `FastAPI(dependencies=[Depends(user_of(current_user))])`.
    """
    from fastapi import Depends

    async def authenticated(user: Any = Depends(authenticate)) -> Any:
        set_user(user)
        return user

    return authenticated
