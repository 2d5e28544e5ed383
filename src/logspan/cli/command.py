"""The parser of the command line: each group of commands adds its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from logspan.cli import loadtest, redact, spool
from logspan.errors import LogspanError
from logspan.printable import escape_keeping_backslashes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. `arguments` without the program's name; None: those of the process."""
    parser = argparse.ArgumentParser(prog="logspan", description="OpenTelemetry logs for Python services.")
    groups = parser.add_subparsers(metavar="COMMAND", required=True)
    loadtest.add_parser(groups)
    redact.add_parser(groups)
    spool.add_parser(groups)
    options = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except LogspanError as error:
        print("logspan: " + "\n".join(map(escape_keeping_backslashes, str(error).split("\n"))), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
