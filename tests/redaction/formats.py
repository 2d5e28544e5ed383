"""The published check digits, written from their standards: the corpus is checked with them, not with the redactor.

Each function takes a number without separators and tells whether it is well formed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

VERHOEFF_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
IBAN_LENGTHS = {
    "AE": 23,
    "AT": 20,
    "BE": 16,
    "BR": 29,
    "CH": 21,
    "CZ": 24,
    "DE": 22,
    "DK": 18,
    "ES": 24,
    "FI": 18,
    "FR": 27,
    "GB": 22,
    "GR": 27,
    "HU": 28,
    "IE": 22,
    "IL": 23,
    "IT": 27,
    "LU": 20,
    "MT": 31,
    "NL": 18,
    "NO": 15,
    "PL": 28,
    "PT": 25,
    "RO": 24,
    "SA": 24,
    "SE": 24,
    "TR": 26,
    "UA": 29,
}


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def card(number: str) -> bool:
    """Luhn, and the lengths and ranges of the schemes (Visa, Mastercard, Amex, Discover, JCB, Diners, ...)."""
    return luhn(number) and any(re.fullmatch(scheme, number) for scheme in SCHEMES)


SCHEMES = (
    r"4(\d{12}|\d{15}|\d{18})",
    r"5[1-5]\d{14}",
    r"(222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}",
    r"3[47]\d{13}",
    r"(6011|65\d\d|64[4-9]\d)\d{12}",
    r"35(2[89]|[3-8]\d)\d{12}",
    r"3(0[0-5]|[689]\d)\d{11}",
    r"62\d{14,17}",
    r"(50(18|20|38)|5893|6304|6759|676[1-3])\d{8,15}",
    r"220[0-4]\d{12}",
    r"508[5-9]\d{12}|60628[0-9]\d{10}|63(6368|7\d{3})\d{10}|9792\d{12}",
)


def iban(number: str) -> bool:
    """ISO 13616: the country's length, and the remainder 1 modulo 97 (ISO 7064)."""
    number = number.upper()
    turned = number[4:] + number[:4]
    return IBAN_LENGTHS.get(number[:2]) == len(number) and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def us_ssn(number: str) -> bool:
    """Social Security Administration: no area 000, 666 or 900 and above, no group 00, no serial 0000."""
    return bool(re.fullmatch(r"(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}", number))


def us_itin(number: str) -> bool:
    """Internal Revenue Service: 9, and a group of 50-65, 70-88, 90-92 or 94-99."""
    return bool(re.fullmatch(r"9\d{2}(5\d|6[0-5]|7\d|8[0-8]|9[0-2]|9[4-9])\d{4}", number))


def weighted(number: str, weights: Sequence[int]) -> int:
    """The sum of the digits, each times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))


def aba(number: str) -> bool:
    """American Bankers Association routing number: weights 3, 7, 1."""
    return len(number) == 9 and weighted(number, (3, 7, 1) * 3) % 10 == 0


def npi(number: str) -> bool:
    """US National Provider Identifier: Luhn behind the issuer 80840."""
    return len(number) == 10 and luhn("80840" + number)


def sin(number: str) -> bool:
    """Canadian Social Insurance Number: Luhn over nine digits."""
    return len(number) == 9 and luhn(number)


def tfn(number: str) -> bool:
    """Australian Tax File Number, nine digits."""
    return len(number) == 9 and weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def au_medicare(number: str) -> bool:
    """Australian Medicare card: the ninth digit checks the first eight."""
    return bool(re.fullmatch(r"[2-6]\d{9}", number)) and weighted(number, (1, 3, 7, 9) * 2) % 10 == int(number[8])


def aadhaar(number: str) -> bool:
    """Indian Aadhaar: twelve digits, the first not 0 or 1, Verhoeff."""
    return bool(re.fullmatch(r"[2-9]\d{11}", number)) and verhoeff(number)


def verhoeff(number: str) -> bool:
    """Verhoeff's check over the dihedral group of order ten."""
    check = 0
    for at, digit in enumerate(reversed(number)):
        check = _dihedral(check, _permuted(int(digit), at % 8))
    return check == 0


def _permuted(digit: int, times: int) -> int:
    for _ in range(times):
        digit = VERHOEFF_PERMUTATION[digit]
    return digit


def _dihedral(left: int, right: int) -> int:
    if left < 5:
        return (left + right) % 5 + 5 * (right >= 5)
    return (left - right) % 5 + 5 * (right < 5)


