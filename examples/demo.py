"""What `make demo` runs: the shop in a process of its own, real requests, and what became of their records.

Prints what the shop printed, the records that it wrote to a file (OTLP JSON lines) grouped by trace, and the ledger.
Exits with 1, and says why, when a record is missing or carries the wrong trace. With `OTEL_EXPORTER_OTLP_ENDPOINT` set,
records and spans go there as well.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

SECRET = "tok_4eC39HqL"  # what the shop logs with an order
STOP = 15  # seconds
ROOT = Path(__file__).resolve().parents[1]
COLOR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


@dataclass(frozen=True)
class Call:
    """One request, what it should answer, and what its records should say, in order."""

    title: str
    method: str
    path: str
    status: int
    bodies: tuple[str, ...]
    json: Any = None


CALLS = (
    Call(
        "an order, with a task in the background",
        "POST",
        "/orders",
        201,
        ("2 of tea set aside", "order placed", "confirmation sent"),
        {"sku": "tea", "quantity": 2},
    ),
    Call("not found", "GET", "/products/sofa", 404, ("no such product",)),
    Call("a handled error", "POST", "/orders", 409, ("order refused",), {"sku": "cup", "quantity": 1}),
    Call("an unhandled exception", "POST", "/orders/7/refund", 500, ("refunding order 7",)),
    Call("a slow one, in a thread", "GET", "/reports/stock", 200, ("the report is slow",)),
)


@dataclass(frozen=True)
class Answer:
    call: Call
    status: int
    trace_id: str
    milliseconds: float


@dataclass(frozen=True)
class Written:
    """One record as it stands in the file."""

    time: int
    severity: str
    body: str
    scope: str
    event: str
    trace_id: str
    attributes: dict[str, Any]


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="logspan-demo-") as folder:
        answers, console, report, records = run(Path(folder))
    heading("What the shop printed")
    print(console)
    show_traces(answers, records)
    show_ledger(report)
    problems = [*check_records(answers, records), *check_ledger(report)]
    heading("Result")
    for problem in problems:
        print(paint("31", f"  ✗ {problem}"))
    if not problems:
        seconds = time.monotonic() - started
        print(
            paint("32", f"  ✓ {len(answers)} requests, {len(records)} records, each with its trace")
            + f" ({seconds:.1f} s)"
        )
    return 1 if problems else 0


def run(folder: Path) -> tuple[list[Answer], str, dict[str, Any], list[Written]]:
    port = free_port()
    console, ledger, file = folder / "console.txt", folder / "ledger.json", folder / "shop.jsonl"
    command = [sys.executable, "-m", "examples.shop", "--port", str(port), "--ledger", str(ledger)]
    with console.open("wb") as output:
        shop = subprocess.Popen(command, cwd=ROOT, env=environment(file), stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until_it_listens(port, shop, console)
            heading("Requests")
            answers = [send(port, call) for call in CALLS]
            print()
            shop.send_signal(signal.SIGINT)
            shop.wait(STOP)
        except subprocess.TimeoutExpired:
            sys.exit(f"the shop did not end within {STOP} seconds")
        finally:
            if shop.poll() is None:
                shop.kill()
                shop.wait()
    text = console.read_text(encoding="utf-8", errors="replace")
    if not ledger.exists():
        sys.exit(f"{text}\nthe shop ended with {shop.returncode} and left no ledger")
    report = json.loads(ledger.read_text(encoding="utf-8"))
    return answers, text, report, list(read_records(file))


def environment(file: Path) -> dict[str, str]:
    """All that configures the shop: its code has one line for logspan."""
    exporters = ["console", "file", *(["otlp"] if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") else [])]
    return {
        **os.environ,
        "OTEL_SERVICE_NAME": os.environ.get("OTEL_SERVICE_NAME") or "shop",
        "LOGSPAN_EXPORTERS": ",".join(exporters),
        "LOGSPAN_CONSOLE__FORMAT": "pretty",
        "LOGSPAN_CONSOLE__COLOR": "always" if COLOR else "never",
        "LOGSPAN_FILE__PATH": str(file),
        "PYTHONUNBUFFERED": "1",
    }


def free_port() -> int:
    """One below those that systems give to clients, so that none has it before the shop listens."""
    while True:
        port = random.randrange(10_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_until_it_listens(port: int, shop: "subprocess.Popen[bytes]", console: Path) -> None:
    for _ in range(150):
        if shop.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{console.read_text(encoding='utf-8', errors='replace')}\nthe shop did not start")


def send(port: int, call: Call) -> Answer:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = None if call.json is None else json.dumps(call.json)
    connection.request(call.method, call.path, body, {"content-type": "application/json"})
    response = connection.getresponse()
    response.read()
    connection.close()
    answer = Answer(call, response.status, response.headers.get("x-trace-id", ""), (time.perf_counter() - began) * 1000)
    line = f"  {call.method:<5}{call.path:<18}{answer.status}  {answer.milliseconds:6.1f} ms"
    print(f"{line}  x-trace-id: {answer.trace_id}  {paint('2', call.title)}")
    return answer


def read_records(file: Path) -> Iterator[Written]:
    """The file exporter's lines, each of them an OTLP `ExportLogsServiceRequest`."""
    for line in file.read_text(encoding="utf-8").splitlines():
        for resource in json.loads(line)["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    yield Written(
                        time=int(record["timeUnixNano"]),
                        severity=record.get("severityText", ""),
                        body=str(value_of(record.get("body", {}))),
                        scope=scope.get("scope", {}).get("name", ""),
                        event=record.get("eventName", ""),
                        trace_id=record.get("traceId", ""),
                        attributes={item["key"]: value_of(item["value"]) for item in record.get("attributes", ())},
                    )


