"""Records from frames: what was encoded comes back, for exporters that take records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.encoding import encode_logs_request
from logspan.record import Record
from logspan.spool import decode_logs_request
from tests.encoding.test_encoding import SCOPES, Values, readable


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
def test_encoding_again_makes_the_same_bytes(items: list[tuple[Any, ...]]) -> None:
    """Nothing is lost on the way into the spool and out of it: values, ids, scopes, resource, severity, event name."""
    batch = [
        readable(body, attributes, scope, trace_id=trace, span_id=span, severity_number=number, event_name=event)
        for body, attributes, scope, trace, span, number, event in items
    ]
    encoded = encode_logs_request(batch)
    assert encoded.failed == 0
    records = decode_logs_request(encoded.payload)
    assert len(records) == len(batch)
    assert encode_logs_request(records).payload == encoded.payload


def test_the_count_of_dropped_attributes_is_kept() -> None:
    """`dropped_attributes_count` says after a replay what it said before."""
    record: Any = Record(InstrumentationScope("shop"), SeverityNumber.INFO, "INFO", "hello", {"a": 1})
    record.dropped = 7
    (decoded,) = decode_logs_request(encode_logs_request([record]).payload)
    assert decoded.dropped_attributes == 7
    assert decoded.log_record.body == "hello"
    assert decoded.log_record.timestamp == record.timestamp


def test_what_is_no_request_is_a_value_error() -> None:
    """Bytes that somebody else has put into a spool are refused with one kind of error."""
    with pytest.raises(ValueError, match="not an ExportLogsServiceRequest"):
        decode_logs_request(b"\xff\xff\xff")
