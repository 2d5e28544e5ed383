"""Looking whether a message has come in, without waiting for it."""

from __future__ import annotations

import asyncio

from logspan.fastapi.asgi import Message, Receive


def peek(receive: Receive) -> Message | None:
    """One step of `receive()`: the message that is there already, or None.

    A server tells of a disconnect only to who asks. What is returned is taken out of the server's hands and must be
    handed on. Under an event loop other than asyncio's nothing is looked at.
    """
    asyncio.get_running_loop()  # raises where the coroutine would wait for another kind of loop
    waiting = receive().__await__()
    try:
        next(waiting)
    except StopIteration as arrived:
        message: Message = arrived.value
        return message
    else:
        waiting.close()
        return None
