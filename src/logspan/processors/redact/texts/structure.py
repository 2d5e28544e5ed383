"""Structure inside of texts: where a key is, and what its value is, in whatever a service writes into a line.

JSON (escaped and encoded twice, too), Python reprs, forms, queries, headers, connection strings, YAML and `key: value`,
XML, multipart, SQL. Nothing is parsed as a whole: a line may be cut off anywhere. Each expression here begins at a
place of its own and takes a bounded look ahead, so the work grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType

from logspan.processors.redact.checks import looks
from logspan.processors.redact.rule import is_marker
from logspan.processors.redact.rules import RULES
from logspan.processors.redact.rules.keys import PLURALS
from logspan.processors.redact.texts.code import is_of_program
from logspan.processors.redact.texts.header_values import challenge, cookies, is_named
from logspan.processors.redact.values.acceptance import Judge, Judged, accepts
from logspan.processors.redact.values.descriptions import is_described
from logspan.processors.redact.values.ends import MOST, QUOTE, Span, closing, end_of_cut, trimmed, unbalanced
from logspan.processors.redact.values.keys import key_words

_MARKS = "\u0300-\u036f\u0610-\u06ed\u0900-\u0dff\u0e00-\u0fff"
"""Vowels and accents that are no letters by themselves."""
_KEY = rf"[A-Za-z_$@\x80-\U0010ffff][\w.$@\-{_MARKS}]{{0,99}}"
PROSE = (
    "(?:(?:is|was|has been|set|changed|reset|updated|got|now) ){0,2}"
    "(?:is|was|are|to|of|from|like|in|equals|as|ist|lautet|est|es|\u00e8|\u00e9|--?)"
)
"""What a sentence has between a secret's name and the secret: an expression."""
_ASSIGNED = re.compile(
    rf"(?<![A-Za-z0-9_$])(?P<key>(?:{_KEY}+(?: (?:[dl]['\u2019])?[\w.$@\-]{{1,32}}+){{0,3}}?)|[0-9][A-Za-z0-9_.-]{{1,40}})"
    rf"(?P<close>(?:{QUOTE})?(?:[\])]|:(?:protected|(?:\"[\w\\]{{1,64}}\":)?private)\])?(?:{QUOTE})?(?:[ \t]?\([\w .@-]{{1,40}}\)(?=[ \t]{{0,4}}[:=])|\[[0-9]{{0,4}}\](?==))?)"
    r"(?P<sep>(?P<typed>:[ \t]{0,4}[&*A-Za-z_.'][A-Za-z_.&*'<>\[\]| ?]{1,40}[ \t]=[ \t]{0,4}(?=[bBrRfFuU]{0,2}[\"'`]))|:[ \t]{0,4}\r?\n[ \t]{1,40}(?![-#]|[\w.-]{1,100}:)|[ \t]{0,48}(?:={1,3}>(?:\s{1,40}(?=[\"']|(?:string|int)\())?|:=|===?|!=|<>|-{1,2}>|=|[\uff1a\uff1d]|[\u2190-\u21ff\u2794-\u27be\u27f0-\u27ff]\ufe0f?|:(?![:/]))[ \t]{0,8}(?:(?:value|got|input|received)[ \t:=]{1,3}(?=[\"'`]))?"
    r"|\s{0,4}:\s{0,40}(?=[\\\"'{\[0-9])"
    rf"|[ \t]{{1,4}}(?P<prose>{PROSE})"
    r"(?:[ \t]{0,4}[:=])?[ \t]{1,4})",
    re.IGNORECASE,
)
_OPTION = re.compile(
    rf"(?<![\w-])--?(?P<key>[A-Za-z\x80-\U0010ffff][\w.\-{_MARKS}]{{1,60}})(?:[ \t]{{1,4}}|\",? ?\"|', ?')(?P<value>[^\s\"'<|>-][^\s\"']{{0,4096}}|<(?!<)[^\s\"']{{1,4096}})"
)
_SCHEMES = re.compile(
    r"(?i)(?:bearer|basic|token|digest|negotiate|ntlm|apikey|api-key|bot|key|hmac|hawk|oauth|aws4-hmac-sha256|splunk|sso-key|ghbasic|genie-?key|klaviyo-api-key|discogs|zoho-oauthtoken)\b[ \t:=]{0,4}"
)
_CHANGED = re.compile(r"[\"']?[ \t]{1,4}to[ \t]{1,4}[\"']?(?P<value>[^\s\"',;]{4,512})")
_REPLACED = re.compile(r"[\"']?[ \t]{1,4}(?:-{1,2}>|=>|\u2192)[ \t]{1,4}(?=[\"'])")
_PHRASE_KEY = re.compile(r"(?i)phrase|mnemonic|seed")
_PHRASE = re.compile(r"[\"']?(?P<words>[a-z]{2,12}(?:[ -][a-z]{2,12}){2,24})")
_IN_FOURS = re.compile(r"[\"']?(?P<words>[a-z]{4}(?: [a-z]{4}){3})(?![\w'])")
"""A password for one application, as Google shows it."""
_LINKING = re.compile(r"(?i) (?:is|was|are|as|to|of|now|field|value|set|=|:|for(?: [\w.@-]{1,64}){1,3})$")
_BARE = re.compile(r"[^\s\"'`&;<>\\,|\u3001\u3002\uff0c\uff1b]{1,8192}")
_BARE_MORE = re.compile(
    r",(?![\s\"'\\]|$)(?![\w.$-]{1,60}\\{0,8}[\"']?[:=])[^\s\"'`&;<>\\,|\u3001\u3002\uff0c\uff1b]{1,8192}"
)
_CALL = re.compile(
    r"(?:[a-z_]{1,30}\.){0,3}(?!(?:Get|Load|Read|Fetch|Find|Look|Require|Must|Env))[A-Z][A-Za-z]{0,60}\((?=[bBuU]?\\{0,8}[\"'])"
)
_PHRASE_END = re.compile(r"(?: (?![\w.$-]{1,64}[\"']?[:=])[^\s,;|&\"'`<>{}\[\]()]{1,128}){0,32}")
"""The rest of what is written behind `key: `, up to a sign or the next key."""
_OPEN_QUOTE = re.compile(
    r"(?:string\([0-9]{1,9}\) |<<|[bBuUrRfFnNeE]{0,2})(?P<slashes>\\{0,64})(?P<quote>\"{3}|'{3}|[\"'`])"
)


