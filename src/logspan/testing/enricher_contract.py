"""The rules that a pipeline relies on in an enricher, and a check of them that its author can run."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from logspan.binding import bind
from logspan.context import REQUEST
from logspan.processors.enrich import EnrichContext, Enricher, EnricherFunction, RecordView, named_enrichers
from logspan.record import Record, exception_attributes, severity
from logspan.testing.rules import ContractError, verify
from logspan.values import clean_attributes, type_name

Check = Callable[[Enricher], None]

_MARK = "only-of-the-first-request"
_HOSTILE = ("", "\x00", "a\r\nb: c", "é\udcff", "9" * 400, "-1", "{", "x" * 8_192)
_QUICK = 0.001


def check_enricher(function: EnricherFunction) -> None:
    """Raise `ContractError` if an enricher breaks a rule. A rule is given 20 seconds."""
    enricher = named_enrichers([function])[0]
    verify(CHECKS, lambda check: check(enricher))


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A request that is not there, for enrichers that look at one; `headers` in lower case."""

    method: str = "GET"
    path: str = "/orders/42"
    route: str | None = "/orders/{order_id}"
    headers: Mapping[str, str] = field(default_factory=dict)
    any_header: str | None = None
    """What each header holds that is not in `headers`."""
    id: str | None = "4f3c2b1a"

    def header(self, name: str) -> str | None:
        """The value of one header."""
        return self.headers.get(name.lower(), self.any_header)


def adds_to_records_of_every_kind(enricher: Enricher) -> None:
    """It returns a mapping or None for any record, inside and outside of a request, and does not raise."""
    for record in _records():
        _call(enricher, record)
        REQUEST.set(SampleRequest())
        with bind(user=7):
            _call(enricher, record)
        REQUEST.set(SampleRequest(route=None))
        _call(enricher, record)
        REQUEST.set(None)


def survives_what_clients_send(enricher: Enricher) -> None:
    """Headers and paths are written by strangers, and do not make it raise."""
    for text in _HOSTILE:
        REQUEST.set(SampleRequest(method="BREW", path=text, route=None, any_header=text))
        for record in _records():
            _call(enricher, record)


def returns_values_of_opentelemetry(enricher: Enricher) -> None:
    """What it returns is strings, numbers, booleans, and lists and dicts of them, under names that are not empty."""
    REQUEST.set(SampleRequest(any_header="x"))
    for record in _records():
        found = _call(enricher, record)
        if dict(found) != clean_attributes(found):
            wrong = [key for key in found if clean_attributes({key: found[key]}) != {key: found[key]}]
            raise ContractError(f"would be changed: {', '.join(map(repr, wrong))}")


def leaves_the_record_alone(enricher: Enricher) -> None:
    """It returns what is to be added, and changes nothing itself."""
    for record in _records():
        before = copy.deepcopy((record.body, record.attributes))
        _call(enricher, record)
        if (record.body, record.attributes) != before:
            raise ContractError("the record was changed")


def keeps_nothing_of_another_request(enricher: Enricher) -> None:
    """What it has seen of one request does not turn up with a record of another."""
    REQUEST.set(SampleRequest(path=f"/{_MARK}", any_header=_MARK))
    with bind({"bound": _MARK}):
        for record in _records(_MARK):
            _call(enricher, record)
    REQUEST.set(SampleRequest())
    for record in _records():
        if _MARK in repr(_call(enricher, record)):
            raise ContractError("something of the request before came back")


def is_quick(enricher: Enricher) -> None:
    """The log call waits for it: half of its calls are over within a millisecond."""
    record = next(_records())
    took = median(_seconds(enricher, record) for _ in range(100))
    if took > _QUICK:
        raise ContractError(f"took {took * 1000:.3g} ms")


def works_on_several_threads(enricher: Enricher) -> None:
    """Many threads log at a time."""
    problems: list[BaseException] = []

    def call() -> None:
        try:
            for _ in range(50):
                for record in _records():
                    _call(enricher, record)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


CHECKS: tuple[Check, ...] = (
    keeps_nothing_of_another_request,  # first, as some keep what they see first
    adds_to_records_of_every_kind,
    survives_what_clients_send,
    returns_values_of_opentelemetry,
    leaves_the_record_alone,
    is_quick,
    works_on_several_threads,
)


def _call(enricher: Enricher, record: Record) -> Mapping[str, Any]:
    found: object = enricher(RecordView(record), EnrichContext())
    if found is not None and not isinstance(found, Mapping):
        raise ContractError(f"returned a {type_name(found)}")
    return found or {}


def _seconds(enricher: Enricher, record: Record) -> float:
    started = perf_counter()
    _call(enricher, record)
    return perf_counter() - started


def _records(text: str = "order placed") -> Iterator[Record]:
    """New ones each time: an ordinary record, an empty one, a failure, and one with all that clean values can hold."""
    scope = InstrumentationScope("contract")
    error = ValueError(text)
    odd = {"": "", "k\n\ud800": "a\ud800b", "nested": {"list": [1, None, {"b": b"\x00"}]}, "nan": float("nan")}
    yield Record(scope, *severity(20), text, {"order_id": 42, "text": text, "items": ["a", "b"]})
    yield Record(scope, *severity(10), None, {})
    yield Record(scope, *severity(40), text, exception_attributes(error), event_name="order.failed")
    yield Record(None, *severity(0), {"a": [text]}, odd)
