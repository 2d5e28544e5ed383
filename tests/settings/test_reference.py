"""The settings reference is made from the models (R1.3)."""

from pathlib import Path

from logspan.settings import Settings
from logspan.settings.otel import RULES
from logspan.settings.reference import page
from logspan.settings.schema import leaves
from logspan.settings.sources import variable_name

COMMITTED = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_committed_page_is_current() -> None:
    """`python -m logspan.settings.reference > docs/settings.md` was run after the last change."""
    assert COMMITTED.read_text(encoding="utf-8") == page()


def test_every_setting_is_told_and_described() -> None:
    """Each with its variable and a sentence; each OTEL_* variable is on the page."""
    text = page()
    for path, field in leaves(Settings).items():
        assert f"`{variable_name(path)}`" in text
        assert (field.description or "").endswith((".", "...")), path
    for rule in RULES:
        assert all(f"`{name}`" in text for name in rule.names)


def test_no_cell_breaks_its_table() -> None:
    """Every row has as many cells as the header."""
    rows = [line for line in page().splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}
