"""An application that does all that may mix requests up, and what is wrong with the records that it makes.

Each request has a name. Whatever it binds, logs or is known by begins with that name: anything else on one of its
records is another request's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware

from logspan import bind, carry, get_logger, set_user, unbind
from tests.fastapi.support import Seen

SCOPE = "tests.leaks"
log = get_logger(SCOPE)


def step(kind: str, name: str, number: int) -> Any:
    """One thing that an endpoint does; what is awaitable is to be awaited."""
    value = f"{name}.{number}"
    steps: dict[str, Callable[[], Any]] = {
        "bind": lambda: bind({f"k{number % 3}": value}),
        "unbind": lambda: unbind(f"k{number % 3}"),
        "log": lambda: log.info("log", own=name),
        "user": lambda: set_user(value),
        "pause": lambda: asyncio.sleep(0),
        "block": lambda: _block(name, value),
        "thread": lambda: run_in_threadpool(_work, name, value),
        "executor": lambda: asyncio.get_running_loop().run_in_executor(None, carry(_work), name, value),
        "pool": lambda: _pool(name, value),
        "gather": lambda: asyncio.gather(*(_task(name, f"{value}.{part}") for part in range(3))),
    }
    return steps[kind]()


STEPS = ("bind", "unbind", "log", "user", "pause", "block", "thread", "executor", "pool", "gather")
ENDS = ("return", "raise", "background", "stream", "sync stream", "sync")


def _work(name: str, value: str) -> None:
    bind(thread=value)
    log.info("thread", own=name)


async def _block(name: str, value: str) -> None:
    with bind(block=value):
        await asyncio.sleep(0)
        log.info("block", own=name)


async def _pool(name: str, value: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(carry(_work), name, f"{value}.{part}") for part in range(2)]
        await asyncio.gather(*map(asyncio.wrap_future, futures))


async def _task(name: str, value: str) -> None:
    bind(task=value)
    await asyncio.sleep(0)
    await run_in_threadpool(log.info, "task", own=name, own_task=value)


def tangled() -> FastAPI:
    """The application; `steps` of a request are words of `STEPS` with commas between, `end` is one of `ENDS`."""
    app = FastAPI()

    @app.middleware("http")
    async def dispatch(request: Request, call_next: Any) -> Any:
        name = request.query_params["name"]
        bind(middleware=name)
        log.info("middleware", own=name)
        response = await call_next(request)
        log.info("back", own=name)
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=_second)

    def dependency(name: str) -> Iterator[str]:
        with bind(dependency=name):
            log.info("dependency", own=name)
            yield name

    named = Annotated[str, Depends(dependency)]

    @app.post("/async")
    async def endpoint(request: Request, name: named, steps: str, end: str, background: BackgroundTasks) -> Any:
        await request.body()
        for number, kind in enumerate(filter(None, steps.split(","))):
            result = step(kind, name, number)
            if asyncio.iscoroutine(result) or asyncio.isfuture(result):
                await result
        if end == "raise":
            raise ValueError(name)
        if end == "background":
            background.add_task(_work, name, f"{name}.background")
            background.add_task(_block, name, f"{name}.background")
        if end in ("stream", "sync stream"):
            return StreamingResponse(_stream(name) if end == "stream" else _sync_stream(name))
        return name

    @app.post("/sync")
    def sync(name: named, background: BackgroundTasks) -> str:
        _work(name, f"{name}.sync")
        background.add_task(_work, name, f"{name}.background")
        return name

    return app


async def _second(request: Request, call_next: Any) -> Any:
    name = request.query_params["name"]
    with bind(second=name):
        return await call_next(request)


async def _stream(name: str) -> AsyncIterator[str]:
    with bind(stream=name):
        for _ in range(3):
            log.info("stream", own=name)
            await asyncio.sleep(0)
            yield name


def _sync_stream(name: str) -> Iterator[str]:
    with bind(stream=name):
        for _ in range(3):
            log.info("stream", own=name)
            yield name


BOUND = (
    "k0",
    "k1",
    "k2",
    "block",
    "thread",
    "task",
    "own_task",
    "middleware",
    "second",
    "dependency",
    "stream",
    "user.id",
)


def leaks(records: Sequence[Seen], traces: dict[str, str]) -> list[str]:
    """What is on a record and belongs to another request; `traces` has the trace id of each request by its name."""
    return [found for record in records for found in _leaks_of(record, traces)]


def _leaks_of(record: Seen, traces: dict[str, str]) -> Iterator[str]:
    attributes = record.attributes
    name = attributes["http.request.id"]
    if record.scope == SCOPE and attributes["own"] != name:
        yield f"{record.body}: made by {attributes['own']}, and has the id {name}"
    if record.trace_id != traces[name]:
        yield f"{record.body} of {name}: a trace of another request"
    for key in BOUND:
        if key in attributes and attributes[key].split(".")[0] != name:
            yield f"{record.body} of {name}: {key}={attributes[key]}"
    if "own_task" in attributes and attributes["task"] != attributes["own_task"]:
        yield f"{record.body} of {name}: task={attributes['task']} in {attributes['own_task']}"