def assigned(text: str, judge: Judge) -> Iterator[Span]:
    """The values of sensitive keys, with any of the separators that a line may have between the two."""
    position = 0
    outer: re.Match[str] | None = None
    while (match := _ASSIGNED.search(text, position)) is not None:
        position = match.end()
        found = None if is_of_program(text, match) else _announced(text, match, judge)
        if found is None and outer is not None:
            found = _below(text, outer, match, judge)
        if found is not None and text.startswith("{", match.end()):
            outer = match
        if found is None:
            if match["typed"]:  # it may have been a key itself: `$env:API_TOKEN = "..."`
                position = match.end("close") + 1
            continue
        if found.rule in _IN_PARTS and (parts := _IN_PARTS[found.rule](text, match.end(), judge)) is not None:
            yield from parts.spans
            position = parts.end
            continue
        phrase = _phrase(text, match, found)
        span = phrase.span("words") if phrase else _assigned_value(text, match, found)
        if span is not None:
            yield (*span, found.rule)
            position = max(span[1], position)
            yield from ((*more, found.rule) for more in _changed(text, match, position, found))
            yield from ((*more, found.rule) for more in _listed(text, span, match["key"]))


def _announced(text: str, match: re.Match[str], judge: Judge) -> Judged | None:
    key = match["key"]
    return judge(key) or judge(_LINKING.sub("", key)) or _reported(text, match, judge)


def _phrase(text: str, match: re.Match[str], found: Judged) -> re.Match[str] | None:
    """A secret of several words."""
    if _PHRASE_KEY.search(match["key"]):
        return _PHRASE.match(text, match.end())
    fours = _IN_FOURS.match(text, match.end()) if found.rule == "password" else None
    return None if fours is None or any(map(looks.is_prose, fours["words"].split())) else fours


def _changed(text: str, match: re.Match[str], end: int, found: Judged) -> Iterator[tuple[int, int]]:
    """What it is now: `password changed from x to y`, and `password = "x" -> "y"` of Terraform's plans."""
    changed = _CHANGED.match(text, end) if match["prose"] == "from" else None
    if changed is not None:
        yield changed.span("value")
    replaced = _REPLACED.match(text, end)
    now = value_at(text, replaced.end(), found, "=", quoted=True) if replaced is not None else None
    if now is not None:
        yield now


