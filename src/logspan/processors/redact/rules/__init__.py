"""The rules that come with logspan, by family, and the named sets of them."""

from __future__ import annotations

from types import MappingProxyType

from logspan.processors.redact.rule import Rule
from logspan.processors.redact.rules.credentials import CREDENTIAL_RULES
from logspan.processors.redact.rules.keys import KEY_RULES
from logspan.processors.redact.rules.national import NATIONAL_RULES
from logspan.processors.redact.rules.personal import OPTIONAL_RULES, PERSONAL_RULES
from logspan.processors.redact.rules.tokens import TOKEN_RULES

RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        rule.id: rule
        for rule in (*KEY_RULES, *CREDENTIAL_RULES, *TOKEN_RULES, *PERSONAL_RULES, *NATIONAL_RULES, *OPTIONAL_RULES)
    }
)
"""Every rule by its id. The order is that of precedence, where two find the same place."""

_SECRETS = tuple(rule.id for rule in (*KEY_RULES, *CREDENTIAL_RULES, *TOKEN_RULES))
SHORT_CODES = frozenset({"cvv", "pin", "otp", "one-time-code", "card-security-code", "pin-code"})
"""Rules for what has a few digits only."""

_CARDS = ("payment-card", "card-track", "cvv", "pin")
_PEOPLE = tuple(rule.id for rule in (*PERSONAL_RULES, *NATIONAL_RULES))
_TRACES = tuple(rule.id for rule in OPTIONAL_RULES)

SETS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "default": (*_SECRETS, *_PEOPLE),
        "pci": (*_SECRETS, *_CARDS, "iban"),
        "gdpr": (*_SECRETS, *_PEOPLE, "ip-address", "mac-address", "date-of-birth"),
        "hipaa": (*_SECRETS, *_PEOPLE, "ip-address", "mac-address", "date-of-birth", "postcode"),
        "strict": (*_SECRETS, *_PEOPLE, *_TRACES),
    }
)
"""The ids of the rules of each set."""
