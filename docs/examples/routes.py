from typing import Any

from fastapi import APIRouter, FastAPI

from logspan import instrument_app, request_settings

app = FastAPI()
instrument_app(app)


@app.get("/ping")
@request_settings(record=False)  # below the route's own decorator; a record only when it fails
def ping() -> str:
    return "pong"


@app.post("/reports")
@request_settings(slow_threshold=60)  # this one takes its time
async def report() -> None: ...


@app.post("/webhooks/{sender}")
@request_settings(request_headers=["x-signature-version"], request_body=True, body_size=2_000)
async def webhook(sender: str, event: dict[str, Any]) -> None: ...


internal = APIRouter(prefix="/internal", dependencies=[request_settings(record=False).dependency()])


@internal.get("/state")
async def state() -> dict[str, bool]:
    return {"ready": True}


@internal.post("/reload")
@request_settings(record=True)  # an endpoint goes before its routers
async def reload() -> None: ...


app.include_router(internal)
