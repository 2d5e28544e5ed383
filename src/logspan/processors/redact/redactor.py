"""The redactor: one object that knows the rules and takes secrets out of texts, attributes and whole records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import AnyValue

from logspan.expressions import Pattern, is_linear
from logspan.ledger import TallyMap
from logspan.processors.redact.actions import Actions
from logspan.processors.redact.config import RedactorConfig, config_of
from logspan.processors.redact.engine import Engine, Match
from logspan.processors.redact.finding import Finding
from logspan.processors.redact.records.allowlist import AllowList
from logspan.processors.redact.records.quick import QuickLook
from logspan.processors.redact.records.summary import Change, summarise
from logspan.processors.redact.records.walk import Key, Tools, Walk
from logspan.processors.redact.tokenizer import Tokenize, Tokenizer
from logspan.processors.redact.values.keys import KeyRules
from logspan.record import Record
from logspan.values import clean_attributes, clean_value

if TYPE_CHECKING:
    from logspan.settings import RedactionSettings

TENANT = "logspan.tenant.id"
_MOST_KEYS = 8_192
_MOST_SCOPES = 1_024
_BODY, _NAME = 0, 1
"""The texts of a record, in the order in which they are looked at."""
_LEVELS = frozenset({*SeverityNumber.__members__, "WARNING", "CRITICAL", "SUCCESS"})
"""What levels are called; anybody may have another."""


class Redactor:
    """Takes secrets out of texts, attributes and whole records; one for all threads.

    By key (passwords, tokens, cookies: the whole value goes) and by shape anywhere in a text (vendors' tokens, JSON web
    tokens, credentials in headers and URLs, private keys, payment cards, ...: only the matched part goes). A marker
    names the rule. A value on which a rule fails, or for which there is no time, is replaced as a whole.
    """

    def __init__(self, config: RedactorConfig | None = None, *, tokenize: Tokenize | None = None) -> None:
        self._config = config = config or RedactorConfig()
        self._rules = {**config.rules, **{rule.id: rule for rule in config.blocked}}
        self._keys = KeyRules(
            (rule for rule in self._rules.values() if rule.kind == "key"),
            config.blocked_keys,
            config.blocked_key_patterns,
        )
        self._engine = Engine(self._rules, self._keys, config.timeout)
        tokenize = tokenize or config.tokenize
        self._tokenizer = None if tokenize is None else Tokenizer(tokenize, config.timeout)
        self._actions = Actions(config.hash_key, config.hash_function or "hmac-sha256", self._tokenizer)
        self._allowed_values = tuple(Pattern(pattern, whole=True) for pattern in config.allowed_values)
        self._ignored = frozenset(config.ignored_keys)
        self._spared = frozenset(config.allowed_keys)
        self._only = None if config.allow_all_keys else AllowList(config.allowed_keys, config.ignored_keys)
        self._known: dict[str, Key] = {}
        self._scopes: dict[int, tuple[InstrumentationScope, InstrumentationScope]] = {}
        self._hits, self._failures = TallyMap(), TallyMap()
        self._tools = Tools(
            self._look, self._find, self._actions.replacement, self._fail, self._is_allowed, config.max_length
        )
        self._quick = QuickLook(self._engine, self._tools)

    @classmethod
    def from_settings(cls, settings: RedactionSettings, *, tokenize: Tokenize | None = None) -> Redactor:
        """The redactor of a `redaction` section; `enabled` is for the pipeline to look at.

        `tokenize` is called with a rule's id and a secret for rules whose action is `tokenize`. Raises `SettingsError`
        for a rule or a set that does not exist, and for a rule with that action when there is no callable.
        """
        return cls(config_of(settings, tokenize))

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that are in force, sorted."""
        return tuple(sorted(self._rules))

    @property
    def hits(self) -> Mapping[str, int]:
        """How often each rule has found something so far; a rule that never fired is not in it."""
        return self._hits.values()

    @property
    def failures(self) -> Mapping[str, int]:
        """How often each rule has failed or run out of time; the value was replaced as a whole each time."""
        return self._failures.values()

    @property
    def limited(self) -> tuple[str, ...]:
        """What this redactor cannot do for want of a package."""
        if is_linear():
            return ()
        return (f"redaction: google-re2 is not installed, so values are cut at {self._config.max_length} characters",)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong now, or has been since the start: a limit, rules that failed, a tokenizer that hangs."""
        failed = self.failures
        troubles = list(self.limited)
        if failed:
            total = f"redaction: rules failed {sum(failed.values())} times since the start ({', '.join(failed)})"
            troubles.append(f"{total}: each value was replaced as a whole")
        if self._tokenizer is not None and (overdue := self._tokenizer.overdue):
            troubles.append(f"redaction: the tokenizer has not answered for {overdue:.0f} s")
        return tuple(troubles)

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know of this redactor: slower expressions, a key that ends with the process."""
        notes = [*self.limited, *self._config.notes]
        if self._actions.has_own_key and any(rule.action == "hash" for rule in self._config.rules.values()):
            notes.append("redaction.hash_key is not set: hashes are comparable within this process only")
        return tuple(notes)

    def reset_after_fork(self) -> None:
        """Count anew, in a forked child: what the parent counted is the parent's."""
        self._hits, self._failures = TallyMap(), TallyMap()
        if self._tokenizer is not None:
            self._tokenizer.reset_after_fork()

    def text(self, text: str, *, tenant: str = "") -> str:
        """The text without the secrets in it; what is behind the first 131,072 characters is cut off.

        `tenant`: whose key hashes are made with.
        """
        walk = Walk(self._tools, tenant)
        redacted = walk.text(text)
        self._count(walk.findings)
        return redacted

    def attributes(self, attributes: Mapping[str, object], *, tenant: str | None = None) -> dict[str, AnyValue]:
        """A new dict without secrets, at any depth; values that are no OTel values become some.

        `tenant`: whose key hashes are made with; None: that of `logspan.tenant.id` among the attributes.
        """
        clean = clean_attributes(attributes)
        kept = clean if self._only is None else self._only.attributes(clean)
        suspects, ready = self._quick.suspects((), kept)
        if not suspects:
            return dict(kept)
        walk = Walk(self._tools, tenant_of(clean) if tenant is None else tenant, ready)
        redacted = walk.mapping(kept, only=suspects)
        self._count(walk.findings)
        return redacted

    def scope(self, scope: InstrumentationScope) -> InstrumentationScope:
        """A scope without secrets; the same object for the same object, by which encoders group."""
        known = self._scopes.get(id(scope))
        if known is not None and known[0] is scope:
            return known[1]
        safe = InstrumentationScope(
            self.text(scope.name),
            scope.version and self.text(scope.version),
            scope.schema_url and self.text(scope.schema_url),
            self.attributes(scope.attributes or {}),
        )
        if len(self._scopes) < _MOST_SCOPES:
            self._scopes[id(scope)] = (scope, safe)
        return safe

    def explain(self, value: object) -> list[Finding]:
        """What would be redacted in a text, a mapping of attributes or any value; nothing is changed or counted.

        A rule that fails is in it too, with the action `failed`.
        """
        walk = Walk(self._tools._replace(fail=lambda _: None), explains=True)
        walk.value(clean_value(value))
        return walk.findings

    def __call__(self, record: Record) -> None:
        """Redact one record in place: body, event name, attributes, scope, and a level that has a name of its own."""
        if record.instrumentation_scope is not None:
            record.instrumentation_scope = self.scope(record.instrumentation_scope)
        if record.severity_text and record.severity_text not in _LEVELS:
            record.severity_text = self.text(record.severity_text)
        body, attributes, name = record.body, record.attributes, record.event_name
        kept_body = body if self._only is None else self._only.body(body)
        kept = attributes if self._only is None else self._only.attributes(attributes)
        text = "" if kept_body is None else kept_body
        suspects, ready = self._quick.suspects((text, name) if name else (text,), kept)
        if not suspects and self._only is None:
            return
        tenant = tenant_of(attributes)
        walk = Walk(self._tools, tenant, ready)
        record.body = walk.value(kept_body) if _BODY in suspects else kept_body
        redacted = dict(kept) if suspects.isdisjoint(kept) else walk.mapping(kept, only=suspects)
        record.attributes = dict(redacted)
        if name and _NAME in suspects:
            record.event_name = walk.text(name)
        self._count(walk.findings)
        if self._config.summary != "silent":
            record.attributes |= summarise(
                self._config.summary,
                Change(attributes, kept, redacted),
                Change(body, kept_body, record.body),
                len(walk.findings),
                self._ignored,
                lambda key: self._safe_key(key, tenant),
            )

    def _find(self, text: str, context: str = "", about: tuple[int, ...] = (), *, ours: bool = True) -> list[Match]:
        found = self._engine.find(text, context, about, ours=ours)
        return self._unless_allowed(text, found) if found and self._allowed_values else found

    def _unless_allowed(self, text: str, found: list[Match]) -> list[Match]:
        allowed = [span for pattern in self._allowed_values for span in pattern.spans(text)]
        return [
            match for match in found if not any(start <= match.start and match.end <= end for start, end in allowed)
        ]

    def _is_allowed(self, value: str) -> bool:
        return any(span == (0, len(value)) for pattern in self._allowed_values for span in pattern.spans(value))

    def _fail(self, rule: str) -> None:
        self._failures.add(rule)

    def _look(self, key: str) -> Key:
        known = self._known.get(key)
        if known is None:
            known = self._look_at(key)
            if len(self._known) < _MOST_KEYS:
                self._known[key] = known
        return known

    def _look_at(self, key: str) -> Key:
        """What it says of its value, and whether it holds a secret itself."""
        if key in self._ignored:
            return Key(ignored=True)
        found = self._keys.judge(key)
        plain = self._safe_key(key) == key
        if key in self._spared and not (found and found.own):
            return Key(allowed=True, plain=plain)
        rule = None if found is None else self._engine.rule(found.rule)
        return Key(rule, 0 if found is None else found.weak, self._engine.about(key), plain=plain)

    def _safe_key(self, key: str, tenant: str = "") -> str:
        return Walk(self._tools, tenant).text(key)

    def _count(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if not finding.failed:
                self._hits.add(finding.rule)


def tenant_of(attributes: Mapping[str, object]) -> str:
    """Whose record or span it is, as text; "" for nobody's."""
    tenant = attributes.get(TENANT)
    return "" if tenant is None else str(tenant)
