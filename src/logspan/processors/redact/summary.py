"""Attributes that tell, on a record itself, how much was taken out of it, named as in the Collector's processor.

https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/processor/redactionprocessor
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.finding import Finding


def summarise(
    level: str,
    before: Mapping[str, AnyValue],
    after: Mapping[str, AnyValue],
    body: Sequence[Finding],
    attributes: Sequence[Finding],
    safe: Callable[[str], str],
) -> dict[str, AnyValue]:
    """`info`: how many places were redacted, attributes masked and left out; `debug`: the keys of these as well.

    `safe` gives a key without the secrets in it.
    """
    removed = sorted(key for key in before if key not in after)
    masked = sorted(
        key for key, value in after.items() if key in before and value is not before[key] and value != before[key]
    )
    counts = {
        "redaction.redacted.count": len(body) + len(attributes) + len(removed),
        "redaction.masked.count": len(masked),
        "redaction.body.masked.count": len(body),
    }
    summary: dict[str, AnyValue] = {name: count for name, count in counts.items() if count}
    if level == "debug":
        keys = {"redaction.redacted.keys": removed, "redaction.masked.keys": masked}
        summary |= {name: ",".join(map(safe, names)) for name, names in keys.items() if names}
    return summary
