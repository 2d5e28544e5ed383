"""What touches the process: the sources on its hooks, its exit, and the handle that undoes it all."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, cast

from logspan.context import ROUTING
from logspan.notices import Notices
from logspan.signals import Enough, Patience, ProcessSignals, taking_turns
from logspan.sources import ProcessSources, Wishes

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import LogRecordExporter

    from logspan.pipeline import DrainReport, Pipeline
    from logspan.processors.enrich import Enrichers
    from logspan.settings import Settings

    Exporters = Mapping[str, LogRecordExporter] | Sequence[LogRecordExporter]

Undo = Callable[[], object]
Result = TypeVar("Result")
_STEP = 0.05
"""Seconds."""
_MOMENT = 0.1
"""Seconds that a record has, after the end, to reach the exporters that keep up."""


class Companion(Protocol):
    """Something that is flushed, shut down and undone together with the pipeline: the OTel providers."""

    def flush(self, timeout: float) -> bool:
        """Deliver what waits, `timeout` seconds at most; with 0 it begins, and a later call waits for it."""

    def shutdown(self, timeout: float) -> bool:
        """Deliver what waits and stop, `timeout` seconds at most; with 0 it begins, and a later call waits for it."""

    def __call__(self) -> object:
        """Undo."""


def configure_logging(
    settings: Settings | None = None, *, exporters: Exporters | None = None, enrichers: Enrichers = ()
) -> Handle:
    """Send all logs of a program with no web application through a pipeline; see `instrument_app` for FastAPI.

    `exporters` stand in for those that the settings name; `enrichers` add to each record, see `enricher`. With
    `sdk_disabled` nothing is touched and the handle does nothing. Raises `SettingsError` for settings that are wrong.
    """
    from logspan.assemble import build_pipeline
    from logspan.settings import given_settings

    settings = given_settings(settings)
    if settings.sdk_disabled:
        return disabled(settings)
    handle = install(build_pipeline(settings, exporters=exporters, enrichers=enrichers), settings, exporters=exporters)
    from logspan.providers import install_providers

    handle.add_companion(install_providers(handle.pipeline, settings))
    return handle


def install(pipeline: Pipeline, settings: Settings, *, exporters: Exporters | None = None) -> Handle:
    """Point the sources of this process at a pipeline, and deliver what waits at exit.

    `exporters` are those that the pipeline was built with, if any were given: whether one of them is a console decides
    whether the application's own console handlers are set aside.
    """
    handle = Handle(pipeline, settings)
    sources = process_sources()
    handle.shared.enter()
    handle.add_undo(lambda: sources.release(handle))
    redact = None if pipeline.redactor is None else pipeline.redactor.text
    sources.retain(handle, Wishes.of(settings, console=writes_console(settings, exporters), redact=redact))
    if settings.signals:
        process_signals().retain(handle)
        handle.add_undo(lambda: process_signals().release(handle))
    atexit.register(handle.at_exit)
    handle.add_undo(lambda: atexit.unregister(handle.at_exit))
    _deliver_in_children(handle)
    return handle


def disabled(settings: Settings) -> Handle:
    """The handle of a process with `OTEL_SDK_DISABLED`: says so once, and touches nothing."""
    logging.getLogger("logspan").warning("logspan is off: OTEL_SDK_DISABLED is set; logging stays as it was")
    return _DisabledHandle(settings)


def process_sources() -> ProcessSources:
    """The sources of this process: kept where its records are routed, as there is one of both."""
    if ROUTING.sources is None:
        ROUTING.sources = ProcessSources()
    return cast("ProcessSources", ROUTING.sources)


def process_signals() -> ProcessSignals:
    """The signal handlers of this process, kept in the same place."""
    if ROUTING.signals is None:
        ROUTING.signals = ProcessSignals()
    return cast("ProcessSignals", ROUTING.signals)


def writes_console(settings: Settings, exporters: Exporters | None = None) -> bool:
    """Whether one of the exporters writes to the console."""
    if exporters is None:
        return "console" in settings.effective_exporters()
    if isinstance(exporters, Mapping):
        return "console" in exporters or any(_is_console(exporter) for exporter in exporters.values())
    return any(_is_console(exporter) for exporter in exporters)


def _is_console(exporter: object) -> bool:
    return any("Console" in kind.__name__ for kind in type(exporter).__mro__)


class Shared:
    """What the handles of one pipeline have in common: its place among those installed, its companions, its end."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._provider = pipeline.logger_provider
        self._lock = threading.Lock()
        self._handles = 0
        self.companions: list[Companion] = []

    @classmethod
    def of(cls, pipeline: Pipeline) -> Shared:
        """That of a pipeline, which keeps it."""
        if pipeline.shared is None:
            pipeline.shared = cls(pipeline)
        return cast("Shared", pipeline.shared)

    @property
    def among_several(self) -> bool:
        """Whether more than one handle holds the pipeline."""
        return self._handles > 1

    def enter(self) -> None:
        """Count a handle; with the first one the pipeline is installed."""
        with self._lock:
            self._handles += 1
            ROUTING.install(self._provider)

    def leave(self) -> bool:
        """Count one less. With the last one the pipeline is installed no more, and its companions are undone: True."""
        with self._lock:
            self._handles -= 1
            if self._handles > 0:
                return False
        for companion in self.companions[::-1]:
            _guarded(companion)
        ROUTING.uninstall(self._provider)
        return True


