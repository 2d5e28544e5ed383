"""All that keys announce in a text. The costly parsers are asked only where a key's word stands as they need it."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from logspan.expressions import pattern_set
from logspan.processors.redact.texts.bindings import bindings
from logspan.processors.redact.texts.declared import blocks, calls, sections
from logspan.processors.redact.texts.siblings import siblings
from logspan.processors.redact.texts.spoken import commanded, led, said, spoken
from logspan.processors.redact.texts.structure import PROSE, assigned, options
from logspan.processors.redact.texts.tables import columns
from logspan.processors.redact.values.acceptance import Judge
from logspan.processors.redact.values.ends import Span

_REST = "[^\\s\\\"'`:=]*"
"""What a key may have behind its word."""
_NO_WORD = (
    r"(?:[^A-Za-z0-9\s]|[A-Za-z][a-z]*(?:[^a-z\s.,:;!?]|[.,:;!?]+[^\s.,:;!?])"
    r"|[A-Za-z][a-z]{19}|[0-9]+[^0-9\s]|[0-9]{6})"
)
"""What begins otherwise than a word or a small number: where a sentence announces a secret, these alone are none."""
_ASSIGNING = (
    r"(?:[\\\"'`\])]*|[ \t]?\([\w .@-]+\)|\[[0-9]+\])"
    "(?:\\s*(?:[=!<>\uff1a\uff1d\u2190-\u27ff]|:(?:[^:/]|$)|-{1,2}>)"
    rf"|[ \t]+(?i:{PROSE})(?:[ \t]*[:=])?[ \t]+{_NO_WORD})"
)
"""All that stands between a key and its value, and a little more."""
_OF_WORDS = rf"(?i:(?:auth|phrase|mnemonic|seed)[^\n]*[ \t]{PROSE}[ \t:=]|cookie[^\n]*[ \t]{PROSE}[ \t:=][^\n]*=)"
"""Secrets that may begin with a word: the scheme of an authorization, a phrase, the first of some cookies."""
_IN_VALUE, _SIGN = r"[^\s\"'`<>{}\[\]\\|]", "[0-9!#$%^&*?@+~\x80-\U0010ffff]"
_SPEAKING = (
    rf"(?:\]?[ \t]+|[ \t]*[|;~/][ \t]*|\r?\n[ \t]*)[\\\"'`]*(?:{_IN_VALUE}{{5}}{_IN_VALUE}*{_SIGN}"
    rf"|{'|'.join(f'{_IN_VALUE}{{{place}}}{_SIGN}{_IN_VALUE}{{{5 - place}}}' for place in range(5))}"
    "|[a-zA-Z]+[a-z][A-Z][a-zA-Z])"
)
"""A value of six characters and more that words alone announce: it has a digit, a sign or a capital in it."""


_SAYING = rf"[^\n]*(?:\n(?:[Nn]ew )?[Vv]alue)?(?: is| was| to|[:=])[\s:=]+{_NO_WORD}"
_SETTING = r"(?i)[ :]set |git config|set-config"
_HOLE = r"\?|%s|\$1|:1"
_WHERE = MappingProxyType({0: assigned, 1: spoken, 2: said, 3: commanded, 4: bindings, 5: led})
"""The parsers by the number of the expression that matches wherever they may find something."""


class Announced:
    """The parser of all that keys announce; `words` is an expression of RE2 for the words that sensitive keys have."""

    def __init__(self, words: str) -> None:
        self._may = pattern_set(
            (
                rf"(?:{words}){_REST}(?: {_REST}){{0,3}}{_ASSIGNING}|{_OF_WORDS}",
                rf"(?:{words})[^\s]*(?:[ \t][^\s]+){{0,2}}{_SPEAKING}",
                rf"(?:{words})[^\s]* (?:[^\s]+ ){{0,3}}(?:for|of|to) {_SAYING}",
                _SETTING,
                _HOLE,
                rf"(?:{words})[^\s\"'`:=]*(?: [^\s]+)?[ ]?\.{{3}}",
            )
        )

    def __call__(self, text: str, judge: Judge) -> Iterator[Span]:
        """Start, end and rule of each value."""
        may = self._may(text) or ()
        yield from siblings(text, judge)
        yield from options(text, judge)
        for number, parse in _WHERE.items():
            if number in may:
                yield from parse(text, judge)
        yield from calls(text, judge)
        if "\n" in text:
            yield from columns(text, judge)
            yield from blocks(text, judge)
            yield from sections(text, judge)
