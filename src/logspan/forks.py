"""What begins anew in a forked child."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def in_children(method: Callable[[], object]) -> None:
    """Have a method called in each child that is forked from here on, for as long as its object lives.

    Hooks run in the order of registration; where there is no fork, nothing is done.
    """
    reference = weakref.WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)
