"""What the layers below see of the request that is being handled: `logspan.context.current_request`."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket

from logspan.context import current_request
from tests.fastapi.support import TestClient, watched


def facts() -> dict[str, Any] | None:
    """The current request, as plain values."""
    request = current_request()
    if request is None:
        return None
    return {
        "method": request.method,
        "path": request.path,
        "route": request.route,
        "tenant": request.header("X-Tenant"),
        "absent": request.header("x-absent"),
    }


def app_that_tells(told: dict[str, Any]) -> FastAPI:
    """Keeps what is seen in an endpoint, a thread, a task, a background task and a websocket."""
    app = FastAPI()
    router = APIRouter(prefix="/orders")

    @router.post("/{order_id}")
    async def order(order_id: int, background: BackgroundTasks) -> None:
        told["endpoint"] = facts()
        told["thread"] = await asyncio.to_thread(facts)
        background.add_task(lambda: told.update(background=facts()))

    @app.get("/plain")
    def plain() -> None:
        told["plain"] = facts()

    @app.websocket("/ws")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        told["websocket"] = facts()
        await socket.close()

    app.include_router(router)
    return app


def test_the_request_is_seen_wherever_it_is_worked_at() -> None:
    """Method, path, route and headers; in tasks, threads and background work of the request, and nowhere else."""
    told: dict[str, Any] = {}
    app = app_that_tells(told)
    with watched(app), TestClient(app) as client:
        client.post("/orders/42?x=1", headers={"x-tenant": "acme"})
        client.get("/plain")
        with client.websocket_connect("/ws"):
            pass
    order = {"method": "POST", "path": "/orders/42", "route": "/orders/{order_id}", "tenant": "acme", "absent": None}
    assert told["endpoint"] == told["thread"] == told["background"] == order
    assert (told["plain"]["route"], told["plain"]["tenant"]) == ("/plain", None)
    assert (told["websocket"]["method"], told["websocket"]["path"]) == ("GET", "/ws")
    assert facts() is None
