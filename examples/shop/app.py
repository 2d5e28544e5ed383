"""A small shop. `uvicorn examples.shop.app:app` runs it; one line instruments it, the environment configures it."""

import asyncio
import logging
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException
from pydantic import BaseModel, Field

from examples.shop.catalogue import PRODUCTS, OutOfStockError, Product, build_report, find, take
from logspan import bind, get_logger, instrument_app

logger = logging.getLogger("shop")
log = get_logger("shop.orders")
try:  # whoever logs with structlog (or loguru) goes on doing so
    import structlog

    mail: Any = structlog.get_logger("shop.mail")
except ImportError:
    mail = get_logger("shop.mail")

app = FastAPI(title="shop")
handle = instrument_app(app)


class Order(BaseModel):
    sku: str
    quantity: int = Field(gt=0)


@app.get("/products")
async def products() -> list[Product]:
    logger.info("%d products listed", len(PRODUCTS))
    return list(PRODUCTS)


@app.get("/products/{sku}")
async def product(sku: str) -> Product:
    found = find(sku)
    if found is None:
        logger.info("no such product", extra={"sku": sku})
        raise HTTPException(404, f"no product {sku!r}")
    return found


@app.post("/orders", status_code=201)
async def order(order: Order, background: BackgroundTasks) -> dict[str, str]:
    bind(sku=order.sku)
    found = find(order.sku)
    if found is None:
        raise HTTPException(404, f"no product {order.sku!r}")
    try:
        take(found, order.quantity)
    except OutOfStockError:
        log.exception("order refused", quantity=order.quantity)
        raise HTTPException(409, "not enough in stock") from None
    total = found.price * order.quantity
    log.info("order placed", quantity=order.quantity, total=total, payment={"method": "card", "token": "tok_4eC39HqL"})
    background.add_task(send_confirmation, order)
    return {"total": str(total)}


@app.get("/reports/stock")
def stock_report() -> dict[str, int]:
    return build_report()


@app.post("/orders/{order_id}/refund")
async def refund(order_id: int) -> dict[str, int]:
    logger.info("refunding order %d", order_id)
    refunds: dict[int, int] = {}
    return {"refunded": refunds[order_id]}  # a bug


async def send_confirmation(order: Order) -> None:
    await asyncio.sleep(0.01)
    mail.info("confirmation sent", sku=order.sku)
