"""The console: what people read, what machines read, and that no value of a record can pass for either."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from logspan.exporters.console import ConsoleExporter
from logspan.outcome import Delivered, Rejected, Retryable
from logspan.record import Record, exception_attributes, severity
from logspan.testing import check_exporter_contract
from logspan.testing.contract import hostile_batch, sample_batch

CONTEXT = SpanContext(
    0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(1)
)
NOON = 1_763_899_200_123_456_789


def record(body: Any = "hello", level: int = 20, *, context: SpanContext | None = CONTEXT, **attributes: Any) -> Any:
    """A record of shop.orders; underscores in names of attributes become dots."""
    names = {name.replace("__", "."): value for name, value in attributes.items()}
    made = Record(
        InstrumentationScope("shop.orders"), *severity(level), body, names, timestamp=NOON, span_context=context
    )
    made.resource = Resource({"service.name": "shop"})
    return made


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def pretty(*records: Any, color: bool = False) -> str:
    """What the pretty form writes."""
    stream = io.StringIO()
    assert ConsoleExporter(format="pretty", stream=stream, color=color).deliver(records) == Delivered()
    return stream.getvalue()


def lines(*records: Any) -> list[dict[str, Any]]:
    """What the JSON form writes."""
    stream = io.StringIO()
    assert ConsoleExporter(format="json", stream=stream).deliver(records) == Delivered()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("form", ["pretty", "json", "auto"])
def test_it_keeps_the_contract(form: Any) -> None:
    """The rules of every exporter."""
    check_exporter_contract(lambda: ConsoleExporter(format=form, stream=io.StringIO()))


def test_a_pretty_line() -> None:
    """Local time with milliseconds, level, the start of the trace id, logger, message, attributes."""
    clock = time.strftime("%H:%M:%S", time.localtime(NOON // 10**9))
    assert pretty(record("order placed", order_id=42, who={"id": 1}, note="two words", path="/a/{b}")) == (
        f"{clock}.123  INFO   0af76519  shop.orders       order placed  "
        'order_id=42 who={"id":1} note="two words" path=/a/{b}\n'
    )


def test_columns_stay_aligned_without_a_trace() -> None:
    """A record outside of a trace has its logger in the same column."""
    inside = pretty(record())
    outside = pretty(record(context=SpanContext(0, 0, is_remote=False)))
    assert inside.index("shop.orders") == outside.index("shop.orders")


def test_colour_changes_nothing_but_colour() -> None:
    """Without the escape sequences the text is the same; without `color` there are none."""
    records = [record("x", level, n=level) for level in (5, 10, 20, 30, 40, 50)]
    coloured, plain = pretty(*records, color=True), pretty(*records)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert len(set(re.findall(r"\x1b\[([0-9;]+)m(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)", coloured))) == 6


def test_a_request_is_readable_at_a_glance() -> None:
    """Method, path, status, duration; the route where it says more than the path."""
    request: dict[str, Any] = {
        "http__request__method": "GET",
        "url__path": "/orders/7",
        "http__route": "/orders/{id}",
        "url__scheme": "http",
        "http__response__status_code": 200,
        "http__server__request__duration": 0.01234,
    }
    text = pretty(record("GET /orders/{id} 200 12.3 ms", **request))
    assert text.endswith("GET /orders/7 → 200  12.3 ms  http.route=/orders/{id}\n")
    assert pretty(record("x", **{**request, "http__route": "/orders/7"})).endswith("200  12.3 ms\n")


def test_an_exception_is_indented_below() -> None:
    """Each line of the stack trace behind a bar; type and message are not said twice."""
    try:
        raise ValueError("first\n12:00:00.000  INFO  forged")
    except ValueError as error:
        described: dict[str, Any] = dict(exception_attributes(error))
        text = pretty(record("failed", 40, **described))
    first, *rest = text.splitlines()
    assert first.endswith("failed")
    assert all(line.startswith("    │") for line in rest)
    assert rest[-1] == "    │ 12:00:00.000  INFO  forged"


def test_where_in_the_code_is_shown_from_a_warning_on() -> None:
    """`code.*` would be noise on every line."""
    place: dict[str, Any] = {
        "code__file__path": "/app/shop/orders.py",
        "code__line__number": 31,
        "code__function__name": "f",
    }
    assert "orders.py" not in pretty(record(**place))
    assert pretty(record("x", 30, **place)).endswith("(orders.py:31)\n")


def test_a_json_line() -> None:
    """Flat, with the time in UTC to the nanosecond, and the ids whole."""
    assert lines(record("order placed", order_id=42, raw=b"\x00", nan=float("nan"))) == [
        {
            "timestamp": "2025-11-23T12:00:00.123456789Z",
            "level": "INFO",
            "body": "order placed",
            "logger": "shop.orders",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "span_id": "b7ad6b7169203331",
            "service.name": "shop",
            "attributes": {"order_id": 42, "raw": "AA==", "nan": "nan"},
        }
    ]


ATTACKS = [
    "a\n12:00:00.000  INFO   shop  forged",
    "a\r\nforged",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m\x85next line",
    "\u2028\u2029\u202eabc\u2066\ufeff",
    "\x00\x08\x7f",
]


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
@pytest.mark.parametrize("form", ["pretty", "json"])
def test_no_value_can_forge_a_line(form: Any, attack: str) -> None:
    """CWE-117: body, keys, values, nested ones, logger, level, event name: one record is one line of printable text."""
    values: dict[str, Any] = {attack: attack, "nested": {attack: [attack]}, "http__request__method": attack}
    hostile = record(attack, **values)
    hostile.severity_text = hostile.event_name = attack
    hostile.instrumentation_scope = InstrumentationScope(attack)
    request = record("x", http__request__method=attack, url__path=attack, http__response__status_code=attack)
    request.attributes["http.server.request.duration"] = 0.1
    stream = io.StringIO()
    assert ConsoleExporter(format=form, stream=stream).deliver([hostile, request]) == Delivered()
    written = stream.getvalue().split("\n")
    assert len(written) == 3
    assert all(line.isprintable() for line in written)
    assert len(stream.getvalue().splitlines()) == 2


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
def test_a_stack_trace_cannot_forge_a_line(attack: str) -> None:
    """Every line of it is behind the bar, and printable."""
    text = pretty(record("x", 40, exception__stacktrace=f"ValueError: {attack}"))
    assert all(line.startswith("    │ ") and line.isprintable() for line in text.split("\n")[1:-1])


def test_hostile_values_are_written_with_their_neighbours() -> None:
    """Nothing that a record can hold costs another one its line."""
    batch = [*sample_batch(), *hostile_batch()]
    assert len(lines(*batch)) == len(batch)
    assert pretty(*batch).count("contract") >= len(batch) - 1


def test_a_record_that_cannot_be_formatted_is_counted() -> None:
    """Its neighbours are written."""
    broken = record()
    broken.severity_number = "not a number"
    stream = io.StringIO()
    outcome = ConsoleExporter(format="pretty", stream=stream).deliver([record("one"), broken, record("two")])
    assert isinstance(outcome, Delivered)
    assert outcome.unencodable == 1
    assert "one" in stream.getvalue()
    assert "two" in stream.getvalue()


@pytest.mark.parametrize(("stream", "form"), [(Terminal(), "pretty"), (io.StringIO(), "json")])
def test_auto_is_pretty_on_a_terminal_only(stream: io.StringIO, form: str) -> None:
    """With colour on a terminal, one JSON object a line anywhere else."""
    ConsoleExporter(stream=stream).deliver([record()])
    assert stream.getvalue().startswith("{") is (form == "json")
    assert ("\x1b[" in stream.getvalue()) is (form == "pretty")


def test_the_stream_is_looked_up_at_each_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.stdout` may be another one by now, or none at all."""
    exporter = ConsoleExporter(format="json")
    for _ in range(2):
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
        exporter.deliver([record()])
        assert stream.getvalue().count("\n") == 1
    monkeypatch.setattr(sys, "stdout", None)
    assert isinstance(exporter.deliver([record()]), Rejected)


