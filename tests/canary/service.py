"""A service that plants every canary: `python -m tests.canary.service PORT`, stopped by `GET /stop`."""

from __future__ import annotations

import logging
import sys
import warnings

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from logspan import instrument_app
from tests.canary.canaries import Canary, canaries

warnings.simplefilter("always", UserWarning)
KNOWN: dict[str, Canary] = {canary.name: canary for canary in canaries()}
app = FastAPI()
instrument_app(app)
log = logging.getLogger("canary.service")
SERVERS: list[uvicorn.Server] = []


class Credentials(BaseModel):
    name: str
    password: list[str]


@app.get("/plant")
def plant() -> int:
    """All that a request can plant, on a worker thread."""
    planted = [canary for canary in KNOWN.values() if canary.plant is not None]
    for canary in planted:
        assert canary.plant is not None
        canary.plant(canary.name, canary.secret)
    return len(planted)


@app.get("/headers")
async def headers(request: Request) -> None:
    log.warning("canary-authorization canary-cookie", extra={"headers": dict(request.headers)})


@app.get("/search")
async def search(access_token: str) -> int:
    return len(access_token)


@app.post("/login")
async def login(credentials: Credentials) -> str:
    return credentials.name


@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: Exception) -> JSONResponse:
    """As many services do: what was wrong, and what came."""
    assert isinstance(error, RequestValidationError)
    log.warning("canary-validation failed: %s", error.errors(), extra={"body": error.body})
    return JSONResponse({}, 422)


@app.get("/unhandled")
async def unhandled() -> None:
    raise RuntimeError(f"canary-unhandled password={KNOWN['canary-unhandled'].secret}")


@app.get("/call")
async def call(request: Request) -> int:
    """Httpx logs the whole URL."""
    secret = KNOWN["canary-client-url"].secret
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{request.base_url}nowhere?canary-client-url=1&api_key={secret}")
    return answer.status_code


@app.get("/stop")
async def stop() -> None:
    SERVERS[0].should_exit = True


if __name__ == "__main__":
    SERVERS.append(uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[1]))))
    SERVERS[0].run()
    raise RuntimeError(f"canary-uncaught password={KNOWN['canary-uncaught'].secret}")
