"""Headers of which only parts are secret: cookies one by one, and the fields of a challenge's answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from logspan.processors.redact.checks import looks
from logspan.processors.redact.values.acceptance import Judge
from logspan.processors.redact.values.ends import Span

_COOKIE = re.compile(
    r"(?P<joint>;?[ \t]{0,4})(?P<name>[^\s;,=&\"'<>{}\[\]()]{1,256})(?:=(?P<value>[^\s;,\"'<>\\]{0,8192}))?(?=[;,\s\"'\\]|$)"
)
_COOKIE_ATTRIBUTES = frozenset(
    {"path", "domain", "expires", "max-age", "samesite", "secure", "httponly", "priority", "partitioned", "version"}
)
_OPENING = re.compile(r"[bB]?\\{0,64}[\"'`]?")
_JAR = re.compile(
    r"\{\s{0,4}(?:[\"'][^\"'\\]{1,256}[\"']\s{0,4}:\s{0,4}[\"'][^\"'\\]{0,8192}[\"'](?:,\s{0,4}|(?=\s{0,4}\}))){1,64}\s{0,4}\}"
)
_KEPT = re.compile(r"[\"'](?P<name>[^\"'\\]{1,256})[\"']\s{0,4}:\s{0,4}[\"'](?P<value>[^\"'\\]{1,8192})[\"']")
_PREFERENCE = re.compile(
    r"[A-Za-z][a-z]{0,9}|[A-Z]{2,5}|[a-z]{2}[-_][A-Za-z]{2}|[0-9]|[A-Za-z]{1,10}(?:(?:%20|\+)[A-Za-z]{1,10}){1,4}|(?:[A-Z][a-z]{1,16}|[A-Z]{3})/[A-Z][A-Za-z_]{1,20}"
)
"""`dark`, `en-GB`, `Europe/Berlin`, `WP%20Cookie%20check`."""
_SCHEME = re.compile(
    r"\\{0,8}[\"']?(?:(?i:digest|hawk|oauth|aws4-hmac-sha256|signature)[ \t]{1,4}(?=[A-Za-z_][\w-]{0,40}=)"
    r"|(?P<other>[A-Za-z][A-Za-z_-]{1,40})[ \t]{1,4}(?=[A-Za-z_][\w-]{0,40}=\\{0,8}\"))"
)
_FIELD = re.compile(
    r"(?P<name>[A-Za-z_][\w-]{0,40})=(?:\\{0,8}\"(?P<quoted>[^\"\\\r\n]{0,8192})(?:\\{0,8}\")?|(?P<bare>[^\s,\"'`]{1,8192}))(?:[,;]?[ \t]{0,4})"
)
_SAID_OPENLY = frozenset(
    {
        *("username", "realm", "uri", "qop", "nc", "algorithm", "alg", "version", "ts", "timestamp", "created"),
        *("expires", "charset", "userhash", "stale", "domain", "scope", "signedheaders", "headers", "oauth_version"),
        *("oauth_timestamp", "oauth_signature_method", "error", "error_description"),
    }
)
"""Fields of RFC 7616, RFC 5849, HTTP signatures and AWS that open nothing."""


class Parts(NamedTuple):
    """What of a header is secret, and where it ends."""

    spans: list[Span]
    end: int


def cookies(text: str, start: int, judge: Judge) -> Parts | None:
    """RFC 6265: the values of `name=value; name=value`, but not of a cookie's own attributes; the same of a printed jar."""
    if (jar := _JAR.match(text, start)) is not None:
        return Parts([*_sessions(_KEPT.finditer(text, *jar.span()), judge)], jar.end())
    found: list[re.Match[str]] = []
    position = _OPENING.match(text, start).end()  # type: ignore[union-attr]  # it matches anywhere
    while (match := _COOKIE.match(text, position)) is not None:
        if ";" not in match["joint"] and position > start + 4:
            break  # the next of them has a `;` in front
        position = match.end()
        found.append(match)
    if not any((match["value"] or "").strip("=") for match in found):
        return None  # base64 may end with equals signs
    return Parts([*_sessions(found, judge)], position)


def is_named(value: str) -> bool:
    """Whether a cookie has its name with it."""
    return _NAMED.search(value) is not None


_NAMED = re.compile(r"=[^=;\s\"'\])}]")


def _sessions(found: Iterable[re.Match[str]], judge: Judge) -> Iterator[Span]:
    for match in found:
        if match["value"] and is_session(match["name"], match["value"], judge):
            yield (*match.span("value"), "cookie")


def is_session(name: str, value: str, judge: Judge) -> bool:
    """Whether a cookie may tell who somebody is: its name says so, or its value is more than a choice of words."""
    if name.lower() in _COOKIE_ATTRIBUTES or looks.is_placeholder(value):
        return False
    return judge(name) is not None or not is_preference(value)


def is_preference(value: str) -> bool:
    """Whether a cookie's value is a choice that many make: nobody is recognised by it."""
    return _PREFERENCE.fullmatch(value) is not None


def challenge(text: str, start: int, judge: Judge) -> Parts | None:
    """RFC 9110: the fields behind a scheme, but for those that open nothing."""
    del judge
    scheme = _SCHEME.match(text, start)
    if scheme is None or looks.is_prose(scheme["other"] or ""):
        return None
    spans = [*fields(text, scheme.end(), "authorization")]
    return Parts(spans, spans[-1][1]) if spans else None


def fields(text: str, start: int, rule: str) -> Iterator[Span]:
    """The values of `name="value", name=value`; of AWS's credential the key alone: the rest is a date and a place."""
    while (match := _FIELD.match(text, start)) is not None:
        start = match.end()
        first, last = match.span("bare" if match["quoted"] is None else "quoted")
        if match["name"].lower() == "credential" and "/" in text[first:last]:
            last = text.index("/", first)
        if match["name"].lower() not in _SAID_OPENLY:
            yield first, last, rule
