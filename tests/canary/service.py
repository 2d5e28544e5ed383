"""A service that plants every canary: `python -m tests.canary.service PORT`, stopped by `GET /stop`."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from pydantic import BaseModel

from logspan import EnrichContext, RecordView, enricher, instrument_app
from tests.canary.canaries import Canary, canaries

warnings.simplefilter("always", UserWarning)
KNOWN: dict[str, Canary] = {canary.name: canary for canary in canaries()}
app = FastAPI()
READER = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([READER], Resource({}), shutdown_on_exit=False))


@enricher
def fails(record: RecordView, context: EnrichContext) -> None:
    """As one that cannot log in somewhere."""
    raise ConnectionError(f"canary-enricher password={KNOWN['canary-enricher'].secret}")


HANDLE = instrument_app(app, enrichers=[fails])
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


@app.get("/report")
def report() -> None:
    """What the pipeline tells of itself: health, ledger, what redaction has found, metrics."""
    pipeline = HANDLE.pipeline
    assert pipeline.redactor is None or pipeline.redactor.hits
    found = {} if pipeline.redactor is None else dict(pipeline.redactor.hits)
    data = READER.get_metrics_data()
    told = [pipeline.health(), pipeline.ledger.snapshot(), found, data.to_json() if data else ""]
    Path("report").write_text("\n".join(map(str, told)))


@app.get("/stop")
async def stop() -> None:
    SERVERS[0].should_exit = True


if __name__ == "__main__":
    SERVERS.append(uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[1]))))
    SERVERS[0].run()
    raise RuntimeError(f"canary-uncaught password={KNOWN['canary-uncaught'].secret}")