def _below(text: str, outer: re.Match[str], match: re.Match[str], judge: Judge) -> Judged | None:
    """`{"session": {"id": ...}}` is what `session.id` is."""
    between = match.start() - outer.end()
    if between > _NEAR or "}" in text[outer.end() : match.start()]:
        return None
    return judge(f"{outer['key']}.{match['key']}")


_NEAR = 512
"""Characters from what opens a mapping to the keys in it that are read as its parts."""


def _reported(text: str, match: re.Match[str], judge: Judge) -> Judged | None:
    """What was done, or whose it is, stands between the two: `API key provided: ...`, `PASSWORD elastic = ...`.

    A time, a number or a word may follow on these as well.
    """
    value = _REPORTED_VALUE.match(text, match.end()) if " " in match["key"] else None
    if value is None or not looks.is_unlike_words(made := value[0].rstrip(".,;)")):
        return None
    key, done = _REPORTED.subn("", match["key"])
    if done:
        return judge(key)
    whose = judge(match["key"].rpartition(" ")[0])
    is_password = whose is not None and whose.rule == "password" and not looks.names_method(made)
    return whose if is_password and looks.is_made(made) else None


_REPORTED = re.compile(r"(?i) (?:provided|generated|received|supplied|issued|entered|submitted|created|rejected|used)$")
_REPORTED_VALUE = re.compile(r"(?<=[ 	:=])[^\s\"'`]{8,512}")


def _listed(text: str, first: tuple[int, int], key: str) -> Iterator[tuple[int, int]]:
    """`backup codes: 48211332, 99211332`: what follows under a name for several, of the same length."""
    start, end = first
    if not _LINKING.sub("", key).lower().endswith("s"):
        return
    length = end - start
    while (more := _NEXT.match(text, end)) is not None and more.end("value") - more.start("value") == length:
        yield more.span("value")
        end = more.end("value")


_NEXT = re.compile(
    r"[\"']?,?[ \t]{1,4}[\"']?(?P<value>(?=[^\s,]{0,64}[0-9])[^\s,;|\"'`<>{}\[\]()=:]{6,512})(?=[\s,;\"'.]|$)"
)
_IN_PARTS = MappingProxyType({"cookie": cookies, "authorization": challenge})
"""Values of which only parts are secret."""


def _assigned_value(text: str, match: re.Match[str], found: Judged) -> tuple[int, int] | None:
    quoted = any(quote in match["close"] for quote in "'\"`")
    if not quoted and _is_closed(text, match):
        return None
    separator = match["sep"].strip()
    span = value_at(text, match.end(), found, separator, prose=bool(match["prose"]), quoted=quoted)
    if span is None:
        return None
    if found.own and not match["prose"]:
        return span
    value = text[span[0] : span[1]]
    if _says_nothing(text, match, separator, value):
        return None
    if "from" in (match["prose"] or "").lower() and not looks.is_unlike_words(value):
        return None
    if (found.rule == "cookie" and _is_pair(text, *span)) or _is_compared(text, separator, span):
        return None
    if value.isdigit() and _is_count(match["key"].lower().rstrip("\"'"), value):
        return None
    return span


def _is_closed(text: str, match: re.Match[str]) -> bool:
    """`while splitting "token:" header line`: the quote is the end of one that began in front of the key."""
    closed = _CLOSED.match(text, match.end())
    return closed is not None and text[match.start() - 1 : match.start()] == closed[0][0]


_CLOSED = re.compile(r"[\"'`] [a-z]{1,20}(?=[ ,.;:)]|$)")


def _is_pair(text: str, start: int, end: int) -> bool:
    """`Cookie: sid="...`: a cookie's name; at the end of base64 stands an equals sign, too."""
    is_open = text[end : end + 1] in ("'", '"', "`", "<") and text[start - 1 : start] != text[end : end + 1]
    return "=" in text[start:end] and (is_open or is_named(text[start:end]))


def _is_compared(text: str, separator: str, span: tuple[int, int]) -> bool:
    """Whether a program compares it with something that has a name: `if token != expected:`."""
    is_bare = text[span[0] - 1 : span[0]] not in ("'", '"', "`")
    return separator in ("==", "!=", "===") and is_bare and _IDENTIFIER.fullmatch(text, *span) is not None


