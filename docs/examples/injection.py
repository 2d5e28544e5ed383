from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException

from logspan import Pipeline, StructuredLogger, get_pipeline, instrumented, request_logger, user_of

SESSIONS = {"s3cret": {"id": "42", "name": "ann"}}


def current_user(x_session: Annotated[str, Header()]) -> dict[str, str]:
    user = SESSIONS.get(x_session)
    if user is None:
        raise HTTPException(401)
    return user


@asynccontextmanager
async def own(app: FastAPI) -> AsyncIterator[None]:
    app.state.stock = {"chair": 3}
    yield


app = FastAPI(lifespan=instrumented(own))


@app.get("/stock/{item}", dependencies=[Depends(user_of(current_user))])
def stock(item: str, log: Annotated[StructuredLogger, Depends(request_logger)]) -> int:
    log.info("stock looked up", item=item)  # with user.id and user.name
    return int(app.state.stock[item])


@app.get("/internal/logs")
async def logs(pipeline: Annotated[Pipeline, Depends(get_pipeline)]) -> str:
    return pipeline.health().status
