"""`logspan redact check | test`: what the rules of the settings find, without sending anything anywhere."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from logspan.cli.otlp import plain
from logspan.errors import SettingsError
from logspan.printable import escape, escape_keeping_backslashes

if TYPE_CHECKING:
    from logspan.processors.redact import Finding, Redactor

_MOST_LINES = 10
"""Line numbers of a rule that are printed; with `--json` all are."""


def add_parser(groups: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = groups.add_parser("redact", help="what redaction would do, by the rules of the settings")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = commands.add_parser("check", help="count by rule what is found in log files; prints no values")
    check.add_argument(
        "files", nargs="+", metavar="FILE", help="text, JSON lines or OTLP JSON lines; - is standard input"
    )
    check.add_argument("--unused", action="store_true", help="list the rules that found nothing")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.set_defaults(run=run_check)
    test = commands.add_parser("test", help="show a text without its secrets, and what was found")
    test.add_argument("text", help="the text, or attributes as a JSON object; - reads standard input")
    test.set_defaults(run=run_test)


@dataclass
class Tally:
    """How often by rule, and in which lines; nothing of the lines themselves."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int]] = field(default_factory=dict)

    def add(self, rule: str, number: int) -> None:
        """Once more, in this line."""
        self.counts[rule] += 1
        places = self.places.setdefault(rule, [])
        if not places or places[-1] != number:
            places.append(number)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {rule: {"count": count, "lines": self.places[rule]} for rule, count in sorted(self.counts.items())}

    def described(self, what: str = "") -> list[tuple[str, int, str]]:
        """For people: the rule and `what` happened, how often, where."""
        return [(escape(rule) + what, count, _numbers(self.places[rule])) for rule, count in self.counts.most_common()]


@dataclass
class Found:
    """What a file holds: the rules that found something, and those that failed: the whole value would be replaced."""

    lines: int = 0
    found: Tally = field(default_factory=Tally)
    failed: Tally = field(default_factory=Tally)

    def add(self, number: int, findings: Iterable[Finding]) -> None:
        """Count the findings of a line."""
        for finding in findings:
            (self.failed if finding.failed else self.found).add(finding.rule, number)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        total = self.found.counts.total()
        return {
            "lines": self.lines,
            "findings": total,
            "rules": self.found.as_json(),
            "failed": self.failed.as_json(),
        }


def run_check(options: argparse.Namespace) -> int:
    """Print what is found by file and rule; 1 when something is found or a rule fails, so that a build can fail."""
    redactor = _redactor()
    found = {name: _check(name, redactor) for name in options.files}
    seen = {rule for each in found.values() for rule in each.found.counts}
    unused = sorted(set(redactor.rules) - seen)
    if options.json:
        report: dict[str, Any] = {"files": {name: each.as_json() for name, each in found.items()}}
        print(json.dumps({**report, "unused_rules": unused} if options.unused else report, indent=2))
    else:
        for name, each in found.items():
            print("\n".join(_described(name, each)))
        if options.unused:
            print(f"{len(unused)} of {len(redactor.rules)} rules found nothing: {', '.join(unused)}")
    return int(any(each.found.counts or each.failed.counts for each in found.values()))


def run_test(options: argparse.Namespace) -> int:
    """Print a text as it would leave the process, and each finding; 1 when a rule fails."""
    redactor = _redactor()
    value = _parsed(sys.stdin.read() if options.text == "-" else options.text)
    if isinstance(value, str):
        print("\n".join(map(escape_keeping_backslashes, redactor.text(value).rstrip("\n").split("\n"))))
    else:
        print(escape_keeping_backslashes(json.dumps(redactor.attributes(value), ensure_ascii=False, default=str)))
    for note in redactor.notes:
        print(f"note: {escape(note)}", file=sys.stderr)
    findings = redactor.explain(value)
    for rule, path, start, end, action in findings:
        print(f"  {escape(rule)}: {f'{escape(path)}, ' if path else ''}characters {start} to {end}: {escape(action)}")
    return int(any(finding.failed for finding in findings))


def _redactor() -> Redactor:
    from logspan.processors.redact import Redactor
    from logspan.settings import Settings

    return Redactor.from_settings(Settings().redaction)


def _check(name: str, redactor: Redactor) -> Found:
    if name == "-":
        return _check_lines(sys.stdin, redactor)
    try:
        with Path(name).open(encoding="utf-8", errors="replace", newline="\n") as lines:
            return _check_lines(lines, redactor)
    except OSError as error:
        raise SettingsError(f"{escape(name)} cannot be read: {error.strerror}") from None


def _check_lines(lines: TextIO, redactor: Redactor) -> Found:
    found = Found()
    for number, line in enumerate(lines, 1):
        found.lines = number
        try:
            found.add(number, redactor.explain(_parsed(line.rstrip("\r\n"))))
        except Exception:  # fails closed: it is not said to be clean
            found.failed.add("redact", number)
    return found


def _parsed(text: str) -> str | Mapping[str, Any]:
    """The object that a line of JSON is, OTLP as the values that it stands for; else the text."""
    if text.lstrip()[:1] != "{":
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return plain(value) if isinstance(value, dict) else text


def _described(name: str, found: Found) -> Iterator[str]:
    total, failed = found.found.counts.total(), found.failed.counts.total()
    yield f"{escape(name)}: {found.lines} lines, {total} findings" + (f", {failed} failed" if failed else "")
    rows = [*found.found.described(), *found.failed.described(" failed")]
    width = max((len(row[0]) for row in rows), default=0)
    for what, count, places in rows:
        yield f"  {what:<{width}}  {count:>6}  {places}"


def _numbers(places: Sequence[int]) -> str:
    more = len(places) - _MOST_LINES
    listed = ", ".join(map(str, places[:_MOST_LINES])) + (f" and {more} more" if more > 0 else "")
    return f"line{'s' * (len(places) > 1)} {listed}"
