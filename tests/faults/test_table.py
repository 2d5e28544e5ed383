"""The table of faults in the documentation: each row names what happens, and tests that there are."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "faults.md").read_text()
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| fault ")]
TEST = re.compile(r"`(?P<path>[\w/]+\.py)(?:::(?P<name>[\w*]+))?`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40].strip(" |"))
def test_each_row_is_shown_by_tests(row: str) -> None:
    """In `tests/faults` unless a folder is given; a name with a star stands for at least one test."""
    _, fault, happens, _, shown_by, _ = (cell.strip() for cell in row.split("|"))
    assert fault
    assert happens
    named = list(TEST.finditer(shown_by))
    assert named
    for test in named:
        path = ROOT / test["path"] if "/" in test["path"] else ROOT / "tests" / "faults" / test["path"]
        functions = re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
        assert any(fnmatch(function, test["name"] or "*") for function in functions), test[0]
