"""The queue of an outlet that has a spool: memory while the peer keeps up, the disk when it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opentelemetry.sdk._logs import ReadableLogRecord

from logspan.clock import Clock
from logspan.delivery.account import Account
from logspan.delivery.batch import Batch
from logspan.delivery.sending_queue import SendingQueue
from logspan.delivery.spooler import Spooler
from logspan.delivery.transit import SpoolPolicy, Transit
from logspan.spool import Spool

_LEAST = 0.5
"""Seconds that the disk has at the end, whatever the deadline."""
_EARLY = 1.0
"""Seconds before the deadline of a shutdown at which memory begins to go to disk, if the peer is slow."""


class SpooledQueue:
    """A `SendingQueue` with a `Spool` behind it, and a thread that moves records from one to the other.

    In mode `always` every record goes to disk first. In mode `overflow` they do once memory is half full, and from then
    on for as long as the spool holds anything, so that the order is kept: what is in the spool is always older than
    what is in memory. A batch that the disk refuses waits in memory, between the two. No method waits for the disk,
    apart from `abandon`.
    """

    def __init__(
        self,
        memory: SendingQueue,
        spool: Spool,
        policy: SpoolPolicy,
        account: Account,
        ready: Callable[[], None],
        clock: Clock,
        *,
        decodes: bool,
    ) -> None:
        self._memory = memory
        self._policy = policy
        self._account = account
        self._clock = clock
        self._transit = Transit(memory, policy.mode)
        self._hurry_to = 0
        self._deadline: float | None = None
        self._stored_by = 0.0
        self._waiting_since: float | None = None
        self._spooler = Spooler(
            self._transit,
            spool,
            account,
            clock,
            is_time=self._is_time,
            due_in=self._due_in,
            ready=ready,
            decodes=decodes,
            policy=policy,
        )
        self._wait_for_room = memory.when_full
        memory.when_full = self._make_room

    def __len__(self) -> int:
        return len(self._transit)

    @property
    def full_batch(self) -> bool:
        """Whether there is something to send without waiting for more."""
        return self._transit.has_batch

    @property
    def position(self) -> int:
        """How many records were taken in."""
        return self._memory.position

    @property
    def settled(self) -> int:
        """How many of them are done with; those in the spool are not."""
        return self._memory.settled

    @property
    def trouble(self) -> str | None:
        """What is the matter with the disk; None when nothing is."""
        return self._spooler.trouble

    def put(self, records: Sequence[ReadableLogRecord]) -> int:
        """Take records in; how many had to go for want of room in memory."""
        gone = self._memory.put(records)
        if self._needs_a_look():
            self._spooler.wake()
        return gone

    def _make_room(self) -> None:
        self._wait_for_room()
        self._spooler.wake()

    def _needs_a_look(self) -> bool:
        if self._policy.mode == "always":
            return self._waiting_since is None or self._memory.full_batch
        return self._is_time()

    def hurry(self) -> None:
        """Somebody waits for all that was put so far."""
        self._hurry_to = self.position
        self._spooler.wake()

    def wait_settled(self, position: int, deadline: float) -> bool:
        """Wait until all up to `position` is settled; False when `deadline` came first."""
        return self._memory.wait_settled(position, deadline)

    def settle(self, number: int) -> None:
        """Say that `number` records are done with."""
        self._memory.settle(number)

    def take_batch(self) -> Batch:
        """The oldest records: of the spool, of what it refused, of memory. Empty when it is the disk's turn."""
        return self._transit.take(disk_hangs=self._spooler.hangs)

    def keeps(self, batch: Batch) -> bool:
        """Whether a batch is tried for ever: with a spool none is given up for its age, unless `max_age` says so."""
        return self._policy.max_age is None or not batch.is_older_than(self._policy.max_age)

    def replace(self, batch: Batch, rest: Batch) -> bool:
        """Go on with the rest of the batch that was taken last, unless somebody has settled it."""
        return self._transit.replace(batch, rest)

    def done(self, batch: Batch) -> None:
        """A batch has been counted: it leaves the disk as well."""
        self._transit.done(batch)
        if batch.spooled:
            self._spooler.wake()

    def revive(self) -> bool:
        """Whether the spool's thread had died, and was replaced."""
        return self._spooler.revive()

    # ------------------------------------------------------------------------------ when memory goes to disk

    def _is_time(self) -> bool:
        if self._is_ending():
            return len(self._memory) > 0
        if self._policy.mode == "always":
            is_due = self._due_in() <= 0
            self._waiting_since = None if is_due else self._waiting_since
            return is_due
        return self._memory.half_full or (self._transit.holds and self._memory.full_batch)

    def _is_ending(self) -> bool:
        """Towards the end of a shutdown, or from its beginning when the peer is known to be away."""
        if self._deadline is None:
            return False
        return self._account.trouble is not None or self._clock.monotonic() >= self._deadline - _EARLY

    def _due_in(self) -> float:
        """Seconds until it is time, as far as time alone decides: in mode `always`, and towards a deadline."""
        if not len(self._memory):
            self._waiting_since = None
            return 1e9
        now = self._clock.monotonic()
        if self._policy.mode != "always":
            return 1e9 if self._deadline is None else max(self._deadline - _EARLY - now, 0.0)
        if self._memory.full_batch or self._memory.settled < self._hurry_to or self._deadline is not None:
            return 0.0
        if self._waiting_since is None:
            self._waiting_since = now
        return max(self._waiting_since + self._policy.gather - now, 0.0)

    # ------------------------------------------------------------------------------ the end

    def end_at(self, deadline: float) -> None:
        """The end comes at `deadline` (monotonic seconds): what may not be sent by then goes to disk in time."""
        self._deadline = deadline
        self._memory.end_at(deadline)
        self._spooler.wake()

    def finish(self) -> None:
        """Nothing more will be put."""
        self._memory.finish()

    def give_up(self) -> None:
        """Begin to store what is not settled. Does not wait."""
        self._stored_by = self._clock.monotonic() + _LEAST
        self._spooler.end()

    def abandon(self, deadline: float) -> int:
        """The end: wait until what was left is on disk, until `deadline`; how many records are lost in spite of that.

        The disk has half a second from `give_up` in any case. What was put after that goes to disk at once.
        """
        self._spooler.join(max(deadline, self._stored_by) - self._clock.monotonic())
        left = sum(len(batch) for batch in self._transit.rest() if batch.settle())
        return left + self._spooler.store_late(self._memory.take_everything())
