"""`logspan loadtest`, run as a program: what it prints, and when it says that something is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from logspan.cli.loadtest.histogram import Histogram
from logspan.cli.loadtest.receiver import Counts
from logspan.cli.loadtest.report import Report, as_text
from logspan.cli.loadtest.workload import Load, Measured
from logspan.ledger import ExporterSnapshot, LedgerSnapshot
from logspan.settings import Settings
from logspan.testing import OtlpSink

COMMAND = [sys.executable, "-m", "logspan.cli", "loadtest"]


def environment(**more: str) -> dict[str, str]:
    rest = {name: value for name, value in os.environ.items() if not name.startswith(("LOGSPAN_", "OTEL_"))}
    return {**rest, "PYTHONWARNINGS": "error", **more}


def loadtest(*options: str, **variables: str) -> dict[str, Any]:
    """Run it to its end; the JSON that it prints."""
    command = [*COMMAND, "--json", "--duration", "20", *options]
    done = subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["faults"] == []
    return found


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_every_record_is_accounted_for(protocol: str) -> None:
    """R3.4: what was logged, delivered and received are the same records, each in a trace, none of them twice."""
    found = loadtest("--rate", "5000", "--records", "1000", "--threads", "3", "--protocol", protocol)
    assert found["protocol"] == protocol
    assert found["records"]["logged"] == found["records"]["emitted"] == found["otlp"]["delivered"] == 1_000
    receiver = found["receiver"]
    assert receiver["received"] == receiver["distinct"] == 1_000
    assert receiver["duplicates"] == 0
    assert receiver["in_trace"] == 999  # the first one opens the connection, before the load
    calls = found["call_us"]
    assert 0 < calls["p50"] <= calls["p90"] <= calls["p99"] <= calls["max"]
    assert found["cpu_us_per_record"] > 0
    assert found["memory"]["peak"] >= found["memory"]["before"] > 0


def test_losses_are_told_by_reason() -> None:
    """R3.4: what a queue that is too small loses is reported, and is no fault as long as it is counted."""
    found = loadtest("--rate", "0", "--records", "4000", "--queue-size", "50", "--policy", "drop_newest")
    assert found["queue"] == {"overflow": "drop_newest", "max_queue_size": 50}
    lost = found["records"]["dropped"]["queue_full"]
    assert lost > 0
    assert found["receiver"]["distinct"] == 4_000 - lost


def test_a_receiver_of_somebody_else_gets_the_records() -> None:
    """R3.4: with --endpoint the records go there, of the given number of attributes and their size."""
    with OtlpSink() as sink:
        options = ("--records", "200", "--attributes", "2", "--size", "7")
        found = loadtest("--endpoint", sink.endpoint, *options, "--rate", "0")
        records = sink.records()
    assert found["receiver"] is None
    assert found["otlp"]["delivered"] == len(records) == 200
    values = {
        value for record in records for key, value in record.attributes.items() if key.startswith("loadtest.attr")
    }
    assert values == {"x" * 7}
    assert sorted(record.attributes["loadtest.number"] for record in records) == list(range(200))


def test_nobody_listens() -> None:
    """R3.4: it ends in time without a receiver, and says what became of the records."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        found = loadtest("--endpoint", nowhere, "--records", "20", "--rate", "0", "--drain", "0.2")
    assert found["otlp"]["delivered"] == 0
    assert found["otlp"]["dropped"] == {"shutdown_timeout": 20}


def test_the_environment_holds_below_the_options() -> None:
    """R6.1: settings of the environment are part of the test; its endpoint is not, where there is a receiver."""
    nowhere = {f"OTEL_EXPORTER_OTLP_{name}ENDPOINT": "http://127.0.0.1:9" for name in ("", "LOGS_")}
    found = loadtest("--records", "50", "--rate", "0", LOGSPAN_QUEUE__MAX_QUEUE_SIZE="777", **nowhere)
    assert found["queue"]["max_queue_size"] == 777
    assert found["receiver"]["distinct"] == 50


