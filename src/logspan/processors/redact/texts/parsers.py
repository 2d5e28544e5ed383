"""What cannot be said in one expression: headers, private keys, addresses, command lines, SQL.

Each parser takes a text and the judge of keys, and yields the spans of secrets (start, end, rule id).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from types import MappingProxyType

from logspan.processors.redact.checks import looks
from logspan.processors.redact.checks.cards import ibans
from logspan.processors.redact.rules.keys import HEX_QUERY_KEYS, STRONG_QUERY_KEYS, WEAK_QUERY_KEYS
from logspan.processors.redact.texts.header_values import fields
from logspan.processors.redact.texts.structure import options
from logspan.processors.redact.values.acceptance import Judge, Judged, accepts
from logspan.processors.redact.values.ends import Span

Parser = Callable[[str, Judge], Iterator[Span]]

_BEARER = re.compile(r"(?i)(?<![A-Za-z0-9])bearer(?:[\s:=+,]|%20){1,8}[\"']?(?P<token>[A-Za-z0-9_~+/.=%:|-]{6,8192})")
_BASIC = re.compile(r"(?i)(?<![A-Za-z0-9])basic(?:[\s:=+]|%20){1,8}[\"']?(?P<token>[A-Za-z0-9+/_-]{6,4096}={0,2})")
_SCHEME = re.compile(
    r"(?i)(?<![A-Za-z0-9])(?:(?P<rest>digest|hawk|oauth|aws4-hmac-sha256|signature) (?P<fields>[A-Za-z_-]{2,40}=[^\r\n'`]{1,8192})"
    r"|(?:token|negotiate|ntlm|ssws|sharedkey|apikey|api-key|bot|splunk|genie-?key|sso-key|hmac|key) (?P<token>[A-Za-z0-9_~+/.=:-]{16,8192}))"
)
_PEM = re.compile(r"-{2,5} ?BEGIN(?P<what>[ +][A-Z0-9 +]{0,40}?PRIVATE[ +]KEY(?:[ +]BLOCK)?) ?-{0,5}")
_PEM_BARE = re.compile(r"(?P<body>(?:AAAAB3NzaC1|b3BlbnNzaC1rZXk)[A-Za-z0-9+/=\s\\]{40,16384})")
_PPK = re.compile(r"PuTTY-User-Key-File")
_PPK_LINES = re.compile(
    r"Private-Lines: ?[0-9]{1,4}(?:\\{1,8}[nr]|\s){1,4}(?P<lines>[A-Za-z0-9+/=](?:[A-Za-z0-9+/=\s]|\\{1,8}[nr])*+)(?=Private-MAC|\Z|[^A-Za-z0-9])"
)
_USERINFO = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,40})(?::|%3[Aa])(?://|%2[Ff]%2[Ff]|\\{0,8}/\\{0,8}/)|(?<![^\s\"'=(])//|(?<=[a-z0-9])//(?=[^\s:/@\"']{1,64}:[^\s/@\"']{3,256}@))"
    r"(?P<user>[^\s:/?#\"'<>@\\]{0,256})(?=(?P<rest>[^\s\"'<>\\]{0,1024}))"
)
_HOSTED = re.compile(
    r"(?<![A-Za-z0-9/@:])(?P<user>[A-Za-z0-9_.%+-]{1,64}):(?P<password>[^\s:@/\"'<>,;()]{3,256})@"
    r"(?=(?:tcp|unix|udp)\(|(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?:[:/?,\s\"']|$)|[A-Za-z0-9.-]{1,253}:[0-9]{2,5}|(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
    r"|(?P<bare>[A-Za-z][A-Za-z0-9_-]{0,62}(?:[/,;)\s\"']|$)))"
)
_SLASHED = re.compile(
    r"(?<![A-Za-z0-9/@.])[A-Za-z0-9_]{1,64}/(?P<password>[^\s/@\"'<>]{3,128})@"
    r"(?:(?://)?[A-Za-z0-9.-]{1,253}(?::[0-9]{2,5}[/:]|/)|//[A-Za-z0-9.-]{1,253})"
)
"""Oracle's `user/password@host:port/service` or `:sid`."""
_QUERY = re.compile(r"(?:[?&#;]|(?:amp;))(?P<key>[A-Za-z_][A-Za-z0-9_.$-]{0,60})=(?P<value>[^&#?\s\"'<>\\;]{1,8192})")
_CURL = re.compile(
    r"(?<![\w-])(?:-u|(?<=curl )-[a-zA-Z]{1,8}u|--user|--proxy-user|-U|-a|--auth|-E|--cert)(?:[ =\t]{0,4}|[\"'], ?)[\"']?(?P<user>[^\s:\"']{0,128}):(?P<password>[^\s\"']{1,512})"
)
_AUTH = re.compile(
    r"(?<![A-Za-z])(?:AUTH[ \t\"]{1,4}(?:(?:default|PLAIN|LOGIN|XOAUTH2|OAUTHBEARER)[ \t\"]{1,4})?|LOGIN[ \t\"]{1,4}[\w.@-]{1,64}[ \t\"]{1,4}|(?:sqlplus|sqlldr|impdp|expdp|rman)(?: -\S{1,32}){0,4} [\w.]{1,64}/|net use[^\r\n|]{1,200}?/user:\S{1,128} |net user \S{1,64} |(?:add_user|change_password|authenticate_user) \S{1,128} |ACL SETUSER \S{1,64}(?: [^\s>]{1,64}){0,8} >|IDENTIFY (?:\S{1,64} )?|ConvertTo-SecureString (?:-String )?[\"']|openssl enc [^\r\n|]{0,200}?-k |htpasswd -[a-zA-Z]{0,4}b[a-zA-Z]{0,4} \S{1,256} \S{1,64} |snmp-server community |vault login (?:-\S{1,64} ){0,4}|-U ?[\w.\\@-]{1,64}%)(?P<password>[^\s\"'\\]{6,512})"
)
_PIPED = re.compile(
    r"\b(?:echo|printf)(?: -[a-zA-Z]{1,4})? {1,4}[\"']?(?P<password>[^\s\"'|]{6,512})[\"']? {0,4}\|[^|\r\n]{0,200}?"
    r"(?:--password-stdin|--stdin|--with-token|--passphrase-fd|\b(?:ch)?passwd|\bsudo -S|\bgpg\b|\bkinit\b|\bcryptsetup\b)"
)
_HERE = re.compile(
    r"--(?:password-stdin|with-token|passphrase-fd)\b[^|;<\r\n]{0,200}<<<[ ]?[\"']?(?P<password>[^\s\"'|;]{6,512})"
)
"""What a shell hands in by a here-string."""
_FTP = re.compile(r"[\"'](?:PASS|pass) (?P<password>[^\s\"']{4,512})(?:\\r\\n)?[\"']")
"""The command of FTP and POP3, as it is logged."""
_DASH_P = re.compile(
    r"(?i)\b(?:mysql(?:dump|admin|import)?|mariadb(?:-dump)?|mongo(?:sh|dump|restore|export)?|sshpass|docker login|podman login"
    r"|redis-cli|sqlcmd|plink|pscp|unrar|zip|7z|htpasswd|ldapsearch|unzip|smbclient|az login|helm registry login|ftp|isql|bcp|psexec|useradd|usermod)\b"
    r"(?P<rest>[^\n|;]{0,512})"
)
_TOOLS = (
    (r"snmp(?:walk|bulkwalk|get|bulkget|getnext|set|table|trap|inform|status|df)", r"-A|-X|-c"),
    (r"mosquitto_(?:pub|sub|rr)|ipmi(?:tool|power|-sensors|console)", r"-P"),
    (r"ssh-keygen", r"-N|-P"),
    (r"keyvault secret set|put-parameter\b[^\n|;]{0,256}?SecureString", r"--value"),
    (r"lftp", r"-u ?[^\s,\"']{1,64},(?=[^\s])|-u[\"'], ?[\"'][^\s,\"']{1,64},"),
    (r"(?:xfreerdp3?|wlfreerdp|mstsc)", r"/p:"),
)
"""Tools with options of their own for a secret, and those."""
_OWN_OPTION = tuple(
    (
        re.compile(rf"\b(?:{tools})\b[^\n|;]{{0,512}}"),
        re.compile(rf"(?<![^\s\"'])(?:{names})(?:[ =]|[\"'], ?)?[\"']?(?P<password>[^\s\"'-][^\s\"']{{2,256}})"),
    )
    for tools, names in _TOOLS
)
_COMMAND = 256
"""Characters of a command in front of its option."""
_RUN_AS = re.compile(
    r"\b(?:docker|podman|nerdctl|kubectl|compose)\b[^|;&\n]*?\b(?:run|exec|create)\b[^|;&\n]*$|\b(?:rsync|scp|cp|tar|ls|pg_dump)\b[^|;&\n]*$"
)
"""`-u user:group`, the one that a container runs as; tools whose `-a` and `-u` mean other things."""
_ASKS = re.compile(r"(?i)mysql|mariadb")
"""Their `-p` asks for the password, if there is none at once behind it."""
_DASH_VALUE = re.compile(
    r"(?<![^\s\"'])(?P<option>-p|-P|-a|-w|-pw)(?P<gap>[ =]?|[\"'], ?)[\"']?(?P<password>[^\s\"'-][^\s\"']{2,256})"
)
_INSERT = re.compile(
    r"(?i)\b(?:insert\s{1,8}(?:ignore\s{1,8})?into|replace\s{1,8}into)\s{1,8}[\w.\"`\[\]\\]{1,200}\s{0,8}\((?P<columns>[^()]{1,4096})\)"
    r"\s{0,8}(?:output\s{1,8}[\w.,\s]{1,200}?)?values\s{0,8}"
)
_TUPLE = re.compile(r"\s{0,8},?\s{0,8}\(")
_LITERAL = re.compile(
    r"\s{0,8}(?:[NEBX]?(?P<quote>\\{0,8}')(?P<text>(?:[^'\\]|''|\\(?!')[^\n]?){0,8192}+)(?:\\{0,8}')?|(?P<bare>[^,()']{1,512}(?:\([^()]{0,256}\))?))\s{0,8}(?P<end>[,)]|$)"
)
_IDENTIFIED = re.compile(
    r"(?i)\b(?:sp_(?:addlogin|password)\s{1,8}N?'[^'\\\r\n]{0,256}'\s{0,4},\s{0,4}|set\s{1,8}password\s{1,8}(?:for\s{1,8}\S{1,128}\s{0,8})?=\s{0,8}(?:password\s{0,4}\(\s{0,4})?|identified\s{1,8}(?:with\s{1,8}\S{1,64}\s{1,8})?by(?:\s{1,8}password)?\s{1,8}|(?:encrypted\s{1,8})?password(?:\s{1,8}|\s{0,4}\(\s{0,4})"
    r"|(?:pgp_sym_encrypt|crypt|md5|sha1|sha2)\s{0,4}\(\s{0,4})[NE]?\\{0,8}'(?P<password>[^'\\]{1,512})"
)


