"""Whether the code that is logging may be made to wait."""

from __future__ import annotations

import gc
import inspect
import signal
import sys
import threading
from types import CodeType, FrameType

from logspan.context import inside_pipeline

_MOST_FRAMES = 200


def may_block() -> bool:
    """False on an event loop, on the pipeline's own threads, in signal handlers, `__del__` and callbacks of the GC.

    There, waiting would hold up what the wait is for. It is asked when the queue is full, not for each record.
    """
    return not (inside_pipeline() or _on_event_loop() or _interrupting())


def _on_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _interrupting() -> bool:
    """Whether the stack holds a function that Python called between two steps of another one."""
    interrupts = _interrupts()
    frame: FrameType | None = inspect.currentframe()
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return False
        if frame.f_code in interrupts or frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return True  # so deep that it may well be: not waiting costs one record, waiting may cost the process


def _interrupts() -> frozenset[CodeType]:
    handlers: list[object] = list(gc.callbacks)
    if threading.current_thread() is threading.main_thread():
        handlers += [signal.getsignal(number) for number in signal.valid_signals()]
    codes = (getattr(getattr(handler, "__func__", handler), "__code__", None) for handler in handlers)
    return frozenset(code for code in codes if code is not None)
