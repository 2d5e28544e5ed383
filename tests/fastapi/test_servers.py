"""R2.1, R3.2: under every way to run a server, in processes of their own, with signals and forks as they are."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logspan.testing import OtlpSink
from tests.ports import free_port
from tests.waiting import until

ROOT = Path(__file__).parents[2]
APP = "tests.fastapi.service:app"
UVICORN = ["-m", "uvicorn", APP, "--host", "127.0.0.1", "--port", "{port}"]
GUNICORN = ["-m", "gunicorn", APP, "--bind", "127.0.0.1:{port}", "--graceful-timeout", "10"]
HYPERCORN = ["-m", "hypercorn", APP, "--bind", "127.0.0.1:{port}"]

SERVERS = {
    "uvicorn": UVICORN,
    "uvicorn-h11": [*UVICORN, "--http", "h11", "--loop", "asyncio"],
    "uvicorn-workers": [*UVICORN, "--workers", "2"],
    "uvicorn-reload": [*UVICORN, "--reload", "--reload-dir", "{folder}"],
    "gunicorn-asgi": [*GUNICORN, "-k", "asgi", "--workers", "2"],
    "gunicorn-uvicorn": [*GUNICORN, "-k", "uvicorn.workers.UvicornWorker", "--workers", "2"],
    "gunicorn-uvicorn-preload": [*GUNICORN, "-k", "uvicorn.workers.UvicornWorker", "--workers", "2", "--preload"],
    "gunicorn-asgi-preload": [*GUNICORN, "-k", "asgi", "--workers", "2", "--preload"],
    "hypercorn": HYPERCORN,
    "hypercorn-workers": [*HYPERCORN, "--workers", "2"],
}


class Server:
    """A server in a process of its own, which has been sent some requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pids: dict[str, int] = {}

    def get(self, path: str) -> tuple[int, str]:
        """Send one request on a connection of its own; the status and the trace id."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        trace_id = response.headers["x-trace-id"]
        if response.status == 200:
            self.pids[trace_id] = int(body)
        return response.status, trace_id


@contextmanager
def running(name: str, folder: Path, sink: OtlpSink) -> Iterator[Server]:
    """Start a server, and end it with SIGTERM, by its process id."""
    port = free_port()
    arguments = [argument.format(port=port, folder=folder) for argument in SERVERS[name]]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "LOGSPAN_"))},
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "LOGSPAN_EXPORTERS": "file",
        "LOGSPAN_FILE__PATH": str(folder / "records.jsonl"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
    }
    log = (folder / "output.txt").open("wb")
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
    )
    try:
        wait_until_it_is_up(process, port, folder / "output.txt", 2 if "--workers" in arguments else 1)
        yield Server(port)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        log.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until_it_is_up(process: subprocess.Popen[bytes], port: int, output: Path, workers: int) -> None:
    """Until each worker has run its start-up; uvicorn alone starts to listen only after that."""
    deadline = time.monotonic() + 30
    while output.read_text().count("worker is up") < workers or not listens(port):
        if time.monotonic() > deadline or process.poll() is not None:
            pytest.fail(f"the server does not come up:\n{output.read_text()}")
        threading.Event().wait(0.05)


def records_in(folder: Path) -> list[dict[str, Any]]:
    """The records of the file, flat: body, trace, scope, attribute names, process id."""
    flat = []
    text = (folder / "records.jsonl").read_text(encoding="utf-8")
    for line in text[: text.rfind("\n") + 1].splitlines():  # the last one may be in the midst of being written
        for resource in json.loads(line)["resourceLogs"]:
            attributes = {item["key"]: item["value"] for item in resource["resource"]["attributes"]}
            for scope in resource["scopeLogs"]:
                flat += [
                    {
                        "body": record["body"].get("stringValue", ""),
                        "trace": record.get("traceId", ""),
                        "scope": scope["scope"]["name"],
                        "keys": {item["key"] for item in record.get("attributes", [])},
                        "text": {
                            item["key"]: item["value"].get("stringValue") for item in record.get("attributes", [])
                        },
                        "severity": record.get("severityText", ""),
                        "pid": int(attributes["process.pid"]["intValue"]),
                    }
                    for record in scope["logRecords"]
                ]
    return flat


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_every_request_has_its_records_and_its_span(name: str, tmp_path: Path) -> None:
    """R2.1, R2.2, R3.2: once each, with the id that the client was told, from the process that answered."""
    with OtlpSink() as sink:
        with running(name, tmp_path, sink) as server:
            answers = {path: server.get(path) for n in range(4) for path in (f"/ok/{n}", f"/sync/{n}")}
            answers["/boom"] = server.get("/boom")
            answers["/nowhere"] = server.get("/nowhere")
        records = records_in(tmp_path)
        output = (tmp_path / "output.txt").read_text()
        traces = {trace for _, trace in answers.values()}
        assert [status for status, _ in answers.values()] == [200] * 8 + [500, 404]
        assert len(traces) == 10

        requests = [record for record in records if record["scope"] == "logspan.request"]
        assert Counter(record["trace"] for record in requests) == Counter(traces)
        logs = {record["body"]: record for record in records if record["scope"] == "service"}
        assert len(logs) == 8
        for path, (_, trace) in list(answers.items())[:8]:
            assert logs[path[1:].replace("/", " ")]["trace"] == trace
        for record in (*requests, *logs.values()):
            assert record["pid"] == server.pids.get(record["trace"], record["pid"])

        (broken,) = [record for record in records if "exception.stacktrace" in record["keys"]]
        assert broken["trace"] == answers["/boom"][1]
        assert not [record for record in records if record["scope"] == "uvicorn.access"]
        assert "Logging error" not in output

        assert sink.wait_for(spans=10, timeout=20), output
        roots = [span for span in sink.spans() if not span.parent_span_id]
        assert Counter(span.trace_id for span in roots) == Counter(traces)
        for span in roots:
            assert span.resource["process.pid"] == server.pids.get(span.trace_id, span.resource["process.pid"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uvicorn", "gunicorn-asgi", "gunicorn-uvicorn", "hypercorn"])
def test_clients_that_go_and_exceptions(name: str, tmp_path: Path) -> None:
    """B6, R2.2: gunicorn's own worker cancels what nobody waits for, and says nothing of an exception itself."""
    with OtlpSink() as sink:
        with running(name, tmp_path, sink) as server:
            output = tmp_path / "output.txt"
            with socket.create_connection(("127.0.0.1", server.port), timeout=15) as client:
                client.sendall(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n0123456789")
                client.shutdown(socket.SHUT_RDWR)
            if name == "gunicorn-asgi":  # the others let it run on
                with socket.create_connection(("127.0.0.1", server.port), timeout=15) as client:
                    client.sendall(b"GET /waits HTTP/1.1\r\nhost: x\r\n\r\n")
                    until(lambda: "request is waiting" in output.read_text())
                    client.shutdown(socket.SHUT_RDWR)
                until(lambda: any(record["body"].startswith("GET /waits") for record in so_far(tmp_path)))
            server.get("/boom")
            until(lambda: any(record["body"].startswith("GET /boom") for record in so_far(tmp_path)))
        records = records_in(tmp_path)
        requests = {record["text"]["url.path"]: record for record in records if record["scope"] == "logspan.request"}
        ended = {path: record["text"]["logspan.request.outcome"] for path, record in requests.items()}
        cancelled = {"/waits": "client_disconnect"} if name == "gunicorn-asgi" else {}
        assert ended == {"/upload": "client_disconnect", **cancelled, "/boom": "exception"}
        told = [record["body"] for record in records if "exception.type" in record["keys"]]
        assert told == [requests["/boom"]["body"]], [r["text"].get("exception.stacktrace") for r in records]
        assert requests["/boom"]["severity"] == "ERROR"


def so_far(folder: Path) -> list[dict[str, Any]]:
    """The records of the file, as far as it is written."""
    return records_in(folder) if (folder / "records.jsonl").exists() else []
