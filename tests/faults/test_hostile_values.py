"""Whatever a caller logs, its two neighbours arrive (fault 32)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from logspan import configure_logging
from logspan.testing import assert_balanced
from tests.faults.support import Sink, alone, settings_for


class Unprintable:
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __format__ = __hash__ = __bool__ = __len__ = __iter__ = __str__  # type: ignore[assignment]


class Unreadable(Mapping[str, Any]):
    """A mapping that fails half-way."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield "a"
        raise OSError("gone")

    def __len__(self) -> int:
        return 2


def deep(levels: int) -> Any:
    """Lists in lists."""
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def cyclic() -> dict[str, Any]:
    """Holds itself."""
    value: dict[str, Any] = {"name": "cycle"}
    value["self"] = value
    return value


HOSTILE: dict[str, Any] = {
    "lone surrogate": "a\ud800b",
    "NUL": "a\0b",
    "NaN": math.nan,
    "infinity": [math.inf, -math.inf],
    "2^80": 2**80,
    "negative 2^80": {"n": -(2**80)},
    "bytes": b"\x00\xff\xfe",
    "cycle": cyclic(),
    "depth 5,000": deep(5_000),
    "10 MB": "x" * 10_000_000,
    "10 MB of a wide character": "\U0001f600" * 2_500_000,
    "a str that raises": Unprintable(),
    "a set of odd things": {1, "a", b"b", None, 2.5},
    "keys that are no strings": {1: "a", None: "b", (1, 2): "c", b"k": "d", 2.5: {True: "e"}},
    "keys that collide": {1: "a", "1": "b"},
    "a mapping that fails": Unreadable(),
    "a class": Unprintable,
    "a generator": (n for n in range(3)),
    "line breaks": "a\r\nERROR forged\u2028\x1b[2J",
}


@pytest.mark.parametrize("client", ["logspan", "stock"])
def test_32_hostile_values_cost_no_neighbour(sink: Sink, protocol: str, client: str) -> None:
    """As attribute, argument and message; by our client and the stock one: all records arrive."""
    otlp = {"endpoint": sink.endpoint, "protocol": protocol, "client": client}
    log, expected = logging.getLogger("app"), []
    settings = settings_for("", otlp=otlp, sending_queue={"max_export_batch_size": 3})
    with alone(), configure_logging(settings) as handle:
        for name, value in HOSTILE.items():
            calls: dict[str, Callable[[Any], None]] = {
                "attribute": lambda value: log.info("hostile", extra={"value": value}),
                "argument": lambda value: log.info("hostile %s", value),
                "message": log.info,
            }
            for where, call in calls.items():
                log.info("before", extra={"id": f"{name} before {where}"})
                call(value)
                log.info("after", extra={"id": f"{name} after {where}"})
                expected += [f"{name} before {where}", f"{name} after {where}"]
        assert handle.flush(30)
        snapshot = assert_balanced(handle.pipeline)
    arrived = [record.attributes["id"] for record in sink.records() if record.scope == "app" and is_neighbour(record)]
    assert arrived == expected
    total = 9 * len(HOSTILE)
    assert sum(record.scope == "app" for record in sink.records()) == total
    assert snapshot.emitted == snapshot.exporters["otlp"].delivered == len(sink.records())


def is_neighbour(record: Any) -> bool:
    """Whether it stood beside a hostile one."""
    return record.body in ("before", "after")


def test_32_a_value_that_is_changed_afterwards_arrives_as_it_was(sink: Sink, protocol: str) -> None:
    """What the caller does with it after the call is not seen in the record."""
    log = logging.getLogger("app")
    with configure_logging(settings_for(sink.endpoint, protocol)) as handle:
        basket = {"items": ["a"], "nested": {"n": 1}}
        log.info("changed", extra={"basket": basket})
        basket["items"].append("b")  # type: ignore[attr-defined]
        basket["nested"]["n"] = object()  # type: ignore[index]
        basket.clear()
        assert handle.flush(10)
        snapshot = assert_balanced(handle.pipeline)
    (record,) = [record for record in sink.records() if record.body == "changed"]
    assert record.attributes["basket"] == {"items": ["a"], "nested": {"n": 1}}
    assert snapshot.exporters["otlp"].delivered == len(sink.records())
