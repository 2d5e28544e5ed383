"""Text that cannot forge what surrounds it: control characters written out, for terminals and for lines in files.

A record holds what users send. A line feed in it would start a line that looks like another record, and escape
sequences or right-to-left overrides rewrite what a reader sees (CWE-117, CWE-150).
"""

from __future__ import annotations

import re

_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"
_INVISIBLE = (
    "\xad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_UNSAFE = _CONTROLS + _BIDI + _INVISIBLE
"""C0, C1, separators of lines, halves of surrogate pairs; what reorders a line; what makes two texts look the same.

Of Unicode's format characters (Cf) the joiners U+200C and U+200D stay, which many scripts and emoji are written with,
and those that are seen (U+0600 and its like).
"""
_NOT_PLAIN = re.compile(f"[\\\\{_UNSAFE}]")
_UNSAFE_IN_JSON = re.compile(f"[{_UNSAFE}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def escape(text: str) -> str:
    """One line that shows every character that is a control, reorders or is invisible as an escape.

    A backslash is doubled, so that an escape can be told from text that looks like one.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return _NOT_PLAIN.sub(lambda match: _SHORT.get(match[0]) or _escaped(match[0]), text)


def escape_keeping_backslashes(text: str) -> str:
    """The same for text in which a backslash is common and nothing is to be told apart: stack traces, paths."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE_IN_JSON.sub(lambda match: _SHORT.get(match[0]) or _escaped(match[0]), text)


def escape_in_json(document: str) -> str:
    """A JSON document with the same characters as JSON's own escapes; outside of strings it has none of them."""
    if document.isascii() and "\x7f" not in document:
        return document
    return _UNSAFE_IN_JSON.sub(lambda match: _in_json(match[0]), document)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _in_json(character: str) -> str:
    """In UTF-16, as RFC 8259 has it: what is beyond U+FFFF is a pair."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
