"""The settings of redaction: which rules, what they do, and the user's own.

Where the Collector's redaction processor has an option, it has the same name here and means the same:
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/processor/redactionprocessor.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from logspan.expressions import Pattern, PatternError
from logspan.settings.fields import Choice, ExistingFile, broken_rule
from logspan.settings.section import Section


def _expression(text: str) -> str:
    try:
        pattern = Pattern(text, whole=True)
    except PatternError as error:
        raise ValueError(f"must be a regular expression of RE2: {error}") from None
    if not text:
        raise ValueError("is empty, and would be found everywhere")
    if pattern.search(_PROBE) and next(pattern.spans(_PROBE), None) is None:
        raise ValueError("only finds places without characters: `+` in place of `*`, or more than `^`, `$`, `\\b`")
    return text


_PROBE = " !#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~'\"\\"


def _word(text: str) -> str:
    if not any(map(str.isalnum, text)):
        raise ValueError("needs a letter or a digit")
    return text


def _rule_id(text: str) -> str:
    if not _RULE_ID.fullmatch(text):
        raise ValueError("the id of a rule stands in its markers: letters, digits and ._- only, 64 at most")
    return text


_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RuleId = Annotated[str, AfterValidator(_rule_id)]

Word = Annotated[str, AfterValidator(_word)]
Expression = Annotated[str, AfterValidator(_expression)]
"""A regular expression that RE2 takes: no look-around, no back-references, so that no text can make it slow."""

ActionName = Annotated[Literal["remove", "mask", "partial", "hash", "tokenize"], Choice]
KeepName = Annotated[Literal["last4", "last2", "domain", "country", "network"], Choice]
ValidatorName = Annotated[
    Literal["card", "email", "phone", "us-ssn", "ip", "token", "random", "wallet", "base58check"], Choice
]


_LEAST_KEY = 16
"""Bytes."""


class RedactionRuleSettings(Section):
    """A rule of the user's own: keys, or an expression."""

    keys: list[Word] = Field(
        default_factory=list, description="Keys, as words: `badge number` stands for `user.badgeNumber` too."
    )
    pattern: Expression | None = Field(
        default=None, description="What goes, anywhere in a text; where groups of the expression took part, these."
    )
    near: list[Word] = Field(
        default_factory=list, description="Words one of which must stand in front of a match, behind it or in its key."
    )
    validator: ValidatorName | None = Field(default=None, description="A check that a match has to pass.")
    action: ActionName = Field(default="remove", description="What is done with a match.")
    keep: KeepName | None = Field(default=None, description="What `partial` keeps.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.keys) == bool(self.pattern):
            raise broken_rule("a rule has either keys or a pattern", "pattern", "keys")
        if self.keys and (self.near or self.validator):
            raise broken_rule("near and validator are for rules with a pattern", "near", "validator")
        return self


class RedactionSetSettings(Section):
    """A set of rules of the user's own."""

    extends: list[str] = Field(default_factory=lambda: ["default"], description="Sets whose rules it takes over.")
    rules: list[str] = Field(default_factory=list, description="Rules that it has besides.")
    without: list[str] = Field(default_factory=list, description="Rules that it leaves out.")


class RedactionSettings(Section):
    """Taking secrets out, before any exporter sees a record."""

    enabled: bool = Field(default=True, description="Whether secrets are taken out.")
    spans: bool = Field(
        default=True, description="Whether the spans that logspan exports are redacted as well, not only the records."
    )
    set: str = Field(
        default="default",
        description="Which rules are in force: `default`, `pci` (credentials and cards), `gdpr`, `hipaa` (addresses "
        "and "
        "dates of birth as well), `strict` (all there are), or one of `sets`.",
    )
    sets: dict[str, RedactionSetSettings] = Field(
        default_factory=dict,
        description="Sets of rules of your own: `extends` (sets; `default` unless given), `rules`, `without`.",
    )
    rules: dict[RuleId, RedactionRuleSettings] = Field(
        default_factory=dict,
        description="Rules of your own by their id, each in force: `keys` or `pattern` (RE2), `near`, `validator`, "
        "`action`, `keep`.",
    )
    actions: dict[str, ActionName] = Field(
        default_factory=dict,
        description="Another action for a rule, by its id: `remove`, `mask`, `partial`, `hash`, `tokenize`.",
    )
    blocked_keys: list[str] = Field(
        default_factory=list,
        description="Attribute names whose values go, besides the built-in ones; read as words, whatever their case "
        "and separators, at the end of a name: `card` stands for `customer.card` too.",
    )
    blocked_key_patterns: list[Expression] = Field(
        default_factory=list, description="Regular expressions (RE2) for attribute names whose values go."
    )
    allow_all_keys: bool = Field(
        default=True,
        description="Whether attributes stay that `allowed_keys` and `ignored_keys` do not name; if not, they are left "
        "out, and so are keys of a body, at any depth.",
    )
    allowed_keys: list[str] = Field(
        default_factory=list,
        description="Attribute names, in full and as they are written, whose values stay whatever the name sounds "
        "like: they are searched as if they had none. What is blocked goes all the same. With `allow_all_keys` off, "
        "these are the only ones that stay.",
    )
    ignored_keys: list[str] = Field(
        default_factory=list,
        description="Attribute names, in full and as they are written, whose values are not looked at at all.",
    )
    blocked_values: list[Expression] = Field(
        default_factory=list,
        description="Regular expressions (RE2) for what goes, anywhere in a text: the whole match, groups or not.",
    )
    allowed_values: list[Expression] = Field(
        default_factory=list,
        description="Regular expressions (RE2) for what stays: what lies within a match is not taken out, and a value "
        "that is one as a whole stays under any key.",
    )
    hash_function: Annotated[Literal["hmac-sha256", "hmac-sha512", "sha3", "sha1", "md5"], Choice] | None = Field(
        default=None,
        description="Put a keyed hash (HMAC with this function) in place of what `blocked_keys`, "
        "`blocked_key_patterns` and "
        "`blocked_values` take out. Rules whose action is `hash` use it too, else HMAC-SHA-256.",
    )
    hash_key: SecretStr | None = Field(
        default=None,
        description="The key of the hashes, 16 bytes at least (`openssl rand -hex 32` makes one); each "
        "`logspan.tenant.id` has one of its own, "
        "derived from "
        "it. Unset: one made at random for each process, so hashes cannot be compared across processes.",
    )
    hash_key_file: ExistingFile | None = Field(
        default=None, description="A file with that key; space and line ends around it do not count."
    )
    tokenizer: str | None = Field(
        default=None,
        description="`package.module:function`, called with a rule's id and a secret, for the action `tokenize`; "
        "what it returns "
        "stands in place of the secret. If it raises, or takes longer than `timeout`, the whole value is replaced.",
    )
    summary: Annotated[Literal["debug", "info", "silent"], Choice] = Field(
        default="silent",
        description="What a record tells of its own redaction: `info`: `redaction.redacted.count` and its like; "
        "`debug`: the names "
        "of the attributes as well.",
    )
    timeout: float = Field(
        default=2.0,
        gt=0,
        allow_inf_nan=False,
        description="How long the rules may take for one value, in seconds; then the value is replaced as a whole.",
    )

    @model_validator(mode="after")
    def _key(self) -> Self:
        if self.hash_key is not None and self.hash_key_file is not None:
            raise broken_rule("hash_key and hash_key_file exclude each other", "hash_key_file")
        name = "hash_key" if self.hash_key_file is None else "hash_key_file"
        try:
            key = self.secret_key()
        except OSError as error:
            raise broken_rule(f"cannot be read: {error.strerror}", name) from None
        if getattr(self, name) is not None and len(key) < _LEAST_KEY:
            raise broken_rule(f"must have at least {_LEAST_KEY} bytes; `openssl rand -hex 32` makes a good one", name)
        return self

    def secret_key(self) -> bytes:
        """The key of the hashes, from the setting or its file; empty when there is none. Raises `OSError`."""
        if self.hash_key is not None:
            return self.hash_key.get_secret_value().encode()
        return b"" if self.hash_key_file is None else self.hash_key_file.read_bytes().strip()
