"""`logspan spool status | replay | drop`: what lies on disk, sending it, and deleting it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from logspan.errors import LogspanError, SettingsError
from logspan.printable import escape
from logspan.spool import OwnerStatus, discard, survey

if TYPE_CHECKING:
    from logspan.settings import Settings

_COLUMNS = ("EXPORTER", "OWNER", "STATE", "BATCHES", "RECORDS", "BYTES", "OLDEST", "DAMAGED", "UNREADABLE")
_LEFT = 3


def add_parser(groups: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = groups.add_parser("spool", help="batches on disk that wait to be sent")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    status = commands.add_parser("status", help="list what lies there; changes nothing")
    status.set_defaults(run=show_status)
    replay = commands.add_parser("replay", help="send what dead processes left, by the exporters of the settings")
    replay.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="how long to try each batch (30)"
    )
    replay.add_argument(
        "--skip-rejected", action="store_true", help="delete batches that are refused for good, and go on"
    )
    replay.set_defaults(run=run_replay)
    drop = commands.add_parser("drop", help="delete what dead processes left")
    drop.add_argument("--owner", help="that of one process only, as `status` lists it")
    drop.add_argument("--yes", action="store_true", help="really delete")
    drop.set_defaults(run=run_drop)
    for command in (status, replay, drop):
        command.add_argument("--directory", type=Path, help="the spool's directory (file_storage.directory)")
        command.add_argument("--exporter", help="that of one exporter only")


def show_status(options: argparse.Namespace) -> int:
    """Print a table; 1 when something in it is damaged or could not be looked at."""
    found = _survey(options)
    if found:
        print("\n".join(_table([_COLUMNS, *map(_row, found)])))
    else:
        print("the spool is empty")
    for owner in found:
        if owner.trouble:
            _complain(f"{owner.path}: {owner.trouble}")
    return int(any(owner.trouble or owner.damaged or owner.unreadable for owner in found))


def run_replay(options: argparse.Namespace) -> int:
    """Send what dead processes left, exporter by exporter; 1 when something is left, was refused or is damaged."""
    from logspan.cli.replay import Replay

    settings = _settings()
    directory = _directory(options, settings)
    waiting = sorted({owner.exporter for owner in _survey(options) if not owner.alive})
    if not waiting:
        print("nothing to replay")
    code = 0
    for exporter in waiting:
        replay = Replay(exporter, directory, settings, timeout=options.timeout, skip_rejected=options.skip_rejected)
        try:
            complete = replay.run()
        except LogspanError as error:
            _complain(str(error))
            code = 2
            continue
        print(f"{escape(exporter)}: {replay.counts}")
        if replay.trouble:
            _complain(f"{exporter}: {replay.trouble}")
        code = max(code, int(not complete))
    return code


def run_drop(options: argparse.Namespace) -> int:
    """Delete what dead processes left; 1 without `--yes`, or when something could not be deleted."""
    chosen = [owner for owner in _survey(options) if options.owner in (None, owner.owner)]
    dead = [owner for owner in chosen if not owner.alive]
    for owner in chosen:
        if owner.alive:
            print(f"{escape(owner.exporter)}/{owner.owner}: in use, left alone")
    if dead and not options.yes:
        print("\n".join(_table([_COLUMNS, *map(_row, dead)])))
        _complain("nothing was deleted; say --yes to delete these")
        return 1
    left = [owner for owner in dead if not _drop(owner)]
    if not dead:
        print("nothing to delete")
    return int(bool(left))


def _drop(owner: OwnerStatus) -> bool:
    name = f"{escape(owner.exporter)}/{owner.owner}"
    try:
        gone = discard(owner.path)
    except OSError as error:
        _complain(f"{name}: {error.strerror}")
        return False
    if gone:
        print(f"{name}: deleted {owner.frames} batches, {owner.records} records")
    else:
        print(f"{name}: in use meanwhile, left alone")
    return gone


def _survey(options: argparse.Namespace) -> list[OwnerStatus]:
    directory = _directory(options, None)
    try:
        found = survey(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(f"the spool in {directory} cannot be listed: {error.strerror}") from None
    return [owner for owner in found if options.exporter in (None, owner.exporter)]


def _directory(options: argparse.Namespace, settings: Settings | None) -> Path:
    if options.directory is not None:
        return Path(options.directory)
    directory = (settings or _settings()).file_storage.directory
    if directory is None:
        raise SettingsError("which spool? Give --directory, or set file_storage.directory")
    return directory


def _settings() -> Settings:
    from logspan.settings import Settings

    return Settings()


def _row(owner: OwnerStatus) -> Sequence[str]:
    state = "alive" if owner.alive else "dead"
    numbers = (owner.frames, owner.records, owner.size)
    oldest = "-" if owner.oldest is None else _duration(owner.oldest)
    ends = (oldest, str(owner.damaged), str(owner.unreadable))
    return (escape(owner.exporter), escape(owner.owner), state, *map(str, numbers), *ends)


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if at < _LEFT else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _complain(text: str) -> None:
    print(f"logspan: {escape(text)}", file=sys.stderr)
