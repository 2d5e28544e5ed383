"""R2.1, R2.3, R3.2: what only a real server on a real socket shows: kept connections, its own lines, its shutdown."""

import http.client
import logging
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

from logspan import Settings, bind, instrument_app
from logspan.settings import OtlpSettings
from logspan.testing import InMemoryExporter, OtlpSink, Reply
from tests.fastapi.support import served, watched

MODES = pytest.mark.parametrize("mode", ["native", "contrib"])
SERVER = pytest.mark.parametrize("http", ["h11", "httptools"])
logger = logging.getLogger("tests.uvicorn")


@pytest.fixture(autouse=True)
def uvicorn_speaks() -> Iterator[None]:
    """Its lines come through at INFO; without its own log configuration it leaves the level as it is."""
    logger = logging.getLogger("uvicorn")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(level)


def shop() -> FastAPI:
    app = FastAPI()

    @app.post("/upload")
    async def upload(request: Request) -> int:
        bind(size="large")
        return len(await request.body())

    @app.get("/{name}")
    async def hello(name: str) -> str:
        logger.info("hello %s", name)
        return name

    @app.get("/boom/now")
    async def boom() -> None:
        raise ValueError("it broke")

    return app


@MODES
@SERVER
@pytest.mark.parametrize("traceparent", [False, True])
def test_a_request_on_a_kept_connection_begins_afresh(mode: str, http: str, traceparent: bool) -> None:
    """R2.3: after a body over 64 KiB asyncio runs later requests in the context of the earlier one."""
    app = shop()
    given = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{given}-b7ad6b7169203331-01"} if traceparent else {}
    with watched(app, tracing={"instrumentation": mode}) as seen, served(app, http=http, loop="asyncio") as port:
        traces = []
        connection = _connect(port)
        for method, path, body in (("POST", "/upload", b"x" * 1_000_000), ("GET", "/a", None), ("GET", "/b", None)):
            connection.request(method, path, body, headers if method == "GET" else {})
            response = connection.getresponse()
            response.read()
            traces.append(response.headers["x-trace-id"])
        connection.close()
        assert len(set(traces)) == (2 if traceparent else 3)
        assert not traceparent or traces[1:] == [given, given]
        requests = {record.attributes["url.path"]: record for record in seen.requests()}
        assert [requests[path].trace_id for path in ("/upload", "/a", "/b")] == traces
        assert [requests[path].attributes.get("size") for path in ("/upload", "/a", "/b")] == ["large", None, None]
        assert len(seen.server_spans()) == 3


