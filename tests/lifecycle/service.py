"""What the servers serve here; instrumented when it is imported or inside its lifespan, as a variable says."""

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from logspan import instrument_app
from tests.lifecycle.support import WritesLedger

FOLDER = os.environ["LEDGERS"]
INSIDE_LIFESPAN = "INSIDE_LIFESPAN" in os.environ
logger = logging.getLogger("service")


def instrument() -> None:
    handle = instrument_app(app)
    handle.add_companion(WritesLedger(handle, FOLDER))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if INSIDE_LIFESPAN:
        instrument()
    logger.info("up")
    yield
    logger.info("down")


app = FastAPI(lifespan=lifespan)
if not INSIDE_LIFESPAN:
    instrument()


@app.get("/{name}")
async def hello(name: str) -> int:
    print("worker answers", file=sys.stderr, flush=True)
    for number in range(50):
        logger.info("%s-%d", name, number)
    return os.getpid()
