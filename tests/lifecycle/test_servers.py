"""R3.2: every server ends with its own status and its last line delivered, however it treats signals and `atexit`."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from logspan.spool import Spool, SpoolConfig
from logspan.spool.decoding import decode_logs_request
from logspan.testing import OtlpSink, Reply
from tests.lifecycle.support import SLACK, Counts, environment, ledgers, received
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
APP = "tests.lifecycle.service:app"
UVICORN = ["uvicorn", APP, "--host", "127.0.0.1", "--port", "{port}"]
GUNICORN = ["gunicorn", APP, "--bind", "127.0.0.1:{port}", "--workers", "2"]
UVICORN_WORKER = [*GUNICORN, "-k", "uvicorn.workers.UvicornWorker"]
ASGI_WORKER = [*GUNICORN, "-k", "asgi"]
FINISHED = "Finished server process [{pid}]"


@dataclass(frozen=True)
class Way:
    """How a server is started, how it ends when it is asked to, and what each of its workers says last, if anything."""

    command: list[str]
    status: int = -signal.SIGTERM
    last: str = FINISHED
    inside_lifespan: bool = False
    lifespan: bool = True
    workers: int = 1


WAYS = {
    "uvicorn": Way(UVICORN),
    "uvicorn-off": Way([*UVICORN, "--lifespan", "off"], lifespan=False),
    "uvicorn-inside": Way(UVICORN, inside_lifespan=True),
    "workers": Way([*UVICORN, "--workers", "2"], 0, workers=2),
    "workers-off": Way([*UVICORN, "--workers", "2", "--lifespan", "off"], 0, lifespan=False, workers=2),
    "workers-inside": Way([*UVICORN, "--workers", "2"], 0, inside_lifespan=True, workers=2),
    "reload": Way([*UVICORN, "--reload", "--reload-dir", "{folder}"], 0),
    "gunicorn-uvicorn": Way(UVICORN_WORKER, 0, workers=2),
    "gunicorn-uvicorn-inside": Way(UVICORN_WORKER, 0, inside_lifespan=True, workers=2),
    "gunicorn-uvicorn-preload": Way([*UVICORN_WORKER, "--preload"], 0, workers=2),
    "gunicorn-asgi": Way(ASGI_WORKER, 0, "down", workers=2),
    "gunicorn-asgi-inside": Way(ASGI_WORKER, 0, "down", inside_lifespan=True, workers=2),
    "gunicorn-asgi-off": Way([*ASGI_WORKER, "--asgi-lifespan", "off"], 0, "", lifespan=False, workers=2),
    "gunicorn-asgi-preload": Way([*ASGI_WORKER, "--preload"], 0, "down", workers=2),
}


@dataclass
class Server:
    """One that runs. `ask` sends a request to each worker, which then has logged."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def ask(self, workers: int) -> set[int]:
        pids: set[int] = set()
        deadline = time.monotonic() + 30
        while len(pids) < workers:
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"{len(pids)} workers have answered:\n{self.output.read_text()}")
            try:
                pids.add(self.get(f"/{len(pids)}"))
            except OSError:
                threading.Event().wait(0.05)
        return pids

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("GET", path)
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def ended(self, timeout: float) -> int:
        return self.process.wait(timeout)


@contextmanager
def running(way: Way, folder: Path, sink: OtlpSink, *, exporters: str = "otlp", **more: str) -> Iterator[Server]:
    """Start a server; it must not outlive the block."""
    port = free_port()
    variables = environment(
        PYTHONPATH=os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        LEDGERS=str(folder),
        LOGSPAN_EXPORTERS=exporters,
        OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint,
        **({"INSIDE_LIFESPAN": "1"} if way.inside_lifespan else {}),
        **more,
    )
    command = [sys.executable, "-m", *(part.format(port=port, folder=folder) for part in way.command)]
    output = folder / "output.txt"
    with output.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=log, start_new_session=True)
    try:
        yield Server(process, port, output)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def of_workers(folder: Path, pids: set[int]) -> dict[int, Counts]:
    """The counts of the workers; all other processes have lost nothing either."""
    found = {counts.pid: counts for counts in ledgers(folder)}
    assert all(counts.emitted == counts.total for counts in found.values())
    return {pid: found[pid] for pid in pids}


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_the_last_line_arrives(name: str, tmp_path: Path) -> None:
    """R3.2: all that a worker logged arrives, up to its last line, within the deadline; the status is the server's."""
    way = WAYS[name]
    with OtlpSink() as sink, running(way, tmp_path, sink) as server:
        pids = server.ask(way.workers)
        server.process.send_signal(signal.SIGTERM)
        status = server.ended(5.0 + SLACK)
        output = server.output.read_text()
        assert status == way.status, output
        workers = of_workers(tmp_path, pids)
        arrived = received(sink)
        for pid, counts in workers.items():
            assert counts.delivered == counts.emitted == arrived[pid].total() > 50, (counts, arrived[pid], output)
            bodies = list(arrived[pid])
            last = way.last.format(pid=pid)
            assert not last or last in bodies, (bodies[-5:], output)
            assert ("down" in bodies) == way.lifespan
        assert "logspan:" not in output


