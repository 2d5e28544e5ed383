"""One variant, one workload, in a process of its own; prints one JSON object.

python -m benchmarks.measure VARIANT ENDPOINT RUN COUNT RATE     RATE 0: as fast as it goes
"""

from __future__ import annotations

import json
import resource
import sys
import time
from array import array

from opentelemetry.sdk.trace import TracerProvider

from benchmarks.variants import VARIANTS, Variant


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run(variant: Variant, count: int, rate: int) -> dict[str, float]:
    walls = array("q", bytes(8 * count))
    log, wall_clock, thread_clock = variant.log, time.perf_counter_ns, time.thread_time_ns
    started, caller = wall_clock(), 0
    with TracerProvider(shutdown_on_exit=False).get_tracer("bench").start_as_current_span("request"):
        for number in range(count):
            if rate and number % 100 == 0:
                pause = started + number * 1_000_000_000 // rate - wall_clock()
                if pause > 0:
                    time.sleep(pause / 1e9)
            cpu, before = thread_clock(), wall_clock()
            log(number)
            walls[number] = wall_clock() - before
            caller += thread_clock() - cpu
    took = (wall_clock() - started) / 1e9
    variant.drain()
    ordered = sorted(walls)
    return {
        "caller_cpu_us": caller / count / 1e3,
        "caller_p50_us": ordered[count // 2] / 1e3,
        "caller_p99_us": ordered[count * 99 // 100] / 1e3,
        "longest_ms": ordered[-1] / 1e6,
        "rate": count / took,
    }


def warm_up(variant: Variant) -> None:
    """Open the connection, import what is imported at the first use: not what is measured. The sink ignores these."""
    for number in range(-1_000, 0):
        variant.log(number)
    time.sleep(1.5)


def main(name: str, endpoint: str, run_id: str, count: str, rate: str) -> None:
    variant = VARIANTS[name](endpoint, run_id)
    warm_up(variant)
    before = cpu_seconds()
    figures = run(variant, int(count), int(rate))
    figures["total_cpu_us"] = (cpu_seconds() - before) / int(count) * 1e6
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
