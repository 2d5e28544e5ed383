"""The stage that runs the user's own enrichers: each timed, guarded, and switched off when it harms.

It runs on the caller's thread, where nothing can interrupt it. So what it does may fail, or take too long once, and
then it is over: https://opentelemetry.io/docs/specs/otel/error-handling/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import get_ident
from time import perf_counter

from logspan.context import enter_pipeline, leave_pipeline
from logspan.failing import OWN_FAILURES
from logspan.processors.enrich.own import Enricher
from logspan.processors.enrich.view import EnrichContext, RecordView
from logspan.record import Record
from logspan.values import clean_attributes, type_name


class _Watched:
    """One enricher and what is known of it; `inside` has the threads that are in it, and since when."""

    __slots__ = ("failures", "function", "inside", "name", "on")

    def __init__(self, enricher: Enricher) -> None:
        self.name = f"enricher:{enricher.name}"
        self.function = enricher.function
        self.on = True
        self.failures = 0
        self.inside: dict[int, float] = {}


class OwnEnrichers:
    """Runs enrichers one after the other; with none left it costs nothing.

    One that takes more than `budget` seconds once, or fails `failure_threshold` times in a row, is switched off, for
    this process and for good. `count` is called with its name for each call that fails or overruns; `say` with a kind
    of notice and its text.
    What it logs itself would come back to it: it never enters a pipeline.
    """

    def __init__(
        self,
        enrichers: Sequence[Enricher],
        *,
        budget: float,
        failure_threshold: int,
        count: Callable[[str], object],
        say: Callable[[str, str], object],
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        self._enrichers = tuple(enrichers)
        self._budget = budget
        self._failure_threshold = failure_threshold
        self._count = count
        self._say = say
        self._timer = timer
        self._context = EnrichContext()
        self.reset()

    def reset(self) -> None:
        """Begin anew, in a forked child: all are on again, and no thread is inside."""
        self._active = tuple(_Watched(enricher) for enricher in self._enrichers)
        self._switched_off: dict[str, str] = {}

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return bool(self._enrichers)

    @property
    def switched_off(self) -> Mapping[str, str]:
        """Those that are switched off, and why."""
        return self._switched_off.copy()

    def __call__(self, record: Record) -> None:
        """Let each of them add to the record."""
        active = self._active
        if not active:
            return
        token = enter_pipeline()
        try:
            view = RecordView(record)
            for watched in active:
                if watched.on:
                    self._run(watched, record, view)
        finally:
            leave_pipeline(token)

    def _run(self, watched: _Watched, record: Record, view: RecordView) -> None:
        started, inside, thread = self._timer(), watched.inside, get_ident()
        if inside and self._is_stuck(watched, started):
            return
        inside[thread] = started
        failure = ""
        try:
            found = watched.function(view, self._context)
            if found is not None:
                _add(record, found)
        except OWN_FAILURES as error:
            failure = type_name(error)
        finally:
            inside.pop(thread, None)
        took = self._timer() - started
        if took > self._budget:
            self._overran(watched, took)
        elif failure:
            self._failed(watched, failure)
        else:
            watched.failures = 0

    def _is_stuck(self, watched: _Watched, now: float) -> bool:
        """Whether another thread has been inside for too long: it may never come out, and must not be followed."""
        longest = now - min(list(watched.inside.values()), default=now)
        if longest <= self._budget:
            return False
        self._overran(watched, longest)
        return True

    def _overran(self, watched: _Watched, seconds: float) -> None:
        reason = f"took {seconds:.3g} s, and enrich.budget is {self._budget:g} s"
        if self._switch_off(watched, reason):
            self._count(watched.name)

    def _failed(self, watched: _Watched, failure: str) -> None:
        self._count(watched.name)
        self._say(watched.name, f"{watched.name} failed, and added nothing to a record: {failure}")
        watched.failures += 1
        if watched.failures >= self._failure_threshold:
            self._switch_off(watched, f"failed {watched.failures} times in a row, last with {failure}")

    def _switch_off(self, watched: _Watched, reason: str) -> bool:
        """Take it out of those that run, and say so; False when another thread was quicker."""
        watched.on = False
        if self._switched_off.setdefault(watched.name, reason) is not reason:
            return False
        self._active = tuple(other for other in self._active if other.on)
        self._say(f"{watched.name}:off", f"{watched.name} is switched off: it {reason}")
        return True


def _add(record: Record, found: object) -> None:
    """Add what was found, cleaned like the attributes of a log call; what the record has already is kept."""
    if type(found) is not dict and not isinstance(found, Mapping):  # the second look costs a third of a microsecond
        close = getattr(found, "close", None)  # of a coroutine, which would complain that nobody has awaited it
        if close is not None:
            close()
        raise TypeError(f"an enricher returns a mapping or None, not a {type_name(found)}")
    record.add(clean_attributes(found))
