"""One outlet per exporter: a sending queue with a worker of its own, so that a slow peer holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.clock import Clock, Latch
from logspan.context import mark_pipeline_thread
from logspan.delivery.attempt import EXPORTER_ERROR, attempt
from logspan.delivery.batch import Batch
from logspan.delivery.retry import BreakerPolicy, CircuitBreaker, Retry, RetryPolicy, honoured
from logspan.delivery.sending_queue import SendingQueue, SendingQueueConfig
from logspan.delivery.thread import WorkerThread
from logspan.ledger import ExporterLedger
from logspan.notices import Notices
from logspan.outcome import Delivered, DeliveringExporter, Outcome, Rejected, Retryable

_IDLE = 1.0
_LEAST_TIMEOUT = 0.05


class Outlet:
    """Sending queue -> retry -> attempt, on a thread of its own; all that becomes of a record is counted here."""

    def __init__(
        self,
        name: str,
        exporter: LogRecordExporter,
        ledger: ExporterLedger,
        *,
        queue: SendingQueueConfig,
        retry: RetryPolicy,
        breaker: BreakerPolicy,
        stall_timeout: float,
        clock: Clock,
        notices: Notices,
    ) -> None:
        self.name = name
        self.exporter = exporter
        self._ledger = ledger
        self._config = queue
        self._retry = retry
        self._breaker_policy = breaker
        self._stall_timeout = stall_timeout
        self.watch: Callable[[], None] = _nothing_to_watch
        """Called by this outlet's thread now and then: who is to be seen when it hangs."""
        self._clock = clock
        self._notices = notices
        self._begin()

    def _begin(self) -> None:
        self.trouble: str | None = None
        """What the last attempt failed on; None when it did not."""
        self._queue = SendingQueue(self._config, self._clock)
        self._work, self._hurry = Latch(), Latch()
        self._hurry_to = 0
        self._breaker = CircuitBreaker(self._breaker_policy, self._clock)
        self._deadline: float | None = None
        self._current: Batch | None = None
        self._thread = WorkerThread(f"logspan-outlet-{self.name}", self._run, self._clock)
        self._thread.start()

    # ------------------------------------------------------------------------------ called by others

    def put(self, records: Sequence[ReadableLogRecord]) -> None:
        """Queue records, for the delivery worker; never waits for the peer."""
        self._ledger.fanned_out.add(len(records))
        self._ledger.in_flight.enter(len(records))
        was_empty = not self._queue
        surplus = self._queue.put(records)
        if surplus:
            self._count_dropped("queue_full", surplus)
        if was_empty or self._queue.full_batch:
            self._work.ring()

    def hurry(self) -> int:
        """Send all that is queued now without delay; returns the position to `wait_for`.

        A batch that waits for its next attempt is tried at once, unless the peer itself has named a later time.
        """
        self._hurry_to = self._queue.position
        self._ring()
        return self._hurry_to

    def wait_for(self, position: int, deadline: float) -> bool:
        """Wait until all up to a position is settled; False when `deadline` (monotonic seconds) came first."""
        return self._queue.wait_settled(position, deadline)

    def finish(self, deadline: float) -> None:
        """Nothing more will be put: send what is there, until `deadline` (monotonic seconds), and end. No waiting."""
        self._deadline = deadline
        self._queue.closed = True
        self._ring()

    def close(self, deadline: float) -> None:
        """Wait until all is settled; what is left at `deadline` is given up, counted as `shutdown_timeout`."""
        self.wait_for(self._queue.position, deadline)
        self._deadline = min(deadline, self._clock.monotonic())
        left = self._queue.abandon()
        if left:
            self._count_dropped("shutdown_timeout", left)
            self._queue.settle(left)
        self._ring()

    def _ring(self) -> None:
        self._work.ring()
        self._hurry.ring()

    def join(self, deadline: float) -> None:
        """Wait for the worker, whose last act is to shut the exporter down."""
        self._thread.join(deadline - self._clock.monotonic())

    def reset_after_fork(self) -> None:
        """Begin anew in a forked child: the queue and the connections are the parent's."""
        try:
            if isinstance(self.exporter, DeliveringExporter):
                self.exporter.reset_after_fork()
        except Exception as error:
            self._notices.say(f"{self.name}:fork", f"{self.name}: reset after a fork failed: {type(error).__name__}")
        self._begin()

    @property
    def alive(self) -> bool:
        """Whether the worker is running."""
        return self._thread.alive

    def revive(self) -> None:
        """Replace the thread if it has died, or hangs in the exporter; called by the delivery worker's thread."""
        trouble = "" if self._deadline is not None else self._thread.trouble(self._stall_timeout)
        if trouble:
            self._claim(self._current, f"exporter_{trouble}")
            self._ledger.restarts.one()
            self._notices.say(f"{self.name}:revived", f"{self.name}: the worker {trouble}: a new one goes on")
            self._thread.start()

    # ------------------------------------------------------------------------------ the outlet's own thread

    def _run(self) -> None:
        mark_pipeline_thread()
        with suppress_instrumentation():
            while self._thread.is_current() and not self._done():
                try:
                    self.watch()
                    self._turn()
                except BaseException as error:
                    self._abandon(error)
            if self._thread.is_current():
                self._shut_exporter_down()

    def _done(self) -> bool:
        return self._deadline is not None and not self._queue

    def _too_late(self) -> bool:
        return self._deadline is not None and self._clock.monotonic() >= self._deadline

    def _hurried(self) -> bool:
        return self._deadline is not None or self._queue.settled < self._hurry_to

    def _turn(self) -> None:
        if not self._queue:
            self._clock.wait(self._work, _IDLE)
            return
        if not (self._hurried() or self._queue.full_batch):
            self._clock.wait(self._work, self._config.schedule_delay)
        self._current = batch = self._queue.take_batch()
        self._send(batch)

    def _send(self, batch: Batch) -> None:
        self._back_off(self._breaker.delay(), 0)
        retry = Retry(self._retry, self._clock)
        while not batch.is_settled():
            self._thread.busy()
            outcome = attempt(self.exporter, batch.records, self._timeout())
            self._thread.idle()
            if batch.is_settled():  # a shutdown, or who replaced this thread, has not waited
                return
            if not isinstance(outcome, Retryable):
                self._breaker.answered()
                self._settle(batch, outcome)
                return
            self._breaker.failed()
            self.trouble = f"{outcome.reason} (circuit open)" if self._breaker.open else outcome.reason
            delay = retry.next_delay(outcome.retry_after, self._deadline)
            if delay is None:
                self._give_up(batch, outcome.reason)
            else:
                self._back_off(delay, honoured(outcome.retry_after))

    def _timeout(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - self._clock.monotonic(), _LEAST_TIMEOUT)

    def _back_off(self, delay: float, least: float) -> None:
        """Wait `delay` seconds, or only `least` when a flush or the shutdown is in a hurry."""
        now = self._clock.monotonic()
        until, earliest = now + delay, now + least
        while now < until and not self._too_late():
            if self._clock.wait(self._hurry, until - now) and self._hurried():
                until = min(until, earliest)
            now = self._clock.monotonic()

    # ------------------------------------------------------------------------------ the counts

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        if not batch.settle():
            return
        if isinstance(outcome, Delivered):
            self._count_delivered(outcome, len(batch))
        elif isinstance(outcome, Rejected):
            self._count_rejected(outcome, len(batch))
        self._queue.settle(len(batch))

    def _give_up(self, batch: Batch, reason: str) -> None:
        self._claim(batch, "retry_exhausted" if self._deadline is None else "shutdown_timeout", reason)

    def _abandon(self, error: BaseException) -> None:
        if self._thread.is_current():
            self._claim(self._current, "worker_error", type(error).__name__)

    def _claim(self, batch: Batch | None, reason: str, detail: str = "") -> None:
        """Take a batch from the thread that has it, and count it as dropped."""
        if batch is not None and batch.settle():
            self._count_dropped(reason, len(batch), detail)
            self._queue.settle(len(batch))

    def _count_delivered(self, outcome: Delivered, size: int) -> None:
        self.trouble = None
        rejected = max(min(outcome.rejected, size), 0)
        unencodable = max(min(outcome.unencodable, size - rejected), 0)
        self._ledger.delivered.add(size - rejected - unencodable)
        self._ledger.in_flight.leave(size - unencodable)
        if rejected or outcome.message:
            self._ledger.rejected.add("partial_success", rejected)
            self._notices.say(f"{self.name}:partial", f"{self.name}: {rejected} records refused: {outcome.message}")
        if unencodable:
            self._count_dropped("unencodable", unencodable)

    def _count_rejected(self, outcome: Rejected, size: int) -> None:
        self.trouble = f"{outcome.status} {outcome.message}".strip()
        if outcome.status == EXPORTER_ERROR:
            self._count_dropped(EXPORTER_ERROR, size, outcome.message)
            return
        self._ledger.rejected.add(outcome.status, size)
        self._ledger.in_flight.leave(size)
        self._notices.say(f"{self.name}:{outcome.status}", f"{self.name}: {size} records refused: {self.trouble}")

    def _count_dropped(self, reason: str, number: int, detail: str = "") -> None:
        self._ledger.dropped.add(reason, number)
        self._ledger.in_flight.leave(number)
        self._notices.say(f"{self.name}:{reason}", f"{self.name}: {number} records dropped: {reason} {detail}".rstrip())

    def _shut_exporter_down(self) -> None:
        try:
            self.exporter.shutdown()
        except BaseException as error:
            self._notices.say(f"{self.name}:shutdown", f"{self.name}: shutdown failed: {type(error).__name__}")


def _nothing_to_watch() -> None:
    """Until the delivery worker is there."""
