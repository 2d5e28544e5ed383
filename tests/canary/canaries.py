"""Secrets that are planted in every place where leaks survive, and how each is planted.

None is real: each is made from its name, in the form that its issuer has published. A plant logs its own name beside the
secret, so that a test can tell "was hidden" from "never got there".
"""

# ruff: noqa: E501, RUF001, PLE1206 - one plant a line; letters that look alike and formats that do not fit are planted

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import logging
import random
import string
import threading
import urllib.parse
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from loguru import logger as loguru_logger
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

import logspan

WORDS = string.ascii_letters + string.digits
log = logging.getLogger("canary.service")
tracer = trace.get_tracer("canary.service")


def made_of(name: str, alphabet: str, length: int) -> str:
    return "".join(random.Random(name).choices(alphabet, k=length))


def password(name: str) -> str:
    """What a person or a generator would choose: letters of both cases and digits, no word of any language."""
    return made_of(name, WORDS, 18)


def shaped(prefix: str, length: int, alphabet: str = WORDS) -> Callable[[str], str]:
    return lambda name: prefix + made_of(name, alphabet, length)


def jwt(name: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps({"sub": made_of(name, WORDS, 20)}).encode()).decode().rstrip("=")
    return f"{head}.{body}.{made_of(name, WORDS + '-_', 43)}"


def card(name: str) -> str:
    """A Visa number that passes Luhn."""
    digits = "4539" + made_of(name, string.digits, 11)
    doubled = [int(digit) * (2 if at % 2 == 0 else 1) for at, digit in enumerate(digits)]
    check = -sum(number - 9 if number > 9 else number for number in doubled) % 10
    return digits + str(check)


def spaced_card(name: str) -> str:
    number = card(name)
    return " ".join(number[at : at + 4] for at in range(0, 16, 4))


def iban(name: str) -> str:
    account = "50010517" + made_of(name, string.digits, 10)
    return f"DE{98 - int(account + '131400') % 97:02}{account}"


def ssn(name: str) -> str:
    chance = random.Random(name)
    return f"{chance.randint(520, 570)}-{chance.randint(11, 88)}-{chance.randint(2001, 8999)}"


def pem(name: str) -> str:
    lines = "\n".join(made_of(f"{name}{number}", WORDS + "+/", 64) for number in range(6))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


Plant = Callable[[str, str], object]


@dataclass(frozen=True)
class Canary:
    name: str
    secret: str
    plant: Plant | None
    """Called with the name and the secret inside a request; None: the client, the environment or the end plants it."""
    cut: bool = False
    """Whether it lies beyond a limit, so that it is not there even with redaction off."""
    on: frozenset[str] = field(default_factory=lambda: frozenset({"logs"}))
    """Which signals its name must be found on."""


def canaries() -> list[Canary]:
    """All of them; names are unique."""
    rows = [*MESSAGES, *ATTRIBUTES, *EXCEPTIONS, *SOURCES, *SPANS, *ELSEWHERE]
    found = []
    for name, make, plant, *options in rows:
        more: dict[str, Any] = options[0] if options else {}
        found.append(Canary(f"canary-{name}", make(name), plant, **more))
    return found


def said(form: str) -> Plant:
    """Log a message, in which `{s}` is the secret."""
    return lambda name, secret: log.warning(f"{name} {form.replace('{s}', secret)}")


def extra(make: Callable[[str], dict[str, Any]]) -> Plant:
    return lambda name, secret: log.warning(name, extra=make(secret))


def nested(depth: int, inner: Any) -> Any:
    return inner if depth == 0 else {"level": nested(depth - 1, inner)}