@MODES
@SERVER
def test_pipelined_requests_do_not_inherit_from_each_other(mode: str, http: str) -> None:
    """R2.3: requests that were sent before the first was answered are traces of their own."""
    app = shop()
    with watched(app, tracing={"instrumentation": mode}) as seen, served(app, http=http) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            more = b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(3))
            connection.sendall(more + b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            while connection.recv(65_536):
                pass
        requests = seen.requests()
        assert len(requests) == 4
        assert len({record.trace_id for record in requests}) == 4
        for record in seen.logs():
            if record.scope == "tests.uvicorn":
                (own,) = [request for request in requests if request.trace_id == record.trace_id]
                assert own.attributes["url.path"] == "/" + record.body.removeprefix("hello ")


def _connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def _get(port: int, path: str) -> http.client.HTTPResponse:
    connection = _connect(port)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


@MODES
@SERVER
@pytest.mark.parametrize("recorded", [True, False])
def test_the_servers_own_lines_are_there_only_where_there_is_no_record(mode: str, http: str, recorded: bool) -> None:
    """R2.2: neither the access line nor the traceback says again what the request's record says."""
    app = shop()
    settings: Any = {"tracing": {"instrumentation": mode}, "request": {"record": recorded}}
    with watched(app, **settings) as seen, served(app, http=http) as port:
        _get(port, "/a")
        _get(port, "/boom/now")
        _get(port, "/z")  # its answer comes after uvicorn has said what it has to say of the one before
        records = seen.records()
        access = [record for record in records if record.scope == "uvicorn.access"]
        tracebacks = [record for record in records if record.scope == "uvicorn.error" and "Exception in" in record.body]
        assert (len(access), len(tracebacks)) == ((0, 0) if recorded else (3, 1))
        assert len(seen.requests()) == (3 if recorded else 0)


def test_a_request_that_never_reaches_the_app_keeps_its_access_line() -> None:
    """R2.2: over `limit_concurrency` uvicorn answers by itself, and its line is the only trace."""
    app = shop()
    with watched(app) as seen, served(app, limit_concurrency=1, http="h11") as port:
        with socket.create_connection(("127.0.0.1", port)):
            while (response := _get(port, "/a")).status != 503:
                pass
        assert "x-trace-id" not in response.headers
        assert [record.body for record in seen.records() if record.scope == "uvicorn.access" and "503" in record.body]


@SERVER
def test_the_same_on_a_connection_that_has_served_requests(http: str) -> None:
    """R2.2: there uvicorn speaks in the context of an earlier request, whose record says nothing of this one."""
    app = shop()
    with watched(app) as seen, served(app, limit_concurrency=2, http=http, loop="asyncio") as port:
        connection = _connect(port)
        connection.request("POST", "/upload", b"x" * 1_000_000)
        assert connection.getresponse().read() == b"1000000"
        with socket.create_connection(("127.0.0.1", port)):
            status = 0
            while status != 503:  # until uvicorn has noticed the other connection
                connection.request("GET", "/a")
                response = connection.getresponse()
                response.read()
                status = response.status
        connection.close()
        lines = [record for record in seen.records() if record.scope == "uvicorn.access" and "503" in record.body]
        assert lines
        for line in lines:
            assert {"size", "http.request.id", "logspan.background"}.isdisjoint(line.attributes)
            assert int(line.trace_id, 16) == 0


def test_where_contrib_stands_outside_of_us_its_span_stays_current() -> None:
    """R2.3: instrumented after us, it decides on the context; we take nothing away from it."""
    app = shop()
    with watched(app) as seen, served(app, http="h11", loop="asyncio") as port:
        FastAPIInstrumentor.instrument_app(app)
        connection = _connect(port)
        for method, path, body in (("POST", "/upload", b"x" * 1_000_000), ("GET", "/a", None)):
            connection.request(method, path, body)
            response = connection.getresponse()
            response.read()
        connection.close()
        (log,) = [record for record in seen.logs() if record.scope == "tests.uvicorn"]
        assert log.trace_id == response.headers["x-trace-id"] == seen.requests()[-1].trace_id
    FastAPIInstrumentor.uninstrument_app(app)


def test_a_hanging_endpoint_does_not_hold_the_servers_shutdown() -> None:
    """R3.2: logs and spans share one deadline at the end of the lifespan."""
    app = shop()
    with OtlpSink([Reply(delay=60.0), Reply(delay=60.0)]) as sink:
        settings = Settings(exporters=["otlp"], shutdown_timeout=0.5, otlp=OtlpSettings(endpoint=sink.endpoint))
        handle = instrument_app(app, settings)
        with served(app) as port:
            _get(port, "/a")
            began = time.monotonic()
        assert time.monotonic() - began < 15.0
        handle.uninstrument()
        assert time.monotonic() - began < 25.0


@pytest.mark.slow
def test_under_opentelemetry_instrument_there_is_still_one_of_each(tmp_path: Path) -> None:
    """R2.1: the stock auto-instrumentation keeps its providers and its spans, we add the records."""
    program = """
        from opentelemetry import trace
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        theirs, spans = TracerProvider(), InMemorySpanExporter()
        theirs.add_span_processor(SimpleSpanProcessor(spans))
        trace.set_tracer_provider(theirs)
        FastAPIInstrumentor().instrument()

        from fastapi import FastAPI
        from logspan import instrument_app
        from logspan.testing import InMemoryExporter
        from tests.fastapi.support import TestClient

        app, memory = FastAPI(), InMemoryExporter()
        app.get("/{name}")(lambda name: name)
        handle = instrument_app(app, exporters={"memory": memory})
        response = TestClient(app).get("/a")
        handle.flush(30)
        servers = [span for span in spans.get_finished_spans() if span.kind.name == "SERVER"]
        (record,) = [r.log_record for r in memory.records() if r.instrumentation_scope.name == "logspan.request"]
        assert len(servers) == 1, servers
        assert record.trace_id == servers[0].context.trace_id
        assert record.span_id == servers[0].context.span_id
        assert response.headers["x-trace-id"] == f"{record.trace_id:032x}"
        handle.uninstrument()
        assert trace.get_tracer_provider() is theirs
        TestClient(app).get("/b")
        assert len([span for span in spans.get_finished_spans() if span.kind.name == "SERVER"]) == 2
        print("fine")
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LOGSPAN_"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stdout.strip().endswith("fine"), done.stderr


def test_the_console_of_uvicorn_is_adopted(capsys: pytest.CaptureFixture[str]) -> None:
    """R1.4: with uvicorn's own log configuration its start and end are records, each once."""
    import uvicorn

    app, memory = shop(), InMemoryExporter()
    with instrument_app(app, exporters={"memory": memory}) as handle:
        configured = uvicorn.config.LOGGING_CONFIG
        with served(app, log_config=configured) as port:
            _get(port, "/a")
        assert handle.flush(30)
        bodies = [str(record.log_record.body) for record in memory.records()]
        assert len([body for body in bodies if body.startswith("Started server process")]) == 1
        assert len([body for body in bodies if body.startswith("Application shutdown complete")]) == 1
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        found = logging.getLogger(name)
        found.handlers[:] = []
        found.propagate = True