class Counting(io.StringIO):
    """Counts its writes and flushes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def write(self, text: str) -> int:
        self.calls.append("write")
        return super().write(text)

    def flush(self) -> None:
        self.calls.append("flush")


def test_one_write_for_a_batch() -> None:
    """So that the lines of several processes do not mix."""
    stream = Counting()
    ConsoleExporter(format="json", stream=stream).deliver([record()] * 20)
    assert stream.calls == ["write", "flush"]


class Failing(io.StringIO):
    """Raises what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BrokenPipeError(32, "Broken pipe"), Rejected),
        (ValueError("I/O operation on closed file"), Rejected),
        (RuntimeError("somebody else's stream"), Rejected),
        (OSError(28, "No space left on device"), Retryable),
        (BlockingIOError(11, "would block"), Retryable),
    ],
)
def test_a_stream_that_fails_is_an_outcome(error: Exception, kind: type) -> None:
    """A pipe that nobody reads and a closed stream refuse; a full disk may have room later. Nothing is raised."""
    exporter = ConsoleExporter(stream=Failing(error))
    assert isinstance(exporter.deliver([record()]), kind)
    assert exporter.export([record()]) is LogRecordExportResult.FAILURE


def test_a_closed_stream_refuses() -> None:
    """Also when it is asked whether it is a terminal."""
    stream = io.StringIO()
    stream.close()
    assert isinstance(ConsoleExporter(stream=stream).deliver([record()]), Rejected)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("form", ["pretty", "json"])
def test_a_narrow_encoding_loses_no_record(form: Any, encoding: str) -> None:
    """What the stream cannot write is escaped, and the bar and the arrow of the pretty form have stand-ins."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    outcome = ConsoleExporter(format=form, stream=stream).deliver(
        [record("na\u00efve \u65e5\u672c", 40, exception__stacktrace="E")]
    )
    assert outcome == Delivered()
    text = raw.getvalue().decode(encoding)
    assert "shop.orders" in text
    assert ("\\u65e5" in text) is (encoding != "utf-8")
    assert ("    | E" in text) is (form == "pretty" and encoding != "utf-8")


PIPED = """
import sys
from logspan.exporters.console import ConsoleExporter
from logspan.testing.contract import sample_batch
sys.stdin.readline()
print(ConsoleExporter().deliver(sample_batch()), file=sys.stderr)
import os; os._exit(0)
"""


def test_a_pipe_whose_reader_has_gone(tmp_path: Path) -> None:
    """As in `service | head`: an outcome, no traceback."""
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", PIPED], stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writer)
        os.close(reader)
        _, error = process.communicate("go\n", timeout=50)
    assert error.startswith("Rejected(status='EPIPE'")