_ORACLE = re.compile(r"(?i)\bidentified\s{1,8}by\s{1,8}\\{0,8}\"(?P<password>[^\"\\\r\n]{1,512})")


def bearer(text: str, judge: Judge) -> Iterator[Span]:
    """RFC 6750: `Bearer <token>`, in a header or in a sentence."""
    del judge
    for match in _BEARER.finditer(text):
        token = match["token"].rstrip(".:")
        if (
            looks.is_secretive(token)
            and not (looks.is_prose(token) or _is_key(match))
            and not _FIELD.match(text, match.start("token"))
        ):
            yield match.start("token"), match.start("token") + len(token), "bearer"


def _is_key(match: re.Match[str]) -> bool:
    """`{scheme: bearer, bearerFormat: JWT}`: the next key of a mapping."""
    return _NAME_OF_NEXT.fullmatch(match["token"]) is not None


_NAME_OF_NEXT = re.compile(r"[A-Za-z_]{2,40}:")
_FIELD = re.compile(r"[A-Za-z_][\w.-]{0,60}=(?:[^\s=&,;]|$)")
"""The next field of a line or a challenge: a token of RFC 6750 has `=` at its end only."""


def basic(text: str, judge: Judge) -> Iterator[Span]:
    """RFC 7617: `Basic` and the base64 of `user:password`, or what was made by a machine."""
    del judge
    for match in _BASIC.finditer(text):
        token = match["token"]
        if _decodes_to_userinfo(token) or (
            len(token) >= _RANDOM and looks.is_random(token) and looks.is_no_name(token)
        ):
            yield (*match.span("token"), "basic-auth")


