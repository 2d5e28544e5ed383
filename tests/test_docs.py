"""The examples of the documentation are files, included by its pages, and each of them works as it stands there."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

REPO = Path(__file__).parent.parent
EXAMPLES = REPO / "docs" / "examples"
SHOWN = sorted(path for kind in ("*.py", "*.toml") for path in EXAMPLES.rglob(kind))
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def environment(**more: str) -> dict[str, str]:
    """That of a user: nothing of ours or of OpenTelemetry is set but what the example says."""
    ours = ("LOGSPAN_", "OTEL_")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**rest, "PYTHONWARNINGS": "error", **more}


def lines(text: str) -> list[dict[str, object]]:
    """The console's JSON lines."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The service of the quick start under uvicorn: its address, and its process, which is gone at the end."""
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", "0", "--app-dir", str(EXAMPLES)]
    pipe, out = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, cwd=folder, env=environment(), stdout=pipe, stderr=out, text=True) as process:
        try:
            yield address(process), process
        finally:
            process.kill()


def address(process: subprocess.Popen[str]) -> str:
    """What uvicorn says that it listens on; what it said before that is no record of a request."""
    said: list[str] = []
    for line in process.stdout or ():
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
        said.append(line)
    raise AssertionError("".join(said))


def test_the_service_of_the_quick_start(tmp_path: Path) -> None:
    """R9.1: each log of a request carries the trace of the caller, and what was bound; the response names the trace."""
    with served(tmp_path) as (url, process):
        request = Request(f"{url}/orders/42", headers={"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"})
        with urlopen(request, timeout=30) as response:
            assert response.headers["x-trace-id"] == TRACE_ID
        process.terminate()
        output, _ = process.communicate(timeout=30)
    records = [line for line in lines(output) if line.get("trace_id") == TRACE_ID]
    text = json.dumps(records)
    assert "order looked up" in text
    assert "running low" in text
    assert text.count('"order_id": 42') >= 2


def test_users_and_threads_of_the_guide(tmp_path: Path) -> None:
    """R6.3, R2.3: user, order and id are on the records of the request, in threads, tasks and background."""
    program = """
        from fastapi.testclient import TestClient
        import users

        with TestClient(users.app) as client:
            assert client.post("/orders/7", headers={"x-session": "wrong"}).status_code == 401
            sent = {"x-session": "s3cret", "x-request-id": "r-7"}
            assert client.post("/orders/7", headers=sent).json() == {"user": "42", "total": 5}
        """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    environ = environment(PYTHONPATH=str(EXAMPLES))
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=50)
    found: list[Any] = [line for line in lines(run.stdout) if '"r-7"' in json.dumps(line)]
    told = {line["body"]: line["attributes"] for line in found}
    in_order = [line["body"] for line in found if not line["body"].startswith("POST")]
    assert in_order == ["price looked up", "stock looked up", "stock looked up", "shipped"]
    assert len(found) == 5
    assert {line["attributes"]["user.id"] for line in found} == {"42"}
    assert {line["attributes"]["order_id"] for line in found} == {7}
    assert [line["attributes"]["item"] for line in found[1:3]] == ["chair", "table"]
    assert [body for body, attributes in told.items() if "logspan.background" in attributes] == ["shipped"]


def test_the_dependencies_of_the_guide(tmp_path: Path) -> None:
    """R12.1: the logger, the user, the pipeline; the lifespan begins and ends it all."""
    program = """
        from fastapi.testclient import TestClient
        import injection

        with TestClient(injection.app) as client:
            assert client.get("/stock/chair", headers={"x-session": "s3cret"}).json() == 3
            assert client.get("/internal/logs").json() == "ok"
            assert client.get("/stock/chair", headers={"x-session": "wrong"}).status_code == 401
        print("over")
        """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    environ = environment(PYTHONPATH=str(EXAMPLES))
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=50)
    found: list[Any] = [line for line in lines(run.stdout) if line["logger"] in ("injection", "logspan.request")]
    told = [(line["body"].split(" 200")[0], line["attributes"].get("user.id")) for line in found[:2]]
    assert told == [("stock looked up", "42"), ("GET /stock/{item}", "42")]
    assert [line["attributes"].get("user.id") for line in found[2:]] == [None, None]
    assert run.stdout.splitlines()[-1] == "over"


