"""One variant, one workload, in a process of its own; prints one JSON object.

python -m benchmarks.measure VARIANT ENDPOINT RUN COUNT RATE THREADS     RATE 0: as fast as it goes
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from array import array

from opentelemetry.sdk.trace import TracerProvider

from benchmarks.variants import VARIANTS, Variant

CHUNK = 100


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Caller:
    """A thread that logs the records `first` to `first + count`, in chunks, at its share of the rate."""

    def __init__(self, variant: Variant, first: int, count: int, rate: float) -> None:
        self._log, self._first, self._count, self._rate = variant.log, first, count, rate
        self.walls = array("q", bytes(8 * count))
        self.cpu = 0
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        started = time.perf_counter_ns()
        with TracerProvider(shutdown_on_exit=False).get_tracer("bench").start_as_current_span("request"):
            for begin in range(0, self._count, CHUNK):
                if self._rate:
                    pause = started + begin * 1_000_000_000 / self._rate - time.perf_counter_ns()
                    time.sleep(max(pause, 0) / 1e9)
                cpu = time.thread_time_ns()
                self._chunk(begin, min(begin + CHUNK, self._count))
                self.cpu += time.thread_time_ns() - cpu

    def _chunk(self, begin: int, end: int) -> None:
        log, clock, walls, first = self._log, time.perf_counter_ns, self.walls, self._first
        for number in range(begin, end):
            before = clock()
            log(first + number)
            walls[number] = clock() - before


def run(variant: Variant, count: int, rate: int, threads: int) -> dict[str, float]:
    share = count // threads
    callers = [Caller(variant, index * share, share, rate / threads) for index in range(threads)]
    started = time.perf_counter()
    for caller in callers:
        caller.thread.start()
    for caller in callers:
        caller.thread.join()
    took = time.perf_counter() - started
    variant.drain()
    ordered = sorted(wall for caller in callers for wall in caller.walls)
    return {
        "caller_cpu_us": sum(caller.cpu for caller in callers) / count / 1e3,
        "caller_p50_us": ordered[count // 2] / 1e3,
        "caller_p99_us": ordered[count * 99 // 100] / 1e3,
        "caller_p999_us": ordered[count * 999 // 1000] / 1e3,
        "longest_ms": ordered[-1] / 1e6,
        "rate": count / took,
    }


def warm_up(variant: Variant) -> None:
    """Open the connection, import what is imported at the first use: not what is measured. The sink ignores these."""
    for number in range(-1_000, 0):
        variant.log(number)
    time.sleep(1.5)


def main(name: str, endpoint: str, run_id: str, count: str, rate: str, threads: str) -> None:
    variant = VARIANTS[name](endpoint, run_id)
    warm_up(variant)
    before = cpu_seconds()
    figures = run(variant, int(count), int(rate), int(threads))
    figures["total_cpu_us"] = (cpu_seconds() - before) / int(count) * 1e6
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
