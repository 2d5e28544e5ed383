"""Money and people: cards, accounts, addresses of mail, numbers of telephones, wallets; and what is off unless asked for."""

from __future__ import annotations

from logspan.processors.redact.checks.cards import CARD_HINT, IBAN_HINT
from logspan.processors.redact.checks.places import ALONE
from logspan.processors.redact.rule import Rule

CARD_WORDS = (
    *("card", "card number", "cardnumber", "credit card", "debit card", "cc", "ccn", "cc number", "pan", "visa"),
    *("mastercard", "amex", "american express", "discover", "maestro", "unionpay", "jcb", "diners", "carte", "tarjeta"),
    *("kreditkarte", "payment method", "kartennummer", "acct", "track2", "primary account number", "creditcard"),
)

_LONG_BASE58 = "{}[1-9a-fA-F]*[GHJ-NP-Zg-km-z][1-9A-HJ-NP-Za-km-z]{{12}}"
"""What the sieve asks for behind the first sign of base58: more than hexadecimal digits, or each id would be one."""

_ALPHABETS = "\u00c0-\u024f\u0370-\u058f"
_SCRIPTS = _ALPHABETS + "\u0590-\u1fff\u3040-\ud7ff"
"""Letters of RFC 6531. Those of scripts that are written without spaces only in a domain: in front may stand a sentence."""
_LABEL = f"[A-Za-z0-9{_SCRIPTS}-]"

PERSONAL_RULES: tuple[Rule, ...] = (
    Rule(
        "payment-card",
        "pattern",
        action="partial",
        keep="last4",
        pattern=r"([2-9][0-9]{3}(?:[ \t+._*/-]{0,3}[0-9]){8,15})",
        hint=CARD_HINT,
        validator="card",
    ),
    Rule(
        "card-track",
        "pattern",
        pattern=r"(%?B[0-9]{12,19}\^[^\^\n]{2,26}\^[0-9]{4}[0-9?]*|;[0-9]{12,19}=[0-9]{7,24}\??)",
        hint=r"[0-9]\^|[0-9]=[0-9]",
    ),
    Rule(
        "iban",
        "parser",
        action="partial",
        keep="country",
        parser="iban",
        hint=IBAN_HINT,
    ),
    Rule(
        "email",
        "pattern",
        action="hash",
        keep="domain",
        pattern=rf"((?:[A-Za-z0-9_{_ALPHABETS}][A-Za-z0-9._+{_ALPHABETS}-]{{0,63}}|\\{{0,4}}\"[^\"\\\n@]{{1,64}}\\{{0,4}}\")@{_LABEL}{{1,63}}(?:\.{_LABEL}{{1,63}}){{0,6}}\.(?:xn--[A-Za-z0-9-]{{2,40}}|[A-Za-z]{{2,24}}|[{_SCRIPTS}]{{2,24}}))",
        hint=r"@(?:[A-Za-z0-9]|[^\x00-\x7f])",
        validator="email",
    ),
    Rule(
        "phone",
        "pattern",
        action="hash",
        keep="last4",
        pattern=r"((?:\+|\b00)[1-9](?:[ ().\x2f"
        "\u2010-\u2015"
        r"-]{0,3}[0-9]){6,14}"
        r"|\(?\b[2-9][0-9]{2}\)?[ .-]{1,2}[2-9][0-9]{2}[ .-][0-9]{4}\b)|\bwa\.me/([1-9][0-9]{6,14})\b",
        hint=rf"(?:\+|{ALONE}00)[1-9](?:[ ().\x2f"
        "\u2010-\u2015"
        rf"-]{{0,3}}[0-9]){{6}}|{ALONE}\(?[2-9][0-9]{{2}}\)?[ .-]{{1,2}}[2-9][0-9]{{2}}[ .-][0-9]{{4}}|wa\.me/[1-9]",
        validator="phone",
    ),
    Rule(
        "phone-national",
        "pattern",
        tier="extended",
        action="hash",
        pattern=r"(\(?\b(?:00?)?[1-9](?:[ ()./-]{0,3}[0-9]){6,12})\b",
        validator="phone-national",
        near=(
            *("phone", "phone number", "phonenumber", "telephone", "telefon", "tel", "mobile", "cell", "sms to", "fax"),
            *("whatsapp", "msisdn", "handynummer", "telefono", "telefone", "teléfono", "mobil", "telephone number"),
            *(
                "mobile number",
                "phone no",
                "tel no",
                "call me at",
                "reach me at",
                "call me on",
                "cell phone",
                "portable",
                "contact number",
                "contact no",
                "手机",
                "手机号",
                "手机号码",
                "电话",
                "電話",
                "電話番号",
                "携帯",
                "전화번호",
                "телефон",
                "celular",
                "gsm",
            ),
        ),
    ),
    Rule(
        "crypto-wallet",
        "pattern",
        tier="extended",
        action="hash",
        pattern=r"\b((?:bc1|tb1|bcrt1|ltc1)[02-9ac-hj-np-z]{11,87}|(?:BC1|TB1|LTC1)[02-9AC-HJ-NP-Z]{11,87}"
        r"|[13LMmn2D][1-9A-HJ-NP-Za-km-z]{25,34}|addr1[02-9ac-hj-np-z]{50,110}|[48][1-9A-HJ-NP-Za-km-z]{94}"
        r"|cosmos1[02-9ac-hj-np-z]{38}|r[1-9A-HJ-NP-Za-km-z]{24,34}|T[1-9A-HJ-NP-Za-km-z]{33})\b",
        hint=rf"\b(?:{_LONG_BASE58.format('[13LMmn2D48rT]')}|(?i:bc1|tb1|ltc1)[02-9ac-hj-np-zA-Z]{{10}}|(?:bcrt1|addr1|cosmos1)[02-9ac-hj-np-z]{{8}})",
        validator="wallet",
    ),
    Rule(
        "ethereum-wallet",
        "pattern",
        tier="extended",
        action="hash",
        pattern=r"\b(0x[a-fA-F0-9]{40})\b",
        validator="ethereum",
        near=(
            "wallet",
            "ethereum",
            "eth",
            "payout",
            "recipient",
            "withdrawal",
            "withdraw",
            "deposit",
            "beneficiary",
            "crypto",
            "sender",
            "receiver",
            *("usdc", "usdt", "erc20", "metamask", "on chain"),
        ),
    ),
    Rule(
        "solana-wallet",
        "pattern",
        tier="extended",
        action="hash",
        # 32 bytes without a checksum
        pattern=r"\b([1-9A-HJ-NP-Za-km-z]{43,44})\b",
        validator="random",
        near=("solana", "sol wallet", "sol address", "phantom", "lamports"),
    ),
    Rule(
        "wallet-private-key",
        "pattern",
        pattern=r"\b([5KL][1-9A-HJ-NP-Za-km-z]{50,51}|[xyz]prv[1-9A-HJ-NP-Za-km-z]{80,112})\b",
        hint=rf"\b(?:{_LONG_BASE58.format('[5KL]')}|[xyz]prv[1-9A-HJ-NP-Za-km-z]{{12}})",
        validator="base58check",
    ),
)

