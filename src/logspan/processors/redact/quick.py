"""One look at everything that a record says: most records need no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.engine import Engine, RuleFailedError
from logspan.processors.redact.walk import VALUES, Key, Tools, is_long, number_text

_PLAIN = frozenset({bool, type(None)})
_MOST_KEYS = 8_192
_JOINT = " ~ "


class QuickLook:
    """Tells records in which a walk would find nothing; it may be wrong about others, never about these.

    It takes records of plain values whose keys say nothing of what they hold, and looks at the very lines that a walk
    would look at: each value with its key in front. One pass over all of them together tells whether any rule may find
    something; only then it looks at each.
    """

    def __init__(self, engine: Engine, tools: Tools) -> None:
        self._engine = engine
        self._look, self._find, self._max_length = tools.look, tools.find, tools.max_length
        self._unremarkable: set[str] = set()

    def finds_nothing(self, texts: Iterable[AnyValue], attributes: Mapping[str, AnyValue]) -> bool:
        """Whether there is nothing to be redacted in texts and attributes."""
        if not self._unremarkable.issuperset(attributes) and not all(map(self._is_unremarkable, attributes)):
            return False
        lines: list[str] = []
        values = [*(("", text) for text in texts), *attributes.items()]
        for key, value in values:
            kind = type(value)
            if kind is str:
                lines.append(f"{key}: {value!s}")
            elif kind is int or kind is float:
                if is_long(value):  # type: ignore[arg-type]
                    lines.append(f"{key}: {number_text(value)}")  # type: ignore[arg-type]
            elif kind not in _PLAIN:
                return False
        joined = _JOINT.join(lines)
        if len(joined) > self._max_length:
            return False
        is_named = self._engine.may_find(joined) or (self._engine.has_own and any(map(self._is_own, values)))
        return not (is_named and any(map(self._finds, values)))

    def _is_own(self, item: tuple[str, AnyValue]) -> bool:
        """Whether an expression of the user's own may find something in a value."""
        text = _text(item[1])
        return text is not None and self._engine.own_may_find(text)

    def _finds(self, item: tuple[str, AnyValue]) -> bool:
        key, value = item
        text = _text(value)
        if text is None:
            return False
        try:
            return bool(self._find(text, key, ours=type(value) is str or is_long(value)))  # type: ignore[arg-type]
        except RuleFailedError:
            return True

    def _is_unremarkable(self, key: str) -> bool:
        plain = self._look(key) == Key() and key.lower() not in VALUES
        if plain and len(self._unremarkable) < _MOST_KEYS:
            self._unremarkable.add(key)
        return plain


def _text(value: AnyValue) -> str | None:
    """What rules see of a plain value."""
    if type(value) is str:
        return value
    return None if type(value) in _PLAIN else number_text(value)  # type: ignore[arg-type]
