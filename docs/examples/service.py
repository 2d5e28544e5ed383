import logging

from fastapi import FastAPI

from logspan import bind, get_logger, instrument_app

app = FastAPI()
instrument_app(app)

log = get_logger(__name__)


@app.get("/orders/{order_id}")
async def order(order_id: int) -> dict[str, int]:
    bind(order_id=order_id)  # on every record of this request from here on
    log.info("order looked up", shards=[1, 2])
    logging.getLogger("stock").warning("running low", extra={"left": 3})
    return {"order_id": order_id}
