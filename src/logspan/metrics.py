"""What a pipeline counts, as OTel metrics: https://opentelemetry.io/docs/specs/otel/metrics/api/#asynchronous-counter."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from uuid import uuid4

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from logspan.processors.redact import Redactor

METER = "logspan"
HITS = "logspan.redaction.hits"
FAILURES = "logspan.redaction.failures"
RULE = "logspan.redaction.rule"
"""Attribute: the id of a rule, as it stands in the marker."""


def observe_redaction(provider: MeterProvider, redactor: Redactor) -> None:
    """Have a provider ask how often each rule has found something, 0 for one that never has, and how often one failed.

    A redactor that is gone is no longer observed. Each has a scope of its own, by an attribute: of two observable
    instruments of one name and scope the SDK asks the first only.
    """
    alive = weakref.ref(redactor)

    def hits(options: CallbackOptions) -> Iterable[Observation]:
        del options
        counted = alive()
        if counted is None:
            return
        counts = counted.hits
        for rule in counted.rules:
            yield Observation(counts.get(rule, 0), {RULE: rule})

    def failures(options: CallbackOptions) -> Iterable[Observation]:
        del options
        counted = alive()
        for rule, count in () if counted is None else counted.failures.items():
            yield Observation(count, {RULE: rule})

    meter = provider.get_meter(METER, attributes={"logspan.redactor": uuid4().hex})
    meter.create_observable_counter(HITS, [hits], unit="{hit}", description="What redaction has found, by rule.")
    said = "Values that were replaced as a whole, by the rule that failed on them."
    meter.create_observable_counter(FAILURES, [failures], unit="{value}", description=said)
