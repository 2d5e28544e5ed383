"""Finds secrets in a text: one sieve over all of it, then only the rules that the sieve named, then the checks."""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from logspan.expressions import Pattern, sieve
from logspan.processors.redact.checks.places import ALONE
from logspan.processors.redact.checks.validators import VALIDATORS
from logspan.processors.redact.near import near_expression, near_hint
from logspan.processors.redact.repeats import repeats
from logspan.processors.redact.rule import Rule, markers
from logspan.processors.redact.sieve.encoded import decoded_spans, may_hold_encoded
from logspan.processors.redact.sieve.folding import HARD_TO_READ, WRITTEN_OTHERWISE, Folding, fold
from logspan.processors.redact.sieve.ids import Forms
from logspan.processors.redact.sieve.sifted import Sifted, Trial
from logspan.processors.redact.texts.announced import Announced
from logspan.processors.redact.texts.parsers import PARSERS, Parser
from logspan.processors.redact.values.acceptance import Judge
from logspan.processors.redact.values.keys import KeyRules, key_words

_WINDOW = 72
"""Characters in front of a match in which a word counts as near; a third of it behind."""


_Place = TypeVar("_Place")


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
    """The rules, compiled. Nothing in it changes after it was made, but for bounded memories of keys and texts.

    The rules that come with logspan look at a value with its key in front, since the key tells what the value is. An
    expression of the user's own looks at the value alone: its `^` and `$` are the value's ends.
    """

    def __init__(self, rules: Mapping[str, Rule], keys: KeyRules, timeout: float) -> None:
        self._rules = rules
        self._order = {rule: place for place, rule in enumerate(rules)}
        self._timeout = timeout
        self._ours = _Group(
            _finders(rules, keys),
            (keys.hint, *_hints(rules)),
            (keys.hint, *_hints_in_one(rules)),
            ours=not keys.has_patterns,
        )
        self.may_find = self._ours.may_find
        """Whether the rules that come with logspan may find anything in a value with its key in front."""
        self.may_find_in = self._ours.may_find_in
        """The same of several: see `Sifted.may_find`."""
        own = [rule for rule in rules.values() if rule.own and rule.kind != "key"]
        patterns = [rule.pattern for rule in own]
        self._own = _Group([_Matched(rule) for rule in own], patterns, patterns) if own else None

    def rule(self, rule: str) -> Rule:
        """The rule of an id."""
        return self._rules[rule]

    def about(self, key: str) -> tuple[int, ...]:
        """The rules for which a key is the word that has to be near: `ssn`, `user.phone`."""
        return self._ours.near(" ".join(key_words(key)))

    def own_may_find(self, value: str) -> bool:
        """Whether an expression of the user's own may find anything in a value."""
        return self._own is not None and self._own.may_find(value)

    @property
    def has_own(self) -> bool:
        """Whether there are expressions of the user's own: they look at numbers of any size."""
        return self._own is not None

    def find(
        self,
        text: str,
        context: str = "",
        about: tuple[int, ...] = (),
        *,
        ours: bool = True,
        outer: float | None = None,
    ) -> list[Match]:
        """The secrets in a text, in order and apart; `context` is its key, `ours`: not only the user's rules.

        `outer` is for what was decoded: when the text that it stands in has to be done. Raises `RuleFailedError`.
        """
        limit = time.perf_counter() + self._timeout if outer is None else outer
        text = _encodable(text)
        found: list[Match] = []
        if ours:
            ahead = _encodable(f"{context}: ") if context else ""
            found += _behind(len(ahead), self._found_by(self._ours, ahead + text, about, limit, deep=outer is None))
        if self._own is not None:
            found += _behind(0, self._found_by(self._own, text, self._own.near(context), limit, deep=False))
        if not found:
            return found
        again = repeats(text, [(match.start, match.end) for match in found])
        found += [Match(start, end, found[number].rule) for start, end, number in again]
        return _apart(found, self._order, markers(text, self._rules) if "[REDACTED:" in text else ())

    def _found_by(
        self, group: _Group, text: str, about: tuple[int, ...], limit: float, *, deep: bool
    ) -> Iterator[Match]:
        """What the rules of a group find in a text, and in its plain form where it has another one."""
        named = sorted({*group.named(text), *about})
        yield from group.find(named, text, about, limit)
        if deep and group.encoded in named:
            yield from self._decoded(text, limit)
        if group.folded in named:
            plain = fold(text)
            for start, end, rule in group.find(sorted({*group.named(plain.text), *about}), plain.text, about, limit):
                if end > start:
                    yield Match(*plain.origin(start, end), rule)

    def _decoded(self, text: str, limit: float) -> Iterator[Match]:
        """Base64 and hex, one level deep: what holds a secret goes as a whole."""
        for start, end, inner in decoded_spans(text):
            found = self.find(inner, outer=limit)
            if found:
                yield Match(start, end, found[0].rule)


