"""One redactor over one workload, in a process of its own: CPU per record, and in how many it hid the secret.

python -m benchmarks.scrubbers logspan|logfire clean|ordinary|foreign|request|worded|mixed|hits
prints the figures as JSON.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber

from benchmarks.ordinary import WORKLOADS, Made

COUNT, SLICE = 4_000, 100
FIRST, WARM_UP = 500, 20_000
EVERY = {"clean": 0, **dict.fromkeys(WORKLOADS, 0), "mixed": 14, "hits": 1}
"""Every so many records have a secret; none when 0. 1 in 14 is 7 %."""
FILLER = (
    "the shelf was asked twice and answered in time, so the basket of the customer is complete and goes on to the till"
)


def secret(number: int) -> str:
    return f"hunter{number}x"


def message(number: int, *, hit: bool) -> str:
    if hit and number % 2:
        return f"connecting to postgresql://shop:{secret(number)}@db-{number % 7}:5432/orders; {FILLER}"
    return f"order {number} placed in {number % 97} ms, {FILLER}, shelf {number * 31}"


def attributes(number: int, *, hit: bool) -> dict[str, Any]:
    user = {"password": secret(number)} if hit and not number % 2 else {"name": f"user {number}"}
    return {
        "order_id": number,
        "customer": f"c-{number * 7919}",
        "amount": number / 8,
        "path": f"/orders/{number}/items",
        **{f"user_{key}": value for key, value in user.items()},
    }


def made(name: str, number: int, *, hit: bool) -> Made:
    if name in WORKLOADS:
        return WORKLOADS[name](number)
    return message(number, hit=hit), attributes(number, hit=hit)


def workload(name: str) -> list[tuple[int, bool]]:
    every = EVERY[name]
    return [(number, bool(every) and number % every == 0) for number in range(COUNT)]


Scrub = Callable[[Any], Any]
Make = Callable[[Made], Any]


def logspan() -> tuple[Make, Scrub]:
    from logspan.processors.redact import Redactor
    from logspan.record import Record
    from logspan.settings import RedactionSettings

    redactor = Redactor.from_settings(RedactionSettings())

    def make(parts: Made) -> Any:
        return Record(None, SeverityNumber.INFO, "INFO", *parts)

    def scrub(record: Any) -> Any:
        redactor(record)
        return record

    return make, scrub


def logfire() -> tuple[Make, Scrub]:
    from logfire._internal.scrubbing import Scrubber

    def make(parts: Made) -> Any:
        return LogRecord(body=parts[0], attributes=parts[1])

    return make, Scrubber(None).scrub_log


VARIANTS = {"logspan": logspan, "logfire": logfire}


def cpu_us(scrub: Scrub, records: list[Any]) -> tuple[float, list[Any]]:
    gc.disable()
    began = time.process_time_ns()
    scrubbed = [scrub(record) for record in records]
    took = time.process_time_ns() - began
    gc.enable()
    return took / len(records) / 1e3, scrubbed


def measure(variant: str, name: str) -> dict[str, float]:
    """The cost of slices, each scrubbed when it is made, as the delivery worker does: the median of them."""
    make, scrub = VARIANTS[variant]()
    chosen = workload(name)

    def slice_of(taken: list[tuple[int, bool]], beyond: int = 0) -> list[Any]:
        return [make(made(name, number + beyond, hit=hit)) for number, hit in taken]

    first, _ = cpu_us(scrub, slice_of(chosen[:FIRST], WARM_UP))
    for number in range(FIRST, WARM_UP):  # RE2 makes its automaton as it goes: a service has that behind it soon
        scrub(*slice_of([(number, chosen[number % COUNT][1])], WARM_UP))
    costs, hits = [], []
    for start in range(0, COUNT, SLICE):
        taken = chosen[start : start + SLICE]
        cost, scrubbed = cpu_us(scrub, slice_of(taken))
        costs.append(cost)
        hits += [(number, record) for (number, hit), record in zip(taken, scrubbed, strict=True) if hit]
    hidden = sum(secret(number) not in f"{record.body} {dict(record.attributes)}" for number, record in hits)
    figures = {"record_us": statistics.median(costs), "first_us": first}
    return figures | ({"hidden_percent": 100 * hidden / len(hits)} if hits else {})


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