MESSAGES: list[Any] = [
    ("fstring", shaped("ghp_", 36), said("cloning with {s} over https")),
    ("percent-args", lambda name: made_of(name, WORDS + "+/", 40), lambda n, s: log.warning("%s aws_secret_access_key=%s", n, s)),
    ("bad-args", password, lambda n, s: log.warning("%s password=%s of %d", n, s)),
    ("json", password, said('{"user": "ann", "password": "{s}", "n": 1}')),
    ("json-escaped", password, lambda n, s: log.warning("%s %s", n, json.dumps(json.dumps({"client_secret": s})))),
    ("bearer", lambda name: made_of(name, WORDS + "-_", 40), said("GET / HTTP/1.1 Authorization: Bearer {s}")),
    ("jwt", jwt, said("session {s} is new")),
    ("card", spaced_card, said("paid with {s} today")),
    ("iban", iban, said("to {s}, thanks")),
    ("ssn", ssn, said("SSN: {s} on file")),
    ("dsn", password, said("connecting to postgresql://shop:{s}@db.internal:5432/orders?sslmode=require")),
    ("pem", pem, said("read key\n{s}\nfrom disk")),
    ("python-repr", password, said("calling with {'api_key': '{s}', 'retries': 3}")),
    ("sql", password, said("INSERT INTO users (name, password) VALUES ('ann', '{s}')")),
    ("xml", password, said("<login><user>ann</user><password>{s}</password></login>")),
    ("form", password, said("POST /token grant_type=client_credentials&client_secret={s}&scope=all")),
    ("multipart", password, said('--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n{s}\r\n--x--')),
    ("basic", password, lambda n, s: log.warning("%s Authorization: Basic %s", n, base64.b64encode(f"ann:{s}".encode()).decode())),
    ("percent-encoded", password, lambda n, s: log.warning("%s next=%s", n, urllib.parse.quote(f"/cb?access_token={s}", safe=""))),
    ("base64", password, lambda n, s: log.warning("%s payload=%s", n, base64.b64encode(json.dumps({"password": s}).encode()).decode())),
    ("zero-width", password, said("pass\u200bword={s} in the form")),
    ("full-width", password, said("ｐａｓｓｗｏｒｄ＝{s} in the form")),
    ("ansi", password, said("\x1b[1mpassword\x1b[0m=\x1b[31m{s}\x1b[0m")),
    ("key-value-lines", password, said("config:\n  user: ann\n  password: {s}\n  retries: 3")),
    ("cookie-line", lambda name: made_of(name, WORDS, 32), said("Cookie: theme=dark; sessionid={s}")),
    ("signed-url", lambda name: made_of(name, "0123456789abcdef", 64), said("GET https://b.s3.amazonaws.com/f?X-Amz-Date=20260101T000000Z&X-Amz-Signature={s}")),
    ("webhook", lambda name: made_of(name, WORDS, 24), said("posting to https://hooks.slack.com/services/T01ABCDEF/B01ABCDEF/{s}")),
    ("curl", password, said("+ curl -s -u deploy:{s} https://registry.internal/v2/")),
    ("argv", password, said("running ['deploy', '--password', '{s}', '--verbose']")),
    ("hex", password, lambda n, s: log.warning("%s payload=%s", n, f"password={s}&remember=1".encode().hex())),
    ("look-alike", password, said("pаsswоrd={s} in the form")),
    ("separator", password, said("password => {s} in the form")),
    ("stripe", shaped("sk_live_", 24), said("charging with {s} now")),
    ("llm", shaped("sk-ant-api03-", 93, WORDS + "-_"), said("asking with {s} now")),
]  # fmt: skip


@dataclasses.dataclass
class Login:
    user: str
    password: str