HANGING = {
    "uvicorn": 0.0,
    "workers": 0.0,
    "workers-off": 0.0,
    "reload": 0.0,
    "gunicorn-uvicorn": 0.0,
    "gunicorn-uvicorn-preload": 2.0,
    "gunicorn-asgi": 2.0,
}
"""With the seconds that the server itself takes to end; a master that has loaded the app drains after its workers."""


@pytest.mark.slow
@pytest.mark.parametrize("name", HANGING)
def test_in_time_with_a_sink_that_hangs(name: str, tmp_path: Path) -> None:
    """Fault 1: the lifespan's flush, the last lines and the drain share one deadline, and nothing goes uncounted."""
    way = WAYS[name]
    hangs = Reply(delay=60.0)
    with (
        OtlpSink(decide=lambda request: hangs) as sink,
        running(way, tmp_path, sink, LOGSPAN_SHUTDOWN_TIMEOUT="2") as server,
    ):
        pids = server.ask(way.workers)
        server.process.send_signal(signal.SIGTERM)
        assert server.ended(2.0 + HANGING[name] + SLACK) == way.status, server.output.read_text()
        output = server.output.read_text()
        for counts in of_workers(tmp_path, pids).values():
            assert counts.delivered == 0, output
            assert 50 < counts.lost["shutdown_timeout"] <= counts.emitted
        assert output.count("before the process ended") >= len(pids), output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uvicorn", "workers", "workers-off", "gunicorn-uvicorn"])
def test_an_exporter_that_keeps_up_has_the_last_line(name: str, tmp_path: Path) -> None:
    """Another one, whose peer hangs, has taken all the time there was: on the console every line is seen."""
    way = WAYS[name]
    hangs = Reply(delay=60.0)
    with (
        OtlpSink(decide=lambda request: hangs) as sink,
        running(way, tmp_path, sink, exporters="otlp,console", LOGSPAN_SHUTDOWN_TIMEOUT="1") as server,
    ):
        pids = server.ask(way.workers)
        server.process.send_signal(signal.SIGTERM)
        assert server.ended(1.0 + SLACK) == way.status, server.output.read_text()
        output = server.output.read_text()
        for pid in pids:
            assert f'"body":"{way.last.format(pid=pid)}"' in output, output
        assert output.count("before the process ended") >= len(pids), output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uvicorn", "workers", "gunicorn-uvicorn"])
def test_with_a_spool_the_last_line_is_on_disk(name: str, tmp_path: Path) -> None:
    """The peer hangs: what was logged before the end of the time is there, and what came after it too."""
    way, hangs, storage = WAYS[name], Reply(delay=60.0), tmp_path / "spool"
    with (
        OtlpSink(decide=lambda request: hangs) as sink,
        running(
            way, tmp_path, sink, LOGSPAN_SHUTDOWN_TIMEOUT="1", LOGSPAN_FILE_STORAGE__DIRECTORY=str(storage)
        ) as server,
    ):
        pids = server.ask(way.workers)
        server.process.send_signal(signal.SIGTERM)
        assert server.ended(1.0 + SLACK) == way.status, server.output.read_text()
        assert "shutdown_timeout" not in server.output.read_text()
    stored = bodies_in(storage)
    for pid in pids:
        assert {"down", way.last.format(pid=pid)} <= stored, stored


def bodies_in(storage: Path) -> set[object]:
    """What the next process would find."""
    spool = Spool("otlp", SpoolConfig(storage))
    found: set[object] = set()
    spool.adopt()
    while (frame := spool.peek()) is not None:
        found |= {readable.log_record.body for readable in decode_logs_request(frame.payload)}
        spool.ack()
    spool.close()
    return found


@pytest.mark.slow
def test_ctrl_c_twice(tmp_path: Path) -> None:
    """Fault 2: with a sink that hangs and a long deadline, the second Ctrl-C shortens the end of the lifespan."""
    hangs = Reply(delay=60.0)
    with (
        OtlpSink(decide=lambda request: hangs) as sink,
        running(WAYS["uvicorn"], tmp_path, sink, LOGSPAN_SHUTDOWN_TIMEOUT="100") as server,
    ):
        pids = server.ask(1)
        server.process.send_signal(signal.SIGINT)
        while "Waiting for application shutdown" not in server.output.read_text():
            threading.Event().wait(0.05)
        with pytest.raises(subprocess.TimeoutExpired):
            server.ended(1.0)
        server.process.send_signal(signal.SIGINT)
        server.ended(10 + SLACK)
        output = server.output.read_text()
        (counts,) = of_workers(tmp_path, pids).values()
        assert (counts.delivered, sum(counts.lost.values())) == (0, counts.emitted)
        assert output.count("before the process ended") == 1, output
