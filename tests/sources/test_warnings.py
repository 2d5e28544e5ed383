"""Python warnings as records."""

import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sources.conftest import Install, Ran, Sink


@pytest.fixture(autouse=True)
def shown() -> Iterator[list[str]]:
    """Stands for what an application put there before us: notes what it is called with."""
    seen: list[str] = []
    before = warnings.showwarning

    def note(message: Any, *args: Any) -> None:
        seen.append(str(message))

    warnings.showwarning = note  # type: ignore[assignment]  # takes any arguments
    yield seen
    warnings.showwarning = before


def show(text: str) -> None:
    """What the interpreter does for a warning that passes its filters."""
    warnings.showwarning(UserWarning(text), UserWarning, "shop.py", 7)


def test_warning(install: Install, routed: Sink, shown: list[str]) -> None:
    """A warning has its text as the body, its category and its place; who stood there before is still called."""
    install("warnings")
    show("old")
    record = routed.only
    assert (record.body, record.severity_text, routed.scopes()) == ("old", "WARN", ["py.warnings"])
    assert record.attributes == {
        "warning.category": "UserWarning",
        "code.file.path": "shop.py",
        "code.line.number": 7,
    }
    assert shown == ["old"]


def test_undone(install: Install, routed: Sink, shown: list[str]) -> None:
    """Uninstalling puts back what was there."""
    before = warnings.showwarning
    sources = install("warnings")
    assert warnings.showwarning is not before
    sources.release(sources.holders[0])
    assert warnings.showwarning is before


def test_not_undone_when_no_longer_ours(install: Install, routed: Sink, shown: list[str]) -> None:
    """What somebody put there after us stays; if it calls us, we only pass on."""
    sources = install("warnings")
    inner = warnings.showwarning

    def outer(*args: Any) -> None:
        inner(*args)

    warnings.showwarning = outer  # type: ignore[assignment]  # takes any arguments
    sources.release(sources.holders[0])
    assert warnings.showwarning is outer
    show("m")
    assert (shown, routed.bodies) == (["m"], [])


@pytest.mark.parametrize("before", [True, False])
def test_capture_warnings(install: Install, routed: Sink, *, before: bool) -> None:
    """With `logging.captureWarnings`, before or after us, a warning is recorded once, and other handlers get it."""
    seen: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    handler = Kept()
    logging.getLogger("py.warnings").addHandler(handler)
    if before:
        logging.captureWarnings(capture=True)
    sources = install(console=True)
    if not before:
        logging.captureWarnings(capture=True)
        show("by logging alone")
        sources.reassert()
    show("m")
    logging.captureWarnings(capture=False)
    logging.getLogger("py.warnings").removeHandler(handler)
    assert (routed.bodies[-1], routed.bodies.count("m"), len(seen)) == ("m", 1, 1 if before else 2)
    assert len(routed.bodies) == len(seen)


def test_written_to_a_file(install: Install, routed: Sink, shown: list[str]) -> None:
    """A warning that is shown on a given file is none of ours."""
    install("warnings")
    warnings.showwarning("m", UserWarning, "shop.py", 7, file=object())  # type: ignore[arg-type]
    assert (routed.bodies, shown) == ([], ["m"])


@pytest.mark.parametrize("console", [True, False])
def test_printed_once(run: Callable[[str], Ran], *, console: bool) -> None:
    """The interpreter's own printing stops while our console is on, and only then."""
    ran = run(f"""
        import warnings
        start(console={console})
        warnings.warn("m", DeprecationWarning)
        stop()
        warnings.warn("n", DeprecationWarning)
        report()
        """)
    assert ran.bodies == ["m"]
    assert (ran.stderr.count("DeprecationWarning: m"), ran.stderr.count("DeprecationWarning: n")) == (
        0 if console else 1,
        1,
    )
