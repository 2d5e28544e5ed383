"""Both encodings against decoders that are not ours: the generated protobuf classes and their JSON mapping."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import TraceFlags

from logspan.encoding import encode_logs_json, encode_logs_request
from logspan.values import clean_attributes

RESOURCE = Resource({"service.name": "shop", "ports": (1, 2)}, schema_url="https://opentelemetry.io/schemas/1.44.0")
SCOPES = [
    InstrumentationScope("shop.orders", "1.2", "https://example.org/s", {"team": "a"}),
    InstrumentationScope("db"),
]

Values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.just(math.nan)  # the bits of other NaNs do not outlive JSON
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
    | st.binary(max_size=200),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)


def readable(
    body: Any = "hello",
    attributes: dict[str, Any] | None = None,
    scope: InstrumentationScope | None = SCOPES[0],
    resource: Resource | None = RESOURCE,
    **fields: Any,
) -> ReadableLogRecord:
    """A record as the SDK hands it to any exporter."""
    record = LogRecord(timestamp=1, observed_timestamp=2, severity_number=SeverityNumber.INFO, severity_text="INFO")
    record.body = body
    record.attributes = attributes or {}
    record.trace_id, record.span_id, record.trace_flags = 7 << 90, 9, TraceFlags(1)
    for name, value in fields.items():
        setattr(record, name, value)
    return ReadableLogRecord(record, resource, scope)  # type: ignore[arg-type]


def decoded(batch: list[ReadableLogRecord]) -> ExportLogsServiceRequest:
    """What a protobuf peer reads."""
    encoded = encode_logs_request(batch)
    assert encoded.failed == 0, encoded.error
    request = ExportLogsServiceRequest()
    request.ParseFromString(encoded.payload)
    return request


def decoded_json(batch: list[ReadableLogRecord]) -> ExportLogsServiceRequest:
    """What a reader of OTLP/JSON reads, apart from the ids."""
    lines = encode_logs_json(batch).lines
    assert len(lines) == 1
    document = json.loads(lines[0])
    for record in document["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        for name in ("traceId", "spanId"):  # OTLP/JSON says hex where the JSON mapping of protobuf says base64
            record.pop(name, None)
    request = ExportLogsServiceRequest()
    json_format.ParseDict(document, request)
    return request


def body_and_attributes(request: ExportLogsServiceRequest) -> tuple[AnyValue, dict[str, AnyValue]]:
    """Of the only record."""
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    return record.body, {item.key: item.value for item in record.attributes}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            Values,
            st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), Values, max_size=4),
            st.sampled_from([*SCOPES, None]),
            st.integers(0, 2**128 - 1),
            st.integers(0, 2**64 - 1),
            st.sampled_from([None, *SeverityNumber]),
            st.sampled_from(["", "order.placed"]),
        ),
        max_size=5,
    )
)
def test_protobuf_is_what_the_generated_classes_write(items: list[tuple[Any, ...]]) -> None:
    """Our writer and the stock encoder make the same message of the same records."""
    batch = [
        readable(body, attributes, scope, trace_id=trace, span_id=span, severity_number=number, event_name=event)
        for body, attributes, scope, trace, span, number, event in items
    ]
    ours, stock = decoded(batch), encode_logs(batch)
    for request in (ours, stock):  # the stock encoder writes an empty scope where there is none
        for scope_logs in (s for r in request.resource_logs for s in r.scope_logs):
            scope_logs.scope.SetInParent()
    assert ours.SerializeToString(deterministic=True) == stock.SerializeToString(deterministic=True)


@settings(max_examples=50, deadline=None)
@given(Values, st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), Values, max_size=4))
def test_json_holds_what_protobuf_holds(body: Any, attributes: dict[str, Any]) -> None:
    """Both encodings decode to the same body and attributes: 64-bit integers, NaN, bytes and empty values included."""
    batch = [readable(body, attributes)]
    ours, theirs = decoded_json(batch), decoded(batch)
    for request in (ours, theirs):
        record = request.resource_logs[0].scope_logs[0].log_records[0]
        record.trace_id = record.span_id = b""
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


def test_ids_are_hex_and_numbers_are_strings_in_json() -> None:
    """OTLP/JSON: ids in hex, 64-bit integers as strings, enums as numbers, names in lowerCamelCase."""
    line = encode_logs_json([readable(attributes={"n": 5})]).lines[0]
    record = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert record == {
        "timeUnixNano": "1",
        "observedTimeUnixNano": "2",
        "severityNumber": 9,
        "severityText": "INFO",
        "body": {"stringValue": "hello"},
        "attributes": [{"key": "n", "value": {"intValue": "5"}}],
        "flags": 1,
        "traceId": f"{7 << 90:032x}",
        "spanId": f"{9:016x}",
    }


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


HOSTILE = {
    "lone surrogate": ("a\ud800b", "a\ufffdb"),
    "pair of surrogates": ("\ud83d\ude00", "\U0001f600"),
    "NUL": ("a\0b", "a\0b"),
    "too big": (2**80, str(2**80)),
    "far too big": (10**5000, hex(10**5000)),
    "an object": (Unprintable(), "<unprintable Unprintable: RuntimeError>"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_becomes_text(name: str) -> None:
    """What is no OTLP value still arrives, as text, in both encodings, in the body, in a value and nested."""
    raw, expected = HOSTILE[name]
    batch = [readable(raw, {"value": raw, "nested": {"list": [raw]}})]
    for request in (decoded(batch), decoded_json(batch)):
        body, attributes = body_and_attributes(request)
        assert body.string_value == expected
        assert attributes["value"].string_value == expected
        assert attributes["nested"].kvlist_value.values[0].value.array_value.values[0].string_value == expected


def test_a_hostile_key_becomes_text() -> None:
    """Keys may hold lone surrogates and, in records of the SDK, be no strings at all."""
    batch = [readable(attributes={"k\udfff": 1, 5: {6: 2}})]  # type: ignore[dict-item]
    for request in (decoded(batch), decoded_json(batch)):
        _, attributes = body_and_attributes(request)
        assert list(attributes) == ["k\ufffd", "5"]
        assert attributes["5"].kvlist_value.values[0].key == "6"


def test_depth_stays_within_what_decoders_accept() -> None:
    """Decoders refuse a whole request that nests more than 100 messages; deeper values are cut."""
    value: Any = "leaf"
    for _ in range(60):
        value = {"k": value}
    batch = [readable(value, clean_attributes({"deep": value})), readable("neighbour")]
    records = decoded(batch).resource_logs[0].scope_logs[0].log_records
    assert len(records) == 2
    assert decoded_json(batch).resource_logs


@pytest.mark.parametrize("bad", [{"trace_id": -1}, {"span_id": 2**64}, {"trace_flags": "x"}])
def test_one_record_that_cannot_be_encoded_is_isolated(bad: dict[str, Any]) -> None:
    """Its neighbours are in the bytes, it is counted, and the error says why."""
    batch = [readable("first"), readable("bad", **bad), readable("last")]
    encoded, lines = encode_logs_request(batch), encode_logs_json(batch)
    assert (encoded.records, encoded.failed, lines.records, lines.failed) == (2, 1, 2, 1)
    assert encoded.error
    assert lines.error
    records = ExportLogsServiceRequest.FromString(encoded.payload).resource_logs[0].scope_logs[0].log_records
    assert [record.body.string_value for record in records] == ["first", "last"]


def test_a_cycle_in_a_record_of_the_sdk_does_not_hang() -> None:
    """Records of the SDK are not cleaned; a cycle ends at the depth limit."""
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    assert decoded([readable(cycle)]).resource_logs
    assert encode_logs_json([readable(cycle)]).records == 1


def test_a_wrong_time_does_not_cost_a_record() -> None:
    """A time before the epoch, or none, is left out."""
    batch = [readable(timestamp=-5), readable(timestamp=None), readable(timestamp="now")]
    assert [r.time_unix_nano for r in decoded(batch).resource_logs[0].scope_logs[0].log_records] == [0, 0, 0]
    assert encode_logs_json(batch).records == 3


def test_equal_resources_and_scopes_are_one_group() -> None:
    """Grouping is by what is written, also when the objects differ; a record without resource or scope has its own."""
    batch = [
        readable(resource=Resource({"a": 1}), scope=InstrumentationScope("s")),
        readable(resource=Resource({"a": 1}), scope=InstrumentationScope("s")),
        readable(resource=None, scope=None),
    ]
    groups = decoded(batch).resource_logs
    assert [[len(scope.log_records) for scope in group.scope_logs] for group in groups] == [[2], [1]]


def test_lines_are_bounded_and_hold_every_record_once() -> None:
    """A line is a complete request within the bound; only a single record that is longer makes a longer line."""
    batch = [readable("x" * 300 + str(i), scope=SCOPES[i % 2]) for i in range(50)] + [readable("y" * 9_000)]
    lines = encode_logs_json(batch, max_line_bytes=4_096).lines
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert [len(line) > 4_096 for line in lines].count(True) == 1
    bodies = [
        record["body"]["stringValue"]
        for line in lines
        for scope in json.loads(line)["resourceLogs"][0]["scopeLogs"]
        for record in scope["logRecords"]
    ]
    assert sorted(bodies) == sorted(str(item.log_record.body) for item in batch)


def test_a_line_starts_with_a_time() -> None:
    """Receivers tell files apart by their first bytes; a resource, the same in all of them, must not come first."""
    resource = Resource({f"attribute.{n}": "x" * 100 for n in range(50)})
    first, second = (encode_logs_json([readable(resource=resource, timestamp=time)]).lines[0] for time in (5, 6))
    assert first[:100] != second[:100]


def test_json_lines_hold_no_raw_control_character() -> None:
    """C0, C1, bidirectional and line-separator characters are escaped, and come back when it is decoded."""
    text = "a\r\n\x1b[31m\x85\x9b\u2028\u202e\ufeff\x7fz"
    line = encode_logs_json([readable(text, {text: text})]).lines[0]
    assert len(line.decode().splitlines()) == 1
    assert not set(line.decode()[:-1]) & set("\r\n\x1b\x85\x9b\u2028\u202e\ufeff\x7f")
    record = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert record["body"]["stringValue"] == record["attributes"][0]["key"] == text


def test_an_empty_batch_is_an_empty_request() -> None:
    """Nothing in, nothing out."""
    assert encode_logs_request([]).payload == b""
    assert encode_logs_json([]).lines == ()
