"""Records that are made a little later than what they tell of, beside whoever caused them."""

from __future__ import annotations

import contextvars
import inspect
from collections import deque
from collections.abc import Callable
from types import FrameType

from logspan.ledger import Tally
from logspan.record import Record

Make = Callable[[], Record | None]
"""Makes a record, or finds that there is none to make; never raises. It has all it needs: its context may be empty."""

_MOST = 256


class Later:
    """What makes records waits here for the next look of the delivery worker, and not for long.

    The caller's context does not wait along: it may hold whatever the application has put there, which would then end
    on a thread of ours.
    """

    def __init__(self, take: Callable[[Make], object]) -> None:
        """`take` is given each in its turn, to make the record and take it; it must not wait for anybody."""
        self._take = take
        self._most = _MOST
        self.wake: Callable[[], object] = _nothing
        """Called when something waits."""
        self.forget()

    def hurry(self, *, on: bool) -> None:
        """Have nothing wait, as somebody counts on each record being queued at once, or as all ends; or as usual."""
        self._most = 0 if on else _MOST

    def forget(self) -> None:
        """Leave what waits to the parent, in a forked child."""
        self._waiting: deque[Make] = deque()
        self._begun, self._ended = Tally(), Tally()

    def put(self, make: Make) -> bool:
        """Have the delivery worker make a record that nobody waits for: for many in a row that costs a third.

        False where whoever comes with it has to make it: there is no time for that, or a burst of them waits already.
        """
        if len(self._waiting) >= self._most:
            return False
        self._waiting.append(make)
        if self._most:
            self.wake()
        else:  # since a moment ago: a shutdown on another thread may have caught up already
            self.catch_up()
        return True

    def catch_up(self) -> bool:
        """Make what waits, from any thread; whether there was anything."""
        if not self._waiting:
            return False
        self._begun.one()
        try:
            while self._waiting:
                contextvars.Context().run(self._take, self._waiting.popleft())
        except IndexError:  # another thread took the last one
            pass
        finally:
            self._ended.one()
        return True

    def is_behind(self) -> bool:
        """Whether something waits, or another call than those that the caller stands on is at it."""
        ended = self._ended.value()  # first, so that a race shows one too many
        return bool(self._waiting) or ended + self._own_calls() < self._begun.value()

    def _own_calls(self) -> int:
        """In a signal handler: to wait for these would be in vain."""
        return calls_under(inspect.currentframe(), Later.catch_up, self)


def _nothing() -> None:
    """Until there is a worker."""


def calls_under(frame: FrameType | None, method: Callable[..., object], own: object) -> int:
    """How many calls of an object's method a frame stands on."""
    found = 0
    while frame is not None:
        found += frame.f_code is method.__code__ and frame.f_locals.get("self") is own
        frame = frame.f_back
    return found
