"""Start a backend, wait until it is ready, stop it; and nothing but this one process, by its own id."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

START_DEADLINE = 60.0
STOP_DEADLINE = 15.0
POLL = 0.05


class NotReadyError(RuntimeError):
    """A backend ended, or did not answer in time; the message holds the end of what it printed."""


@dataclass
class Process:
    """A backend's process, which can be started again on the same ports with the same data."""

    name: str
    command: Sequence[str]
    ready_url: str
    folder: Path
    """Its working folder, where `output.log` collects stdout and stderr of all its starts."""
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = STOP_DEADLINE
    """How many seconds `stop` waits for it to end by itself."""
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child else None

    @property
    def output(self) -> str:
        """All that it printed so far."""
        log = self.folder / "output.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def start(self, timeout: float = START_DEADLINE) -> None:
        """Start it and return when it is ready. Raises `NotReadyError`, and leaves nothing running then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "output.log").open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(time.monotonic() + timeout)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end (SIGTERM) and wait; SIGKILL when it takes longer than its `patience`."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(self.patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def kill(self) -> None:
        """End it with SIGKILL: it gets no chance to write anything down."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def suspend(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers, which is how a stuck backend looks."""
        if self._child is not None:
            self._child.send_signal(signal.SIGSTOP)
            # Return when all its threads have stopped; WNOWAIT leaves its exit, if it ended, for `stop` to collect.
            os.waitid(os.P_PID, self._child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a suspended one go on."""
        if self._child is not None:
            self._child.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same ports with the same data."""
        self.stop()
        self.start()

    def _environment(self) -> dict[str, str]:
        """Little more than what a configuration asks for: nobody's OTEL_* variables may reach a backend."""
        return {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "TZ": "UTC", **self.environment}

    def _wait_until_ready(self, deadline: float) -> None:
        while not answers(self.ready_url):
            if self._child is None or self._child.poll() is not None:
                code = self._child.returncode if self._child else None
                raise NotReadyError(self._explain(f"ended with exit code {code}"))
            if time.monotonic() > deadline:
                raise NotReadyError(self._explain(f"does not answer at {self.ready_url}"))
            time.sleep(POLL)

    def _explain(self, what: str) -> str:
        tail = "\n".join(self.output.splitlines()[-25:])
        return f"{self.name} {what}. It was started with\n  {' '.join(self.command)}\nand its output ends with\n{tail}"


def answers(url: str) -> bool:
    """True when a GET of the URL gives a 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(200 <= response.status < 300)
    except (OSError, HTTPException):
        return False