_IDENTIFIER = re.compile(r"[A-Za-z_]{1,64}")


def _is_count(key: str, value: str) -> bool:
    """How many there are: `tokens: 812`, `backup codes: 10 remaining`."""
    return key.endswith(PLURALS) or (key.endswith("codes") and len(value) < _CODE)


_CODE = 4
"""Digits of a code that may be one."""
_SUBJECTS = ("password", "passwords", "passwd", "pwd", "token", "tokens")
"""What a program that is called like a key says first (`passwd: password updated`), and what variables are called."""


def _says_nothing(text: str, match: re.Match[str], separator: str, value: str) -> bool:
    """`token=token` is an argument of a program, `arn:...:secret:name` and `://token:...@host` are addresses."""
    key = match["key"]
    same = value.lower() in (key.lower(), key.lower().rpartition("_")[2], key.lower().rpartition(".")[2], *_SUBJECTS)
    before = text[max(0, match.start() - 9) : match.start()]
    if (before.endswith("${") and value.startswith("?")) or (before == "checksum/" and _SUM.fullmatch(value)):
        return True  # what a shell says where there is none; of Helm, the sum of what has changed
    if separator == ":" and "@" in value and text[: match.start()].endswith("://"):
        return True  # a user of that name, and the password in front of the host
    return (
        same
        or _is_own_name(text, match, value)
        or (separator == ":" and text[match.start() - 1 : match.start()] == ":" and " " not in key + match["close"])
    )


_SUM = re.compile("[0-9a-f]{32,64}")


def _is_own_name(text: str, match: re.Match[str], value: str) -> bool:
    """`headers['X-Api-Key'] = api_key`: a variable that is called like the key."""
    if text[match.end() : match.end() + 1] in ("'", '"', "`") or _IDENTIFIER.fullmatch(value) is None:
        return False
    return {*key_words(value)} <= {*key_words(match["key"])}


def options(text: str, judge: Judge) -> Iterator[Span]:
    """`--password hunter2`, and the same as two items of a list of arguments."""
    for match in _OPTION.finditer(text) if "-" in text else ():
        found = judge(match["key"])
        named = match["value"].rstrip("[]<>|.,;)").isupper() and not any(map(str.isdigit, match["value"]))
        named = named or (match["key"] == "secret" and _ASSIGNMENT.match(match["value"]) is not None)
        if found and accepts(match["value"], found, strict=False) and not (named or looks.is_prose(match["value"])):
            yield (*match.span("value"), found.rule)


_ASIDE = re.compile(
    r"(?i)\((?:not|none?|nicht|kein|non|pas|sin|não|nao|niet|geen|inte|ikke|nie|ei)(?: [^\W\d_]{2,20}){1,4}\)(?=[.,;]?(?:\s*$|\r?\n))"
)
"""`password: (not shown)`: what somebody says in place of it."""


def value_at(
    text: str, start: int, found: Judged, separator: str, *, prose: bool = False, quoted: bool = False
) -> tuple[int, int] | None:
    """The span of the value that begins at `start`, or None if that is no secret: a placeholder, a word of a sentence."""
    opening = _OPEN_QUOTE.match(text, start)
    if opening is not None:
        end = closing(text, opening.end(), len(opening["slashes"]), opening["quote"])
        value = text[opening.end() : end]
        return (opening.end(), end) if accepts(value, found, strict=False) else None
    if text[start : start + 1] in ("{", "["):
        return _container(text, start, found)
    if separator.lower() == "in" and text[start : start + 1] == "(":
        return _literals(text, start)
    if _ASIDE.match(text, start) is not None:
        return None
    if text[start : start + 1] in ("<", "(") and looks.is_no_name(
        text[start + 1 : start + 64].split(">", maxsplit=1)[0].split(")", maxsplit=1)[0]
    ):
        start += 1
    if text[start : start + 1] == "$" and _is_hole(text, start):
        return None
    call = _CALL.match(text, start)
    if call is not None:
        return value_at(text, call.end(), found, "=", quoted=True)
    if found.rule == "authorization" and (scheme := _SCHEMES.match(text, start) or _other_scheme(text, start)):
        start = scheme.end()
    spaced = separator in (":", "") or (text[start - 1 : start] in (" ", "\t") and not quoted)
    spaced = spaced and not quoted
    return _bare(text, start, found, prose=prose, spaced=spaced)


