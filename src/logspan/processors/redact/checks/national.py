"""Numbers that states give to people: check digits, mostly by python-stdnum (10 to 120 us each, and rarely asked)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import MappingProxyType

from logspan.processors.redact.checks.cards import luhn
from logspan.processors.redact.checks.places import Place, Validator, alone

_SIGNED = frozenset({"fi.hetu", "se.personnummer"})
"""Numbers in which the sign between the digits tells the century."""


def document(text: str, start: int, end: int) -> Place | None:
    """A passport, a licence: at least four digits, no date and no UUID; of Germany's, one."""
    value = text[start:end]
    digits = sum(map(str.isdigit, value))
    is_german = digits and _GERMAN.fullmatch(value)
    if (
        (digits < (7 if value.isdigit() else 4) and not is_german)
        or (digits < len(value) // 3 and not is_german)
        or not alone(text, start, end)
        or _DATE.fullmatch(value)
    ):
        return None
    return start, end


_DATE = re.compile(r"(?:19|20)\d\d-\d\d(?:-\d\d.*)?")
_GERMAN = re.compile(r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{7}[0-9CFGHJKLMNPRTVWXYZ]?")
"""Its serial number, with a check digit or without: a letter, then letters and digits, no vowel among them."""


def us_ssn(text: str, start: int, end: int) -> Place | None:
    """Not in the ranges that are never given out (SSA), or an ITIN."""
    if not alone(text, start, end):
        return None
    digits = re.sub(r"\D", "", text[start:end])
    area, group, serial = int(digits[:3]), int(digits[3:5]), int(digits[5:])
    is_itin = area >= 900 and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)
    if not serial or not (is_itin or (0 < area < 900 and area != 666 and group)):
        return None
    return start, end


def stdnum(module: str, text: str, start: int, end: int) -> Place | None:
    """What python-stdnum says of a number of that kind."""
    if not alone(text, start, end):
        return None
    compact = "".join(filter(str.isalnum, text[start:end])) if module not in _SIGNED else text[start:end]
    return (start, end) if import_module(f"stdnum.{module}").is_valid(compact) else None


def fiscal_code(text: str, start: int, end: int) -> Place | None:
    """Italy's, also with eIDAS's `TINIT-` in front."""
    if text.startswith(_EIDAS, max(0, start - len(_EIDAS))):
        return (start, end) if stdnum("it.codicefiscale", text[start : end + 2], 0, end - start) else None
    return stdnum("it.codicefiscale", text, start, end)


_EIDAS = "TINIT-"


def checked(check: Callable[[str], bool], text: str, start: int, end: int) -> Place | None:
    """A check of our own over the letters and digits, for what python-stdnum does not have."""
    compact = "".join(filter(str.isalnum, text[start:end])).upper()
    return (start, end) if alone(text, start, end) and check(compact) else None


def _npi(digits: str) -> bool:
    return digits[0] in "12" and luhn("80840" + digits)


def _sin(digits: str) -> bool:
    """Numbers that begin with 0 are not issued, but written where one is made up or temporary."""
    return digits[0] != "8" and luhn(digits)


def _medicare(digits: str) -> bool:
    weights = (1, 3, 7, 9, 1, 3, 7, 9)
    return digits[0] in "23456" and sum(w * int(d) for w, d in zip(weights, digits, strict=False)) % 10 == int(
        digits[8]
    )


def _nric(value: str) -> bool:
    total = sum(w * int(d) for w, d in zip((2, 7, 6, 5, 4, 3, 2), value[1:8], strict=True)) + {
        "T": 4,
        "G": 4,
        "M": 3,
    }.get(value[0], 0)
    table = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}[
        value[0]
    ]
    place = total % 11 if value[0] != "M" else 10 - total % 11
    return table[place] == value[8]


def _nino(value: str) -> bool:
    return value[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def _my_number(digits: str) -> bool:
    total = sum(
        int(digit) * (place + 2 if place < 6 else place - 4) for place, digit in enumerate(reversed(digits[:11]))
    )
    return int(digits[11]) == (0 if total % 11 <= 1 else 11 - total % 11)


def _resident(value: str) -> bool:
    """GB 11643: ISO 7064, mod 11-2; python-stdnum refuses areas that were renamed since."""
    return bool(import_module("stdnum.iso7064.mod_11_2").is_valid(value))


def _mbi(value: str) -> bool:
    return not set("SLOIBZ") & set(value)


_STDNUM = (
    *("au.tfn", "gb.nhs", "pl.pesel", "nl.bsn", "br.cpf", "br.cnpj", "fr.nir", "fi.hetu", "tr.tckimlik"),
    *("kr.rrn", "za.idnr", "cn.ric", "th.pin", "be.nn", "de.idnr", "ch.ssn"),
)


NATIONAL: MappingProxyType[str, Validator] = MappingProxyType(
    {
        "document": document,
        "us-ssn": us_ssn,
        "npi": partial(checked, _npi),
        "ca-sin": partial(checked, _sin),
        "au-medicare": partial(checked, _medicare),
        "sg-nric": partial(checked, _nric),
        "nino": partial(checked, _nino),
        "mbi": partial(checked, _mbi),
        "jp-my": partial(checked, _my_number),
        "aba": partial(stdnum, "us.rtn"),
        "in-aadhaar": partial(stdnum, "in_.aadhaar"),
        "in-pan": partial(stdnum, "in_.pan"),
        "es-dni": lambda text, start, end: stdnum("es.dni", text, start, end) or stdnum("es.nie", text, start, end),
        "it-cf": fiscal_code,
        "se-pnr": partial(stdnum, "se.personnummer"),
        "no-fnr": partial(stdnum, "no.fodselsnummer"),
        "tr-kimlik": partial(stdnum, "tr.tckimlik"),
        "za-id": partial(stdnum, "za.idnr"),
        "cn-id": partial(checked, _resident),
        "th-id": partial(stdnum, "th.pin"),
        "de-idnr": partial(stdnum, "de.idnr"),
        "ch-ahv": partial(stdnum, "ch.ssn"),
        **{name.replace(".", "-"): partial(stdnum, name) for name in _STDNUM},
    }
)
"""By the name that a rule calls it by."""