ATTRIBUTES: list[Any] = [
    ("extra", password, extra(lambda s: {"db_password": s})),
    ("nested", password, extra(lambda s: {"request": {"user": {"credentials": [{"token": s}]}}})),
    ("pair", password, extra(lambda s: {"headers": [["accept", "*/*"], ["x-api-key", s]]})),
    ("siblings", password, extra(lambda s: {"env": [{"name": "DB_PASSWORD", "value": s}, {"name": "A", "value": "b"}]})),
    ("mapping-key", shaped("ghp_", 36), extra(lambda s: {"seen": {s: 1}})),
    ("integer", card, extra(lambda s: {"order": {"card_number": int(s)}})),
    ("bytes", password, extra(lambda s: {"raw": f"password={s}&x=1".encode()})),
    ("dataclass", password, extra(lambda s: {"form": Login("ann", s)})),
    ("json-attribute", password, extra(lambda s: {"payload": json.dumps({"auth": {"client_secret": s}})})),
    ("url-attribute", password, extra(lambda s: {"url.full": f"https://ann:{s}@api.internal/v1"})),
    ("query-text", password, extra(lambda s: {"db.query.text": f"UPDATE users SET password = '{s}' WHERE id = 7"})),
    ("template", password, extra(lambda s: {"call": {"template": "connecting with password %s", "args": [s]}})),
    ("deep", password, extra(lambda s: {"tree": nested(12, {"password": s})}), {"cut": True}),
    ("deeper", password, extra(lambda s: {"tree": nested(40, f"password={s}")}), {"cut": True}),
    ("many", password, extra(lambda s: {**{f"k{number}": number for number in range(200)}, "password": s}), {"cut": True}),
    ("long", password, extra(lambda s: {"text": "word " * 8_000 + f"password={s} "}), {"cut": True}),
    ("straddle", shaped("ghp_", 36), extra(lambda s: {"text": "x" * 32_750 + f" {s} "}), {"cut": True}),
]  # fmt: skip


def raised(name: str, error: BaseException) -> None:
    try:
        raise error
    except BaseException:
        log.exception(name)


def caused(name: str, secret: str) -> None:
    try:
        try:
            raise ConnectionError(f"no route to amqp://app:{secret}@mq:5672/")
        except ConnectionError as cause:
            raise RuntimeError("order failed") from cause
    except RuntimeError:
        log.exception(name)


def met_on_the_way(name: str, secret: str) -> None:
    """The context of an exception, whose cause has a note."""
    try:
        try:
            error = ConnectionError("no route")
            error.add_note(f"while using api_key={secret}")
            raise RuntimeError("no stock") from error
        except RuntimeError:
            raise KeyError("order")  # noqa: B904 - no cause: that is the point
    except KeyError:
        log.exception(name)


def noted(name: str, secret: str) -> None:
    error = RuntimeError("order failed")
    error.add_note(f"while using api_key={secret}")
    raised(name, error)


EXCEPTIONS: list[Any] = [
    ("exception", password, lambda n, s: raised(n, ValueError(f"login failed: password={s}"))),
    ("cause", password, caused),
    ("note", password, noted),
    ("note-of-a-cause-of-a-context", password, met_on_the_way),
    ("group", shaped("ghp_", 36), lambda n, s: raised(n, ExceptionGroup("all failed", [OSError(f"token {s} expired")]))),
    ("exception-value", password, lambda n, s: log.warning(n, extra={"error": ValueError({"password": s})})),
]  # fmt: skip


def in_a_task(name: str, secret: str) -> None:
    """Asyncio logs an exception that nobody asked for."""

    async def fail() -> None:
        raise RuntimeError(f"{name} password={secret}")

    async def forget() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.sleep(0)
        del task

    asyncio.new_event_loop().run_until_complete(forget())


def in_a_thread(name: str, secret: str) -> None:
    def fail() -> None:
        raise RuntimeError(f"{name} password={secret}")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


class Fails:
    def __init__(self, text: str) -> None:
        self.text = text

    def __del__(self) -> None:
        raise RuntimeError(self.text)


def bound(name: str, secret: str) -> None:
    with logspan.bind(session_token=secret):
        log.warning(name)


def through_the_api(name: str, secret: str) -> None:
    record = LogRecord(body=name, severity_number=SeverityNumber.INFO, attributes={"password": secret}, event_name="e")
    get_logger("canary.otel").emit(record)


