"""`allow_all_keys` off: what is not named is left out, unread."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from opentelemetry.util.types import AnyValue


class AllowList:
    """The only keys that stay, in full and as they are written. It fails closed: an empty list leaves nothing."""

    def __init__(self, allowed: Collection[str], ignored: Collection[str]) -> None:
        self._names = frozenset((*allowed, *ignored))
        self._ignored = frozenset(ignored)

    def attributes(self, attributes: Mapping[str, AnyValue]) -> Mapping[str, AnyValue]:
        """Attributes without the others; what their values hold is not looked at."""
        return {key: value for key, value in attributes.items() if key in self._names}

    def body(self, body: AnyValue) -> AnyValue:
        """A body without them at any depth; what is below an ignored key stays."""
        if isinstance(body, dict):
            kept = ((key, value) for key, value in body.items() if key in self._names)
            return {key: value if key in self._ignored else self.body(value) for key, value in kept}
        return [self.body(item) for item in body] if isinstance(body, list) else body
