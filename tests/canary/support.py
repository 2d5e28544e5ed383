"""The service of the canaries in a process of its own, and what a client does to it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from logspan.testing import OtlpSink
from tests.canary.canaries import Canary, canaries
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
CANARIES = canaries()
SECRETS = {canary.name: canary.secret for canary in CANARIES}


@dataclass
class Service:
    """The service's process, and what it has written."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    def call(self, path: str, data: bytes | None = None, **headers: str) -> int:
        request = urllib.request.Request(
            f"{self.url}{path}", data, {k.replace("_", "-"): v for k, v in headers.items()}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def outputs(self) -> dict[str, bytes]:
        """Everything that it has written to disk or to a standard stream, by name."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@contextlib.contextmanager
def service(folder: Path, **environment: str) -> Iterator[Service]:
    """Run the service; it plants what a client, the environment and the end of a program can plant."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    resource = f"canary-resource-key=1,db.password={SECRETS['canary-resource-key']}"
    resource += f",canary-resource-value=1,cache.url=redis://:{SECRETS['canary-resource-value']}@cache:6379/0"
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.canary.service", str(port)],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "LOGSPAN_FILE__PATH": str(folder / "log.jsonl"),
                "OTEL_RESOURCE_ATTRIBUTES": resource.replace("@", "%40"),
                "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={SECRETS['canary-exporter-header']}",
                **environment,
            },
            stdout=out,
            stderr=err,
        )
        try:
            running = Service(f"http://127.0.0.1:{port}", folder, process)
            wait_for_port(port, process, folder / "stderr")
            yield running
        finally:
            process.kill()
            process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes], errors: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, errors.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the service does not answer")


def plant(running: Service) -> None:
    """Everything, and the end: an exception that nobody catches."""
    assert running.call("/plant") == 200
    assert running.call(f"/search?canary-query=1&access_token={SECRETS['canary-query']}") == 200
    assert running.call(f"/search?canary-access-line=1&access_token={SECRETS['canary-access-line']}") == 200
    bearer, session = SECRETS["canary-authorization"], SECRETS["canary-cookie"]
    assert running.call("/headers", Authorization=f"Bearer {bearer}", Cookie=f"theme=dark; sessionid={session}") == 200
    wrong = f'{{"canary-validation": 1, "name": ["x"], "password": "{SECRETS["canary-validation"]}"}}'.encode()
    assert running.call("/login", wrong, Content_Type="application/json") == 422
    assert running.call("/unhandled") == 500
    assert running.call("/call") == 200
    assert running.call("/report") == 200
    assert running.call("/stop") == 200
    assert running.process.wait(30) == 1


def said_by_cli(running: Service, *arguments: str) -> bytes:
    """Both streams of a `logspan` command over the service's files."""
    command = [sys.executable, "-m", "logspan.cli", *arguments]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=running.folder, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    assert done.stdout
    return done.stdout + done.stderr


def sent(sink: OtlpSink, path: str, *, but: str = "-") -> bytes:
    """The bodies of all requests to a path that ends so, and does not begin so."""
    found = [each.body for each in sink.requests() if each.path.endswith(path) and not each.path.startswith(but)]
    return b"\n".join(found)


def on(signal: str, *, but: tuple[str, ...] = ()) -> list[Canary]:
    return [canary for canary in CANARIES if signal in canary.on and not any(part in canary.name for part in but)]
