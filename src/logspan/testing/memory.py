"""An exporter that keeps everything in memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable

_LONGEST_HOLD = 60.0


class InMemoryExporter(DeliveringExporter):
    """Keeps the batches that it takes; safe to use from several threads.

    `outcomes` is a script: the first batch comes to the first of them, and so on; when they are used up, everything is
    delivered. An exception in the script is raised. Records are kept when the outcome is `Delivered`.
    """

    def __init__(self, outcomes: Iterable[Outcome | BaseException] = ()) -> None:
        self._script = deque(outcomes)
        self._changed = threading.Condition()
        self._batches: list[tuple[ReadableLogRecord, ...]] = []
        self._attempts = 0
        self._open = threading.Event()
        self._open.set()
        self.is_shut_down = False

    def deliver(self, batch: Sequence[ReadableLogRecord], timeout: float | None = None) -> Outcome:
        """Keep the batch, or do what the script says; while held, wait for `release` or for `timeout` seconds."""
        with self._changed:
            self._attempts += 1
            self._changed.notify_all()
        if self.is_shut_down:
            return Rejected("already_shutdown")
        if not self._open.wait(_LONGEST_HOLD if timeout is None else timeout):
            return Retryable("timeout")
        with self._changed:
            outcome = self._script.popleft() if self._script else Delivered()
            if isinstance(outcome, BaseException):
                raise outcome
            if isinstance(outcome, Delivered):
                self._batches.append(tuple(batch))
            self._changed.notify_all()
            return outcome

    def records(self) -> list[ReadableLogRecord]:
        """Everything that was taken, in order."""
        with self._changed:
            return [record for batch in self._batches for record in batch]

    def batches(self) -> list[tuple[ReadableLogRecord, ...]]:
        """The same as it came."""
        with self._changed:
            return list(self._batches)

    @property
    def attempts(self) -> int:
        """How often `deliver` was called."""
        return self._attempts

    def clear(self) -> None:
        """Forget what was taken."""
        with self._changed:
            self._batches.clear()

    def wait_for(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until at least `count` records were taken; False when `timeout` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: sum(map(len, self._batches)) >= count, timeout)

    def wait_for_attempts(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until `deliver` was called at least `count` times; False when `timeout` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: self._attempts >= count, timeout)

    def hold(self) -> None:
        """Let every delivery hang from now on."""
        self._open.clear()

    def release(self) -> None:
        """End `hold`: deliveries that hang go on."""
        self._open.set()

    def shutdown(self) -> None:
        """Refuse batches from now on; what was kept stays."""
        self.is_shut_down = True
        self._open.set()

    def reset_after_fork(self) -> None:
        """Keep nothing of the parent's, and hold no lock of its threads."""
        self._changed = threading.Condition()
        self._batches = []