def severity_text(name: str, secret: str) -> None:
    get_logger("canary.otel").emit(
        LogRecord(body=name, severity_number=SeverityNumber.INFO, severity_text=f"password={secret}")
    )


def event_name(name: str, secret: str) -> None:
    record = LogRecord(body=name, severity_number=SeverityNumber.INFO, event_name=f"login?password={secret}")
    get_logger("canary.otel").emit(record)


def body_of(make: Callable[[str, str], Any]) -> Plant:
    def plant(name: str, secret: str) -> None:
        record = LogRecord(body=make(name, secret), severity_number=SeverityNumber.INFO, attributes={"canary": name})
        get_logger("canary.otel").emit(record)

    return plant


def scope_version(name: str, secret: str) -> None:
    record = LogRecord(body=name, severity_number=SeverityNumber.INFO)
    get_logger("canary.versions", f"1.0+password={secret}").emit(record)


def scope_attributes(name: str, secret: str) -> None:
    record = LogRecord(body=name, severity_number=SeverityNumber.INFO)
    get_logger("canary.scope", attributes={"password": secret}).emit(record)


SOURCES: list[Any] = [
    ("structlog", password, lambda n, s: structlog.get_logger("canary.structlog").warning(n, password=s)),
    ("structlog-event", shaped("xoxb-", 40), lambda n, s: structlog.get_logger("canary.structlog").warning(f"{n} {s}")),
    ("loguru", password, lambda n, s: loguru_logger.bind(api_key=s).warning(n)),
    ("loguru-message", shaped("glpat-", 20), lambda n, s: loguru_logger.warning(f"{n} pushing with {s}")),
    ("facade", password, lambda n, s: logspan.get_logger("canary.facade").warning(n, client_secret=s)),
    ("bound", password, bound),
    ("warning", password, lambda n, s: warnings.warn(f"{n} password={s} is weak", UserWarning, stacklevel=1)),
    ("otel-api", password, through_the_api),
    ("event-name", password, event_name),
    ("severity-text", password, severity_text),
    ("scope-attributes", password, scope_attributes),
    ("scope-version", password, scope_version),
    ("body-mapping", password, body_of(lambda n, s: {"event": n, "auth": {"client_secret": s}})),
    ("body-bytes", password, body_of(lambda n, s: f"{n} password={s}".encode())),
    ("logger-name", password, lambda n, s: logging.getLogger(f"pool.redis://:{s}@cache:6379/0").warning(n)),
    ("asyncio", password, in_a_task),
    ("thread", password, in_a_thread),
    ("unraisable", password, lambda n, s: Fails(f"{n} password={s}")),
]


def spanned(name: str, **attributes: Any) -> Any:
    return tracer.start_as_current_span(name, attributes=attributes)


def span_attribute(key: str, form: str) -> Plant:
    def plant(name: str, secret: str) -> None:
        with spanned(name, **{key: form.replace("{s}", secret)}):
            pass

    return plant


def span_event(name: str, secret: str) -> None:
    with spanned(name) as span:
        span.add_event("retry", {"request.header.authorization": f"Bearer {secret}"})


def span_event_name(name: str, secret: str) -> None:
    with spanned(name) as span:
        span.add_event(f"GET https://ann:{secret}@api.internal/")


def span_scope(name: str, secret: str) -> None:
    trace.get_tracer(f"canary redis://:{secret}@cache:6379/0", f"1.0+password={secret}").start_span(name).end()


def span_exception(name: str, secret: str) -> None:
    with spanned(name) as span:
        span.record_exception(ValueError(f"login failed: password={secret}"))


def span_status(name: str, secret: str) -> None:
    with spanned(name) as span:
        span.set_status(Status(StatusCode.ERROR, f"no route to mysql://root:{secret}@db/"))


