"""One look at everything that a record says: most records need no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.engine import Engine
from logspan.processors.redact.walk import LEAST_NUMBER, VALUES, Key, Tools, is_long, number_text

_PLAIN = frozenset({bool, type(None)})
_TEXT = frozenset({str, type(None)})
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_SHORT = -LEAST_NUMBER
_MOST_KEYS = 8_192
_JOINT = "\n"
"""What stands between two lines: fewer rules reach over it than over `: `, behind which a value is looked for."""

Place = int | str
"""Where a value stands: the number of a text, or the key of an attribute."""


class QuickLook:
    """Tells which values of a record a walk has to look at; in all others it would find nothing.

    A plain value under a key that says nothing of it is looked at by a walk as one line, with its key in front. All
    these lines of a record go through the sieve at once, and one by one only when that names a rule. A value whose key
    or neighbours say what it is, and one that holds others, is for the walk in any case.
    """

    def __init__(self, engine: Engine, tools: Tools) -> None:
        self._engine = engine
        self._look, self._max_length = tools.look, tools.max_length
        self._has_own = engine.has_own
        self._unremarkable: set[str] = set()

    def suspects(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> set[Place]:
        """The places where something may have to be redacted."""
        nothing = self._says_nothing(texts, attributes)
        if nothing:
            return set()
        found: set[Place] = set()
        lines: list[tuple[Place, str]] = [(number, text) for number, text in enumerate(texts) if type(text) is str]
        found.update(number for number, text in enumerate(texts) if type(text) not in _TEXT)
        for key, value in attributes.items():
            kind = type(value)
            if not self._is_unremarkable(key) or kind not in _SIMPLE:
                found.add(key)
            elif kind is str or (kind not in _PLAIN and is_long(value)):  # type: ignore[arg-type]
                lines.append((key, f"{key}: {value if kind is str else number_text(value)}"))  # type: ignore[arg-type]
        found.update(self._named(lines, asked=nothing is False))
        return found | self._own(texts, attributes) if self._has_own else found

    def _says_nothing(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> bool | None:
        """Whether the sieve names no rule in anything; None where it was not asked, as not all values are plain."""
        if self._has_own or not self._unremarkable.issuperset(attributes):
            return None
        parts: list[AnyValue] = [*texts]
        for key, value in attributes.items():
            kind = type(value)
            if kind is str:
                parts.append(f"{key}: {value}")  # type: ignore[str-bytes-safe]  # it is a text
            elif kind is int or kind is float:
                if not _SHORT < value < LEAST_NUMBER:  # type: ignore[operator]
                    parts.append(f"{key}: {number_text(value)}")  # type: ignore[arg-type]
            elif kind not in _PLAIN:
                return None
        try:
            joined = _JOINT.join(parts)  # type: ignore[arg-type]
        except TypeError:  # a text that is none
            return None
        return len(joined) <= self._max_length and not self._engine.may_find(joined)

    def _named(self, lines: list[tuple[Place, str]], *, asked: bool = False) -> Iterator[Place]:
        """The places of lines in which the sieve names a rule: of most halves it names none."""
        joined = _JOINT.join([line for _, line in lines])
        if not asked and len(joined) <= self._max_length and not self._engine.may_find(joined):
            return
        if len(lines) == 1:
            yield lines[0][0]
            return
        yield from self._named(lines[: len(lines) // 2])
        yield from self._named(lines[len(lines) // 2 :])

    def _own(self, texts: Sequence[AnyValue], attributes: Mapping[str, AnyValue]) -> set[Place]:
        """The places where an expression of the user's own may find something: it is asked about each value alone."""
        values: list[tuple[Place, AnyValue]] = [*enumerate(texts), *attributes.items()]
        return {place for place, value in values if type(value) not in _PLAIN and self._is_own(value)}

    def _is_own(self, value: AnyValue) -> bool:
        text = number_text(value) if isinstance(value, int | float) else value
        return not isinstance(text, str) or len(text) > self._max_length or self._engine.own_may_find(text)

    def _is_unremarkable(self, key: str) -> bool:
        if key in self._unremarkable:
            return True
        plain = self._look(key) == Key() and key.lower() not in VALUES
        if plain and len(self._unremarkable) < _MOST_KEYS:
            self._unremarkable.add(key)
        return plain