def test_the_routes_of_the_guide(tmp_path: Path) -> None:
    """R2.2, R6.1: which requests have a record, and what single routes put on it."""
    program = """
        from fastapi.testclient import TestClient
        import routes

        with TestClient(routes.app) as client:
            client.get("/ping")
            event, headers = {"event": "paid", "token": "hunter2"}, {"x-signature-version": "2"}
            client.post("/webhooks/bank", json=event, headers=headers)
            client.get("/internal/state")
            client.post("/internal/reload")
        """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    environ = environment(PYTHONPATH=str(EXAMPLES))
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=50)
    requests: list[Any] = [line["attributes"] for line in lines(run.stdout) if line["logger"] == "logspan.request"]
    assert [attributes["http.route"] for attributes in requests] == ["/webhooks/{sender}", "/internal/reload"]
    assert requests[0]["http.request.header.x-signature-version"] == ["2"]
    assert requests[0]["http.request.body.content"]["event"] == "paid"
    assert "hunter2" not in run.stdout


def test_the_program_of_its_guide(tmp_path: Path) -> None:
    """R9.1: a program with no web app logs, binds and drains, and ends as it would without."""
    command = [sys.executable, str(EXAMPLES / "program.py")]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True, timeout=50
    )
    assert run.stderr == ""
    text = json.dumps(lines(run.stdout))
    assert "a.csv could not be loaded" in text
    assert "ZeroDivisionError" in text
    assert len(lines(run.stdout)) == 3


@pytest.mark.slow
def test_the_package_with_an_enricher(tmp_path: Path) -> None:
    """R4.4, R13.7: built as a wheel, installed, and switched on by its name, with no line of code in the program."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    package, site = tmp_path / "package", tmp_path / "site"
    shutil.copytree(EXAMPLES / "enricher_package", package)
    alone = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *alone, "--no-build-isolation", "-w", tmp_path, package], check=True, timeout=50)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", *alone, "--target", site, wheel], check=True, timeout=50)
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "program.py")],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(site), LOGSPAN_ENRICH__ENRICHERS="release"),
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert run.stderr == ""
    assert {json.dumps(line).count('"app.release": "2026.11"') for line in lines(run.stdout)} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("tests", sorted(EXAMPLES.glob("test_*.py")), ids=lambda path: path.stem)
def test_the_examples_with_tests_of_their_own(tests: Path, tmp_path: Path) -> None:
    """R5.4, R4.4: the exporter and the enricher of the guides pass the tests that stand beside them."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-c",
        os.devnull,
        tests.name,
    ]
    environ = environment(PYTHONPATH=str(EXAMPLES), TMPDIR=str(tmp_path), PYTHONWARNINGS="default")
    run = subprocess.run(command, cwd=EXAMPLES, env=environ, capture_output=True, text=True, check=False, timeout=50)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("example", SHOWN, ids=lambda path: path.name)
def test_every_example_is_shown(example: Path) -> None:
    """R9.1: an example that no page includes is a leftover."""
    pages = [page.read_text() for page in (REPO / "docs").rglob("*.md")]
    assert any(f'--8<-- "{example.relative_to(REPO)}"' in page for page in pages)


def test_the_readme_shows_the_quick_start() -> None:
    """R9.1: the service in the README is the one that is tested here."""
    assert (EXAMPLES / "service.py").read_text() in (REPO / "README.md").read_text()


def test_commands_of_the_readme_exist() -> None:
    """R9.1: every `make` target that the README and CONTRIBUTING name is one."""
    makefile = (REPO / "Makefile").read_text()
    text = (REPO / "README.md").read_text() + (REPO / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"^(?:\$ )?make ([a-z0-9-]+)|`make ([a-z0-9-]+)", text, flags=re.MULTILINE))
    named = {first or second for first, second in targets}
    assert named
    assert [name for name in named if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []
