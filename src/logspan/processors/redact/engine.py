"""Finds secrets in a text: one sieve over all of it, then only the rules that the sieve named, then the checks."""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from logspan.expressions import Pattern, pattern_set
from logspan.processors.redact.encoded import decoded_spans
from logspan.processors.redact.folding import Plain, fold, needs_folding
from logspan.processors.redact.keys import KeyRules, key_words, sieve_expression
from logspan.processors.redact.parsers import PARSERS
from logspan.processors.redact.rule import LONG_RUN, Rule, markers
from logspan.processors.redact.validators import VALIDATORS

_WINDOW = 72
"""Characters in front of a match in which a word counts as near; a third of it behind."""
_CHECK_EVERY = 256


class RuleFailedError(Exception):
    """A rule raised, or there was no time left for it. Holds its id, and nothing of the text."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Match(NamedTuple):
    """A secret at a place in a text."""

    start: int
    end: int
    rule: Rule


class Engine:
    """The rules, compiled. Nothing in it changes after it was made, but for bounded memories of what keys mean."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        keys: KeyRules,
        blocked: Iterable[Rule],
        blocked_keys: Iterable[str],
        timeout: float,
    ) -> None:
        self._keys = keys
        self._rules = {**rules, **{rule.id: rule for rule in blocked}}
        self._order = {rule: place for place, rule in enumerate(self._rules)}
        self._timeout = timeout
        key_values = Rule("key-value", "parser", parser="key-values")
        finders: list[_Finder] = [_Parsed(key_values, keys.judge, self._rules)]
        hints = [sieve_expression({name: rule for name, rule in rules.items() if rule.kind == "key"}, blocked_keys)]
        for rule in self._rules.values():
            if rule.kind != "key":
                finders.append(_Parsed(rule, keys.judge, self._rules) if rule.kind == "parser" else _Matched(rule))
                hints.append(rule.hint or (near_hint(rule.near) if rule.near else rule.pattern))
        self._finders: Sequence[_Finder] = tuple(finders)
        self._encoded = len(finders)
        self._near = tuple(
            (number, finder.near)
            for number, finder in enumerate(finders)
            if isinstance(finder, _Matched) and finder.near is not None
        )
        self.match = _Sieve((*hints, LONG_RUN))
        """The sieve: given a text, which rules may find something in it."""

    def rule(self, rule: str) -> Rule:
        """The rule of an id."""
        return self._rules[rule]

    def about(self, key: str) -> tuple[int, ...]:
        """The rules for which a key is the word that has to be near: `ssn`, `user.phone`."""
        words = " ".join(key_words(key))
        return tuple(number for number, near in self._near if near.search(words))

    def named(self, text: str) -> Sequence[int] | None:
        """The rules that may find something in a text; None where it reads otherwise than it is written."""
        return None if needs_folding(text) else self.match(text)

    def finds(self, text: str, named: Iterable[int]) -> bool:
        """Whether one of these rules finds anything in a text that need not be folded, or fails."""
        limit = time.perf_counter() + self._timeout
        try:
            return next(self._found_by(named, text, (), limit, deep=True), None) is not None
        except RuleFailedError:
            return True

    def find(self, text: str, about: tuple[int, ...] = (), *, deep: bool = True) -> list[Match]:
        """The secrets in a text, in order and apart. Raises `RuleFailedError`."""
        limit = time.perf_counter() + self._timeout
        text = _encodable(text)
        found = list(self._find_in(text, about, limit, deep=deep))
        if needs_folding(text):
            plain = fold(text)
            found += self._from_plain(plain, about, limit)
        return _apart(found, self._order, markers(text, self._rules) if "[REDACTED:" in text else ())

    def _from_plain(self, plain: Plain, about: tuple[int, ...], limit: float) -> Iterator[Match]:
        for start, end, rule in self._find_in(plain.text, about, limit, deep=False):
            if end > start:
                yield Match(*plain.origin(start, end), rule)

    def _find_in(self, text: str, about: tuple[int, ...], limit: float, *, deep: bool) -> Iterator[Match]:
        named = {*self.match(text), *about}
        if named:
            yield from self._found_by(sorted(named), text, about, limit, deep=deep)

    def _found_by(
        self, numbers: Iterable[int], text: str, about: tuple[int, ...], limit: float, *, deep: bool
    ) -> Iterator[Match]:
        for number in numbers:
            if number == self._encoded:
                if deep:
                    yield from self._decoded(text)
                continue
            finder = self._finders[number]
            try:
                for count, match in enumerate(finder.find(text, is_about=number in about)):
                    yield match
                    if count % _CHECK_EVERY == 0 and time.perf_counter() > limit:
                        raise TimeoutError  # noqa: TRY301 - told like any failure of the rule
            except Exception:
                raise RuleFailedError(finder.rule.id) from None
            if time.perf_counter() > limit:
                raise RuleFailedError(finder.rule.id)

    def _decoded(self, text: str) -> Iterator[Match]:
        """Base64 and hex, one level deep: what holds a secret goes as a whole."""
        for start, end, inner in decoded_spans(text):
            found = self.find(inner, deep=False)
            if found:
                yield Match(start, end, found[0].rule)


