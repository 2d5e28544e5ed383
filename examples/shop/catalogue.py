"""What the shop sells, and what goes wrong with it: plain code, which logs in the ways that Python code does."""

import logging
import time
from dataclasses import dataclass
from decimal import Decimal

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    price: Decimal
    stock: int


class OutOfStockError(Exception):
    """Nothing is left of a product."""


PRODUCTS = (
    Product("tea", "Assam tea, 250 g", Decimal("7.90"), 12),
    Product("pot", "Teapot", Decimal("34.00"), 3),
    Product("cup", "Cup with a handle", Decimal("9.50"), 0),
)


def find(sku: str) -> Product | None:
    return next((product for product in PRODUCTS if product.sku == sku), None)


def take(product: Product, quantity: int) -> None:
    if quantity > product.stock:
        raise OutOfStockError(f"{quantity} of {product.sku} ordered, {product.stock} in stock")
    logger.info("%d of %s set aside", quantity, product.sku, extra={"sku": product.sku, "stock": product.stock})


def build_report() -> dict[str, int]:
    """A slow, blocking function: FastAPI runs the endpoint that calls it in a thread."""
    time.sleep(0.25)
    logger.warning("the report is slow", extra={"rows": len(PRODUCTS)})
    return {product.sku: product.stock for product in PRODUCTS}
