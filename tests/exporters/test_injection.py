"""R13.6, CWE-117: no text can forge a line, reorder it or hide in it; what machines read keeps the text as it was."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.encoding import encode_logs_request
from logspan.exporters.console import ConsoleExporter
from logspan.exporters.file import FileExporter
from logspan.notices import Notices
from logspan.outcome import Delivered
from logspan.printable import escape, escape_in_json, escape_keeping_backslashes
from logspan.record import Record, exception_attributes, severity

JOINERS = "\u200c\u200d"
SEEN = ((0x600, 0x605), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x110BD, 0x110CD))
"""Signs of Arabic, Syriac and Kaithi that surround a number; they are format characters, and are seen."""
EGYPTIAN = (0x13430, 0x1343F)
BIDI = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def is_seen(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in (*SEEN, EGYPTIAN))


def is_safe(character: str) -> bool:
    """By Unicode's own tables, not by ours: neither control nor separator of lines, no surrogate, nothing hidden."""
    category = unicodedata.category(character)
    if category == "Cf":
        return character in JOINERS or is_seen(character)
    return category not in ("Cc", "Cs", "Zl", "Zp") and unicodedata.bidirectional(character) not in BIDI


UNSAFE = [chr(code) for code in range(0x110000) if not is_safe(chr(code))]
HARD = [
    *UNSAFE[:70],
    *("\u2028", "\u2029", "\u202e", "\u2066", "\u061c", "\ufeff", "\U000e0041", "\ud800", "\udc00"),
    *("\r\n", "\x1b[2J", "\x1b]0;x\x07", "\x9b31m", "\\", '"', "{", "=", "  ", "│ ", "\ud83d\ude00"),
    *("\n12:00:00.000  INFO   shop  forged", '\n{"level":"INFO"}'),
]
nasty = st.sampled_from(HARD)
texts = st.lists(st.one_of(nasty, st.text(st.characters(), max_size=6)), max_size=6).map("".join)
ATTACK = "\n12:00:00.000  INFO  \x1b[1A\u202e\u2028forged\ud800\U000e0041\x85"


@pytest.mark.parametrize("function", [escape, escape_keeping_backslashes])
def test_no_unsafe_character_is_left_of_all_that_unicode_has(function: Any) -> None:
    """Every code point of this Python's Unicode, on its own and between letters."""
    assert [hex(ord(c)) for c in UNSAFE if not all(map(is_safe, function(c)))] == []
    assert function("Größe 📦 日本 עברית عربي می‌خواهم 👩‍🚀") == "Größe 📦 日本 עברית عربي می‌خواهم 👩‍🚀"


def test_a_json_document_keeps_what_it_says() -> None:
    """The escapes are JSON's own: what is read back is what was there."""
    for character in UNSAFE:
        text = f"a{character}b"
        document = escape_in_json(json.dumps(text, ensure_ascii=False))
        assert all(map(is_safe, document))
        assert json.loads(document) == text


def record(body: str, key: str, value: str, name: str) -> Any:
    """A record with hostile text in every place that a caller, a peer or an operator can fill."""
    error = ValueError(value)
    error.add_note(body)
    attributes: dict[str, Any] = {
        key: value,
        "nested": {key: [value, {key: value}]},
        "http.request.method": value,
        "url.path": value,
        "code.file.path": value,
        "raw": value.encode("utf-8", "surrogatepass"),
        **exception_attributes(error),
    }
    made = Record(
        InstrumentationScope(name, name, name, {"scope": value.encode("utf-8", "replace").decode()}),
        *severity(40, name),
        body,
        attributes,
        event_name=name,
    )
    made.resource = Resource({"service.name": value, "from.env": body})
    return made


def check_lines(text: str, starts: tuple[str, ...]) -> list[str]:
    """The lines of an output: `split` and `splitlines` agree, none has an unsafe character."""
    lines = text.split("\n")
    assert lines.pop() == ""
    assert text.splitlines() == lines
    assert all(is_safe(character) for line in lines for character in line)
    assert all(line.startswith(starts) for line in lines)
    return lines