_RANDOM = 20
"""Characters of what needs not be readable to be taken for credentials."""


def _decodes_to_userinfo(token: str) -> bool:
    try:
        data = base64.b64decode(
            token.rstrip("=") + "=" * (-len(token.rstrip("=")) % 4),
            altchars=b"-_" if "-" in token or "_" in token else None,
        )
    except (binascii.Error, ValueError):
        return False
    return b":" in data


def scheme(text: str, judge: Judge) -> Iterator[Span]:
    """RFC 9110 credentials of the other schemes: a token, or fields up to the end of the line."""
    del judge
    for match in _SCHEME.finditer(text):
        if match["fields"]:
            yield from fields(text, match.start("fields"), "auth-scheme")
        elif looks.is_random(match["token"]):
            yield (*match.span("token"), "auth-scheme")


def pem(text: str, judge: Judge) -> Iterator[Span]:
    """RFC 7468 and PGP private keys: to their END line, or as far as a key goes when that is cut off."""
    del judge
    position = 0
    while (match := _PEM.search(text, position)) is not None:
        position = _end_of_key(text, match.end(), match["what"])
        yield match.start(), position, "pem-private-key"
    for match in _PPK.finditer(text):
        lines = _PPK_LINES.search(text, match.end(), match.end() + 16384)
        yield (
            *(lines.span("lines") if lines else (match.start(), min(len(text), match.start() + 8192))),
            "pem-private-key",
        )
    for match in _PEM_BARE.finditer(text):
        if match["body"].startswith("b3Blb"):
            yield (*match.span("body"), "pem-private-key")


