"""Values beside their names: `name=..., value=...`, pairs, XML, multipart, errors of pydantic, rows of a database.

As in `structure`, each expression begins at a place of its own and takes a bounded look ahead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import MappingProxyType

from logspan.processors.redact.checks import looks
from logspan.processors.redact.texts.structure import value_at
from logspan.processors.redact.values.acceptance import Judge, accepts
from logspan.processors.redact.values.ends import QUOTE, Span

_PAIR = re.compile(
    rf"[(\[{{]\s{{0,8}}[bBuU]?(?P<q>{QUOTE})(?P<key>[^\"'`\\\n]{{1,100}})(?P=q)\s{{0,4}},\s{{0,40}}(?=[bBuU]?\\{{0,8}}[\"'`])"
)
_ATOM_PAIR = re.compile(r"\{\s{0,8}(?P<key>[a-z][a-z0-9_@]{1,60})\s{0,4},\s{0,40}(?=<<\"|[\"'])")
"""A tuple of Erlang or Elixir: `{password,"..."}`, `{password,<<"...">>}`."""
_SERIALIZED = re.compile(r"s:\d{1,4}:\\{0,4}\"(?P<key>[^\"\\]{1,100})\\{0,4}\";s:\d{1,6}:(?=\\{0,4}\")")
_BARE_PAIR = re.compile(r"[({\[](?P<key>[A-Za-z_][\w.-]{1,60}), ?(?P<value>[^\s,;(){}\[\]\"']{6,512})(?=[)}\]])")
_SIBLING = re.compile(
    rf"(?<![A-Za-z0-9])(?:name|(?:parameter)?key|path|field|header|param|parameter|variable|property|attribute|label|k|id)(?:{QUOTE})?\s{{0,4}}[:=]\s{{0,4}}"
    rf"(?:{QUOTE})(?P<key>[^\"'`\\\n<>]{{1,100}})(?:{QUOTE})[\s,;)]{{1,8}}"
    rf"(?:(?:{QUOTE})?(?:type|id|class|in|secure|sensitive)(?:{QUOTE})?\s{{0,4}}[:=]\s{{0,4}}(?:{QUOTE})?[\w-]{{0,40}}(?:{QUOTE})?[\s,;]{{1,8}}){{0,3}}"
    rf"(?:{QUOTE})?(?:(?:parameter|rejected_?)?value|val|v|content|data|input)(?:{QUOTE})?\s{{0,4}}[:=]\s{{0,4}}",
    re.IGNORECASE,
)
_INVALID = re.compile(  # an error of pydantic's, as FastAPI's `exc.errors()` has them
    rf"(?<![A-Za-z0-9])loc(?:{QUOTE})\s{{0,4}}:\s{{0,4}}[(\[](?:[^()\[\]]{{0,200}}[\s,])?(?:{QUOTE})(?P<key>[^\"'`\\\n]{{1,100}})(?:{QUOTE})"
    rf"(?:,\s{{0,4}}\d{{0,9}}){{0,4}}\s{{0,4}}[)\]][^\n]{{0,400}}?(?:{QUOTE})input(?:{QUOTE})\s{{0,4}}:\s{{0,4}}"
)
_INVALID_TEXT = re.compile(  # the same as the exception's text
    r"(?:^|\n)(?P<key>[\w.]{1,100})\n {2}[^\n]{0,400}?\[type=(?!missing\b)\w{1,60}, input_value="
)
_YAML_SIBLING = re.compile(
    r"(?<![A-Za-z0-9])(?:name|key|k):[ \t]{1,4}[\"']?(?P<key>[A-Za-z_][\w.-]{1,100})[\"']?[ \t]{0,4}\r?\n[ \t]{0,40}(?:value|val|v):[ \t]{1,4}",
    re.IGNORECASE,
)
_REVERSED = re.compile(
    rf"(?<![A-Za-z0-9])(?:value|val|content|data)(?:{QUOTE})?\s{{0,4}}[:=]\s{{0,4}}(?P<q>{QUOTE})(?P<value>[^\"'`\\\n]{{1,512}})(?P=q)"
    rf"[\s,;]{{1,8}}(?:{QUOTE})?(?:name|key|field|header|param|parameter|variable|property|k|id)(?:{QUOTE})?\s{{0,4}}[:=]\s{{0,4}}(?:{QUOTE})"
    rf"(?P<key>[^\"'`\\\n]{{1,100}})(?:{QUOTE})",
    re.IGNORECASE,
)
_ELEMENT = re.compile(
    r"<(?P<key>[A-Za-z_][\w.-]{0,63}(?::[\w.-]{1,63})?)(?:\s[^<>]{0,200})?>\s{0,8}(?:<!\[CDATA\[)?(?P<value>[^<]{1,8192}?\s{0,8}(?=\]\]>|</|<!)|[^<\s(][^<\s]{0,8191}$)"
)
_XML_ENTRY = re.compile(
    r"<[A-Za-z][\w.:-]{0,63}\s[^<>]{0,200}?(?:key|name|id)=\\{0,4}[\"'](?P<key>[^\"'<>]{1,100})\\{0,4}[\"'][^<>]{0,200}>\s{0,8}"
    r"(?:<[Vv]alue>\s{0,8})?(?P<value>[^<]{1,8192}?)\s{0,8}</"
)
_BARE_SIBLING = re.compile(
    r"(?<![A-Za-z0-9])(?:Name|(?:Parameter)?Key)=(?P<key>[\w./-]{1,100}),(?:Parameter)?Value=(?P<value>[^\s,\"']{1,512})"
)
"""The shorthand of AWS's command line."""
_LABELLED = re.compile(
    r"(?<![A-Za-z0-9])(?P<field>(?:c6a|cs|cn|cfp|flexString)[0-9])Label=(?P<key>[^\s=|]{1,60})\s[^\n]{0,256}?(?<![A-Za-z0-9])(?P=field)=(?P<value>[^\s|]{1,512})"
)
_LABELLED_BEHIND = re.compile(
    r"(?<![A-Za-z0-9])(?P<field>(?:c6a|cs|cn|cfp|flexString)[0-9])=(?P<value>[^\s|]{1,512})\s(?P=field)Label=(?P<key>[^\s=|]{1,60})"
)
"""Fields of CEF that have their names beside them."""
_XML_PAIR = re.compile(
    r"<(?:key|name|Key|Name)>\s{0,8}(?P<key>[^<>]{1,100})\s{0,8}</(?:key|name|Key|Name)>\s{0,40}<(?:value|Value|string|val)>\s{0,8}(?P<value>[^<]{1,8192}?)\s{0,8}</"
)
_MULTIPART = re.compile(
    r"name=\\{0,8}\"?(?P<key>[\w.\[\]-]{1,100})\\{0,8}\"?[^\n]{0,200}(?:\r?\n[A-Za-z-]{1,40}:[^\n]{0,200}){0,3}\r?\n\r?\n(?P<value>[^\r\n]{1,8192})"
)


