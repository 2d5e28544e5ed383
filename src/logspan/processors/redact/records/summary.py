"""Attributes that tell, on a record itself, how much was taken out of it, named as in the Collector's processor.

https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/processor/redactionprocessor
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from opentelemetry.util.types import AnyValue

Safe = Callable[[str], str]
"""Gives a key without the secrets in it."""


class Change(NamedTuple):
    """A value as it came, without the keys that an allow list leaves out, and redacted; the last two of one shape."""

    before: AnyValue
    kept: AnyValue
    after: AnyValue


def summarise(
    level: str, attributes: Change, body: Change, places: int, ignored: Collection[str], safe: Safe
) -> dict[str, AnyValue]:
    """`info`: how many places were redacted, keys left out, masked and ignored; `debug`: the names of keys as well.

    `places` is how many secrets were found. Keys of a body are paths: `user.notes.[0]`.
    """
    left_out, body_left_out = _left_out(attributes, safe), sorted(_missing(body.before, body.kept, "", safe))
    keys = {
        "redaction.redacted": left_out,
        "redaction.masked": _masked(attributes),
        "redaction.body.redacted": body_left_out,
        "redaction.body.masked": sorted(_changed(body.kept, body.after, "")),
    }
    counts = {f"{name}.count": len(names) for name, names in keys.items()}
    counts["redaction.redacted.count"] = places + len(left_out) + len(body_left_out)
    counts["redaction.ignored.count"] = len(_mapping(attributes.before).keys() & set(ignored))
    summary: dict[str, AnyValue] = {name: count for name, count in counts.items() if count}
    if level == "debug":
        summary |= {f"{name}.keys": ",".join(names) for name, names in keys.items() if names}
    return summary


def _left_out(attributes: Change, safe: Safe) -> list[str]:
    kept = _mapping(attributes.kept)
    return sorted(safe(key) for key in _mapping(attributes.before) if key not in kept)


def _masked(attributes: Change) -> list[str]:
    pairs = zip(_mapping(attributes.kept).items(), _mapping(attributes.after).items(), strict=True)
    return sorted(name for before, (name, value) in pairs if not _is_same(before, (name, value)))


def _missing(before: AnyValue, kept: AnyValue, path: str, safe: Safe) -> Iterator[str]:
    """The paths of the keys that were left out, at any depth."""
    if isinstance(before, Mapping) and isinstance(kept, Mapping):
        for key, value in before.items():
            below = _joined(path, safe(key))
            if key in kept:
                yield from _missing(value, kept[key], below, safe)
            else:
                yield below
    elif isinstance(before, list) and isinstance(kept, list):
        for number, (item, rest) in enumerate(zip(before, kept, strict=True)):
            yield from _missing(item, rest, _joined(path, f"[{number}]"), safe)


def _changed(kept: AnyValue, after: AnyValue, path: str) -> Iterator[str]:
    """The paths of the values that were redacted, by the names that the keys have now; `body` is all of it."""
    if isinstance(kept, Mapping) and isinstance(after, Mapping):
        for value, (name, redacted) in zip(kept.values(), after.items(), strict=True):
            yield from _changed(value, redacted, _joined(path, name))
    elif isinstance(kept, list) and isinstance(after, list):
        for number, (item, redacted) in enumerate(zip(kept, after, strict=True)):
            yield from _changed(item, redacted, _joined(path, f"[{number}]"))
    elif not _is_same(kept, after):
        yield path or "body"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_same(one: object, other: object) -> bool:
    """NaN is the same as itself."""
    return one is other or one == other


def _mapping(value: AnyValue) -> Mapping[str, AnyValue]:
    return value if isinstance(value, Mapping) else {}
