"""Where a line speaks of a program, and what looks assigned is part of that."""

from __future__ import annotations

import re

from logspan.processors.redact.checks import looks

_NEAR = 512
_RUN = re.compile(r"[^\s\"'{}\[\](),:=]{8,512}")
_ERROR = re.compile(r"(?:\w{1,60}\.){1,8}(?:[A-Z][a-z]+)*(?:Invalid|Expired|Missing|Unknown|INVALID_|EXPIRED_)\w{1,60}")
_ARGUMENT, _MISTYPED = re.compile(r"\bArgument \"\Z"), re.compile(r"\"[A-Za-z_.]{1,80}\" has incompatible type ")
_FORM = re.compile(
    r"(?:grant_type|response_type|client_assertion_type|client_id|scope|redirect_uri|audience)=[^\s&=]{1,4096}&"
)
"""How a request for a token may begin (RFC 6749)."""


def is_of_program(text: str, match: re.Match[str]) -> bool:
    """Whether what is assigned (see `structure`) is no secret of its key.

    `class Token(Base):`. `jwt.exceptions.InvalidToken: {...}`: what went wrong, not what it went wrong with.
    `Argument "token" to "revoke" has incompatible type`: mypy. `POST /token: grant_type=refresh_token&...`: each value
    has its own name.
    """
    key, start = match["key"], match.end()
    if key.startswith("class "):
        return "\n" in match["sep"]
    if match["prose"] == "to" and _ARGUMENT.search(text, max(0, match.start() - 16), match.start()):
        return _MISTYPED.match(text, start) is not None
    if key.lower() == "token" and text[match.start() - 1 : match.start()] == "/" and _FORM.match(text, start):
        return True
    if not text.startswith("{", start) or _ERROR.fullmatch(key) is None:
        return False
    return not any(map(looks.is_unlike_words, _RUN.findall(text, start, start + _NEAR)))
