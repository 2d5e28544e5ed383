"""A single outlet, without a pipeline round it."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, cast

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.clock import Clock, SystemClock
from logspan.delivery.account import Account
from logspan.delivery.outlet import Outlet, OutletConfig
from logspan.delivery.retry import BreakerPolicy, RetryPolicy
from logspan.delivery.sending_queue import SendingQueueConfig
from logspan.delivery.transit import Mode, SpoolPolicy
from logspan.ledger import ExporterLedger
from logspan.notices import Notices
from logspan.spool import Spool
from tests.core.support import record

NEVER_OPEN = BreakerPolicy(failure_threshold=1_000_000)
NO_JITTER = RetryPolicy(randomization_factor=0.0)


class Kit:
    """An outlet with its ledger; `put(n)` gives it the next n records, numbered."""

    opened: ClassVar[list[Kit]] = []
    """Those of the running test, for the fixture that closes them."""

    def __init__(
        self,
        exporter: LogRecordExporter,
        clock: Clock | None = None,
        retry: RetryPolicy = NO_JITTER,
        breaker: BreakerPolicy = NEVER_OPEN,
        spool: Spool | None = None,
        mode: Mode = "overflow",
        stall_timeout: float = 60.0,
        policy: dict[str, Any] | None = None,
        **queue: Any,
    ) -> None:
        self.ledger = ExporterLedger()
        self.clock = clock or SystemClock()
        config = OutletConfig(
            SendingQueueConfig(**{"schedule_delay": 0.01, **queue}),
            retry,
            breaker,
            stall_timeout,
            SpoolPolicy(mode, **{"gather": 0.01, "stall_timeout": stall_timeout, **(policy or {})}),
        )
        self.outlet = Outlet(exporter, Account("test", self.ledger, Notices(lambda: None)), config, self.clock, spool)
        self._numbers = itertools.count()
        self.opened.append(self)

    def put(self, count: int = 1) -> None:
        """Queue records whose bodies go on counting."""
        made = [record(next(self._numbers)) for _ in range(count)]
        self.outlet.expect(count)
        self.outlet.put(cast("list[ReadableLogRecord]", made))

    def drain(self, seconds: float = 20.0) -> bool:
        """What a flush does."""
        return self.outlet.wait_for(self.outlet.hurry(), self.clock.monotonic() + seconds)

    def close(self, seconds: float = 20.0, *, disk: float = 0.0) -> None:
        """What a shutdown does; with so many seconds more for a disk that is slow, and does not hang."""
        deadline = self.clock.monotonic() + seconds
        self.outlet.end_at(deadline)
        self.outlet.finish(deadline)
        self.outlet.wait(deadline)
        self.outlet.give_up()
        self.outlet.close(deadline + disk)
        self.outlet.join(deadline)
