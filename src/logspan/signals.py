"""SIGTERM and SIGINT: what waits is delivered before they end the process, and whoever handled them before still does.

A handler of ours takes no lock and never waits inside somebody else's. Where another handler stands before us, it is
called and ends the process in its own way. Where nobody does, SIGTERM ends it at once, without `atexit`: so we deliver
first, put the default back and raise the signal again. SIGINT's default raises `KeyboardInterrupt`, after which
`atexit` runs and delivers; it is left alone, as asyncio turns it into a cancellation only while it stands there itself.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from logspan.notices import Notices
from logspan.wakeup import WakeUp

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_INIT = 1
"""The first process of a container: the kernel ignores a signal that it has no handler for, and so it goes on."""
HURRY = 1.0
"""Seconds that are left for delivery after a second signal, at most."""
_RECENTLY = 1.0
"""Seconds for which a signal that has run may be the one that `WakeUp` has heard of."""


class Patience:
    """Seconds that the end of a process may wait for delivery: so many in all, however many steps draw on them.

    `with patience:` waits; steps that wait at the same time count once. No lock: signal handlers look and cut.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """Forget who is waiting, in a forked child."""
        self._waiting: dict[object, float] = {}
        self.renew()

    def renew(self) -> None:
        """All of it again: the process goes on."""
        self._left = self._seconds
        self._ended = time.monotonic()
        self._cut = -math.inf

    def renew_when_rested(self) -> None:
        """All of it again, unless the last wait, or a cut, was only a while ago: then this is the same end."""
        now = time.monotonic()
        if not self._waiting and now - self._ended > HURRY and now - self._cut > self._seconds:
            self.renew()

    def left(self) -> float:
        """Seconds."""
        started = list(self._waiting.values())
        return max(self._left - (time.monotonic() - min(started) if started else 0.0), 0.0)

    def cut(self, seconds: float) -> None:
        """Leave `seconds`, or less if less is left."""
        too_much = self.left() - seconds
        if too_much > 0:
            self._left -= too_much
            self._cut = time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While this is open, time runs."""
        token = object()
        self._waiting[token] = time.monotonic()
        try:
            yield
        finally:
            left = self.left()
            self._waiting.pop(token)
            if not self._waiting:
                self._left, self._ended = left, time.monotonic()


@contextmanager
def taking_turns(own: Patience, others: Sequence[Patience]) -> Iterator[None]:
    """Ends that come one after the other have the time of one in all: this one its share, and they what is left."""
    together = (own, *others)
    for patience in together:
        patience.renew_when_rested()
    deadline = time.monotonic() + max(patience.left() for patience in together)
    own.cut((deadline - time.monotonic()) / len(together))
    try:
        yield
    finally:
        for patience in others:
            patience.cut(max(deadline - time.monotonic(), 0.0))


class Enough(BaseException):
    """Takes an interrupted drain, which waits for a time that no longer counts, out of its waiting."""


class Ending(Protocol):
    """Who has something to deliver before the process ends: a handle. Each method is called in a signal handler."""

    patience: Patience

    def passing(self) -> None:
        """A signal came, and the handler before us is about to see to it. Must not wait."""

    def after_emit(self, frame: FrameType | None, then: Callable[[], object]) -> bool:
        """Have `then` called at the end of the log call that `frame` stands in; False if it stands in none."""

    def drain(self) -> None:
        """Deliver what waits and stop, as long as `patience` lasts; say what was left."""

    def hurry(self) -> None:
        """`patience` was cut. Raise `Enough`, and that in a `drain` only, if the signal has interrupted one."""


class ProcessSignals:
    """The handlers of this process: one set, however many handles there are."""

    def __init__(self) -> None:
        self._endings: tuple[Ending, ...] = ()
        self._hooks: dict[int, _Hook] = {}
        self._wake_up = WakeUp(self._still_waits, lambda number: self._hooks[number].repeating())
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._passed = self._draining = 0
        self._deferred = False
        self._pending: list[_Hook] = []
        for ending in self._endings:
            ending.patience.begin()
        self._wake_up.start_in_child()

    def retain(self, ending: Ending) -> None:
        """Deliver what `ending` has when a signal comes. Off the main thread nothing can be installed, and is not."""
        self._endings = (*self._endings, ending)
        for number in SIGNALS:
            if number not in self._hooks and _is_main() and _is_ours_to_take(number, signal.getsignal(number)):
                self._hooks[number] = _Hook(number, self._struck)
        if self._hooks:
            self._wake_up.start()

    def release(self, ending: Ending) -> None:
        """Forget one; with the last one go the handlers, each put back as it was if it is still ours."""
        self._endings = tuple(other for other in self._endings if other is not ending)
        if not self._endings:
            self._wake_up.stop()
            for hook in self._hooks.values():
                hook.undo()
            self._hooks = {}

    def _still_waits(self, number: int, since: float) -> bool:
        hook = self._hooks.get(number)
        return hook is not None and not self._draining and hook.is_ours and hook.ran < since - _RECENTLY

    @contextmanager
    def draining(self) -> Iterator[None]:
        """While this is open, any signal shortens the wait, and whoever handles it does so afterwards."""
        standing_in = self._stand_in()
        self._draining += 1
        try:
            yield
        finally:
            self._draining -= 1
            for hook in standing_in:
                hook.undo()
        if not self._draining and _is_main():
            self._pass_on_pending()

    def _stand_in(self) -> list[_Hook]:
        """Handlers of ours wherever there is none and a signal would break the wait off."""
        if not self._endings or not _is_main():
            return []
        ours = [hook.function for hook in self._hooks.values()]
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        return [
            _Hook(number, self._struck)
            for number, handler in handlers.items()
            if handler not in ours and (callable(handler) or handler == signal.SIG_DFL)
        ]

    def _pass_on_pending(self) -> None:
        while self._pending:
            hook = self._pending.pop(0)
            if hook.previous is not signal.default_int_handler:  # the end that it asks for is here
                hook.pass_on(None)

    def _struck(self, hook: _Hook, frame: FrameType | None) -> None:
        if not self._endings:
            hook.pass_on(frame)
        elif self._draining:
            self._pending.append(hook)
            self._hurry()
        elif callable(hook.previous) or os.getpid() == _INIT:
            self._pass(hook, frame)
        elif self._deferred or not self._defer(hook, frame):
            self._finish(hook)

    def _hurry(self) -> None:
        for ending in self._endings:
            ending.patience.cut(HURRY)
        for ending in self._endings:
            _guarded(ending.hurry)

    def _pass(self, hook: _Hook, frame: FrameType | None) -> None:
        self._passed += 1
        for ending in self._endings:
            if self._passed > 1:
                ending.patience.cut(HURRY)
            _guarded(ending.passing)
        hook.pass_on(frame)

    def _defer(self, hook: _Hook, frame: FrameType | None) -> bool:
        """Only once: should the log call never end, a second signal acts at once."""
        self._deferred = any(ending.after_emit(frame, lambda: self._finish(hook)) for ending in self._endings)
        return self._deferred

    def _finish(self, hook: _Hook) -> None:
        """Drain all, one after the other, each with its share of the time; then the signal does what it would have."""
        endings = self._endings
        deadline = time.monotonic() + max((ending.patience.left() for ending in endings), default=0.0)
        with self.draining():
            for number, ending in enumerate(endings):
                ending.patience.cut(max(deadline - time.monotonic(), 0.0) / (len(endings) - number))
                _guarded(ending.drain)
            self._pending.clear()  # the signal at hand ends the process
        hook.pass_on(None)


class _Hook:
    """One handler of ours, and the one that it took the place of."""

    def __init__(self, number: int, struck: Callable[[_Hook, FrameType | None], None]) -> None:
        self._number = number
        self._struck = struck
        self.previous = signal.getsignal(number)
        self.function = self._handle  # one object, so that it can be recognised
        self.ran = -math.inf
        """When the signal was last handled (`time.monotonic`)."""
        self._is_repeated = self._is_repeating = False
        signal.signal(number, self.function)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number
        is_repeated, self._is_repeated = self._is_repeated, self._is_repeating
        before, self.ran = self.ran, time.monotonic()
        if not (is_repeated and self.ran - before < _RECENTLY):  # the one that was repeated has just been handled
            self._struck(self, frame)

    @contextmanager
    def repeating(self) -> Iterator[None]:
        """The signal is sent again in here, as it seems to be unheeded; if it runs just then, it may run twice."""
        self._is_repeated = self._is_repeating = True
        try:
            yield
        finally:
            self._is_repeating = False

    @property
    def is_ours(self) -> bool:
        """Whether our handler still stands there."""
        return signal.getsignal(self._number) is self.function

    def pass_on(self, frame: FrameType | None) -> None:
        """Do what would have happened without us."""
        if callable(self.previous):
            self.previous(self._number, frame)
        elif self.previous == signal.SIG_DFL:
            signal.signal(self._number, signal.SIG_DFL)
            signal.raise_signal(self._number)

    def undo(self) -> None:
        """Put back the earlier handler, if ours still stands there and this is the thread that may."""
        if _is_main() and self.is_ours:
            signal.signal(self._number, self.previous)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_ours_to_take(number: int, handler: object) -> bool:
    """Not a signal that is ignored, nor one whose handler Python cannot call."""
    if number == signal.SIGINT:
        return callable(handler) and handler is not signal.default_int_handler
    return callable(handler) or handler == signal.SIG_DFL


def _guarded(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as error:
        Notices().say("signal", f"the end of the process was not orderly: {type(error).__name__}: {error}")
