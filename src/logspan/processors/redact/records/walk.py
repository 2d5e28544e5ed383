"""One walk through a record's values: what goes by its key, what by its place beside a name, what by its shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from opentelemetry.util.types import AnyValue

from logspan.processors.redact.engine import Match, RuleFailedError
from logspan.processors.redact.finding import FAILED, Finding
from logspan.processors.redact.records.fields import VALUES, is_cookie, names_in
from logspan.processors.redact.records.sequences import has_key_lines, is_command, named_in_pairs, shares
from logspan.processors.redact.records.templates import names_arguments, names_of_arguments
from logspan.processors.redact.rule import Rule, marker
from logspan.processors.redact.rules.keys import PLURALS
from logspan.processors.redact.texts.header_values import is_named, is_preference
from logspan.processors.redact.values.acceptance import Judged, accepts
from logspan.processors.redact.values.descriptions import is_description
from logspan.values import CUT, MAX_TEXT, clean_value, cut_text

_MAX_DEPTH = 40
"""Deeper than anything that capture lets in; what is below is cut, never passed through."""
_PLAIN = frozenset({bool, type(None)})
LEAST_NUMBER = 10**8
_NAME = re.compile(r"-{0,2}[A-Za-z][\w.$:-]{0,63}")


class Key(NamedTuple):
    """What is known of a key."""

    rule: Rule | None = None
    """The rule for its value."""
    weak: int = 0
    """How much the value has to look like a secret: see `Judged`."""
    about: tuple[int, ...] = ()
    """The rules that it is a near word of."""
    ignored: bool = False
    allowed: bool = False
    """Whether the value is looked at as if it stood under no name."""
    plain: bool = True
    """Whether there is no secret in the key itself."""


_Holes = list[tuple[str, tuple[str, Key] | None]]
"""What the arguments of a template are called, and what it says of them."""


class Tools(NamedTuple):
    """What a walk works with; one for all walks of a redactor."""

    look: Callable[[str], Key]
    find: Callable[..., list[Match]]
    """`Engine.find`, without what is allowed."""
    replace: Callable[[Rule, str, str], str]
    """Given a rule, a secret and the tenant, what stands in its place."""
    fail: Callable[[str], object]
    allows: Callable[[str], bool]
    """Whether a value stays under any key."""
    max_length: int = MAX_TEXT


Ready = dict[tuple[str, str], list[Match] | RuleFailedError]
"""What has been found already in a text under a key, or the rule that failed on it."""


class Walk:
    """Makes the values of one record anew without secrets, and notes what it took out."""

    def __init__(self, tools: Tools, tenant: str = "", ready: Ready | None = None, *, explains: bool = False) -> None:
        self._look, self._find, self._replace, self._fail, self._allows, self._max_length = tools
        self._tenant = tenant
        self._explains = explains
        self._ready: Ready = {} if ready is None else ready
        self._made: set[str] = set()
        self.findings: list[Finding] = []

    def mapping(
        self,
        mapping: Mapping[str, AnyValue],
        path: str = "",
        context: str = "",
        depth: int = 0,
        only: Container[str | int] | None = None,
    ) -> dict[str, AnyValue]:
        """A mapping anew; of two keys that are the same without their secrets, both stay.

        `only`: the keys whose values have to be looked at; None: all.
        """
        redacted: dict[str, AnyValue] = {}
        asked = mapping if only is None else [key for key in mapping if key in only]
        sibling = self._sibling(mapping) if any(key.lower() in VALUES for key in asked) else None
        holes = self._holes(mapping, asked) if len(mapping) > 1 else {}
        if "kty" in mapping:
            context = "jwk"  # RFC 7517: its parts have names of one letter
        for key, value in mapping.items():
            if only is not None and key not in only and key not in redacted:
                redacted[key] = value
                continue
            known = self._look(key)
            if known.rule is None and context and not known.allowed and _NAME.fullmatch(key):
                known = self._look_below(context, key, known)
            name = key if known.plain else self.text(key, path)
            if name in redacted:
                name = f"{name}#{len(redacted)}"
            inner = (f"{path}.{name}" if path else name) if self._explains else ""
            if sibling is not None and key.lower() in VALUES and not isinstance(value, float):
                redacted[name] = self._under(sibling[1], value, inner, sibling[0], depth)
            elif key in holes:
                redacted[name] = self._arguments(holes[key], value, inner, depth)
            else:
                redacted[name] = self._under(known, value, inner, f"{context}.{key}" if context else key, depth)
        return redacted

    def _look_below(self, context: str, key: str, known: Key) -> Key:
        """`{"session": {"id": ...}}` is what `session.id` is."""
        both = self._look(f"{context.rpartition('.')[2]}.{key}")
        return known._replace(rule=both.rule, weak=both.weak, about=both.about) if both.rule or both.about else known

    def _under(self, key: Key, value: AnyValue, path: str, context: str, depth: int) -> AnyValue:
        if key.ignored:
            return value
        if key.rule is None or value is None or value == "":
            return self.value(value, path, "" if key.allowed else context, depth, key.about)
        return self._by_key(key, value, path, context, depth)

    def _by_key(self, key: Key, value: AnyValue, path: str, context: str, depth: int) -> AnyValue:
        """The value of a key that a rule names: as a whole, unless it only stands where a secret would stand."""
        rule = key.rule
        if rule is None or value is None or value in ({}, []):
            return value
        if not rule.own:
            if isinstance(value, bool):
                return value
            if isinstance(value, list) and key.weak:
                return self._each(key, value, path, context, depth)
            if self._is_spared(key, value, context):
                return self.value(value, path, "cookie" if rule.id == "cookie" else context, depth, key.about)
        if isinstance(value, dict | list):
            return self._in_one(key, rule, value, path, depth)
        text = _text(value)
        if self._allows(text):
            return value
        try:
            replaced = self._replaced(rule, text)
        except RuleFailedError:
            return self._failed(rule.id, path, text)
        self._note(rule, path, 0, len(text))
        return replaced

    def _in_one(self, key: Key, rule: Rule, value: AnyValue, path: str, depth: int) -> AnyValue:
        """A mapping or a list as a whole, but for cookies with their names."""
        is_jar = rule.id == "cookie" and depth <= _MAX_DEPTH
        if is_jar and isinstance(value, list) and all(map(is_cookie, value)):
            return [self._cookie(key, item, path, depth) for item in value]
        named = named_in_pairs(value) if is_jar else None
        if named is not None:
            jar = self._jar(key, named, path, depth)
            return jar if isinstance(value, dict) else [[name, item] for name, item in jar.items()]
        self._note(rule, path, 0, len(str(value)))
        return marker(rule.id)

    @staticmethod
    def _is_spared(key: Key, value: AnyValue, context: str) -> bool:
        """Whether a value only stands where a secret would stand: then it is looked at like any other."""
        if key.rule is None:
            return True
        if isinstance(value, dict | list):
            are_named = key.rule.id == "cookie" and all(isinstance(item, str) and is_named(item) for item in value)
            return bool(key.weak) or are_named or is_description(value, key.rule.id)
        if key.rule.id == "cookie" and is_named(_text(value)):
            return True
        is_count = not isinstance(value, str | bytes) and context.lower().endswith(PLURALS)
        return is_count or not accepts(_text(value), Judged(key.rule.id, key.weak), strict=False)

    def _each(self, key: Key, items: Sequence[AnyValue], path: str, context: str, depth: int) -> AnyValue:
        """Under a key that may mean something else: of a list, what looks like a secret."""
        if depth > _MAX_DEPTH:
            return CUT
        places = zip(items, self._inner(path, len(items)), strict=True)
        return [self._by_key(key, item, place, context, depth + 1) for item, place in places]

    def _jar(self, key: Key, jar: Mapping[str, AnyValue], path: str, depth: int) -> dict[str, AnyValue]:
        """Cookies by their names: all but those that nobody is recognised by."""
        return {
            name if self._look(name).plain else self.text(name, path): value
            if isinstance(value, str) and self._look(name).rule is None and is_preference(value)
            else self._by_key(key, value, f"{path}.{name}" if self._explains else "", name, depth + 1)
            for name, value in jar.items()
        }

    def _cookie(self, key: Key, cookie: Mapping[str, AnyValue], path: str, depth: int) -> AnyValue:
        """`{"name": "sid", "value": "...", "path": "/"}`, as browsers' tools write them."""
        said = self.mapping({field: item for field, item in cookie.items() if field != "value"}, path, "", depth + 1)
        (kept,) = self._jar(key, {str(cookie["name"]): cookie["value"]}, path, depth).values()
        return {**said, "value": kept}

    def value(
        self, value: AnyValue, path: str = "", context: str = "", depth: int = 0, about: tuple[int, ...] = ()
    ) -> AnyValue:
        """Any value anew; `context` is the key that it stands under."""
        kind = type(value)
        if kind is str:
            return self.text(value, path, context, about)  # type: ignore[arg-type]
        if kind is int or kind is float:
            return self._number(value, path, context, about)  # type: ignore[arg-type]
        if kind in _PLAIN:
            return value
        if depth > _MAX_DEPTH:
            return CUT
        if kind is dict:
            return self.mapping(value, path, context, depth + 1)  # type: ignore[arg-type]
        if kind is list:
            return self._list(value, path, context, depth + 1, about)  # type: ignore[arg-type]
        if kind is bytes:
            return self._bytes(value, path, context, about)  # type: ignore[arg-type]
        return self.value(clean_value(value), path, context, depth + 1, about)  # put there after the capture

    def text(self, text: str, path: str = "", context: str = "", about: tuple[int, ...] = ()) -> str:
        """A text without its secrets; as a whole replaced when a rule fails on it."""
        if len(text) > self._max_length and not text.endswith(CUT):
            text = cut_text(text, self._max_length)
        try:
            found = self._found(text, context, about)
            return self._cut_out(text, found, path) if found else text
        except RuleFailedError as failure:
            return self._failed(failure.rule, path, text)

    def _found(self, text: str, context: str, about: tuple[int, ...], *, ours: bool = True) -> list[Match]:
        """What a look at the record has found already: it looks where a key says nothing of its value."""
        found = self._ready.get((text, context)) if ours and not about else None
        if isinstance(found, RuleFailedError):
            raise found
        return self._find(text, context, about, ours=ours) if found is None else found

    def _failed(self, rule: str, path: str, text: str) -> str:
        """What stands in the place of a value on which a rule has failed."""
        self._fail(rule)
        self.findings.append(Finding(rule, path, 0, len(text), FAILED))
        return marker(f"{rule}-failed")

    def _cut_out(self, text: str, found: Sequence[Match], path: str) -> str:
        parts: list[str] = []
        position = 0
        for start, end, rule in found:
            replaced = self._replaced(rule, text[start:end])
            parts += (text[position:start], replaced)
            if replaced != text[start:end]:
                self._note(rule, path, start, end)
            position = end
        return "".join((*parts, text[position:]))

    def _replaced(self, rule: Rule, secret: str) -> str:
        """What stands in its place; a list of arguments is looked at twice, and a token is not tokenized again."""
        if secret in self._made:
            return secret
        try:
            made = self._replace(rule, secret, self._tenant)
        except Exception:
            raise RuleFailedError(rule.id) from None
        self._made.add(made)
        return made

    def _number(self, number: float, path: str, context: str, about: tuple[int, ...]) -> AnyValue:
        """A card or a social security number may be kept as an integer, or have become a float on its way."""
        text = number_text(number)
        try:
            found = self._found(text, context, about, ours=is_long(number))
            return self._cut_out(text, found, path) if found else number
        except RuleFailedError as failure:
            return self._failed(failure.rule, path, text)

    def _bytes(self, value: bytes, path: str, context: str, about: tuple[int, ...]) -> AnyValue:
        try:
            text, encoding = value.decode(), "utf-8"
        except UnicodeDecodeError:
            text, encoding = value.decode("latin-1"), "latin-1"
        redacted = self.text(text, path, context, about)
        return value if redacted == text else redacted.encode(encoding, "replace")

    def _list(
        self, items: list[AnyValue], path: str, context: str, depth: int, about: tuple[int, ...]
    ) -> list[AnyValue]:
        if has_key_lines(items):
            items = self._together(items, "\n", path, to_the_end=False)
        pairs = len(items) > 0 and all(isinstance(item, list) and len(item) == 2 for item in items)
        redacted: list[AnyValue] = []
        before: AnyValue = None
        for number, item in enumerate(items):
            inner = f"{path}[{number}]" if self._explains else ""
            if pairs:
                redacted.append(self._pair(item, inner, context, depth))  # type: ignore[arg-type]
                continue
            named = self._named(before, item) if redacted else None
            if named is None:
                redacted.append(self.value(item, inner, context, depth, about))
            else:
                redacted.append(self._by_key(named, item, inner, _text(before), depth))
            before = item
        return self._together(redacted, " ", path, to_the_end=True) if is_command(redacted, context) else redacted

    def _together(self, items: list[str], joint: str, path: str, *, to_the_end: bool) -> list[AnyValue]:
        """Texts that are one text: each without its part of what is found in the whole."""
        redacted: list[AnyValue] = list(items)
        try:
            found = self._find(joint.join(items)[: self._max_length])
            for number, matches in shares(items, found, to_the_end=to_the_end).items():
                inner = f"{path}[{number}]" if self._explains else ""
                redacted[number] = self._cut_out(items[number], matches, inner)
        except RuleFailedError as failure:
            return [self._failed(failure.rule, path, joint.join(items))] * len(items)
        return redacted

    def _pair(self, pair: list[AnyValue], path: str, context: str, depth: int) -> AnyValue:
        """One of a list of `[name, value]`."""
        name, item = pair
        known = self._look(_text(name)) if isinstance(name, str | bytes) and len(name) <= 100 else None
        if known is None:
            return self._list(pair, path, context, depth + 1, ())
        inner = f"{path}[1]" if self._explains else ""
        return [self.value(name, path, "", depth), self._under(known, item, inner, _text(name), depth)]

    def _named(self, name: AnyValue, item: AnyValue) -> Key | None:
        """`["password", "hunter2"]`, `["--token", "abc"]`: what the item before says of this one."""
        if not isinstance(name, str | bytes) or not isinstance(item, str | bytes | int):
            return None
        text = _text(name)
        if not _NAME.fullmatch(text):
            return None
        known = self._look(text.lstrip("-"))
        value = _text(item)
        is_option = text.startswith("-") and not value.startswith("-")
        if known.rule is None or not (is_option or any(map(str.isdigit, value)) or " " in value):
            return None
        return known if is_option or self._look(value).rule is None else None

    def _sibling(self, mapping: Mapping[str, AnyValue]) -> tuple[str, Key] | None:
        """`{"name": "password", "value": "hunter2"}`: what the name says of the value; of several, the one that does.

        An error of pydantic's says the same with `loc` and `input`.
        """
        known = [(name, self._look(name)) for name in names_in(mapping)]
        return next((pair for pair in known if pair[1].rule or pair[1].about), known[0] if known else None)

    def _holes(self, mapping: Mapping[str, AnyValue], asked: Iterable[str]) -> dict[str, _Holes]:
        """A template and its arguments: for each argument, what the template says of it."""
        arguments = [key for key in asked if isinstance(mapping[key], list | dict) and names_arguments(key)]
        for names in names_of_arguments(mapping) if arguments else ():
            holes = [(name, self._said(word)) for name, word in names]
            if any(said for _, said in holes):
                return dict.fromkeys(arguments, holes)
        return {}

    def _said(self, word: str) -> tuple[str, Key] | None:
        known = self._look(word)
        return (word, known) if known.rule or known.about else None

    def _arguments(self, holes: _Holes, value: AnyValue, path: str, depth: int) -> AnyValue:
        """By their names, or in their order."""
        if isinstance(value, dict):
            redacted = self.mapping(value, path, "", depth + 1)
            for name, said in holes:
                if said and name in value and redacted.get(name) == value[name]:
                    inner = f"{path}.{name}" if self._explains else ""
                    redacted[name] = self._under(said[1], value[name], inner, said[0], depth + 1)
            return redacted
        items = value if isinstance(value, list) else []
        said_of = [said for _, said in holes[: len(items)]] + [None] * (len(items) - len(holes))
        return [
            self._under(said[1], item, inner, said[0], depth + 1) if said else self.value(item, inner, "", depth + 1)
            for item, said, inner in zip(items, said_of, self._inner(path, len(items)), strict=True)
        ]

    def _inner(self, path: str, count: int) -> list[str]:
        return [f"{path}[{number}]" if self._explains else "" for number in range(count)]

    def _note(self, rule: Rule, path: str, start: int, end: int) -> None:
        self.findings.append(Finding(rule.id, path, start, end, rule.action))


def is_long(number: float) -> bool:
    """Whether it has as many digits as what rules look for."""
    return not -LEAST_NUMBER < number < LEAST_NUMBER


def number_text(number: float) -> str:
    """A number as rules see it."""
    return str(number).removesuffix(".0")


def _text(value: AnyValue) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