def _finders(rules: Mapping[str, Rule], keys: KeyRules) -> list[_Finder]:
    """The parser of what keys announce, and one for each other rule."""
    announced = _Parsed(Rule("key-value", "parser"), Announced(keys.words), keys.said, rules)
    return [
        announced,
        *(
            _Parsed(rule, PARSERS[rule.parser], keys.said, rules) if rule.kind == "parser" else _Matched(rule)
            for rule in _shapes(rules)
        ),
    ]


def _hints(rules: Mapping[str, Rule]) -> list[str]:
    return [rule.hint or (_hint_of_words(rule) if rule.near else rule.pattern) for rule in _shapes(rules)]


def _hint_of_words(rule: Rule) -> str:
    return f"{near_hint(rule.near)}|{ALONE}(?:{rule.written})" if rule.written else near_hint(rule.near)


def _hints_in_one(rules: Mapping[str, Rule]) -> list[str]:
    """The same where it does not matter which rule is named: the words of all that have some are one hint.

    An automaton has to tell what it may still become at each sign; of fifty hints that all may begin there, that is
    fifty times as much, and a state more for each mixture of them.
    """
    shapes = _shapes(rules)
    words = {word for rule in shapes if not rule.hint for word in rule.near}
    written = [f"{ALONE}(?:{rule.written})" for rule in shapes if rule.written]
    return [near_hint(words), *written, *(rule.hint or rule.pattern for rule in shapes if rule.hint or not rule.near)]


def _shapes(rules: Mapping[str, Rule]) -> list[Rule]:
    return [rule for rule in rules.values() if rule.kind != "key" and not rule.own]


def _behind(ahead: int, found: Iterable[Match]) -> list[Match]:
    """Places in a text that had so many characters in front of it, as far as they are in it."""
    return [Match(max(start - ahead, 0), end - ahead, rule) for start, end, rule in found if end > max(start, ahead)]


def _encodable(text: str) -> str:
    """Lone surrogates, which have no UTF-8 form, as question marks, so that places stay the same."""
    return text if text.isascii() else _SURROGATE.sub("?", text)


_SURROGATE = re.compile("[\ud800-\udfff]")


class _Group:
    """Rules that look at the same texts, one sieve that names any of them, and one that tells which."""

    def __init__(
        self, finders: Sequence[_Finder], hints: Sequence[str], in_one: Sequence[str], *, ours: bool = False
    ) -> None:
        """`hints`: one for each rule; `in_one`: fewer that match wherever one of these does.

        `ours`: nothing of a user's is in them but words.
        """
        self._finders = finders
        self._words = tuple(
            (number, finder.near)
            for number, finder in enumerate(finders)
            if isinstance(finder, _Matched) and finder.near is not None
        )
        self._match = sieve((*hints, WRITTEN_OTHERWISE), alike=ours)
        self._matches_any = sieve((*in_one, HARD_TO_READ), alike=ours)
        self._seen = Forms().ids_alike if ours else _unchanged
        self._fold = Folding()
        sifted = Sifted((*in_one, HARD_TO_READ), self._may_name, self._fold) if ours else None
        self.may_find_in = sifted.may_find if sifted else self._may_find_in
        """The same of several texts: see `Sifted.may_find`."""
        self.folded = len(finders)
        """Beside the numbers of rules: a text reads otherwise than it is written."""
        self.encoded = len(finders) + 1
        """The same of a text in which something looks encoded."""

    def near(self, words: str) -> tuple[int, ...]:
        """The rules for which a word that has to be near is among these."""
        return tuple(number for number, near in self._words if near.search(words)) if words else ()

    def may_find(self, text: str) -> bool:
        """Whether any rule may."""
        return self._may_name(text.encode(errors="replace"))

    def _may_name(self, data: bytes, count: int = 1) -> bool:
        """The same of a text in UTF-8, or of several that are `count` lines together, as it is and as it reads."""
        if self._names(data):
            return True
        if not Folding.differs(data):
            return False
        plain = self._fold.of_lines(data, count)
        return plain is None or self._names(plain)

    def _names(self, data: bytes) -> bool:
        seen = self._seen(data)
        return bool(self._matches_any(seen)) or may_hold_encoded(seen)

    def _may_find_in(self, lines: str, count: int, trial: Trial) -> bool:
        del count, trial
        return self.may_find(lines)

    def named(self, text: str) -> list[int]:
        """The rules that may find something in a text, in any order; `folded` and `encoded` among them."""
        data = self._seen(text.encode())
        named = [*(self._match(data) or ())]
        if not text.isascii():
            named.append(self.folded)
        if may_hold_encoded(data):
            named.append(self.encoded)
        return named

    def find(self, named: Iterable[int], text: str, about: tuple[int, ...], limit: float) -> Iterator[Match]:
        """What these rules find; raises `RuleFailedError` for one that raises, or that is at work after `limit`."""
        for number in named:
            if number >= self.folded:
                return
            finder = self._finders[number]
            try:
                yield from finder.find(text, limit, is_about=number in about)
            except Exception:
                raise RuleFailedError(finder.rule.id) from None
            if time.perf_counter() > limit:
                raise RuleFailedError(finder.rule.id)


