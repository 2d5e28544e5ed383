"""Which exceptions of code that the application has given us are its failure, and which are the caller's."""

from __future__ import annotations

from asyncio import CancelledError

OWN_FAILURES = (Exception, CancelledError, GeneratorExit)
"""What plain functions can raise only by themselves: tasks and generators have the last two thrown in where they wait.

`KeyboardInterrupt` and `SystemExit` come out of signal handlers, which strike anywhere, and are not to be held up.
"""
