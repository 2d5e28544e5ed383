"""Text that cannot forge what surrounds it: control characters written out, for terminals and for lines in files.

A record holds what users send. A line feed in it would start a line that looks like another record, and escape
sequences or right-to-left overrides rewrite what a reader sees (CWE-117, CWE-150).
"""

from __future__ import annotations

import re

_UNSAFE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_NOT_PLAIN = re.compile(f"[\\\\{_UNSAFE}]")
_UNSAFE_IN_JSON = re.compile(f"[{_UNSAFE}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def escape(text: str) -> str:
    """One line that shows every control character (C0, C1, bidirectional, line separators) as an escape.

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
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
