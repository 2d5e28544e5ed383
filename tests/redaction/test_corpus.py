"""The corpus itself: well formed, spread over all kinds and places, and what it claims to be."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.redaction import formats
from tests.redaction.corpus import HERE, Case, negatives, positives
from tests.redaction.report import Outcome, collateral, damaged, failures, misses, recall, table
from tests.redaction.survival import leaked, lost

POSITIVES = positives()
NEGATIVES = negatives()
DISGUISED = {"ansi", "base64", "hex", "percent", "lookalike", "zero_width"}
CHECKS: dict[str, tuple[Callable[[str], bool], ...]] = {
    "aba_routing": (formats.aba,),
    "npi": (formats.npi,),
    "ca_sin": (formats.sin,),
    "au_tfn": (formats.tfn,),
    "au_medicare": (formats.au_medicare,),
    "in_aadhaar": (formats.aadhaar,),
    "uk_nhs": (formats.nhs,),
    "pl_pesel": (formats.pesel,),
    "nl_bsn": (formats.bsn,),
    "br_cpf": (formats.cpf,),
    "fr_nir": (formats.nir,),
    "es_dni": (formats.dni,),
    "fi_hetu": (formats.hetu,),
    "se_personnummer": (formats.personnummer,),
    "tr_kimlik": (formats.tc_kimlik,),
    "kr_rrn": (formats.rrn,),
    "za_id": (formats.za_id,),
    "cn_id": (formats.cn_id,),
    "th_id": (formats.th_id,),
    "be_national": (formats.be_national,),
    "sg_nric": (formats.nric,),
    "it_codice_fiscale": (formats.codice_fiscale,),
    "us_mbi": (formats.us_mbi,),
    "uk_nino": (formats.nino,),
    "in_pan": (formats.in_pan,),
}
PLACES = {
    *("body", "fstring", "exception", "cause", "notes", "locals", "template", "log_args", "injection"),
    *("attribute", "nested", "pairs", "siblings", "mapping_key", "integer", "resource", "depth", "cut"),
    *(
        "json",
        "json_escaped",
        "json_double",
        "form",
        "xml",
        "multipart",
        "sql",
        "argv",
        "repr",
        "yaml",
        "url",
        "header",
    ),
    *("base64", "hex", "percent", "lookalike", "zero_width", "ansi", "separators", "several"),
}
ETHEREUM = re.compile("(?:0x)?[0-9a-fA-F]{40}")
KNOWN_FIELDS = {"id", "kind", "tier", "place", "set", "text", "attributes", "secrets", "keep"}


def hidden(value: Any, secrets: tuple[str, ...]) -> Any:
    """What a perfect redactor makes of it: the secrets blotted out, nothing else touched."""
    if isinstance(value, dict):
        return {hidden(key, secrets): hidden(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [hidden(inner, secrets) for inner in value]
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        text = str(value)
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "▇")
        return text if isinstance(value, str) or "▇" in text else value
    return value


def readable(kind: str) -> list[Case]:
    """The cases of a kind whose values stand there as they are, neither encoded nor disguised."""
    return [case for case in POSITIVES if case.kind == kind and case.place not in DISGUISED]


def test_there_are_enough_cases() -> None:
    """Of those with secrets and of those without; of those that nobody had seen, a third of each is held out."""
    for cases in (POSITIVES, NEGATIVES):
        unseen = [case for case in cases if not case.seen]
        assert len(unseen) >= 3400
        assert 0.3 < sum(case.held_out for case in unseen) / len(unseen) < 0.37
    assert not any(case.seen and case.held_out for case in (*POSITIVES, *NEGATIVES))


def test_no_kind_and_no_place_is_forgotten() -> None:
    """Each kind has a dozen cases, one that is off by default a few; every place where leaks survive has some."""
    kinds = Counter(case.kind for case in POSITIVES)
    on = {case.kind for case in POSITIVES if case.set == "default"}
    assert {kind: count for kind, count in kinds.items() if count < (14 if kind in on else 6)} == {}
    assert {case.place for case in POSITIVES} >= PLACES


def test_every_line_is_a_case() -> None:
    """Each has the known fields and exactly one input; its file is named for its kind; ids are unique."""
    for path in HERE.rglob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            fields = json.loads(line)
            assert set(fields) <= KNOWN_FIELDS
            assert ("text" in fields) != ("attributes" in fields)
            assert fields["kind"] == path.stem
            assert ("secrets" in fields) == (path.parent.name == "positive")
    ids = Counter(case.id for case in (*POSITIVES, *NEGATIVES))
    assert [name for name, count in ids.items() if count > 1] == []


def test_every_positive_case_can_be_failed() -> None:
    """Left as it is, each of its secrets is found and nothing harmless is missed."""
    for case in POSITIVES:
        assert leaked(case.secrets, case.input) == list(case.secrets), case.id
        assert lost(case.keep, case.input) == [], case.id


def test_every_positive_case_can_be_passed() -> None:
    """With nothing but the secrets blotted out, none is found and nothing harmless is missed."""
    for case in POSITIVES:
        perfect = hidden(case.input, case.secrets)
        assert leaked(case.secrets, perfect) == [], case.id
        assert lost(case.keep, perfect) == [], case.id


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("nothing here", False),
        ("4111 1111 1111 ****", True),
        ("4111-1111-1111", True),
        ("41111111", True),
        ("4111 11** **** 1111", False),
        ("\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11", True),
        ("4111\u200b1111\u200b1111", True),
        ({"deep": [{"n": 411111111111}]}, True),
        ({"4111 1111 1111": 1}, True),
    ],
)
def test_digits_are_found_however_they_are_written(output: object, found: bool) -> None:
    """Separators, widths, nesting and zero-width characters hide no number; a few digits of it are no leak."""
    assert bool(leaked(("411111111111",), output)) is found


@pytest.mark.parametrize(
    ("secret", "output", "found"),
    [
        ("Tr0ub4dor!x9", "TR0UB4DOR!X9", True),
        ("Tr0ub4dor!x9", "****4dor!x9", False),
        ("Tr0ub4dor!x9", "Tr0ub4do****", True),
        ("Tr0ub4dor!x9", "Tr0u\x1b[0mb4dor!x9", True),
        ("737", "cvv 737", True),
        ("737", "sha 1a737f", False),
        ("kim", "kim@", True),
        ("kim", "kimono", False),
    ],
)
def test_a_secret_is_found_in_part_and_in_disguise(secret: str, output: str, found: bool) -> None:
    """A run of eight characters is a leak, in any case; a short secret has to stand alone."""
    assert bool(leaked((secret,), output)) is found


def whole(case: Case, pattern: str) -> list[str]:
    """The numbers in a case, as the input has them, without their separators."""
    text = case.text if case.text is not None else json.dumps(case.attributes, ensure_ascii=False)
    return [re.sub(r"[\s.\-\u2010-\u2015/_]", "", found) for found in re.findall(pattern, text)]


def test_cards_are_valid() -> None:
    """Each case of a card holds one that passes Luhn and belongs to a scheme, whatever separates its digits."""
    for case in readable("card"):
        written = [rf"(?<!\d)\d(?:{separator}\d){{12,18}}(?!\d)" for separator in (r"[\s.\-\u2010-\u2015/_]?", "[ -]?")]
        assert any(formats.card(number) for pattern in written for number in whole(case, pattern)), case.id


def test_ibans_are_valid() -> None:
    """Each case of an IBAN holds one with the right length and remainder."""
    for case in readable("iban"):
        numbers = whole(case, r"(?i)\b[a-z]{2}\d{2}(?:[\s\-]?[a-z0-9]{1,4}){3,8}\b")
        assert any(formats.iban(number[:length]) for number in numbers for length in range(15, 35)), case.id


def test_social_security_numbers_are_valid() -> None:
    """Each is outside of the ranges that are never given out."""
    for case in readable("us_ssn"):
        for secret in case.secrets:
            number = re.sub(r"\D", "", secret)
            assert formats.us_ssn(number) or formats.us_itin(number), case.id


def test_wallets_are_valid() -> None:
    """Each address carries its checksum; those of Ethereum may be in lower case and then have none."""
    for case in readable("wallet"):
        for secret in case.secrets:
            good = formats.bech32(secret) if "1q" in secret or "1p" in secret else ETHEREUM.fullmatch(secret)
            assert good or formats.base58check(secret), case.id


@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_identity_numbers_are_valid(kind: str) -> None:
    """Each secret of the kind has the check digits that its country publishes."""
    assert len(readable(kind)) >= 10
    for case in readable(kind):
        for secret in case.secrets:
            assert any(check(re.sub(r"[\s.\-]", "", secret).upper()) for check in CHECKS[kind]), (case.id, secret)


def test_no_harmless_number_is_a_card() -> None:
    """Long numbers of harmless cases may pass Luhn, yet then no scheme has their range and length."""
    for case in NEGATIVES:
        for number in whole(case, r"(?<![\d.])\d{12,19}(?![\d.])"):
            assert not formats.card(number), (case.id, number)


def outcome(case: Case, output: object) -> Outcome:
    """An outcome as if the redactor had given that output."""
    if case.secrets:
        return Outcome(case, tuple(leaked(case.secrets, output)), tuple(lost(case.keep, output)))
    return Outcome(case, changed_to=output, changed=output != case.input)


def test_a_redactor_that_does_nothing_has_no_recall_and_no_damage() -> None:
    """The measures tell doing nothing from doing well."""
    judged = [outcome(case, case.input) for case in (*POSITIVES, *NEGATIVES)]
    assert (recall(judged).hits, collateral(judged).hits, damaged(judged).hits) == (0, 0, 0)
    assert misses(judged)


def test_a_redactor_that_removes_everything_has_full_recall_and_full_damage() -> None:
    """The measures tell hiding everything from doing well."""
    judged = [outcome(case, "[REDACTED]") for case in (*POSITIVES, *NEGATIVES)]
    assert recall(judged).percent == damaged(judged).percent == 100
    assert collateral(judged).percent > 90


def test_what_is_held_out_is_never_listed() -> None:
    """The list of failures has no case of the held-out third; the table counts it."""
    judged = [outcome(case, case.input) for case in POSITIVES]
    listed = "\n".join(failures(judged))
    for case in POSITIVES:
        assert (case.id in listed) is not case.held_out
    assert f"0/{sum(case.held_out for case in POSITIVES if case.kind == 'jwt')}" in "\n".join(table(judged))