def value_of(value: dict[str, Any]) -> Any:
    """An OTLP `AnyValue` in JSON: one key, which names the kind."""
    for kind, content in value.items():
        if kind == "arrayValue":
            return [value_of(item) for item in content.get("values", ())]
        if kind == "kvlistValue":
            return {item["key"]: value_of(item["value"]) for item in content.get("values", ())}
        return int(content) if kind == "intValue" else content
    return None


def show_traces(answers: Sequence[Answer], records: Sequence[Written]) -> None:
    heading("Records by trace, read back from the file")
    titles = {answer.trace_id: answer.call.title for answer in answers}
    order = {trace_id: position for position, trace_id in enumerate(titles)}
    ranked = sorted(records, key=lambda record: (order.get(record.trace_id, -1), record.time))
    for trace_id, group in groupby(ranked, key=lambda record: record.trace_id):
        print(f"  {paint('1', trace_id or 'outside of any request')}  {paint('2', titles.get(trace_id, ''))}".rstrip())
        for record in group:
            print(
                f"    {paint(severity_color(record), f'{record.severity:<6}')}{record.body}  {paint('2', record.scope)}"
            )
            for key, value in sorted(record.attributes.items()):
                if trace_id and not key.startswith("code."):
                    print(paint("2", f"           {key} = {shortened(value)}"))
        print()


def shortened(value: Any) -> str:
    lines = str(value).strip().splitlines() or [""]
    return lines[-1] if len(lines) == 1 else f"{lines[0]} ... {lines[-1]} ({len(lines)} lines)"


def show_ledger(report: dict[str, Any]) -> None:
    heading("The ledger: what became of every record")
    ledger = report["ledger"]
    print(f"  emitted {ledger['emitted']} = {terms(ledger, WHOLE)}")
    for name, exporter in ledger["exporters"].items():
        print(f"  {name}: fanned_out {exporter['fanned_out']} = {terms(exporter, EACH)}")
    print()


WHOLE = ("filtered", "sampled_out", "dropped", "held", "queued", "fanned_out")
EACH = ("routed_away", "delivered", "rejected", "dropped", "spooled", "in_flight")


def terms(counts: dict[str, Any], names: Sequence[str]) -> str:
    """The terms that are not zero, with the reasons of drops; `delivered` and `fanned_out` in any case."""
    return " + ".join(
        f"{name} {number(counts[name])}" + (f" {counts[name]}" if isinstance(counts[name], dict) else "")
        for name in names
        if number(counts[name]) or name in ("delivered", "fanned_out")
    )


def number(count: Any) -> int:
    return sum(count.values()) if isinstance(count, dict) else int(count)


def check_records(answers: Sequence[Answer], records: Sequence[Written]) -> Iterator[str]:
    for answer in answers:
        call = answer.call
        name = f"{call.method} {call.path} ({call.title})"
        if answer.status != call.status:
            yield f"{name} answered {answer.status}, not {call.status}"
        if len(answer.trace_id) != 32:
            yield f"{name} has no x-trace-id"
            continue
        own = [record for record in records if record.trace_id == answer.trace_id]
        for body in call.bodies:
            if sum(record.body == body for record in own) != 1:
                yield f"{name}: not exactly one record {body!r} in its trace"
        requests = [record for record in own if record.event == "http.server.request"]
        if [record.attributes.get("http.response.status_code") for record in requests] != [call.status]:
            yield f"{name}: not exactly one request record with status {call.status}"
        traces = sum("exception.stacktrace" in record.attributes for record in own)
        if traces != (call.status in (409, 500)):
            yield f"{name}: {traces} records with a stack trace"
    bodies = {body for call in CALLS for body in call.bodies}
    yield from (
        f"{record.body!r} is in no request's trace"
        for record in records
        if record.body in bodies and not record.trace_id
    )
    if SECRET in str(records):
        yield "the payment token was not redacted"


def check_ledger(report: dict[str, Any]) -> Iterator[str]:
    ledger = report["ledger"]
    if not report["complete"]:
        yield "not all records were delivered before the end"
    if ledger["emitted"] != sum(number(ledger[name]) for name in WHOLE):
        yield "the ledger does not balance before the fan-out"
    for name, exporter in ledger["exporters"].items():
        if exporter["fanned_out"] + exporter["adopted"] != sum(number(exporter[term]) for term in EACH):
            yield f"the ledger of {name} does not balance"
        if exporter["delivered"] != ledger["fanned_out"]:
            yield f"{name} delivered {exporter['delivered']} of {ledger['fanned_out']} records"


def heading(text: str) -> None:
    print(f"{paint('1;36', text)}\n{paint('36', '─' * len(text))}", flush=True)


def severity_color(record: Written) -> str:
    return {"ERROR": "31", "WARN": "33"}.get(record.severity, "32")


def paint(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if COLOR and text else text


if __name__ == "__main__":
    sys.exit(main())
