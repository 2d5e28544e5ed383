"""Payment cards and bank accounts: ranges of issuers, lengths of countries, check digits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from types import MappingProxyType

from logspan.processors.redact.checks.places import ALONE, Place, alone

_CARD_LENGTHS: tuple[tuple[int, int, int, tuple[int, ...]], ...] = (
    # first and last prefix, digits of the prefix, lengths: ISO/IEC 7812 ranges as the networks publish them
    (34, 34, 2, (15,)),
    (37, 37, 2, (15,)),
    (300, 305, 3, (14, 16)),
    (309, 309, 3, (14, 16)),
    (36, 36, 2, (14, 16)),
    (38, 39, 2, (14, 16)),
    (3528, 3589, 4, (16, 17, 18, 19)),
    (4, 4, 1, (13, 16, 19)),
    (51, 55, 2, (16,)),
    (2221, 2720, 4, (16,)),
    (2200, 2205, 4, (16, 17, 18, 19)),
    (50, 50, 2, (16, 18, 19)),
    (56, 58, 2, (16, 18, 19)),
    (60, 60, 2, (16, 18, 19)),
    (62, 65, 2, (16, 17, 18, 19)),
    (67, 67, 2, (16, 18, 19)),
    (6304, 6304, 4, (12, 13, 14, 15, 16, 17, 18, 19)),
    (6759, 6763, 4, (12, 13, 14, 15, 16, 17, 18, 19)),
    (5018, 5038, 4, (12, 13, 14, 15, 16, 17, 18, 19)),
    (81, 82, 2, (16,)),
    (9792, 9792, 4, (16,)),
)

_GAP = r"[ \t+._*/-]{0,3}"

CARD_HINT = (
    rf"{ALONE}(?:"
    rf"(?:2[2-7]|3[04-9]|4[0-9]|5[0-8]|6[02-57]|8[12]|97)[0-9]{{2}}(?:{_GAP}[0-9]){{10}}"
    rf"|4[0-9]{{3}}(?:{_GAP}[0-9]){{9}}|(?:50[1-3][0-9]|6304|67[56][0-9])(?:{_GAP}[0-9]){{8}})"
    rf"(?:{_GAP}[0-9])*(?:$|[^A-Za-z0-9._-]|[.-](?:$|[^A-Za-z0-9]))"
)
"""For the sieve: first digits that are issued, the least digits behind them, and an end where they stand alone."""

_CARD_WORDS = re.compile(
    r"(?i)(?<![a-z])(?:card|cc|ccn|pan|visa|master ?card|amex|american express|discover|maestro|union ?pay|jcb|diners"
    r"|carte|tarjeta|karte|kreditkarte|kartennummer|payment|paid|charged?|track ?2?|acct|cartao|cartão|carta)(?![a-z])|card(?:_?n|N)"
)

_OTHER_NUMBERS = re.compile(
    r"(?i)(?<![a-z])(?:order|invoice|seq|sequence|ean|gtin|upc|isbn|snowflake|tweet|message|msg|event|batch|job|task|trace|span|request|req"
    r"|timestamp|epoch|tracking|shipment|sku|ticket|build|offset|cursor|partition|version|serial|imei|imsi|iccid|sim|user|account|channel|guild"
    r"|transaction|txn|ref|reference|correlation|nonce|counter|count|bytes|size|duration|elapsed|ns|us|id|lsn|xid|position|checksum|crc|hash|port"
    r"|customer|cust|session|object|document|doc|row|page|entity|product|item|barcode|parcel|package|device|meter|case)"
    r"(?:id|no|number)?[\s\"'_.:=#-]{0,12}(?:(?:id|no|number|nr|num|is|was)[\s\"'_.:=#-]{0,4}){0,2}$"
)

_IBAN_LENGTHS = MappingProxyType(
    {
        code: int(length)
        for code, _, length in (
            item.partition(":")
            for item in [
                "AD:24",
                "AE:23",
                "AL:28",
                "AT:20",
                "AZ:28",
                "BA:20",
                "BE:16",
                "BG:22",
                "BH:22",
                "BI:27",
                "BR:29",
                "BY:28",
                "CH:21",
                "CR:22",
                "CY:28",
                "CZ:24",
                "DE:22",
                "DJ:27",
                "DK:18",
                "DO:28",
                "EE:20",
                "EG:29",
                "ES:24",
                "FI:18",
                "FK:18",
                "FO:18",
                "FR:27",
                "GB:22",
                "GE:22",
                "GI:23",
                "GL:18",
                "GR:27",
                "GT:28",
                "HN:28",
                "HR:21",
                "HU:28",
                "IE:22",
                "IL:23",
                "IQ:23",
                "IS:26",
                "IT:27",
                "JO:30",
                "KW:30",
                "KZ:20",
                "LB:28",
                "LC:32",
                "LI:21",
                "LT:20",
                "LU:20",
                "LV:21",
                "LY:25",
                "MC:27",
                "MD:24",
                "ME:22",
                "MK:19",
                "MN:20",
                "MR:27",
                "MT:31",
                "MU:30",
                "NI:28",
                "NL:18",
                "NO:15",
                "OM:23",
                "PK:24",
                "PL:28",
                "PS:29",
                "PT:25",
                "QA:29",
                "RO:24",
                "RS:22",
                "RU:33",
                "SA:24",
                "SC:31",
                "SD:18",
                "SE:24",
                "SI:19",
                "SK:24",
                "SM:27",
                "SO:23",
                "ST:25",
                "SV:28",
                "TL:23",
                "TN:24",
                "TR:26",
                "UA:29",
                "VA:22",
                "VG:24",
                "XK:20",
                "YE:30",
            ]
        )
    }
)


_LETTERED = frozenset(
    {
        *("AZ", "BG", "BH", "BY", "DO", "FK", "GB", "GE", "GI", "GT", "HN", "IE", "IQ", "IT", "JO", "KW"),
        *("LC", "LV", "MD", "MT", "MU", "NI", "NL", "PK", "PS", "QA", "RO", "SC", "SM", "SV", "VG", "YE"),
    }
)
"""Countries whose account numbers may begin with a letter (the registry of ISO 13616)."""

_HEXADECIMAL = frozenset({"AD", "AE", "BA", "BE", "DE", "EE"})
"""Countries whose code stands in ids, too; their account numbers begin with eight digits and more."""

IBAN_HINT = (
    rf"(?:^|[^A-Za-z0-9])(?:(?i:{'|'.join(sorted(_LETTERED))})[0-9]{{2}}[ .+-]?[A-Za-z0-9]{{2}}"
    rf"|(?i:{'|'.join(sorted(_IBAN_LENGTHS.keys() - _LETTERED - _HEXADECIMAL))})[0-9]{{2}}[ .+-]?[0-9]{{2}}"
    rf"|(?i:{'|'.join(sorted(_HEXADECIMAL))})[0-9]{{2}}(?:[ .+-]?[0-9]){{8}})"
)
"""For the sieve: a country, check digits, and how account numbers begin there."""


def card(text: str, start: int, end: int) -> Place | None:
    """ISO/IEC 7812: an issuer's range, a length that it issues, the Luhn digit; not what the line calls something else."""
    best: Place | None = None
    places = [place for place in range(start, end) if text[place].isdigit()]
    for length in (19, 18, 17, 16, 15, 14, 13, 12):
        if length > len(places):
            continue
        stop = places[length - 1] + 1
        digits = "".join(text[place] for place in places[:length])
        if (alone(text, start, stop) or _is_decimal(text, start, stop)) and luhn(digits) and _is_issued(digits, length):
            best = (start, stop)
            break
    if best is None or len(set(filter(str.isdigit, text[best[0] : best[1]]))) < 2:
        return None
    return best if _is_called_card(text, *best) else None


