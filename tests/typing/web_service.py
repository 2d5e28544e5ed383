"""A FastAPI service, as its authors would write it: `mypy --strict` has nothing to say about it."""

from typing import Annotated, assert_type

from fastapi import Depends, FastAPI
from opentelemetry.sdk._logs import LoggerProvider

from logspan import (
    DrainReport,
    Handle,
    HealthReport,
    Pipeline,
    Settings,
    StructuredLogger,
    bind,
    carry,
    get_logger,
    get_pipeline,
    instrument_app,
    instrumented,
    outgoing_headers,
    request_logger,
    set_user,
    user_of,
)
from logspan.settings import OtlpSettings

app = FastAPI(lifespan=instrumented(settings=Settings()))
log = get_logger(__name__)


@app.get("/orders/{order_id}")
async def order(order_id: int) -> dict[str, int]:
    bind(order_id=order_id)
    with bind({"order.id": order_id}, tenant="acme"):
        log.info("looking up", shards=[1, 2], found=True, price=9.99, nested={"a": {"b": None}})
    try:
        return {"order": 1 // order_id}
    except ZeroDivisionError:
        log.exception("no such order", order_id=order_id)
        raise


def priced(item: str, *, currency: str = "EUR") -> int:
    set_user("42", name="ann", roles=["admin"])
    assert_type(outgoing_headers({"accept": "text/plain"}), dict[str, str])
    return len(item + currency)


@app.get("/health", dependencies=[Depends(user_of(priced))])
async def health(
    log: Annotated[StructuredLogger, Depends(request_logger)], pipeline: Annotated[Pipeline, Depends(get_pipeline)]
) -> str:
    log.info("asked")
    return pipeline.health().status


def install() -> None:
    assert_type(carry(priced)("chair", currency="CHF"), int)
    assert_type(instrument_app(app, user_resolver=lambda connection: connection.state.user), Handle)
    assert_type(instrument_app(app), Handle)
    settings = Settings(service_name="shop", exporters=["otlp", "file"], otlp=OtlpSettings(timeout=5.0))
    with instrument_app(app, settings) as handle:
        assert_type(handle.pipeline, Pipeline)
        provider: LoggerProvider = handle.pipeline.logger_provider
        provider.get_logger("orders").emit(body="by the API of OpenTelemetry")
        assert_type(handle.pipeline.health(), HealthReport)
        assert_type(handle.flush(timeout=5.0), bool)
    assert_type(handle.shutdown(timeout=5.0), DrainReport)
    handle.uninstrument()
