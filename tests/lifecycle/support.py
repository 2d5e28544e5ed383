"""Programs in processes of their own, which write down their counts as the last thing that they do."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logspan.testing import OtlpSink

PRELUDE = '''
import atexit, json, logging, os, pathlib, signal, sys, threading, time
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell leaves it to what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
from logspan import Settings, configure_logging
from tests.lifecycle.support import WritesLedger

logger = logging.getLogger("program")
def configure(**settings):
    """To the sink, and the counts into a file at each end of a shutdown."""
    given = {"exporters": ["otlp"], "otlp": {"endpoint": sys.argv[1]}, "metrics": {"enabled": False}}
    given["shutdown_timeout"] = 20.0  # where it is not what the test is about, a busy machine has its time
    handle = configure_logging(Settings(service_name="program", **{**given, **settings}))
    handle.add_companion(WritesLedger(handle, sys.argv[2]))
    return handle
def ready():
    print("ready", flush=True)
'''

SLACK = 15.0
"""Seconds that a busy machine may add to a deadline; what would hang instead takes a minute and more."""


class WritesLedger:
    """What a handle flushes and shuts down after its pipeline: by then the counts are final, or final for now."""

    def __init__(self, handle: Any, folder: str) -> None:
        self._handle = handle
        self._folder = folder

    def flush(self, timeout: float) -> bool:
        return self.shutdown(timeout)

    def shutdown(self, timeout: float) -> bool:
        write_ledger(self._handle.pipeline, self._folder)
        return True

    def __call__(self) -> None:
        """Nothing to undo."""


def write_ledger(pipeline: Any, folder: str) -> None:
    """The counts as they are, in a file for each process and pipeline; other threads may still be refused."""
    for _ in range(1_000):
        if (snapshot := pipeline.ledger.snapshot()).balanced:
            break
    counts = {
        "balanced": snapshot.balanced,
        "emitted": snapshot.emitted,
        "queued": snapshot.queued,
        "dropped": dict(snapshot.dropped),
        "exporters": {
            name: {
                "delivered": exporter.delivered,
                "dropped": dict(exporter.dropped),
                "rejected": dict(exporter.rejected),
                "in_flight": exporter.in_flight,
                "spooled": exporter.spooled,
            }
            for name, exporter in snapshot.exporters.items()
        },
    }
    path = Path(folder, f"ledger-{os.getpid()}-{id(pipeline)}.json")
    path.with_suffix(".new").write_text(json.dumps(counts))
    path.with_suffix(".new").replace(path)


@dataclass(frozen=True)
class Counts:
    """One process's final counts; the last three are of its only exporter."""

    pid: int
    emitted: int
    dropped: dict[str, int]
    delivered: int
    lost: dict[str, int]
    spooled: int

    @property
    def total(self) -> int:
        """All that became of what was emitted."""
        return self.delivered + self.spooled + sum(self.lost.values()) + sum(self.dropped.values())


def ledgers(folder: Path) -> list[Counts]:
    """What the processes have left; each balances, and nothing is on its way any more."""
    found = []
    for path in sorted(folder.glob("ledger-*.json")):
        counts = json.loads(path.read_text())
        (exporter,) = counts["exporters"].values()
        assert counts["balanced"], counts
        assert (counts["queued"], exporter["in_flight"], exporter["rejected"]) == (0, 0, {}), counts
        pid = int(path.name.split("-")[1])
        otlp = (exporter["delivered"], exporter["dropped"], exporter["spooled"])
        found.append(Counts(pid, counts["emitted"], counts["dropped"], *otlp))
    return found


def ledger(folder: Path) -> Counts:
    """That of the only process."""
    (found,) = ledgers(folder)
    return found


def received(sink: OtlpSink) -> dict[int, Counter[Any]]:
    """The bodies that arrived, by process."""
    found: dict[int, Counter[Any]] = {}
    for record in sink.records():
        found.setdefault(record.resource["process.pid"], Counter())[record.body] += 1
    return found


@dataclass
class Program:
    """One that runs; `ended` waits for it."""

    process: subprocess.Popen[str]
    out: str = ""
    err: str = ""

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "ready\n", (line, self.process.communicate(timeout=5))

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def goes_on(self, seconds: float) -> bool:
        """Whether it is still there after a while."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def ended(self, timeout: float = 45.0) -> int:
        """Its exit status, -15 for one that SIGTERM ended; it must end in time."""
        self.out, self.err = self.process.communicate(timeout=timeout)
        return self.process.returncode

    @property
    def said(self) -> list[str]:
        """Lines about what was left at the end."""
        return [line for line in self.err.splitlines() if "before the process ended" in line]


@contextmanager
def program(text: str, sink: OtlpSink, folder: Path, *, before: Sequence[str] = ()) -> Iterator[Program]:
    """Run a program after the prelude; it must not outlive the block."""
    process = subprocess.Popen(
        [
            *before,
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            PRELUDE + textwrap.dedent(text),
            sink.endpoint,
            str(folder),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=environment(),
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def environment(**more: str) -> dict[str, str]:
    """Ours, without what would configure logspan or the SDK."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LOGSPAN_"))}, **more}
