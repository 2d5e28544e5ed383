"""Waiting for what rings no bell: for as long as only a hang would take, as a machine may be busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is so; fails when that takes longer than `seconds`."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it has not come about in {seconds:g} s"
        pause.wait(0.01)