OPTIONAL_RULES: tuple[Rule, ...] = (
    Rule(
        "ip-address",
        "pattern",
        tier="optional",
        action="partial",
        keep="network",
        pattern=r"(?:^|[^0-9A-Za-z.:])((?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})",
        hint=r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9a-fA-F]{0,4}:[0-9a-fA-F]{0,4}:",
        validator="ip",
    ),
    Rule(
        "mac-address",
        "pattern",
        tier="optional",
        action="hash",
        pattern=r"\b([0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}|[0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2}){5}|[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4})\b",
        hint=r"[0-9a-fA-F]{2}[:-][0-9a-fA-F]{2}[:-][0-9a-fA-F]{2}[:-]|[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}",
    ),
    Rule(
        "date-of-birth",
        "pattern",
        tier="optional",
        pattern=r"\b([0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}|[0-9]{1,2}\.? (?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?,? [0-9]{4}|[0-9]{8})\b",
        near=(
            "dob",
            "birth",
            "date of birth",
            "birth date",
            "birthdate",
            "birthday",
            "born",
            "geburtsdatum",
            "naissance",
            "nacimiento",
            "born on",
        ),
    ),
    Rule(
        "postcode",
        "pattern",
        tier="optional",
        pattern=r"(?i)\b([A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|[0-9]{5}(?:-[0-9]{4})?|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]|[0-9]{4} ?[A-Z]{2}|[0-9]{4,6})\b",
        near=("postcode", "post code", "zip", "zip code", "zipcode", "postal code", "plz", "code postal"),
    ),
)