def span_link(name: str, secret: str) -> None:
    other = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
    tracer.start_span(name, links=[Link(other, {"messaging.password": secret})]).end()


def span_list(name: str, secret: str) -> None:
    tracer.start_span(name, attributes={"process.command_args": ("deploy", f"--password={secret}")}).end()


ON_SPANS = {"on": frozenset({"spans"})}
SPANS: list[Any] = [
    ("span-url", password, span_attribute("url.full", "https://ann:{s}@api.internal/v1"), ON_SPANS),
    ("span-query", password, span_attribute("url.query", "page=1&access_token={s}"), ON_SPANS),
    ("span-sql", password, span_attribute("db.query.text", "UPDATE users SET password = '{s}' WHERE id = 7"), ON_SPANS),
    ("span-key", password, span_attribute("http.request.header.x-api-key", "{s}"), ON_SPANS),
    ("span-event", lambda name: made_of(name, WORDS + "-_", 40), span_event, ON_SPANS),
    ("span-event-name", password, span_event_name, ON_SPANS),
    ("span-scope", password, span_scope, ON_SPANS),
    ("span-exception", password, span_exception, ON_SPANS),
    ("span-status", password, span_status, ON_SPANS),
    ("span-link", password, span_link, ON_SPANS),
    ("span-list", password, span_list, ON_SPANS),
    ("span-name", password, lambda n, s: tracer.start_span(f"{n} GET https://ann:{s}@api.internal/").end(), ON_SPANS),
]

NOWHERE = {"on": frozenset[str](), "cut": True}
BOTH = {"on": frozenset({"logs", "spans"})}
ELSEWHERE: list[Any] = [
    ("query", password, None, ON_SPANS),
    ("access-line", password, None),
    ("authorization", lambda name: made_of(name, WORDS + "-_", 40), None),
    ("cookie", lambda name: made_of(name, WORDS, 32), None),
    ("validation", password, None),
    ("unhandled", password, None),
    ("client-url", password, None),
    ("resource-key", password, None, BOTH),
    ("resource-value", password, None, BOTH),
    ("uncaught", password, None),
    ("enricher", password, None, NOWHERE),
    ("exporter-header", password, None, NOWHERE),
    ("peer-answer", password, None, NOWHERE),
]

PLACES: dict[str, str] = {
    "message bodies and f-strings": "fstring bearer jwt card iban ssn dsn",
    "exception messages, stack traces, causes and notes": "exception cause note group note-of-a-cause-of-a-context",
    "url.*": "url-attribute span-url span-query client-url query access-line",
    "db.query.text": "query-text span-sql sql",
    "nested values": "nested dataclass body-mapping",
    "[name, value] pairs": "pair",
    "{name, value} siblings": "siblings",
    "mapping keys": "mapping-key",
    "integers": "integer",
    "bytes": "bytes body-bytes",
    "JSON inside strings": "json json-escaped json-attribute",
    "forms, XML, multipart": "form xml multipart",
    "template and args": "percent-args bad-args template",
    "command-line arguments": "argv curl span-list",
    "resource attributes": "resource-key resource-value",
    "scopes": "logger-name scope-attributes scope-version span-scope",
    "span and event attributes": "span-key span-event span-event-name span-link span-status span-name span-exception",
    "event names, names of levels": "event-name span-event-name severity-text",
    "base64, hex, percent-encoding": "base64 hex percent-encoded",
    "look-alike letters, zero-width characters, ANSI codes, odd separators": "look-alike full-width zero-width ansi separator",
    "truncation before redaction": "long straddle",
    "anything past a depth or key limit": "deep deeper many",
    "the fall-back to stderr": "uncaught unhandled thread unraisable asyncio warning",
    "what logspan says of itself": "enricher exporter-header peer-answer",
    "requests": "authorization cookie validation bound",
}
"""Where leaks survive, and the canaries that are planted there; outputs (console, files, the spool, ...) are the tests'."""