def _is_decimal(text: str, start: int, end: int) -> bool:
    """`card=4111111111111111.00`: a table has made a number of it on its way."""
    ended = _NO_CENTS.match(text, end)
    if ended is None or not _CARD_WORDS.search(text, max(0, start - 48), start):
        return False
    begin = max(0, start - 2)
    return alone(text[begin:end], start - begin, end - begin)  # as if the cents were not there


_NO_CENTS = re.compile(r"\.0{1,2}(?![\w.-])")


def _is_issued(digits: str, length: int) -> bool:
    return any(
        first <= int(digits[:size]) <= last and length in lengths for first, last, size, lengths in _CARD_LENGTHS
    )


def _is_called_card(text: str, start: int, end: int) -> bool:
    """Grouped in fours, or of 14 to 16 digits, it needs no word; nothing else may be what the words before it say."""
    value = text[start:end]
    before = text[max(0, start - 48) : start]
    if _CARD_WORDS.search(before) or _CARD_WORDS.search(text[end : end + 24]):
        return True
    if value.isdigit():
        return len(value) in (14, 15, 16) and not _OTHER_NUMBERS.search(before)
    groups = re.split(r"[^0-9]+", value)
    return [len(group) for group in groups] in ([4, 4, 4, 4], [4, 6, 5], [4, 6, 4], [4, 4, 4, 4, 3], [6, 13]) or (
        len(groups) > 6 and len(set(map(len, groups))) == 1
    )


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = ord(digit) - 48
        if place % 2:
            number = number * 2 - 9 if number > 4 else number * 2
        total += number
    return total % 10 == 0


def ibans(text: str) -> Iterator[Place]:
    """ISO 13616: the country's length and the check digits."""
    position = 0
    while (match := _IBAN_START.search(text, position)) is not None:
        position = match.end()
        end = _end_of_iban(text, match.start())
        if end:
            yield match.start(), end
            position = end


def _end_of_iban(text: str, start: int) -> int:
    length = _IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
    places = [place for place in range(start, min(len(text), start + 3 * length)) if text[place].isalnum()][:length]
    if not length or len(places) < length or text[places[-1] + 1 : places[-1] + 2].isalnum():
        return 0
    compact = "".join(text[place] for place in places).upper()
    if not compact.isascii() or any(after - before > 3 for before, after in pairwise(places)):
        return 0
    return places[-1] + 1 if int("".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])) % 97 == 1 else 0


_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")
