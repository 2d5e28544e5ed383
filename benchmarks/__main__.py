"""`make bench`: what logging costs and loses, beside the stock SDK, in one run.

All variants send to the same sink, a process of its own that decodes and counts. Rounds are interleaved, so that a
machine that slows down slows all of them; figures are medians, and the ratios to stock are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import cases, redaction, web
from benchmarks.receiver import Receiver
from benchmarks.table import Figures, Table

TABLES = {
    "paced": cases.paced,
    "burst": cases.burst,
    "sustained": cases.sustained,
    "pauses": cases.pauses,
    "fastapi": web.fastapi,
    "overhead": web.overhead,
    "redaction": redaction.redaction,
}


def names(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := [name for name in chosen if name not in TABLES]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(TABLES)}")
    return chosen


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", type=names, default=list(TABLES), help=f"tables, of {','.join(TABLES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=6_000, help="records of the paced table")
    parser.add_argument("--rate", type=int, default=2_000, help="records a second of the paced table")
    parser.add_argument("--burst", type=int, default=20_000, help="records of the burst")
    parser.add_argument("--seconds", type=int, default=3, help="of each load of the sustained and the FastAPI table")
    parser.add_argument("--calls", type=int, default=100_000, help="log calls of the pauses table")
    parser.add_argument("--pauses-rate", type=int, default=10_000, help="records a second of the pauses table")
    parser.add_argument("--turns", type=int, default=30, help="turns of the overhead table, 160 requests each")
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    return parser.parse_args()


def as_json(table: Table, results: dict[str, Figures], arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "title": table.title,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()},
        "arguments": {key: str(value) for key, value in vars(arguments).items()},
        "figures": results,
        "ratios_to_stock": table.ratios(results),
    }


def keep(target: Path, name: str, report: dict[str, Any]) -> None:
    """Put one table's report into the file, beside those of the others, which may be of other runs."""
    kept = json.loads(target.read_text()) if target.exists() else {}
    tables = {table: kept[table] for table in TABLES if "title" in kept.get(table, {})}
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(tables | {name: report}, indent=2) + "\n")


def main() -> None:
    arguments = read_arguments()
    target = arguments.out / "logs.json"
    with Receiver() as sink:
        for name in arguments.only:
            table = TABLES[name](arguments)
            results = table.measure(sink, arguments.rounds)
            table.show(results)
            keep(target, name, as_json(table, results, arguments))
    print(f"\nkept in {target}")


if __name__ == "__main__":
    main()
