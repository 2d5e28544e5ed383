"""What watches for signals that CPython would miss (R3.2, fault 1)."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from logspan.signals import Patience, ProcessSignals
from logspan.wakeup import WakeUp

NUMBER = signal.SIGUSR1


@pytest.fixture(autouse=True)
def handler() -> Iterator[list[int]]:
    """A handler of Python's, and the numbers that it was called with."""
    ran: list[int] = []
    before = signal.signal(NUMBER, lambda number, frame: ran.append(number))
    yield ran
    signal.signal(NUMBER, before)


class Watcher:
    """Says of each signal that it has been handled, apart from the first `unheeded` looks at it."""

    def __init__(self, unheeded: int = 0) -> None:
        self.looked: list[int] = []
        self.repeated: list[int] = []
        self._changed = threading.Condition()
        self._unheeded = unheeded
        self.wake_up = WakeUp(self._is_open, self._repeating)

    @contextmanager
    def _repeating(self, number: int) -> Iterator[None]:
        self.repeated.append(number)
        yield

    def _is_open(self, number: int, since: float) -> bool:
        assert since <= time.monotonic()
        with self._changed:
            self.looked.append(number)
            self._changed.notify_all()
            return len(self.looked) <= self._unheeded

    def wait_for(self, looks: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.looked) >= looks, 20)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    made.wake_up.start()
    yield made
    made.wake_up.stop()
    assert signal.set_wakeup_fd(-1) == -1
    assert not [thread for thread in threading.enumerate() if thread.name == "logspan-signals"]


def test_a_signal_that_was_handled_is_not_repeated(watcher: Watcher, handler: list[int]) -> None:
    """It is asked about once."""
    signal.raise_signal(NUMBER)
    assert watcher.wait_for(1)
    assert (watcher.looked, watcher.repeated, handler) == ([NUMBER], [], [NUMBER])


def test_one_that_was_not_is_repeated_until_it_is(handler: list[int]) -> None:
    """To the main thread, which it wakes; the repetitions are told in advance."""
    watcher = Watcher(unheeded=2)
    watcher.wake_up.start()
    signal.raise_signal(NUMBER)
    assert watcher.wait_for(3)
    watcher.wake_up.stop()
    assert watcher.repeated == [NUMBER, NUMBER]
    assert handler[:1] == [NUMBER]
    assert len(handler) <= 3


def test_a_forked_child_is_not_heard(watcher: Watcher) -> None:
    """It has the same socket until it has one of its own, and its SIGTERM must not end its parent."""
    child = os.fork()
    if child == 0:
        signal.raise_signal(NUMBER)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    signal.raise_signal(NUMBER)
    assert watcher.wait_for(1)
    time.sleep(0.3)
    assert watcher.looked == [NUMBER]


def test_a_child_has_a_watcher_of_its_own(watcher: Watcher) -> None:
    """After `start_in_child`."""
    child = os.fork()
    if child == 0:
        watcher.wake_up.start_in_child()
        signal.raise_signal(NUMBER)
        os._exit(0 if watcher.wait_for(1) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert watcher.looked == []


def test_somebody_elses_descriptor_stays() -> None:
    """An event loop has one: it wakes up by itself, and nothing of it is touched."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno())
    try:
        watcher = Watcher()
        watcher.wake_up.start()
        watcher.wake_up.stop()
        assert signal.set_wakeup_fd(theirs.fileno()) == theirs.fileno()
    finally:
        signal.set_wakeup_fd(-1)
        ours.close()
        theirs.close()


def test_off_the_main_thread_nothing_is_started() -> None:
    """Only the main thread may set the descriptor."""
    watcher = Watcher()
    thread = threading.Thread(target=watcher.wake_up.start)
    thread.start()
    thread.join()
    assert signal.set_wakeup_fd(-1) == -1


class Counts:
    """Has nothing to deliver, and counts the signals."""

    def __init__(self) -> None:
        self.patience = Patience(1.0)
        self.passed = 0

    def passing(self) -> None:
        self.passed += 1

    def after_emit(self, frame: FrameType | None, then: Callable[[], object]) -> bool:
        del frame, then
        return False

    def drain(self) -> None:
        """Nothing is there."""

    def hurry(self) -> None:
        """Nobody waits."""


@pytest.fixture
def program() -> Iterator[threading.Semaphore]:
    """A handler of the program's for SIGTERM, which releases this."""
    ran = threading.Semaphore(0)
    before = signal.signal(signal.SIGTERM, lambda number, frame: ran.release())
    yield ran
    signal.signal(signal.SIGTERM, before)


def test_one_that_runs_while_it_is_being_repeated_counts_once(
    program: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python part runs after all, between the decision and the repetition: that is no second signal."""
    kill, sent, ending, signals = signal.pthread_kill, threading.Event(), Counts(), ProcessSignals()

    def late(thread: int, number: int) -> None:
        kill(thread, number)  # the one that was thought to be unheeded
        assert program.acquire(timeout=20)
        kill(thread, number)
        sent.set()

    monkeypatch.setattr(signal, "pthread_kill", late)
    signals.retain(ending)
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    os.write(descriptor, bytes([signal.SIGTERM]))  # all that its C part does, as far as anybody can see
    assert sent.wait(20)
    time.sleep(0.05)
    assert ending.passed == 1
    signal.raise_signal(signal.SIGTERM)
    assert ending.passed == 2  # and this one is
    signals.release(ending)