_KEY_BODY = re.compile(
    r"(?:[A-Za-z0-9+/=\s:,.()-]|\\{1,8}[nrt\"/\\]?|%[0-9A-Fa-f]{2}|<br ?/?>|[\"'],? ?[\"']?){0,65536}+"
)


def _end_of_key(text: str, start: int, what: str) -> int:
    end = text.find(f"END{what}", start)
    if end >= 0 and "BEGIN" not in text[start:end]:
        end += len(what) + 3
        while end < len(text) and text[end] in "- ":
            end += 1
        return end
    body = _KEY_BODY.match(text, start)
    return body.end() if body else len(text)


def jwk(text: str, judge: Judge) -> Iterator[Span]:
    """RFC 7518, 6: the private parts of a key of JSON, which the sieve knows by its `kty`."""
    del judge
    yield from ((*match.span("part"), "jwk-private-key") for match in _JWK_PART.finditer(text))


_JWK_PART = re.compile(
    r"[\"'](?:d|p|q|dp|dq|qi|k)\\{0,4}[\"']\s{0,4}:\s{0,4}\\{0,4}[\"'](?P<part>[A-Za-z0-9_-]{20,8192})\\{0,4}[\"']"
)


def userinfo(text: str, judge: Judge) -> Iterator[Span]:
    """RFC 3986: the password in an authority; also without a scheme, as in connection strings of drivers."""
    del judge
    for first, last in _words_with_at(text):
        yield from ((start, end, "url-password") for start, end in _passwords(text, first, last))


def _words_with_at(text: str) -> Iterator[tuple[int, int]]:
    """Runs without spaces that have an `@` in them: nothing else can hold a password in front of a host."""
    end = 0
    while (at := text.find("@", end)) >= 0:
        before = text[end:at]
        start = at if not before or before[-1].isspace() else at - len(before.rsplit(None, 1)[-1])
        end = _WORD.match(text, at).end()  # type: ignore[union-attr]  # it matches anywhere
        yield start, end


_WORD = re.compile(r"\S*")