def test_ctrl_c_ends_the_load_and_not_the_report() -> None:
    """R3.4: what was logged before Ctrl-C is delivered and reported, in a page for people."""
    with OtlpSink() as sink:
        command = [*COMMAND, "--duration", "40", "--rate", "500", "--endpoint", sink.endpoint]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True) as process:
            assert sink.wait_for(20, timeout=30)
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert ["delivered", str(len(sink.records()))] in [line.split() for line in out.splitlines()]
    assert time.monotonic() - started < 15
    assert "(interrupted)" in out
    assert "the ledger balances; nothing was lost" in out


@pytest.mark.parametrize(
    ("option", "value"), [("--rate", "-1"), ("--rate", "inf"), ("--duration", "0"), ("--threads", "many")]
)
def test_an_option_that_cannot_be(option: str, value: str) -> None:
    """A wrong option is refused before anything runs, with what is allowed."""
    done = subprocess.run([*COMMAND, option, value], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 2
    assert f"argument {option}: {value} is not a" in done.stderr


def report(measured: Measured, counts: Counts | None) -> Report:
    load = Load(rate=1.0, duration=1.0, records=9, threads=1, attributes=1, size=1)
    return Report(load, Settings(), "http://localhost:4318", measured, counts)


def measured(*, delivered: int, dropped: int = 0, emitted: int = 10, logged: int = 10) -> Measured:
    reasons = {"shutdown_timeout": dropped} if dropped else {}
    otlp = ExporterSnapshot(fanned_out=10, delivered=delivered, dropped=reasons)
    ledger = LedgerSnapshot(emitted=emitted, fanned_out=10, exporters={"otlp": otlp})
    return Measured(took=1.0, drained=0.1, logged=logged, ledger=ledger)


@pytest.mark.parametrize(
    ("outcome", "distinct", "fault"),
    [
        (measured(delivered=10), 10, ""),
        (measured(delivered=10), 9, "10 delivered, the receiver 9"),
        (measured(delivered=9), 9, "does not balance"),
        (measured(delivered=10, emitted=11), 10, "does not balance"),
        (measured(delivered=10, logged=11), 10, "11 records were logged, the ledger has 10"),
        (measured(delivered=8, dropped=2), 8, ""),
        (measured(delivered=8, dropped=2), 10, ""),  # they arrived, and their answer came too late
        (measured(delivered=8, dropped=2), 7, "8 delivered, the receiver 7"),
        (measured(delivered=10), 11, "10 delivered, the receiver 11"),
    ],
)
def test_what_does_not_add_up_is_a_fault(outcome: Measured, distinct: int, fault: str) -> None:
    """R3.4: a ledger that does not balance, or that its receiver contradicts, is said, and makes the exit code 1."""
    found = report(outcome, Counts(received=distinct, distinct=distinct))
    assert bool(found.faults) == bool(fault)
    assert fault in as_text(found)
    assert ("WRONG" in as_text(found)) == bool(fault)


@pytest.mark.parametrize("scale", [1, 60, 1_000, 10**6, 10**10])
def test_percentiles_are_right_to_a_sixtieth(scale: int) -> None:
    """R3.4: the percentiles of durations of any size are those of a sorted list, to 1.6 %; the longest is exact."""
    histogram, other = Histogram(), Histogram()
    values = [scale * index * index // 100 for index in range(1_000)]
    for value in values:
        (other if value % 2 else histogram).observe(value)
    histogram.add(other)
    rank: Callable[[float], int] = lambda percent: sorted(values)[int(len(values) * percent / 100) - 1]  # noqa: E731
    for percent in (50, 90, 99):
        exact = rank(percent)
        assert exact <= histogram.percentile(percent) <= exact * (1 + 1 / 60)
    assert histogram.percentile(100) == histogram.longest == max(values)
    assert Histogram().percentile(50) == 0