class Handle:
    """What `configure_logging` and `instrument_app` return; leaving it as a context manager undoes it."""

    def __init__(self, pipeline: Pipeline | None, settings: Settings) -> None:
        self._pipeline = pipeline
        self.settings = settings
        self._undo: list[Undo] = []
        self._lock = threading.RLock()
        self._done = False
        self._told = False
        self._is_over, self._keeps_up = False, True
        self._draining_in: int | None = None
        self.patience = Patience(settings.shutdown_timeout)
        """What the end of this process may still wait: its lifespan's end, what is logged after, the last drain."""
        self.may_end_without_lifespan = False
        """Whether the server's own signal handler may end the process, and no lifespan says so before."""
        self.spans = "off"
        """Who makes the request spans of the app that it is for."""
        self._signalled = self.is_exiting = False
        self._installed_in = os.getpid()

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that the records go through."""
        if self._pipeline is None:
            from logspan.assemble import build_pipeline

            self._pipeline = build_pipeline(self.settings, exporters={})
        return self._pipeline

    @property
    def shared(self) -> Shared:
        """What it has in common with other handles of the same pipeline."""
        return Shared.of(self.pipeline)

    def add_undo(self, undo: Undo) -> None:
        """Have `undo` called by `uninstrument`, before those that were added earlier."""
        self._undo.append(undo)

    def add_companion(self, companion: Companion) -> None:
        """Flush, shut down and undo `companion` along with the pipeline."""
        self.shared.companions.append(companion)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was accepted before has left, `timeout` seconds at most for all signals; True if it has."""
        deadline = monotonic() + timeout
        companions = self.shared.companions
        for companion in companions:
            companion.flush(0.0)  # begins it
        flushed = [self.pipeline.flush(timeout)]
        flushed += [companion.flush(max(deadline - monotonic(), 0.0)) for companion in companions]
        return all(flushed)

    def shutdown(self, timeout: float | None = None) -> DrainReport:
        """Deliver what waits and stop, `timeout` seconds at most for all signals (default: `shutdown_timeout`)."""
        return self._shut_down(Patience(self.settings.shutdown_timeout if timeout is None else timeout))

    def _shut_down(self, patience: Patience) -> DrainReport:
        companions = self.shared.companions[::-1]
        with patience.waiting():
            for companion in companions:
                _guarded(lambda companion=companion: companion.shutdown(0.0))  # type: ignore[misc]  # begins it
            report = self.pipeline.shutdown(patience.left())
            for companion in companions:
                _guarded(lambda companion=companion: _wait(companion, patience))  # type: ignore[misc]
        return report

    def reassert(self) -> None:
        """Take up again what the application has configured away since: call it when its start-up is over."""
        if not self._done:
            _guarded(process_sources().reassert)

    def uninstrument(self, timeout: float | None = None) -> None:
        """Put back everything that is still as we left it, then shut the pipeline down. A second call does nothing.

        A pipeline that another app uses as well goes on until the last of them is undone. `timeout` in seconds, as in
        `shutdown`.
        """
        with self._lock:
            if self._done:
                return
            self._done = True
            while self._undo:
                _guarded(self._undo.pop())
            last = self.shared.leave()
        if last:
            _guarded(lambda: self.shutdown(timeout))

    def started(self) -> None:
        """The lifespan begins: this process is here to stay, and its end will be told."""
        self.may_end_without_lifespan = False
        self._signalled = self._signalled and not self._is_over  # one that came during the start is about this end
        self._is_over, self._keeps_up = False, True
        self.patience.renew()
        self.pipeline.deliver_at_once(None)
        self.reassert()

    def over(self) -> None:
        """The lifespan has ended and was flushed. Whoever logs from here on waits: each record may be the last one.

        A server that ends by its own signal runs nothing of ours after its last line.
        """
        self._is_over = True
        self.pipeline.deliver_at_once(self._deliver_now)
        self._settle_if_last()

    def _deliver_now(self) -> None:
        if self.patience.left() > 0:
            with self.patience.waiting():
                _guarded(lambda: self.flush(self.patience.left()))
        elif self._keeps_up:
            self._deliver_in_a_moment()
        self._settle_if_last()

    def _deliver_in_a_moment(self) -> None:
        """An exporter that is away has taken all the time: the others get the last lines all the same.

        Where that takes too long, because nothing has ended the late one, it is not tried again.
        """
        started = monotonic()
        _guarded(lambda: self.pipeline.flush(_MOMENT))
        self._keeps_up = monotonic() - started < _MOMENT
        self._begin_companions()

    def _settle_if_last(self) -> None:
        """With no time left, settle now what may never be settled otherwise: this process may just stop."""
        is_worker = self._signalled or os.getpid() != self._installed_in
        if is_worker and self.patience.left() <= 0 and self._draining_in is None:
            report = _guarded(self.pipeline.end_late)
            self._begin_companions()
            self._tell(report)

    def _begin_companions(self) -> None:
        for companion in self.shared.companions:
            _guarded(lambda companion=companion: companion.flush(0.0))  # type: ignore[misc]

    def passing(self) -> None:
        """A signal came, and a server's handler is about to see to it: be ready, and wait for nothing here."""
        self._signalled = True
        if self.may_end_without_lifespan:
            self.pipeline.deliver_at_once(self._deliver_now)

    def after_emit(self, frame: FrameType | None, then: Callable[[], object]) -> bool:
        """Have `then` called at the end of the log call that `frame` stands in; False if it stands in none."""
        return self.pipeline.after_emit(frame, then)

    def at_exit(self) -> None:
        """Deliver what waits when the interpreter ends; all handles together have the time of one."""
        self.is_exiting = True
        handles = (other for other in process_sources().holders if isinstance(other, Handle) and not other.is_exiting)
        with process_signals().draining(), taking_turns(self.patience, [other.patience for other in handles]):
            self.drain()

    def drain(self) -> None:
        """Deliver what waits and stop, while `patience` lasts. Says on standard error what was left, if anything."""
        self._draining_in = threading.get_ident()
        try:
            report = _guarded(lambda: self._shut_down(self.patience))
        except Enough:
            report = self.pipeline.shutdown(0.0)  # that of the shutdown which was brought to its end
        finally:
            self._draining_in = None
        self._tell(report)

    def _tell(self, report: DrainReport | None) -> None:
        if report is not None and not report.complete and not self._told:
            self._told = True
            Notices().say("exit", f"not all records were delivered before the process ended: {_summary(report)}")

    def hurry(self) -> None:
        """`patience` was cut by a signal. If it has interrupted `drain`, do what that would, and raise `Enough`."""
        if self._draining_in == threading.get_ident():
            _guarded(lambda: self._shut_down(self.patience))
            raise Enough

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.uninstrument()


