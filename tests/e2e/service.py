"""A FastAPI service under test: every way of logging, in requests of every kind.

Run by uvicorn in a process of its own.
"""

from __future__ import annotations

import asyncio
import datetime
import decimal
import logging
import uuid

import structlog
from fastapi import BackgroundTasks, FastAPI, HTTPException
from loguru import logger as loguru_logger
from opentelemetry import trace

from logspan import bind, get_logger, instrument_app

app = FastAPI()
instrument_app(app)

stdlib = logging.getLogger("service.stdlib")
facade = get_logger("service.facade")
structured = structlog.get_logger("service.structlog")
tracer = trace.get_tracer("service")

NESTED = {"lines": [{"sku": "a-1", "quantity": 2}, {"sku": "b-2", "quantity": 1}], "gift": None}


def log_one(item: str, number: int) -> None:
    """One record, by each of the sources in turn; `item` names the request, `number` the record in it."""
    message = f"{item} record {number}"
    match number % 4:
        case 0:
            stdlib.info("%s record %d", item, number, extra={"item": item, "number": number})
        case 1:
            facade.info(message, item=item, number=number)
        case 2:
            structured.info(message, item=item, number=number)
        case _:
            loguru_logger.bind(item=item, number=number).info(message)


@app.get("/records/{item}")
async def records(item: str, count: int = 4) -> dict[str, int]:
    """Log on the event loop, mixed with the other requests."""
    for number in range(count):
        log_one(item, number)
        if number % 5 == 4:
            await asyncio.sleep(0)  # let the other requests log in between
    return {"logged": count}


@app.get("/sync/{item}")
def in_a_thread(item: str, count: int = 4) -> dict[str, int]:
    """Log in a worker thread."""
    for number in range(count):
        log_one(item, number)
    return {"logged": count}


@app.get("/values/{item}")
async def values(item: str) -> None:
    """Log values of every type."""
    with bind(tenant="acme"):
        stdlib.warning(
            "values of %s",
            item,
            extra={
                "item": item,
                "integer": 2**53 + 1,
                "ratio": 0.25,
                "yes": True,
                "when": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
                "price": decimal.Decimal("12.50"),
                "id": uuid.UUID(int=42),
                "nested": NESTED,
                "raw": b"\x00\xff",
                "password": "hunter2",
                "umlaut": "Größe 📦",
            },
        )


@app.get("/spans/{item}")
async def spans(item: str) -> None:
    """Log inside a span of the application's own and outside of it."""
    with tracer.start_as_current_span("inner"):
        facade.info("inside", item=item)
    facade.info("outside", item=item)


@app.get("/handled/{item}")
async def handled(item: str) -> None:
    """Log an exception and answer."""
    try:
        NESTED[item]
    except KeyError:
        stdlib.exception("not in stock", extra={"item": item})
        raise HTTPException(409, "not in stock") from None


@app.get("/broken/{item}")
async def broken(item: str) -> None:
    """Fail."""
    raise ValueError(f"cannot handle {item}")


@app.get("/background/{item}")
async def background(item: str, tasks: BackgroundTasks) -> None:
    """Log after the response."""
    tasks.add_task(log_one, item, 1)
