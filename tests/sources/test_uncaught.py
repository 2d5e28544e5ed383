"""Exceptions that nobody caught."""

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sources.conftest import Install, Ran, Sink


@pytest.fixture(autouse=True)
def hooks() -> Iterator[list[str]]:
    """Stands for the hooks of an application: notes which was called."""
    called: list[str] = []
    gc.collect()  # what other tests have left to be collected is not to be told of here
    before = sys.excepthook, threading.excepthook, sys.unraisablehook

    sys.excepthook = lambda *_: called.append("main")
    threading.excepthook = lambda _: called.append("thread")
    sys.unraisablehook = lambda _: called.append("unraisable")
    yield called
    sys.excepthook, threading.excepthook, sys.unraisablehook = before


def fail_in_thread(error: BaseException) -> None:
    """End a thread with an exception."""

    def target() -> None:
        raise error

    thread = threading.Thread(target=target, name="worker")
    thread.start()
    thread.join()


def fail_in_finaliser() -> None:
    """Raise where nobody can catch it."""

    class Broken:
        def __del__(self) -> None:
            raise ValueError("x")

    Broken()


def test_main_thread(install: Install, routed: Sink, hooks: list[str]) -> None:
    """An exception that ends the program is a FATAL record; the earlier hook is called."""
    install("uncaught")
    sys.excepthook(ValueError, ValueError("x"), None)
    record = routed.only
    assert (record.body, record.severity_text) == ("Uncaught exception", "FATAL")
    assert (record.attributes["exception.type"], record.attributes["exception.message"]) == ("ValueError", "x")
    assert hooks == ["main"]


def test_thread(install: Install, routed: Sink, hooks: list[str]) -> None:
    """One that ends a thread is a FATAL record with the thread's name."""
    install("uncaught")
    fail_in_thread(ValueError("x"))
    record = routed.only
    assert (record.severity_text, record.attributes["thread.name"]) == ("FATAL", "worker")
    assert "in target" in str(record.attributes["exception.stacktrace"])
    assert hooks == ["thread"]


def test_finaliser(install: Install, routed: Sink, hooks: list[str]) -> None:
    """One that the interpreter cannot raise is an ERROR record that says where it came from."""
    install("uncaught")
    fail_in_finaliser()
    record = routed.only
    assert (record.severity_text, record.attributes["exception.type"]) == ("ERROR", "ValueError")
    assert "__del__" in str(record.body)
    assert hooks == ["unraisable"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_ends_are_no_errors(install: Install, routed: Sink, hooks: list[str], error: BaseException) -> None:
    """Ctrl-C and `sys.exit` are no errors; the earlier hooks still get them."""
    install("uncaught")
    sys.excepthook(type(error), error, None)
    assert (routed.records, hooks) == ([], ["main"])


def test_undone(install: Install, routed: Sink, hooks: list[str]) -> None:
    """Uninstalling puts the earlier hooks back where ours still stand; elsewhere ours only pass on."""
    before = sys.excepthook, threading.excepthook, sys.unraisablehook
    sources = install("uncaught")
    ours = sys.excepthook

    def outer(*args: Any) -> None:
        ours(*args)

    sys.excepthook = outer
    sources.release(sources.holders[0])
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == (outer, *before[1:])
    sys.excepthook(ValueError, ValueError("x"), None)
    assert (routed.records, hooks) == ([], ["main"])


def test_real_end(run: Callable[[str], Ran]) -> None:
    """A program that really dies is recorded, ends with status 1, and Python prints its traceback as ever."""
    ran = run("""
        import atexit
        atexit.register(report)
        start()
        raise ValueError("x")
        """)
    assert (ran.returncode, ran.bodies) == (1, ["Uncaught exception"])
    assert ran.stderr.count("ValueError: x") == 1


def test_asyncio(run: Callable[[str], Ran]) -> None:
    """An exception that a task leaves behind comes through `logging`, once."""
    ran = run("""
        import asyncio, gc
        start()
        async def broken():
            raise ValueError("x")
        async def main():
            asyncio.create_task(broken())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gc.collect()
        asyncio.run(main())
        report()
        """)
    assert [(record["scope"], record["attributes"]["exception.type"]) for record in ran.records] == [
        ("asyncio", "ValueError")
    ]
