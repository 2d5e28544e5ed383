"""One outlet per exporter: a sending queue with a worker of its own, so that a slow peer holds up no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.clock import Clock, Latch
from logspan.context import mark_pipeline_thread
from logspan.delivery.account import Account
from logspan.delivery.attempt import attempt, takes_payloads
from logspan.delivery.batch import Batch
from logspan.delivery.retry import BreakerPolicy, CircuitBreaker, Retry, RetryPolicy
from logspan.delivery.sending_queue import SendingQueue, SendingQueueConfig
from logspan.delivery.spooled_queue import SpooledQueue
from logspan.delivery.spooler import EXPIRED
from logspan.delivery.thread import WorkerThread
from logspan.delivery.transit import SpoolPolicy
from logspan.outcome import Delivered, DeliveringExporter, Division, Outcome, Rejected, Retryable
from logspan.spool import Spool

_IDLE = 1.0
_LEAST_TIMEOUT = 0.05


@dataclass(frozen=True, slots=True)
class OutletConfig:
    """How an outlet behaves; `stall_timeout` (seconds): how long its exporter may hang."""

    queue: SendingQueueConfig
    retry: RetryPolicy
    breaker: BreakerPolicy
    stall_timeout: float = 60.0
    spool: SpoolPolicy = field(default_factory=SpoolPolicy)


class Outlet:
    """Sending queue -> retry -> attempt, on a thread of its own; all that becomes of a record is in its account."""

    def __init__(
        self,
        exporter: LogRecordExporter,
        account: Account,
        config: OutletConfig,
        clock: Clock,
        spool: Spool | None = None,
    ) -> None:
        self.name = account.name
        self.exporter = exporter
        self.account = account
        self._config = config
        self._clock = clock
        self._spool = spool
        self.watch: Callable[[], None] = _nothing_to_watch
        """Called by this outlet's thread now and then: who is to be seen when it hangs."""
        self._begin()

    def _begin(self) -> None:
        self.account.trouble = None
        self._work, self._hurry = Latch(), Latch()
        self._hurry_to = 0
        self._queue = self._new_queue()
        self._breaker = CircuitBreaker(self._config.breaker, self._clock)
        self._deadline: float | None = None
        self.is_closed = False
        self._current: Batch | None = None
        self._hand = threading.Lock()
        self._thread = WorkerThread(f"logspan-outlet-{self.name}", self._run, self._clock)
        self._thread.start()

    def _new_queue(self) -> SendingQueue | SpooledQueue:
        memory = SendingQueue(self._config.queue, self._clock)
        memory.when_full = self._make_room
        if self._spool is None:
            return memory
        return SpooledQueue(
            memory,
            self._spool,
            self._config.spool,
            self.account,
            self._work.ring,
            self._clock,
            decodes=not takes_payloads(self.exporter),
        )

    # ------------------------------------------------------------------------------ called by others

    def expect(self, number: int) -> None:
        """Count records as this outlet's: `put` brings them next, and may have to wait for room."""
        self.account.took_in(number)

    def put(self, records: Sequence[ReadableLogRecord]) -> None:
        """Queue records that it was told to `expect`, for the delivery worker; never waits for the peer."""
        was_empty = not self._queue
        surplus = self._queue.put(records)
        if surplus:
            self.account.dropped("queue_full", surplus)
        if was_empty or self._queue.full_batch:
            self._work.ring()
        if self.is_closed:  # nobody looks after the queue any more
            self._drop_left(self._clock.monotonic())

    def _make_room(self) -> None:
        """The delivery worker, which waits in `put`, sees to this outlet from here: it comes to no other round."""
        self._work.ring()
        self.revive()

    def hurry(self) -> int:
        """Send all that is queued now without delay; returns the position to `wait_for`.

        A batch that waits for its next attempt is tried at once, unless the peer itself has named a later time.
        """
        self._hurry_to = self._queue.position
        self._queue.hurry()
        self._ring()
        return self._hurry_to

    def wait_for(self, position: int, deadline: float) -> bool:
        """Wait until all up to a position is settled; False when `deadline` (monotonic seconds) came first.

        At once when it is closed: what is on disk then stays there.
        """
        return self._queue.wait_settled(position, self._clock.monotonic() if self.is_closed else deadline)

    def end_at(self, deadline: float) -> None:
        """The end comes at `deadline` (monotonic seconds); more may be put until then. No waiting."""
        self._queue.end_at(deadline)

    def finish(self, deadline: float) -> None:
        """Nothing more will be put: send what is there, until `deadline` (monotonic seconds), and end. No waiting."""
        self._deadline = deadline
        self._queue.finish()
        self._ring()

    def wait(self, deadline: float) -> bool:
        """Wait until all is settled; False when `deadline` came first."""
        return self.wait_for(self._queue.position, deadline)

    def give_up(self) -> None:
        """Send no more: what is not settled begins to go to the spool, if there is one. No waiting."""
        self._deadline = self._clock.monotonic()
        self._queue.give_up()
        self._ring()

    def close(self, deadline: float) -> None:
        """After `give_up`: what is on no disk at `deadline` is counted as `shutdown_timeout`."""
        self.is_closed = True  # before the queue is emptied, so that who puts later sees it
        self._drop_left(deadline)
        self._ring()

    def _drop_left(self, deadline: float) -> None:
        left = self._queue.abandon(deadline)
        if left:
            self.account.dropped("shutdown_timeout", left)
            self._queue.settle(left)

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
            self.account.say("fork", f"reset after a fork failed: {type(error).__name__}")
        self._begin()

    @property
    def trouble(self) -> str | None:
        """What the last attempt failed on; None when it did not."""
        return self.account.trouble

    @property
    def spool_trouble(self) -> str | None:
        """What is the matter with the disk of the spool; None when nothing is."""
        return self._queue.trouble

    @property
    def alive(self) -> bool:
        """Whether the worker is running."""
        return self._thread.alive

    def revive(self) -> None:
        """Replace the thread if it has died, or hangs in the exporter; called by the delivery worker's thread.

        With a spool the new one goes on with the batch that the old one had: none is given up for a peer that hangs.
        """
        with self._hand:
            trouble = "" if self._deadline is not None else self._thread.trouble(self._config.stall_timeout)
            if trouble:
                self._replace_thread(trouble)
        if self._queue.revive():
            self.account.ledger.restarts.one()
            self.account.say("spool revived", "the spool's worker died: a new one goes on")

    def _replace_thread(self, trouble: str) -> None:
        reason = f"exporter_{trouble}"
        if not self._thread.may_be_left:
            self.account.failed(reason)
            return
        self._let_go(self._current, reason)
        self.account.ledger.restarts.one()
        self.account.say("revived", f"the worker {trouble}: a new one goes on")
        self._thread.start()

    def _let_go(self, batch: Batch | None, reason: str) -> None:
        if batch is not None and self._config.retry.enabled and self._queue.keeps(batch):
            self.account.failed(reason)
        else:
            self._claim(batch, reason)

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
        return self._deadline is not None and not self._queue and not self._left_in_hand()

    def _left_in_hand(self) -> Batch | None:
        """What a thread had that was replaced, unless that has been answered since."""
        batch = self._current
        return batch if batch and not batch.is_settled() else None

    def _too_late(self) -> bool:
        return self._deadline is not None and self._clock.monotonic() >= self._deadline

    def _is_put_off(self) -> bool:
        """Whether the end comes before the time that the peer itself has named."""
        asked = self._breaker.asked
        return self._deadline is not None and asked > 0 and self._clock.monotonic() + asked >= self._deadline

    def _hurried(self) -> bool:
        return self._deadline is not None or self._queue.settled < self._hurry_to

    def _turn(self) -> None:
        if not (self._left_in_hand() or self._queue):
            self._clock.wait(self._work, _IDLE)
            return
        if not (self._left_in_hand() or self._hurried() or self._queue.full_batch):
            self._clock.wait(self._work, self._config.queue.schedule_delay)
        batch = self._take()
        if batch:
            self._send(batch)
        elif batch is not None:
            self._clock.wait(self._work, _IDLE)

    def _take(self) -> Batch | None:
        """What to send next: nothing when it is the disk's turn, and None for a thread that has been replaced."""
        with self._hand:
            if not self._thread.is_current():
                return None
            self._current = self._left_in_hand() or self._queue.take_batch()
            return self._current

    def _send(self, batch: Batch) -> None:
        """Send a batch, in parts where the peer wants that; a part that is settled stays so, whatever comes after."""
        self._back_off(self._breaker.delay(), self._breaker.asked)
        division = Division(len(batch))
        while size := division.size:
            part = batch.first(size)
            outcome = self._answer(batch, part)
            if outcome is None:
                return
            if division.settles(outcome):
                batch = self._settle(batch, part, outcome)

    def _answer(self, batch: Batch, part: Batch) -> Delivered | Rejected | None:
        """What the peer says at last to the first part of a batch; None when somebody else has settled the batch."""
        retry = Retry(self._config.retry, self._clock)
        while self._thread.is_current() and not batch.is_settled():
            if self._is_put_off():
                self._give_up(batch, "the peer has asked for more time than there is")
                break
            self._thread.busy()
            outcome = attempt(self.exporter, part, self._timeout())
            self._thread.idle()
            if not self._is_heard(batch, part, outcome):
                break
            if not isinstance(outcome, Retryable):
                self._breaker.answered()
                return outcome
            self._breaker.failed(outcome.retry_after)
            self.account.failed(f"{outcome.reason} (circuit open)" if self._breaker.open else outcome.reason)
            delay = retry.next_delay(outcome.retry_after, self._deadline, endless=self._queue.keeps(batch))
            if delay is None:
                self._give_up(batch, outcome.reason)
                break
            self._back_off(delay, self._breaker.asked)
        return None

    def _settle(self, batch: Batch, part: Batch, outcome: Delivered | Rejected) -> Batch:
        """Count the first part of a batch, unless somebody has settled the batch; what to go on with.

        Who replaces this thread finds the batch in hand, or the rest of it, and nothing in between.
        """
        with self._hand:
            if not self._is_heard(batch, part, outcome):
                return batch
            if part is batch:
                if batch.settle():
                    self._count(batch, outcome)
                return batch
            rest = batch.after(len(part))
            if not self._queue.replace(batch, rest):
                return batch
            self._current = rest
            self._count(part, outcome)
            return rest

    def _count(self, batch: Batch, outcome: Delivered | Rejected) -> None:
        self.account.settled(batch, outcome)
        self._queue.done(batch)

    def _is_heard(self, batch: Batch, part: Batch, outcome: Outcome) -> bool:
        """Whether an answer counts: a shutdown has not waited for ever, and who was replaced brings good news only.

        Those of a part are none: who replaced it has begun again with what was left then, and may bring that twice.
        """
        is_good_news = part is batch and isinstance(outcome, Delivered)
        return not batch.is_settled() and (self._thread.is_current() or is_good_news)

    def _timeout(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - self._clock.monotonic(), _LEAST_TIMEOUT)

    def _back_off(self, delay: float, least: float) -> None:
        """Wait `delay` seconds, or only `least` when a flush or the shutdown is in a hurry."""
        now = self._clock.monotonic()
        until, earliest = now + delay, now + least
        while now < until and not (self._too_late() or self._is_put_off()):
            if self._clock.wait(self._hurry, until - now) and self._hurried():
                until = min(until, earliest)
            now = self._clock.monotonic()

    def _give_up(self, batch: Batch, reason: str) -> None:
        if self._deadline is None:
            is_too_old = batch.spooled and self._config.retry.enabled
            self._claim(batch, EXPIRED if is_too_old else "retry_exhausted", reason)
        elif self._spool is None:
            self._claim(batch, "shutdown_timeout", reason)
        while not batch.is_settled():  # the end of the shutdown takes it, and everything behind it, to the spool
            self._clock.wait(self._hurry, _IDLE)

    def _abandon(self, error: BaseException) -> None:
        if self._thread.is_current():
            self._claim(self._current, "worker_error", type(error).__name__)

    def _claim(self, batch: Batch | None, reason: str, detail: str = "") -> None:
        """Take a batch from the thread that has it, and count it as dropped."""
        if batch is not None and batch.settle():
            self.account.gave_up(batch, reason, detail)
            self._queue.done(batch)

    def _shut_exporter_down(self) -> None:
        try:
            self.exporter.shutdown()
        except BaseException as error:
            self.account.say("shutdown", f"shutdown failed: {type(error).__name__}")


def _nothing_to_watch() -> None:
    """Until the delivery worker is there."""