def _passwords(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _USERINFO.finditer(text, start, end):
        rest = match["rest"]
        at = rest.rfind("@", 0, _end_of_authority(rest))
        if at > 1 and rest.startswith(":") and not looks.is_placeholder(rest[1:at]):
            yield match.start("rest") + 1, match.start("rest") + at
        elif at == 0 and looks.is_random(match["user"]) and len(match["user"]) >= 20:
            yield match.span("user")  # a token in place of the user: https://<token>@github.com
    for expression in (_HOSTED, _SLASHED):
        for match in expression.finditer(text, start, end):
            if not looks.is_placeholder(match["password"]) and (
                not _is_bare(match) or looks.is_made(match["password"])
            ):
                yield match.span("password")


def _is_bare(match: re.Match[str]) -> bool:
    """Whether the host is a word alone: `user:password@db`."""
    return match.re is _HOSTED and match["bare"] is not None


def _end_of_authority(rest: str) -> int:
    """A password may hold `/`, `?` or `#` although it should not: then the last `@` before the host's end counts."""
    slash = min((place for place in map(rest.find, "/?#") if place >= 0), default=len(rest))
    host = rest[:slash].rpartition("@")[2]
    if ("@" in rest[:slash] and not _NO_PORT.search(host)) or not rest.startswith(":") or rest[1:slash].isdigit():
        return slash
    return len(rest)


_NO_PORT = re.compile(r"\A[^\[\]:,]*:(?![0-9]*\Z)[^:,]*\Z")


def query(text: str, judge: Judge) -> Iterator[Span]:
    """Signatures and codes in the query or fragment of a URL, and in forms."""
    for match in _QUERY.finditer(text):
        key, value = match["key"].lower(), match["value"]
        if key in STRONG_QUERY_KEYS:
            accepted = len(value) >= 4 and not looks.is_placeholder(value)
        elif key in WEAK_QUERY_KEYS:
            accepted = len(value) >= 12 and looks.is_random(value)
        elif key in HEX_QUERY_KEYS:
            accepted = _DIGEST.fullmatch(value) is not None
        else:
            found = judge(match["key"])
            accepted = found is not None and accepts(value, found, strict=False)
        if accepted:
            yield (*match.span("value"), "url-secret")


_DIGEST = re.compile(r"[0-9a-fA-F]{32}")


def command(text: str, judge: Judge) -> Iterator[Span]:
    """`curl -u user:password`, `mysql -psecret`, `--token value`."""
    yield from ((start, end, "command-line") for start, end, _ in options(text, judge))
    for expression, is_password in (
        (_CURL, _is_login),
        (_AUTH, _is_unlike_words),
        (_PIPED, _is_value),
        (_HERE, _is_value),
        (_FTP, _is_value),
    ):
        for match in expression.finditer(text):
            if is_password(match):
                yield (*match.span("password"), "command-line")
    yield from _own_options(text)
    for match in _DASH_P.finditer(text):
        for inner in _DASH_VALUE.finditer(text, match.start("rest"), match.end("rest")):
            asks = inner["gap"] and _ASKS.match(match[0])
            if not asks and not (inner["password"].isdigit() and inner["gap"]):
                yield (*inner.span("password"), "command-line")


def _own_options(text: str) -> Iterator[Span]:
    for tool, option in _OWN_OPTION:
        for match in tool.finditer(text):
            for inner in option.finditer(text, *match.span()):
                if _is_value(inner) and not looks.is_word(inner["password"]):
                    yield (*inner.span("password"), "command-line")


def _is_login(match: re.Match[str]) -> bool:
    """`-u user:password`, but not the user and group that a container runs as."""
    before = (max(0, match.start() - _COMMAND), match.start())
    return _is_value(match) and not match["password"].isdigit() and _RUN_AS.search(match.string, *before) is None


def _is_unlike_words(match: re.Match[str]) -> bool:
    return looks.is_unlike_words(match["password"].rstrip("="))


def _is_value(match: re.Match[str]) -> bool:
    return not looks.is_placeholder(match["password"])


def sql(text: str, judge: Judge) -> Iterator[Span]:
    """Literals that an INSERT puts into a sensitive column, and passwords of users of the database."""
    for match in _INSERT.finditer(text):
        columns = [column.strip(' \t\r\n"`[]\\') for column in match["columns"].split(",")]
        judged = {number: found for number, column in enumerate(columns) if (found := judge(column)) is not None}
        if judged:
            yield from _tuples(text, match.end(), judged)
    for expression in (_IDENTIFIED, _ORACLE):
        for match in expression.finditer(text):
            if not looks.is_placeholder(match["password"]):
                yield (*match.span("password"), "sql")


def _tuples(text: str, position: int, judged: dict[int, Judged]) -> Iterator[Span]:
    while (opening := _TUPLE.match(text, position)) is not None:
        position, number, ended = opening.end(), 0, False
        while not ended and (literal := _LITERAL.match(text, position)) is not None and literal.end() > position:
            group = "text" if literal["quote"] is not None else "bare"
            found, value = judged.get(number), (literal[group] or "").strip()
            if found is not None and accepts(value, found, strict=False) and value not in ("?", "DEFAULT"):
                yield (*literal.span(group), found.rule)
            position, number, ended = literal.end(), number + 1, literal["end"] != ","
        if not ended:
            return


def iban(text: str, judge: Judge) -> Iterator[Span]:
    """Account numbers of ISO 13616."""
    del judge
    yield from ((start, end, "iban") for start, end in ibans(text))


PARSERS = MappingProxyType(
    {
        "bearer": bearer,
        "basic": basic,
        "scheme": scheme,
        "pem": pem,
        "jwk": jwk,
        "userinfo": userinfo,
        "query": query,
        "command": command,
        "sql": sql,
        "iban": iban,
    }
)
"""By the name that a rule calls it by."""