def _other_scheme(text: str, start: int) -> re.Match[str] | None:
    """RFC 9110: any word may be a scheme; what is behind it tells whether it is one."""
    scheme = _SCHEME_NAME.match(text, start)
    token = _BARE.match(text, scheme.end()) if scheme else None
    if scheme is None or token is None or looks.is_prose(scheme[0].strip()):
        return None
    return scheme if looks.is_random(token[0]) and not _ASSIGNMENT.match(token[0]) else None


_ASSIGNMENT = re.compile(r"[A-Za-z_][\w.-]{0,60}=[^=]")
_SCHEME_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,40}[ \t]{1,4}(?=[^\s=:])")


def _bare(text: str, start: int, found: Judged, *, prose: bool, spaced: bool) -> tuple[int, int] | None:
    match = _BARE.match(text, start)
    if match is None:
        return None
    end = match.end()
    while (more := _BARE_MORE.match(text, end)) is not None:
        end = more.end()
    end = trimmed(text, start, unbalanced(text, start, end))
    value = text[start:end]
    if not accepts(value, found, strict=prose):
        return None
    if found.own and not prose:
        return start, _PHRASE_END.match(text, end).end() if spaced else end  # type: ignore[union-attr]
    if prose and _CALLED.fullmatch(value):
        return None
    if looks.is_code(value) or _is_of_letters_beyond_ascii(value) or ((spaced or prose) and looks.is_prose(value)):
        return None
    if (
        spaced
        and found.rule not in ("password", "pin", "cvv", "otp")
        and (looks.is_words(value) or (value.islower() and looks.is_word(value)))
    ):
        return None
    return start, end


_CALLED = re.compile(r"[a-z]{3,16}(?:[A-Z][a-z]{2,16}){1,3}")
"""What a program calls something: `invalidCredentials - bindResponse`."""


def _is_of_letters_beyond_ascii(value: str) -> bool:
    """A word of a sentence in Chinese, Japanese or Korean, which begins right behind the colon."""
    return not value.isascii() and _WIDE.fullmatch(value) is not None


_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af,!?]+")
_HOLE = re.compile(
    r"(?:\$\{{1,2}[^{}\n]{0,100}\}{1,2}|\{{1,2}[ \w.|-]{0,60}\}{1,2}|\[[ A-Za-z_*.-]{0,60}\]|(?P<marker>\[REDACTED:[^\[\]\n]{1,100}\]))"
    r"(?![\w}])"
)
_GLUED = re.compile(r"\w[^\s\"'`&;<>\\,|()\[\]{}]{0,8192}")
_FIRST = re.compile(r"\[\s{0,40}\\{0,8}[\"'](?P<item>[^\"'\\\[\]{}]{1,512})\\{0,8}[\"']")


def _is_hole(text: str, start: int) -> bool:
    """Whether the value only says that there is none, or is what redaction has put there; nothing may follow it."""
    match = _HOLE.match(text, start)
    return match is not None and (match["marker"] is None or is_marker(match["marker"], RULES))


def _literals(text: str, start: int) -> tuple[int, int] | None:
    """The list behind SQL's IN, as a whole."""
    end = text.find(")", start, start + 4096)
    return (start + 1, end) if end > start + 1 and text[start + 1] in "'\"\\" else None


def _container(text: str, start: int, found: Judged) -> tuple[int, int] | None:
    """A list or mapping as a whole, up to the end of a text that was cut off; not what only describes or names a secret."""
    if _is_hole(text, start):
        return None
    if found.weak:
        first = _FIRST.match(text, start)
        if first is None or not accepts(first["item"], found, strict=False):
            return None
    depth, opened = 0, False
    for match in re.finditer(r"[{}\[\]]", text[start : start + MOST]):
        depth += 1 if match[0] in "{[" else -1
        opened = True
        if depth == 0:
            end = start + match.end()
            glued = _GLUED.match(text, end)
            is_spared = end - start <= 2 or (not found.own and is_described(text[start:end], found.rule))
            return None if is_spared and not glued else (start, glued.end() if glued else end)
    return (start, end_of_cut(text, start)) if opened else None
