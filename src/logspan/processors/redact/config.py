"""From the settings to the rules that are in force."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from stat import S_IROTH
from typing import TYPE_CHECKING, Any

from logspan.errors import SettingsError
from logspan.expressions import MAX_TEXT, MAX_TEXT_WITHOUT_RE2, is_linear
from logspan.processors.redact.rule import Action, Rule
from logspan.processors.redact.rules import RULES, SETS, SHORT_CODES
from logspan.processors.redact.tokenizer import Tokenize
from logspan.processors.redact.values.keys import BLOCKED

if TYPE_CHECKING:
    from logspan.settings import RedactionRuleSettings, RedactionSettings


def _default_rules() -> Mapping[str, Rule]:
    return {name: RULES[name] for name in SETS["default"]}


def _max_length() -> int:
    return MAX_TEXT if is_linear() else MAX_TEXT_WITHOUT_RE2


@dataclass(frozen=True, slots=True)
class RedactorConfig:
    """What a redactor is made of. `timeout` is in seconds, for one value; `max_length` in characters."""

    rules: Mapping[str, Rule] = field(default_factory=_default_rules)
    blocked: tuple[Rule, ...] = (Rule(BLOCKED, "key", own=True),)
    """The rules of `blocked_keys` and `blocked_values`."""
    blocked_keys: tuple[str, ...] = ()
    blocked_key_patterns: tuple[str, ...] = ()
    allow_all_keys: bool = True
    allowed_keys: tuple[str, ...] = ()
    ignored_keys: tuple[str, ...] = ()
    allowed_values: tuple[str, ...] = ()
    hash_function: str | None = None
    hash_key: bytes = b""
    summary: str = "silent"
    timeout: float = 2.0
    max_length: int = field(default_factory=_max_length)
    tokenize: Tokenize | None = None
    notes: tuple[str, ...] = ()
    """What an operator should know of the settings."""


def config_of(settings: RedactionSettings, tokenize: Tokenize | None = None) -> RedactorConfig:
    """The configuration that a `redaction` section describes, with the callable for `tokenize` in place of a named one.

    Raises `SettingsError`, with the nearest right name.
    """
    known = {**RULES, **{name: _own_rule(name, rule) for name, rule in settings.rules.items()}}
    blocked = {rule.id: _with_action(rule, settings) for rule in _blocked(settings)}
    for name in settings.actions:
        _named(name, {**known, **blocked})
    names = [*_members(settings.set, settings, ()), *settings.rules]
    rules = {name: _with_action(_named(name, known), settings) for name in dict.fromkeys(names)}
    _refuse_hashes(rules.values())
    tokenize = tokenize or (_callable(settings.tokenizer) if settings.tokenizer else None)
    if tokenize is None:
        _refuse_tokens([*rules.values(), *blocked.values()])
    return RedactorConfig(
        rules=rules,
        blocked=tuple(blocked.values()),
        blocked_keys=tuple(settings.blocked_keys),
        blocked_key_patterns=tuple(settings.blocked_key_patterns),
        allow_all_keys=settings.allow_all_keys,
        allowed_keys=tuple(settings.allowed_keys),
        ignored_keys=tuple(settings.ignored_keys),
        allowed_values=tuple(settings.allowed_values),
        hash_function=settings.hash_function,
        hash_key=settings.secret_key(),
        summary=settings.summary,
        timeout=settings.timeout,
        tokenize=tokenize,
        notes=tuple(_notes(settings)),
    )


def _blocked(settings: RedactionSettings) -> Iterator[Rule]:
    action: Action = "remove" if settings.hash_function is None else "hash"
    yield Rule(BLOCKED, "key", action=action, own=True)
    for place, pattern in enumerate(settings.blocked_values):
        name = f"blocked-value-{place}" if place else "blocked-value"
        yield Rule(name, "pattern", action=action, pattern=pattern, whole=True, own=True)


def _refuse_hashes(rules: Iterable[Rule]) -> None:
    """Even a keyed hash tells which of few are the same: whoever knows one of them knows all."""
    for rule in rules:
        if rule.id in SHORT_CODES and rule.action == "hash":
            raise SettingsError(
                f"redaction: the rule {rule.id!r} must not have the action hash: there are too few such codes; "
                "allowed are remove, mask, partial, tokenize"
            )


def _refuse_tokens(rules: Iterable[Rule]) -> None:
    """Without a tokenizer the action would remove, and nobody would know why there are no tokens."""
    for rule in rules:
        if rule.action == "tokenize":
            raise SettingsError(
                f"redaction: the rule {rule.id!r} has the action tokenize, and redaction.tokenizer is not set: "
                "name a callable there, as `package.module:function`"
            )


def _notes(settings: RedactionSettings) -> Iterator[str]:
    if settings.hash_key_file is not None and settings.hash_key_file.stat().st_mode & S_IROTH:
        yield "redaction.hash_key_file can be read by every user of this machine: chmod o-r"


def _members(name: str, settings: RedactionSettings, above: tuple[str, ...]) -> Iterable[str]:
    """The rules of a set, those of the sets that it extends first."""
    if name in above:
        raise SettingsError(f"redaction.sets: {' -> '.join((*above, name))} extends itself")
    own = settings.sets.get(name)
    if own is None:
        if name not in SETS:
            raise SettingsError(f"redaction: there is no set {name!r}{_near(name, (*SETS, *settings.sets))}")
        return SETS[name]
    inherited = [member for base in own.extends for member in _members(base, settings, (*above, name))]
    return [member for member in (*inherited, *own.rules) if member not in own.without]


def _named(name: str, known: Mapping[str, Rule]) -> Rule:
    if name not in known:
        raise SettingsError(f"redaction: there is no rule {name!r}{_near(name, known)}")
    return known[name]


def _near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(known))}"


def _own_rule(name: str, settings: RedactionRuleSettings) -> Rule:
    return Rule(
        name,
        "pattern" if settings.pattern else "key",
        action=settings.action,
        keys=tuple(settings.keys),
        pattern=settings.pattern or "",
        validator=settings.validator or "",
        near=tuple(settings.near),
        keep=settings.keep or "",
        own=True,
    )


def _with_action(rule: Rule, settings: RedactionSettings) -> Rule:
    action = settings.actions.get(rule.id)
    return rule if action is None else replace(rule, action=action)


def _callable(name: str) -> Tokenize:
    """`package.module:function`."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise SettingsError(f"redaction.tokenizer = {name!r}: must be `package.module:function`")
    try:
        found: Any = getattr(import_module(module), attribute)
    except Exception as error:
        raise SettingsError(f"redaction.tokenizer = {name!r}: cannot be imported: {type(error).__name__}") from error
    if not callable(found):
        raise SettingsError(f"redaction.tokenizer = {name!r}: is not callable")
    return found  # type: ignore[no-any-return]
