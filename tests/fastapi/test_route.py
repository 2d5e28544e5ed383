"""R2.1, R2.2: `http.route` is the whole template, whoever makes the spans and however applications are put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.fastapi.support import TestClient, watched

MODES = ["native", "contrib", "off"]


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("plain")


async def raw(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("raw")(scope, receive, send)


def files(directory: Path) -> StaticFiles:
    (directory / "a.txt").write_text("a")
    return StaticFiles(directory=directory)


def starlette(directory: Path) -> Starlette:
    below = Starlette(routes=[Route("/z/{k}", plain), Mount("/raw", raw), Mount("/static", files(directory))])
    return Starlette(
        routes=[
            Mount("/static", files(directory)),
            Mount("/raw/{t}", raw),
            Mount("/f/{t}", below),
            Mount("/g", routes=[Route("/own", plain)]),
            Route("/own/{t}", plain),
        ]
    )


def fastapi(directory: Path) -> FastAPI:
    app, child, router = FastAPI(), FastAPI(), APIRouter()

    @child.get("/home/{k}")
    async def home(k: str) -> str:
        return k

    child.add_route("/added/{k}", plain)
    router.add_route("/added/{k}", plain)
    router.get("/own/{k}")(home)
    router.mount("/static", files(directory))
    app.add_route("/added/{k}", plain)
    app.include_router(router, prefix="/router/{r}")
    app.mount("/static", files(directory))
    app.mount("/raw/{t}", raw)
    app.mount("/child/{t}", child)
    app.mount("/f/{t}", starlette(directory))
    return app


def route(app: Any, mode: str, path: str) -> Any:
    with watched(app, tracing={"instrumentation": mode}) as seen:
        TestClient(app).get(path)
        (record,) = seen.requests()
        return record.attributes.get("http.route")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/static/a.txt", "/static/{path}"),
        ("/raw/1/x/y", "/raw/{t}/{path}"),
        ("/f/1/z/2", "/f/{t}/z/{k}"),
        ("/f/1/raw/x", "/f/{t}/raw/{path}"),
        ("/f/1/static/a.txt", "/f/{t}/static/{path}"),
        ("/f/1/nowhere", "/f/{t}/{path}"),
        ("/g/own", "/g/own"),
        ("/own/1", "/own/{t}"),
        ("/nowhere", None),
    ],
)
def test_starlette_alone(tmp_path: Path, path: str, found: str | None) -> None:
    """No span has the route: it is what the routers have left in the scope."""
    assert route(starlette(tmp_path), "off", path) == found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/added/1", "/added/{k}"),
        ("/docs", "/docs"),
        ("/router/1/own/2", "/router/{r}/own/{k}"),
        ("/router/1/added/2", "/router/{r}/added/{k}"),
        ("/child/1/home/2", "/child/{t}/home/{k}"),
        ("/child/1/added/2", "/child/{t}/added/{k}"),
        ("/child/1/docs", "/child/{t}/docs"),
        ("/f/1/own/2", "/f/{t}/own/{t}"),
        ("/f/1/f/2/z/3", "/f/{t}/f/{t}/z/{k}"),
        ("/f/1/g/own", "/f/{t}/g/own"),
        ("/f/1/raw/2/x", "/f/{t}/raw/{t}/{path}"),
        ("/nowhere", None),
    ],
)
def test_fastapi(tmp_path: Path, mode: str, path: str, found: str | None) -> None:
    """FastAPI leaves some routes out of the scope, contrib and FastAPI's own spans know some mounts only."""
    assert route(fastapi(tmp_path), mode, path) == found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("path", "mount"), [("/static/a.txt", "/static"), ("/raw/1/x", "/raw/{t}")])
def test_a_mount_of_what_is_no_router(tmp_path: Path, mode: str, path: str, mount: str) -> None:
    """Contrib leaves out that something follows, and the record has the route of the span."""
    assert route(fastapi(tmp_path), mode, path) == (mount if mode == "contrib" else f"{mount}/{{path}}")


@pytest.mark.parametrize("mode", MODES)
def test_a_root_path_is_not_taken_for_a_route(tmp_path: Path, mode: str) -> None:
    """R2.1: below one the mounted route is still the one that says more."""
    app = fastapi(tmp_path)
    with watched(app, tracing={"instrumentation": mode}) as seen:
        TestClient(app, root_path="/a/long/prefix").get("/a/long/prefix/f/1/own/2")
        assert seen.requests()[0].attributes["http.route"].removeprefix("/a/long/prefix") == "/f/{t}/own/{t}"
