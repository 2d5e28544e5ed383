"""The signal that CPython would miss: one that comes in the instant before its main thread begins to wait.

The C part of a signal's handler only makes a note; the Python part runs when the main thread is between two steps, or
when the signal interrupts its waiting. A signal that comes after the last look at the note and before a wait with no
time-out begins, or that another thread takes, is heeded when the wait is over: never, in the worst case. Without us the
kernel would have ended the process. So the C part also writes to a socket (`signal.set_wakeup_fd`), a thread reads it,
and if no Python part has run after a moment, it sends the signal to the main thread once more.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

_CREDENTIALS = struct.Struct("3i")  # pid, user, group: `struct ucred`
_MOMENT = 0.1
_LONGEST = 5.0
"""Seconds between two repetitions: the main thread may be in a long computation of C, where nothing reaches it."""


class WakeUp:
    """Watches for signals from `start` to `stop`, both for the main thread.

    `is_open(number, since)` tells whether a signal that came after `since` (`time.monotonic`) still waits for its
    Python part; within `repeating(number)` it is sent again. Does nothing where somebody else has set a
    descriptor, an event loop for example, which never waits without a look; and on systems whose sockets do not tell
    who has written: a child that was forked and not yet executed writes to the same one. uvloop puts our descriptor
    back when it ends. asyncio does not, once `add_signal_handler` was used: from then on the instant is there again.
    """

    def __init__(
        self, is_open: Callable[[int, float], bool], repeating: Callable[[int], AbstractContextManager[object]]
    ) -> None:
        self._is_open = is_open
        self._repeating = repeating
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless somebody watches already."""
        if self._sockets is not None or not hasattr(socket, "SO_PASSCRED"):
            return
        reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        writer.setblocking(False)
        if not _take_place(writer):
            reader.close()
            writer.close()
            return
        self._sockets = reader, writer
        self._thread = threading.Thread(target=self._watch, args=(reader,), name="logspan-signals", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and leave the place as it was found."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        reader, writer = sockets
        _leave_place(writer)
        reader.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(1.0)
        reader.close()
        writer.close()

    def start_in_child(self) -> None:
        """After a fork: the sockets are the parent's, and its thread is not here."""
        sockets, self._sockets = self._sockets, None
        if sockets is not None:
            _leave_place(sockets[1])
            for each in sockets:
                each.close()
            self.start()

    def _watch(self, reader: socket.socket) -> None:
        try:
            while data := _read(reader):
                for number in data:
                    self._see_to(number)
        except OSError:  # closed
            pass

    def _see_to(self, number: int) -> None:
        came, pause = time.monotonic(), _MOMENT
        waiting = threading.Event()
        while not waiting.wait(pause) and self._sockets is not None and self._is_open(number, came):
            with self._repeating(number):
                signal.pthread_kill(threading.main_thread().ident or 0, number)
            pause = min(pause * 2, _LONGEST)


def _read(reader: socket.socket) -> bytes:
    """Numbers of signals that came to this process; empty when the socket was shut down."""
    while True:
        data, about, _, _ = reader.recvmsg(64, socket.CMSG_SPACE(_CREDENTIALS.size))
        writers = [_CREDENTIALS.unpack(sent[: _CREDENTIALS.size])[0] for _, _, sent in about]
        if not data or writers == [os.getpid()]:
            return data


def _take_place(writer: socket.socket) -> bool:
    try:
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
    except ValueError:  # not the main thread
        return False
    return before == -1


def _leave_place(writer: socket.socket) -> None:
    try:
        before = signal.set_wakeup_fd(-1)
        if before not in (-1, writer.fileno()):
            signal.set_wakeup_fd(before)
    except ValueError:  # not the main thread, or somebody's descriptor is closed: nothing that we could put back
        pass
