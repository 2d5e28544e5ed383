"""R7.1: what the interpreter prints of its own accord is redacted too: it is collected like any log."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from logspan.sources.printed import print_redacted
from tests.sources.conftest import Ran

PROGRAM = """
    import atexit, threading, warnings
    atexit.register(report)
    def redact(text):
        if "hopeless" in text:
            raise RuntimeError(text)
        return text.replace("hunter2", "[REDACTED:password]")
    def begin(redact):
        ROUTING.install(provider)
        sources.retain("test", Wishes(frozenset(ORDER), True, True, False, True, 20, redact))
        logging.getLogger().warning("begun")
    class Fails:
        def __del__(self):
            raise ValueError("finaliser hunter2")
    def fail(text):
        raise ValueError(text) from KeyError("cause hunter2")
    def all_of_them():
        thread = threading.Thread(target=fail, args=["thread hunter2"], name="worker")
        thread.start()
        thread.join()
        Fails()
        warnings.warn("warning hunter2")
    """


def test_tracebacks_and_warnings_are_printed_without_secrets(run: Callable[[str], Ran]) -> None:
    """Of a thread, a finaliser, a warning and the end of the program: all that was printed is, but for the secret."""
    ran = run(f"{PROGRAM}\n    begin(redact)\n    all_of_them()\n    fail('end hunter2')")
    assert ran.returncode == 1
    assert "hunter2" not in ran.stderr
    for text in ("Exception in thread worker:", "thread", "Exception ignored in: ", "finaliser", "warning", "end"):
        assert text in ran.stderr
    assert ran.stderr.count("KeyError: 'cause [REDACTED:password]'") == 2
    assert ran.stderr.endswith("ValueError: end [REDACTED:password]\n")


def test_without_redaction_the_interpreter_prints_as_ever(run: Callable[[str], Ran]) -> None:
    """Switched off, nothing is in its place; undone neither."""
    off = run(f"{PROGRAM}\n    begin(None)\n    all_of_them()\n    fail('end hunter2')")
    undone = run(f"{PROGRAM}\n    begin(redact)\n    stop()\n    all_of_them()\n    fail('end hunter2')")
    for ran in (off, undone):
        for text in ("thread hunter2", "finaliser hunter2", "warning hunter2", "end hunter2"):
            assert text in ran.stderr


def test_what_cannot_be_redacted_is_not_printed(run: Callable[[str], Ran]) -> None:
    """Fails closed: the kind of the exception is said, nothing of its text."""
    ran = run(f"{PROGRAM}\n    begin(redact)\n    fail('hopeless hunter2')")
    assert (ran.returncode, ran.stderr) == (1, "Uncaught ValueError (not shown: redaction failed)\n")


def test_a_hook_of_the_applications_own_is_still_called(run: Callable[[str], Ran]) -> None:
    """It has the exception itself, as ever: what it prints is the application's."""
    ran = run(
        f"{PROGRAM}\n    sys.excepthook = lambda kind, value, trace: print('mine', value)\n"
        "    begin(redact)\n    fail('end hunter2')"
    )
    assert "mine end hunter2" in ran.stdout
    assert ran.stderr == ""


def test_it_cannot_move_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """CWE-150: an exception's text holds what users send; a terminal shows it."""
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    print_redacted(lambda: "ValueError: \x1b[2J\r\u202e\n", str, "x")
    assert shown.getvalue() == "ValueError: \\x1b[2J\\r\\u202e\n"


@pytest.mark.parametrize("stream", [None, "closed"])
def test_without_a_stream_nothing_is_raised(stream: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon has no standard error, or has closed it."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream else None)
    print_redacted(lambda: "text", str, "x")
