"""What both encodings share: their results, and the grouping of records by resource and scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.values import safe_str

MAX_DEPTH = 30
"""Nested containers in one value. A map adds three message levels, and decoders refuse a request of more than 100."""

Part = TypeVar("Part", str, bytes)
"""A finished piece of the encoding."""


Rename = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives attributes the names that a backend takes; does not change what it is given."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An `ExportLogsServiceRequest` in protobuf: `payload` holds `records` of the batch, `failed` could not be encoded.

    `error` says what was wrong with the first of those.
    """

    payload: bytes
    records: int
    failed: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class EncodedLines:
    """The same as lines of OTLP/JSON, one request each, every one ending in a newline."""

    lines: tuple[bytes, ...]
    records: int
    failed: int = 0
    error: str = ""


def encode_each(
    batch: Sequence[ReadableLogRecord],
    record: Callable[[ReadableLogRecord], Part],
    resource: Callable[[Resource | None], Part],
    scope: Callable[[InstrumentationScope | None], Part],
) -> tuple[list[tuple[Part, Part, Part]], int, str]:
    """(resource, scope, record) of each record in their order; how many failed, and why the first did."""
    pieces: list[tuple[Part, Part, Part]] = []
    # By identity: a resource's own hash serialises it. The batch keeps the objects, and so their ids, alive.
    heads: dict[tuple[int, int], tuple[Part, Part]] = {}
    failed, first_error = 0, ""
    for item in batch:
        try:
            key = (id(item.resource), id(item.instrumentation_scope))
            if key not in heads:
                heads[key] = (resource(item.resource), scope(item.instrumentation_scope))
            head = heads[key]
            pieces.append((head[0], head[1], record(item)))
        except Exception as error:  # one record's own fault, whatever it is: the others must not pay for it
            failed += 1
            first_error = first_error or f"{type(error).__name__}: {safe_str(error)}"[:500]
    return pieces, failed, first_error


def grouped(pieces: Iterable[tuple[Part, Part, Part]]) -> dict[Part, dict[Part, list[Part]]]:
    """Records by resource and then by scope; what encodes to the same bytes is the same."""
    groups: dict[Part, dict[Part, list[Part]]] = {}
    for resource, scope, record in pieces:
        scopes = groups.get(resource)
        if scopes is None:
            scopes = groups[resource] = {}
        records = scopes.get(scope)
        if records is None:
            records = scopes[scope] = []
        records.append(record)
    return groups


def valid_text(value: str) -> str:
    """The same text with lone surrogates replaced by U+FFFD; two that make a pair become their character."""
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