def _encodable(text: str) -> str:
    """Lone surrogates, which have no UTF-8 form, as question marks, so that places stay the same."""
    return text if text.isascii() else _SURROGATE.sub("?", text)


_SURROGATE = re.compile("[\ud800-\udfff]")


class _Sieve:
    """All hints at once: given a text, the numbers of those that are found in it.

    LONG_RUN is looked for apart: it counts characters, and joined with the others it would multiply the states of the
    automaton, which grows with every new text then.
    """

    def __init__(self, hints: Sequence[str]) -> None:
        self._joined = [number for number, hint in enumerate(hints) if hint != LONG_RUN]
        self._runs = [number for number, hint in enumerate(hints) if hint == LONG_RUN]
        self._match = pattern_set(tuple(hints[number] for number in self._joined))
        self._match_run = pattern_set((LONG_RUN,))

    def __call__(self, text: str) -> list[int]:
        found = [self._joined[place] for place in self._match(text) or ()]
        if self._match_run(text):
            found += self._runs
        return found


class _Finder:
    """One rule at work."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def find(self, text: str, *, is_about: bool) -> Iterator[Match]:
        """The places that count; `is_about`: the text's own key is a word that has to be near."""
        raise NotImplementedError


class _Matched(_Finder):
    """A rule with an expression."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._pattern: Pattern | None = None
        self._validate = VALIDATORS[rule.validator] if rule.validator else None
        self.near = near_expression(rule.near) if rule.near else None

    def find(self, text: str, *, is_about: bool) -> Iterator[Match]:
        pattern = self._pattern
        if pattern is None:  # compiled when it is first asked for: most rules never are
            pattern = self._pattern = Pattern(self.rule.pattern, whole=self.rule.whole)
        for start, end in pattern.spans(text):
            if self.near is not None and not is_about and not self._is_near(self.near, text, start, end):
                continue
            place = (start, end) if self._validate is None else self._validate(text, start, end)
            if place is not None:
                yield Match(*place, self.rule)

    @staticmethod
    def _is_near(near: re.Pattern[str], text: str, start: int, end: int) -> bool:
        return near.search(text, max(0, start - _WINDOW), start) is not None or (
            near.search(text, end, end + _WINDOW // 3) is not None
        )


class _Parsed(_Finder):
    """A rule with a parser; what the parser finds may go by other rules (those of keys)."""

    def __init__(self, rule: Rule, judge: Callable[[str], tuple[str, int] | None], rules: Mapping[str, Rule]) -> None:
        super().__init__(rule)
        self._parse = PARSERS[rule.parser]
        self._judge = judge
        self._rules = rules

    def find(self, text: str, *, is_about: bool) -> Iterator[Match]:
        del is_about
        for start, end, rule in self._parse(text, self._judge):
            if end > start:
                yield Match(start, end, self._rules.get(rule, self.rule))


def near_expression(words: Iterable[str]) -> re.Pattern[str]:
    """Words as they stand in prose, in keys and in `camelCase`."""
    spelled = "|".join(sorted((r"[\s_.'-]{0,2}".join(map(re.escape, word.split(" "))) for word in words), reverse=True))
    return re.compile(rf"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:{spelled})s?(?![a-z])")


def near_hint(words: Iterable[str]) -> str:
    """The same for the sieve, which has no look-around: a little more than these."""
    spelled = "|".join(r"[\s_.'-]{0,2}".join(map(re.escape, word.split(" "))) for word in sorted(words))
    return rf"(?:^|[^A-Za-z])(?i:{spelled})s?(?:$|[^a-z])|[a-z](?:{_capitals(words)})"


def _capitals(words: Iterable[str]) -> str:
    spelled = {form for word in words for form in (word.title().replace(" ", ""), word.upper().replace(" ", ""))}
    return "|".join(sorted(map(re.escape, spelled)))


def _apart(found: list[Match], order: Mapping[str, int], marked: Iterable[tuple[int, int]]) -> list[Match]:
    """In order, without overlap: places that touch become one, named after the rule that comes first."""
    if not found:
        return found
    found.sort(key=lambda match: (match.start, -match.end))
    merged = [found[0]]
    for match in found[1:]:
        last = merged[-1]
        if match.start >= last.end:
            merged.append(match)
        elif match.end > last.end:
            first = min(last.rule, match.rule, key=lambda rule: order.get(rule.id, 0))
            merged[-1] = Match(last.start, match.end, first)
    return _outside(merged, list(marked))


def _outside(found: list[Match], marked: list[tuple[int, int]]) -> list[Match]:
    """Without what lies within a marker that stands there already."""
    if not marked:
        return found
    starts = [start for start, _ in marked]

    def inside(match: Match) -> bool:
        place = bisect_left(starts, match.start + 1) - 1
        return place >= 0 and match.end <= marked[place][1]

    return [match for match in found if not inside(match)]
