"""R2.3: no record has anything of another request, whatever the requests do and however they meet."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fastapi.leaks import ENDS, SCOPE, STEPS, leaks, tangled
from tests.fastapi.support import Seen, Watched, served, watched

LISTS = st.lists(st.tuples(st.lists(st.sampled_from(STEPS), max_size=8), st.sampled_from(ENDS)), min_size=2, max_size=8)


@pytest.fixture
def app_and_records() -> Iterator[tuple[Any, Watched]]:
    """One app for all examples: what an earlier one left behind would be seen too."""
    app = tangled()
    with watched(app) as seen:
        yield app, seen


async def _ask(client: httpx.AsyncClient, name: str, steps: list[str], end: str) -> tuple[str, str]:
    path = "/sync" if end == "sync" else "/async"
    query = {"name": name, "steps": ",".join(steps), "end": end}
    response = await client.post(path, params=query, headers={"x-request-id": name}, content=b"x" * 100)
    assert response.headers["x-request-id"] == name
    return name, response.headers["x-trace-id"]


async def _ask_all(app: Any, plans: list[tuple[list[str], str]], prefix: str) -> dict[str, str]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        asked = (_ask(client, f"{prefix}-{number}", *plan) for number, plan in enumerate(plans))
        return dict(await asyncio.gather(*asked))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(plans=LISTS)
def test_concurrent_requests_have_nothing_of_each_other(
    app_and_records: tuple[Any, Watched], plans: list[tuple[list[str], str]]
) -> None:
    """Tasks, threads, blocks, users, background work, streams and errors, in any order, in up to eight at once."""
    app, seen = app_and_records
    seen.memory.clear()
    traces = asyncio.run(_ask_all(app, plans, f"r{time.monotonic_ns()}"))
    records = [record for record in seen.records() if record.scope in (SCOPE, "logspan.request")]
    assert len(set(traces.values())) == len(plans)
    assert leaks(records, traces) == []
    of_requests = [record for record in records if record.scope == "logspan.request"]
    assert Counter(record.attributes["http.request.id"] for record in of_requests) == dict.fromkeys(traces, 1)
    assert all(record.attributes["middleware"] == record.attributes["http.request.id"] for record in of_requests)


@dataclass
class Hammer:
    """Clients that ask over kept connections, several requests at once on some, until the time is over."""

    port: int
    seconds: float
    traces: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)

    async def run(self, clients: int) -> None:
        """Ask with so many clients."""
        self.until = time.monotonic() + self.seconds
        await asyncio.gather(*(self._client(number) for number in range(clients)))

    async def _client(self, client: int) -> None:
        asked = 0
        while time.monotonic() < self.until:  # anew, as the server closes the connection after an unhandled exception
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                asked = await self._ask(reader, writer, client, asked)
            finally:
                writer.close()
                await writer.wait_closed()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: int, asked: int) -> int:
        """Ask on one connection until it is over; every fourth client asks three times before the first answer."""
        pipelined = client % 4 == 0
        while time.monotonic() < self.until:
            names = [f"c{client}-{asked + number}" for number in range(3 if pipelined else 1)]
            asked += len(names)
            for number, name in enumerate(names):
                writer.write(self._request(name, client + asked + number, fails=not pipelined))
            await writer.drain()
            statuses = [await self._answer(reader, name) for name in names]
            if 500 in statuses:
                break
        return asked

    def _request(self, name: str, turn: int, *, fails: bool) -> bytes:
        end = ENDS[turn % len(ENDS)]
        end = "return" if end == "raise" and not fails else end
        steps = ",".join(STEPS[(turn + offset) % len(STEPS)] for offset in range(4)).replace("pool", "bind")
        query = "" if end == "sync" else f"&steps={steps}&end={end.replace(' ', '%20')}"
        path = f"/{'sync' if end == 'sync' else 'async'}?name={name}{query}"
        body = b"x" * (100_000 if turn % 7 == 0 else 10)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-request-id: {name}\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def _answer(self, reader: asyncio.StreamReader, name: str) -> int:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        assert headers["x-request-id"] == name
        self.traces[name] = headers["x-trace-id"]
        code = int(status.split()[1])
        self.statuses[code] += 1
        if "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
            return code
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
        return code


@pytest.fixture
def uvicorn_is_silent() -> Iterator[None]:
    """It has a line to say about each exception."""
    logger = logging.getLogger("uvicorn")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.mark.parametrize(
    ("server", "seconds", "mode"),
    [
        pytest.param({"http": "h11", "loop": "asyncio"}, 2, "native", marks=pytest.mark.slow),
        pytest.param({"http": "httptools", "loop": "uvloop"}, 2, "contrib", marks=pytest.mark.slow),
        pytest.param({"http": "httptools", "loop": "asyncio"}, 20, "native", marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else str(value),
)
@pytest.mark.usefixtures("uvicorn_is_silent")
def test_200_clients_at_once_have_nothing_of_each_other(server: dict[str, Any], seconds: float, mode: str) -> None:
    """Over real sockets: kept connections, bodies over 64 KiB, pipelining; and there is a record of each request."""
    app = tangled()
    with watched(app, tracing={"instrumentation": mode}) as seen:
        with served(app, timeout_keep_alive=60, **server) as port:  # a client that has no turn for long is kept
            hammer = Hammer(port, seconds)
            asyncio.run(hammer.run(200))
        records = [record for record in seen.records() if record.scope in (SCOPE, "logspan.request")]
        lost = seen.handle.pipeline.ledger.snapshot().lost
    of_requests = [record for record in records if record.scope == "logspan.request"]
    assert lost == 0
    assert leaks(records, hammer.traces) == []
    assert len(of_requests) == sum(hammer.statuses.values()) == len(hammer.traces)
    assert {record.attributes["http.request.id"] for record in of_requests} == set(hammer.traces)
    assert _statuses(of_requests) == hammer.statuses
    assert sum(hammer.statuses.values()) > 200


def _statuses(records: list[Seen]) -> Counter[int]:
    return Counter(record.attributes["http.response.status_code"] for record in records)
