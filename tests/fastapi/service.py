"""What the servers under test serve; instrumented in one line, configured by the environment."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from logspan import instrument_app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Tell that this worker is up: gunicorn forgets a SIGTERM that comes to one before that."""
    print("worker is up", file=sys.stderr, flush=True)
    yield


app = FastAPI(lifespan=lifespan)
instrument_app(app)
logger = logging.getLogger("service")


@app.get("/ok/{name}")
async def ok(name: str) -> int:
    logger.info("ok %s", name)
    return os.getpid()


@app.get("/sync/{name}")
def sync(name: str) -> int:
    logger.info("sync %s", name)
    return os.getpid()


@app.get("/waits")
async def waits() -> None:
    print("request is waiting", file=sys.stderr, flush=True)
    await asyncio.sleep(60)


@app.post("/upload")
async def upload(request: Request) -> int:
    return len(await request.body())


@app.get("/boom")
async def boom() -> None:
    raise ValueError("it broke")
