"""Rules, sets and actions of your own."""

from logspan import Redactor, Settings
from logspan.settings import RedactionRuleSettings, RedactionSetSettings, RedactionSettings


def shop_redactor() -> Redactor:
    settings = Settings(
        redaction=RedactionSettings(
            set="shop",
            sets={"shop": RedactionSetSettings(extends=["pci"], rules=["email", "ip-address"], without=["pin"])},
            rules={
                "badge": RedactionRuleSettings(keys=["badge number"]),
                "case": RedactionRuleSettings(pattern=r"\b(C-[0-9]{6})\b", near=["case"], action="hash"),
            },
            actions={"email": "partial"},
            allowed_values=[r"[a-z]+@example\.org"],
            hash_key="a key of at least sixteen characters",
        )
    )
    return Redactor.from_settings(settings.redaction)