def siblings(text: str, judge: Judge) -> Iterator[Span]:
    """`name=..., value=...`, `["name", "value"]`, `<name>value</name>`, parts of multipart forms, errors of pydantic."""
    if _STRUCTURED.search(text) is None:
        return
    for expression in _that_may(_BEFORE_VALUES, text):
        for match in expression.finditer(text):
            found = judge(match["key"])
            span = value_at(text, match.end(), found, "=", quoted=True) if found else None
            if found and span and not (expression in _NO_VALUE and _NO_VALUE[expression](text, *span, judge)):
                yield (*span, found.rule)
    for expression in _that_may(_WITH_VALUES, text):
        for match in expression.finditer(text):
            found = judge(match["key"])
            bare = expression is _BARE_PAIR
            if bare and not any(map(str.isdigit, match["value"])):
                continue
            if found and accepts(match["value"], found, strict=bare):
                yield (*match.span("value"), found.rule)
    yield from _keys_of_rows(text, judge)


def _is_listed(text: str, start: int, end: int, judge: Judge) -> bool:
    """Whether it is the next of several names: `["password", "totp", "webauthn"]`."""
    value = text[start:end]
    is_word = value.islower() and looks.is_word(value.replace("_", ""))
    return is_word and ("_" in value or judge(value) is not None or _MORE.match(text, end) is not None)


_MORE = re.compile(r"\\{0,8}[\"'`]\s{0,4},")


def _is_atom(text: str, start: int, end: int, judge: Judge) -> bool:
    """Whether it is a word of the program: `{token,"expired"}`, `{token, 'EOF'}`."""
    del judge
    value = text[start:end]
    return looks.is_prose(value) or (text[start - 1] == "'" and looks.is_word(value))


def _is_measured(text: str, start: int, end: int, judge: Judge) -> bool:
    """`{"path": "/oauth/token", "value": 12.5}`: what a metric says."""
    del judge
    return _FRACTION.fullmatch(text, start, end) is not None


_FRACTION = re.compile(r"[0-9]{1,9}\.[0-9]{1,12}")
_NO_VALUE = MappingProxyType({_PAIR: _is_listed, _ATOM_PAIR: _is_atom, _SIBLING: _is_measured})
"""By the expression: whether what stands where a secret would stand is none."""


def _keys_of_rows(text: str, judge: Judge) -> Iterator[Span]:
    """PostgreSQL's `Key (tenant, api_token)=(7, ...) already exists.`: names and values in the same order."""
    for match in _ROW_KEY.finditer(text) if ")=(" in text else ():
        end = match.start("values") - 1
        for name, value in zip(match["names"].split(","), match["values"].split(","), strict=False):
            start, end = end + 1, end + 1 + len(value)
            found = judge(name.strip(' "'))
            if found and accepts(value.strip(), found, strict=False):
                yield start + len(value) - len(value.lstrip()), end, found.rule


_ROW_KEY = re.compile(r"\((?P<names>[\w\", .]{1,200})\)=\((?P<values>[^()\n]{1,1024})\)")
_STRUCTURED = re.compile(r"[\"'`<(\[{\n]|Label=|Value=")
_QUOTES = ('"', "'", "`")
_BEFORE_VALUES = (
    *(
        (_PAIR, _QUOTES),
        (_ATOM_PAIR, ("{",)),
        (_SIBLING, _QUOTES),
        (_YAML_SIBLING, ("\n",)),
        (_SERIALIZED, ("s:",)),
        (_INVALID, ("loc",)),
    ),
    (_INVALID_TEXT, ("input_value=",)),
)
_WITH_VALUES = (
    *((_REVERSED, _QUOTES), (_ELEMENT, ("<",)), (_XML_ENTRY, ("<",)), (_XML_PAIR, ("<",)), (_MULTIPART, ("\n",))),
    *(
        (_BARE_PAIR, ("(", "[", "{")),
        (_BARE_SIBLING, ("Value=",)),
        (_LABELLED, ("Label=",)),
        (_LABELLED_BEHIND, ("Label=",)),
    ),
)
"""Expressions, each with what one of has to be in a text for it to match."""


def _that_may(expressions: Iterable[tuple[re.Pattern[str], tuple[str, ...]]], text: str) -> list[re.Pattern[str]]:
    return [expression for expression, needed in expressions if any(sign in text for sign in needed)]
