import asyncio
from typing import Annotated, Any

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException

from logspan import bind, carry, get_logger, instrument_app, outgoing_headers, set_user

app = FastAPI()
instrument_app(app)
log = get_logger(__name__)

SESSIONS = {"s3cret": {"id": "42", "name": "ann", "roles": ["buyer"]}}


def current_user(x_session: Annotated[str, Header()]) -> str:
    user = SESSIONS.get(x_session)
    if user is None:
        raise HTTPException(401)
    set_user(user)  # verified: user.id, user.name and user.roles on every record of this request from here on
    return str(user["id"])


def price(item: str) -> int:
    log.info("price looked up", item=item)  # in a thread of its own, and still a record of the request
    return len(item)


async def stock(item: str) -> int:
    bind(item=item)  # one of several tasks: on its own records
    log.info("stock looked up")
    return 3


def ship(order: int) -> None:
    log.info("shipped", order=order)  # when the response is out: marked with logspan.background


@app.post("/orders/{order}")
async def place(order: int, user: Annotated[str, Depends(current_user)], background: BackgroundTasks) -> dict[str, Any]:
    bind(order_id=order)  # on all later records of the request, and on its own
    loop = asyncio.get_running_loop()
    total = await loop.run_in_executor(None, carry(price), "chair")
    await asyncio.gather(stock("chair"), stock("table"))
    background.add_task(ship, order)
    return {"user": user, "total": total}


@app.get("/rates")
async def rates(url: str) -> int:
    async with httpx.AsyncClient() as client:  # traceparent, baggage and x-request-id go along
        return (await client.get(url, headers=outgoing_headers())).status_code
