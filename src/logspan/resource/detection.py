"""Running detectors, once per process: what they find, in their order, and what became of those that failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.resources import ResourceDetector
from opentelemetry.util.types import AnyValue

from logspan.context import mark_pipeline_thread
from logspan.values import clean_attributes, type_name


@dataclass(frozen=True, slots=True)
class NamedDetector:
    """A detector and its name. One that is `local` asks nobody outside of the machine: it gets no thread."""

    name: str
    detector: ResourceDetector
    local: bool = False


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found, and why nothing was by some: the problem by the detector's name."""

    attributes: Mapping[str, AnyValue] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


class _Run:
    """One detector at work; nothing that it raises gets out."""

    def __init__(self, named: NamedDetector) -> None:
        self.name = named.name
        self._detector = named.detector
        self._found: Mapping[str, AnyValue] | None = None
        self._problem = ""
        self._thread = (
            None if named.local else threading.Thread(target=self._beside, name="logspan-detect", daemon=True)
        )
        if self._thread is not None:
            self._thread.start()

    def _beside(self) -> None:
        mark_pipeline_thread()
        with suppress_instrumentation():
            self._detect()

    def _detect(self) -> None:
        try:
            found = clean_attributes(self._detector.detect().attributes)
            self._found = {name: value for name, value in found.items() if value not in (None, "")}
        except BaseException as error:
            self._problem = f"failed with {type_name(error)}"

    def result(self, deadline: float) -> tuple[Mapping[str, AnyValue], str]:
        """What it has found, and its problem; waits for it until `deadline` (monotonic seconds)."""
        if self._thread is None:
            self._detect()
        else:
            self._thread.join(max(deadline - time.monotonic(), 0))
        found, problem = self._found, self._problem
        if found is None:
            return {}, problem or "did not answer in time"
        return found, problem


def detect(detectors: Sequence[NamedDetector], timeout: float) -> Detection:
    """Run them, `timeout` seconds at most for all together; of two that find the same attribute the later counts.

    A thread that hangs is left behind, and what it may still find is not taken.
    """
    deadline = time.monotonic() + timeout
    attributes: dict[str, AnyValue] = {}
    problems: dict[str, str] = {}
    for run in [_Run(named) for named in detectors]:
        found, problem = run.result(deadline)
        attributes |= found
        if problem:
            problems[run.name] = problem
    return Detection(attributes, problems)
