"""`logspan loadtest`: log at a given rate through a pipeline, and say what it cost and what became of every record."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from logspan.settings import Settings

Number = TypeVar("Number", int, float)

_MOST_RECORDS = 10_000_000
_DESCRIPTION = """\
Logs at a given rate through `logging`, inside a span, into a pipeline of its own, and prints the rate that was reached,
what a log call took, CPU and memory, and what became of every record. The settings of the environment and of
logspan.toml hold, with these options on top. Without --endpoint the records go to a receiver in a process of its own,
which decodes and counts them. Ctrl-C ends the load, not the report. The exit code is 1 when the counts do not add up.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "loadtest", help="log at a given rate, and account for every record", description=_DESCRIPTION
    )
    load = parser.add_argument_group("load")
    load.add_argument("--rate", type=_number(0), default=1_000.0, help="records a second, 0: all it can (%(default)g)")
    load.add_argument("--duration", type=_number(0.1), default=10.0, help="seconds (%(default)g)")
    load.add_argument("--records", type=_count(1), default=_MOST_RECORDS, help="end after so many (%(default)s)")
    load.add_argument("--threads", type=_count(1), default=1, help="threads that log (%(default)s)")
    load.add_argument("--attributes", type=_count(0), default=5, help="attributes of a record (%(default)s)")
    load.add_argument("--size", type=_count(1), default=16, help="characters of an attribute's value (%(default)s)")
    target = parser.add_argument_group("target")
    target.add_argument("--endpoint", help="an OTLP receiver, such as http://localhost:4318; none: one of its own")
    target.add_argument("--protocol", choices=("http/protobuf", "grpc"), help="OTLP's transport (http/protobuf)")
    pipeline = parser.add_argument_group("pipeline")
    pipeline.add_argument(
        "--policy", choices=("drop_oldest", "drop_newest", "block", "sample"), help="queue.overflow of the settings"
    )
    pipeline.add_argument("--queue-size", type=_count(1), help="queue.max_queue_size of the settings, in records")
    pipeline.add_argument(
        "--drain", type=_number(0), default=10.0, help="seconds for what is queued at the end (%(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the load and print the report: 0 when the counts add up, 1 when not. Raises `SettingsError`."""
    from logspan.cli.loadtest.receiver import Receiver
    from logspan.cli.loadtest.report import Report, as_json, as_text
    from logspan.cli.loadtest.workload import Load, drive

    load = Load(
        rate=arguments.rate,
        duration=arguments.duration,
        records=arguments.records,
        threads=arguments.threads,
        attributes=arguments.attributes,
        size=arguments.size,
    )
    protocol = arguments.protocol or "http/protobuf"
    with nullcontext() if arguments.endpoint else Receiver(protocol) as receiver:
        endpoint = receiver.endpoint if receiver else arguments.endpoint
        settings = _settings(arguments, endpoint)
        measured = drive(load, settings, arguments.drain)
        report = Report(load, settings, endpoint, measured, receiver.counts() if receiver else None)
    print(json.dumps(as_json(report), indent=2) if arguments.json else as_text(report))
    return 1 if report.faults else 0


def _settings(arguments: argparse.Namespace, endpoint: str) -> Settings:
    """The settings of the environment, with what the options say on top; nothing but our own records gets in."""
    from logspan.settings import Settings

    otlp: dict[str, Any] = {"endpoint": endpoint, "logs_endpoint": None}
    if arguments.protocol or not arguments.endpoint:
        otlp["protocol"] = arguments.protocol or "http/protobuf"
    queue = {"overflow": arguments.policy, "max_queue_size": arguments.queue_size}
    other_sources = ("structlog", "loguru", "warnings", "uncaught_exceptions", "servers")
    return Settings.load(
        service_name="logspan-loadtest",
        exporters=["otlp"],
        otlp=otlp,
        queue=_given(queue),
        sources={"stdlib": True} | dict.fromkeys(other_sources, False),
        tracing={"instrumentation": "auto", "export": False},
        metrics={"enabled": False},
    )


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _number(least: float) -> Callable[[str], float]:
    return lambda text: _at_least(least, float, text, "a number")


def _count(least: int) -> Callable[[str], int]:
    return lambda text: _at_least(least, int, text, "a whole number")


def _at_least(least: Number, kind: Callable[[str], Number], text: str, what: str) -> Number:
    try:
        value = kind(text)
    except ValueError:
        value = least - 1
    if not least <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not {what} of at least {least:g}")
    return value