class _DisabledHandle(Handle):
    """Does nothing. A pipeline with no exporters is made only if somebody asks for it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(None, settings)

    def flush(self, timeout: float = 5.0) -> bool:
        """Nothing waits."""
        del timeout
        return True

    def reassert(self) -> None:
        """Nothing was done."""

    def uninstrument(self, timeout: float | None = None) -> None:
        """Nothing was done."""
        del timeout
        if self._pipeline is not None:
            _guarded(self._pipeline.shutdown)


def _wait(companion: Companion, patience: Patience) -> None:
    """In short steps, as a signal may cut what is left."""
    while not companion.shutdown(min(patience.left(), _STEP)) and patience.left() > 0:
        pass


def _summary(report: DrainReport) -> str:
    """`otlp: 340 delivered, 160 shutdown_timeout; queue_full: 7`; what was lost before the fan-out comes last."""
    parts = []
    for name, exporter in report.exporters.items():
        counts = {"delivered": exporter.delivered, "spooled": exporter.spooled, **exporter.rejected, **exporter.dropped}
        parts.append(
            f"{name}: " + ", ".join(f"{count} {term}" for term, count in counts.items() if count or term == "delivered")
        )
    parts += [f"before any exporter: {count} {reason}" for reason, count in report.ledger.dropped.items()]
    return "; ".join(parts)


def _guarded(step: Callable[[], Result]) -> Result | None:
    """One step of the end: whatever it raises, the next one is still taken."""
    try:
        return step()
    except Exception as error:
        Notices().say("undo", f"a step of the shutdown failed: {type(error).__name__}: {error}")
        return None


def _deliver_in_children(handle: Handle) -> None:
    """`multiprocessing` ends its forked children without `atexit`; they run finalisers instead, ours among the last."""
    from multiprocessing.util import Finalize, register_after_fork

    register_after_fork(handle, lambda child: Finalize(None, child.at_exit, exitpriority=-100))