def _unchanged(data: bytes) -> bytes:
    return data


class _Finder:
    """One rule at work."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def find(self, text: str, limit: float, *, is_about: bool) -> Iterator[Match]:
        """The places that count; `is_about`: the text's own key is a word that has to be near.

        Raises `TimeoutError` when it is still at work after `limit` (of `time.perf_counter`).
        """
        raise NotImplementedError


class _Matched(_Finder):
    """A rule with an expression."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._pattern: Pattern | None = None
        self._validate = VALIDATORS[rule.validator] if rule.validator else None
        self.near = near_expression(rule.near) if rule.near else None
        self._is_written = re.compile(rule.written).fullmatch if rule.written else None

    def find(self, text: str, limit: float, *, is_about: bool) -> Iterator[Match]:
        pattern = self._pattern
        if pattern is None:  # compiled when it is first asked for: most rules never are
            pattern = self._pattern = Pattern(self.rule.pattern, whole=self.rule.whole)
        for start, end in _in_time(pattern.spans(text), limit):
            if self.near is not None and not (is_about or self._is_meant(self.near, text, start, end)):
                continue
            place = (start, end) if self._validate is None else self._validate(text, start, end)
            if place is not None:
                yield Match(*place, self.rule)

    def _is_meant(self, near: re.Pattern[str], text: str, start: int, end: int) -> bool:
        """Whether a word stands near, and it is not said by a name of its own that a number is something else."""
        if self._is_written is not None and self._is_written(text, start, end) is not None:
            return True
        is_near = near.search(text, max(0, start - _WINDOW), start) or near.search(text, end, end + _WINDOW // 3)
        if not is_near or self.rule.validator not in _UNCHECKED:
            return bool(is_near)
        name = _NAME.search(text, max(0, start - _WINDOW), start)
        return name is None or _SOMETHING_ELSE.search(name[1]) is None or near.search(name[1]) is not None


_UNCHECKED = frozenset({"", "document", "number", "phone-national"})
"""Validators that nearly any number passes."""
_NAME = re.compile(r"[\"']([A-Za-z_][\w.-]{0,40})\\{0,4}[\"']\s{0,4}[:=]\s{0,4}\\{0,4}[\"']?\Z")
_SOMETHING_ELSE = re.compile(
    r"(?i)(?:date|day|time|_at|arrival|departure|check_?in|check_?out|amount|total|price|sum|count|quantity|flight"
    r"|booking|rental|order|invoice|ticket|room|version|expiry|expires|until|zip|postcode|policy|claim|lot|tracking)\Z"
)
"""Names like that of `"arrival": "2025-0714"`."""


class _Parsed(_Finder):
    """A rule with a parser; what the parser finds may go by other rules (those of keys)."""

    def __init__(self, rule: Rule, parse: Parser, judge: Judge, rules: Mapping[str, Rule]) -> None:
        super().__init__(rule)
        self._parse = parse
        self._judge = judge
        self._rules = rules

    def find(self, text: str, limit: float, *, is_about: bool) -> Iterator[Match]:
        del is_about
        for start, end, rule in _in_time(self._parse(text, self._judge), limit):
            if end > start:
                yield Match(start, end, self._rules.get(rule, self.rule))


def _in_time(places: Iterable[_Place], limit: float) -> Iterator[_Place]:
    for place in places:
        if time.perf_counter() > limit:
            raise TimeoutError
        yield place


def _apart(found: list[Match], order: Mapping[str, int], marked: Iterable[tuple[int, int]]) -> list[Match]:
    """In order, without overlap: places that touch become one, named after the rule that comes first."""
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