@given(texts, texts, texts, texts)
@example(ATTACK, ATTACK, ATTACK, ATTACK)
def test_a_record_is_one_line_on_the_console_whatever_it_says(body: str, key: str, value: str, name: str) -> None:
    """Pretty: one line for each record, which starts with its time, and its stack trace behind our bar."""
    stream = io.StringIO()
    hostile = record(body, key, value, name)
    request = record(body, key, value, name)
    request.attributes["http.server.request.duration"] = 0.1
    request.attributes.pop("exception.stacktrace")
    assert ConsoleExporter(format="pretty", stream=stream, color=False).deliver([hostile, request]) == Delivered()
    lines = check_lines(stream.getvalue(), ("    │", hostile_clock(hostile), hostile_clock(request)))
    assert [line.startswith("    │") for line in lines].count(False) == 2


def hostile_clock(made: Any) -> str:
    """What a line of this record begins with."""
    stream = io.StringIO()
    plain: Any = Record(None, *severity(20), "x", {}, timestamp=made.timestamp)
    ConsoleExporter(format="pretty", stream=stream, color=False).deliver([plain])
    return stream.getvalue().split("  ")[0]


@given(texts, texts, texts, texts)
@example(ATTACK, ATTACK, ATTACK, ATTACK)
def test_a_record_is_one_json_line_that_keeps_its_data(body: str, key: str, value: str, name: str) -> None:
    """JSON on the console: one object a line, and what is read back is what was logged."""
    stream = io.StringIO()
    hostile = record(body, key, value, name)
    assert ConsoleExporter(format="json", stream=stream).deliver([hostile] * 2) == Delivered()
    lines = check_lines(stream.getvalue(), ('{"timestamp":',))
    assert len(lines) == 2
    read = json.loads(lines[0])
    assert read["body"] == paired(body)
    assert read["attributes"]["http.request.method"] == paired(value)
    assert read["attributes"]["nested"][paired(key) or "_"][0] == paired(value)


def paired(text: str) -> str:
    """Two surrogates that make a character are that character to whoever reads JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(texts, texts, texts, texts)
@example(ATTACK, ATTACK, ATTACK, ATTACK)
def test_a_batch_is_one_line_of_the_file_that_keeps_its_data(
    tmp_path_factory: Any, body: str, key: str, value: str, name: str
) -> None:
    """OTLP/JSON: a batch is a line, and every character that UTF-8 has a form for is read back."""
    path: Path = tmp_path_factory.mktemp("file") / "log.jsonl"
    exporter = FileExporter(path)
    assert exporter.deliver([record(body, key, value, name)] * 2) == Delivered()
    exporter.shutdown()
    (line,) = check_lines(path.read_text(encoding="utf-8"), ('{"resourceLogs":',))
    (scope,) = json.loads(line)["resourceLogs"][0]["scopeLogs"]
    assert len(scope["logRecords"]) == 2
    assert scope["logRecords"][0]["body"] == {"stringValue": valid(body)}


@given(texts, texts, texts, texts)
@example(ATTACK, ATTACK, ATTACK, ATTACK)
def test_protobuf_keeps_the_data(body: str, key: str, value: str, name: str) -> None:
    """OTLP: nothing is escaped there, as nothing is a line."""
    encoded = encode_logs_request([record(body, key, value, name)])
    sent = ExportLogsServiceRequest.FromString(encoded.payload).resource_logs[0].scope_logs[0].log_records[0]
    assert sent.body.string_value == valid(body)
    assert sent.event_name == valid(name)


def valid(text: str) -> str:
    """As UTF-8 has it: what is half a pair is U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(texts)
@example(ATTACK)
def test_what_we_say_on_stderr_is_one_line(answer: str) -> None:
    """A notice may quote what a peer answered, or what an exception said."""
    written: list[str] = []
    stream: Any = SimpleNamespace(write=written.append, flush=lambda: None)
    notices = Notices(lambda: stream)
    notices.lost("dropped by otlp (400)", 7, answer)
    notices.say("spans", f"spans could not be exported: {answer}")
    assert len(check_lines("".join(written), ("logspan: ",))) == 2