def nhs(number: str) -> bool:
    """National Health Service number: ten digits, modulo 11."""
    return len(number) == 10 and weighted(number, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def pesel(number: str) -> bool:
    """Polish PESEL: eleven digits."""
    return len(number) == 11 and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def bsn(number: str) -> bool:
    """Dutch burgerservicenummer: the eleven-test, the last weight negative."""
    return len(number) == 9 and weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def cpf(number: str) -> bool:
    """Brazilian CPF: two check digits modulo 11."""
    digits = [weighted(number[:length], range(length + 1, 1, -1)) * 10 % 11 % 10 for length in (9, 10)]
    return len(number) == 11 and digits == [int(digit) for digit in number[9:]]


def nir(number: str) -> bool:
    """French social security number: a key of 97 minus the rest."""
    return len(number) == 15 and 97 - int(number[:13]) % 97 == int(number[13:])


def dni(number: str) -> bool:
    """Spanish DNI and NIE: the letter is the remainder modulo 23."""
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return (
        bool(re.fullmatch(r"[XYZ\d]\d{7}[A-Z]", number)) and "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == number[-1]
    )


def hetu(number: str) -> bool:
    """Finnish henkilötunnus: the remainder modulo 31 is the check; the century's sign may be left out."""
    digits = number[:6] + number[-4:-1]
    return len(number) in (10, 11) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == number[-1]


def personnummer(number: str) -> bool:
    """Swedish personnummer: Luhn over the ten digits without the century."""
    return len(number) in (10, 12) and luhn(number[-10:])


def tc_kimlik(number: str) -> bool:
    """Turkish identity number: two check digits."""
    digits = [int(digit) for digit in number]
    tenth = (sum(digits[:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return len(digits) == 11 and digits[9] == tenth and sum(digits[:10]) % 10 == digits[10]


def rrn(number: str) -> bool:
    """Korean resident registration number: modulo 11."""
    return len(number) == 13 and (11 - weighted(number[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(
        number[12]
    )


def za_id(number: str) -> bool:
    """South African identity number: Luhn over thirteen digits."""
    return len(number) == 13 and luhn(number)


def cn_id(number: str) -> bool:
    """Chinese resident identity card: GB 11643, ISO 7064 modulo 11-2."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return len(number) == 18 and "10X98765432"[weighted(number[:17], weights) % 11] == number[17]


def th_id(number: str) -> bool:
    """Thai identity number: modulo 11."""
    return len(number) == 13 and (11 - weighted(number, range(13, 1, -1)) % 11) % 10 == int(number[12])


def be_national(number: str) -> bool:
    """Belgian national register number: modulo 97, with a 2 in front since the year 2000."""
    return len(number) == 11 and int(number[9:]) in (97 - int(century + number[:9]) % 97 for century in ("", "2"))


def nric(number: str) -> bool:
    """Singapore NRIC and FIN: the letter depends on the series."""
    letters = "JZIHGFEDCBA" if number[0] in "ST" else "XWUTRQPNMLK"
    offset = 4 if number[0] in "TG" else 0
    return len(number) == 9 and letters[(weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + offset) % 11] == number[8]


def us_mbi(number: str) -> bool:
    """Medicare Beneficiary Identifier (CMS): eleven places, letters without S, L, O, I, B, Z."""
    letter = "[AC-HJKMNP-RT-Y]"
    either = "[AC-HJKMNP-RT-Y0-9]"
    return bool(re.fullmatch(rf"[1-9]{letter}{either}\d{letter}{either}\d{letter}{{2}}\d\d", number))


def nino(number: str) -> bool:
    """UK National Insurance number (HMRC): two letters, six digits, a suffix A to D."""
    prefix = r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    return bool(re.fullmatch(rf"{prefix}\d{{6}}[A-D]", number))


def in_pan(number: str) -> bool:
    """Indian permanent account number: five letters (the fourth tells the holder), four digits, a letter."""
    return bool(re.fullmatch(r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", number))


def codice_fiscale(number: str) -> bool:
    """Italian codice fiscale: the sixteenth character checks the others, odd places by a table."""
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    values = [int(c) if c.isdigit() else ord(c) - 65 for c in number[:15]]
    return (
        len(number) == 16
        and chr(65 + sum(odd[v] if at % 2 == 0 else v for at, v in enumerate(values)) % 26) == number[15]
    )


def base58check(address: str) -> bool:
    """Bitcoin's base58 with four bytes of a double SHA-256."""
    value = 0
    for character in address:
        value = value * 58 + BASE58.index(character)
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    data = b"\0" * (len(address) - len(address.lstrip("1"))) + data
    return hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def bech32(address: str) -> bool:
    """BIP 173 and BIP 350."""
    prefix, _, data = address.rpartition("1")
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [BECH32.index(c) for c in data]
    return _polymod(values) in (1, 0x2BC830A3)


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check
