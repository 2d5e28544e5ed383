"""Draws docs/assets/demo.svg from what `make demo` prints on a terminal: `make picture`."""

import os
import pty
import re
import sys
from io import StringIO
from itertools import dropwhile, takewhile
from pathlib import Path

from rich.console import Console
from rich.text import Text

REPO = Path(__file__).parent.parent
PICTURE = REPO / "docs" / "assets" / "demo.svg"


def on_a_terminal(command: list[str]) -> str:
    """What a command writes to a terminal, colours included."""
    written: list[bytes] = []

    def read(terminal: int) -> bytes:
        written.append(os.read(terminal, 65_536))
        return b"\r" if written[-1] else b""  # nothing of it is shown here

    pty.spawn(command, read)
    return b"".join(written).decode().replace("\r\n", "\n").replace(str(REPO), "/srv/shop")


def of_three_requests(output: str) -> list[Text]:
    """The shop's own lines, from its first request to the end of its third."""
    lines = [Text.from_ansi(line) for line in output.split("What the shop printed")[1].splitlines()]
    requests = dropwhile(lambda line: "set aside" not in line.plain, lines)
    return list(takewhile(lambda line: "refunding" not in line.plain, requests))


def draw(lines: list[Text]) -> None:
    width = max(len(line.plain) for line in lines) + 1
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, soft_wrap=True)
    picture = console.export_svg(title="make demo", unique_id="demo")
    picture = re.sub(r"\s*@font-face {.*?}", "", picture, flags=re.DOTALL)  # nothing is fetched from elsewhere
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(re.sub(r"\s*<!--.*?-->", "", picture).replace("Fira Code, monospace", "monospace"))


if __name__ == "__main__":
    draw(of_three_requests(on_a_terminal([sys.executable, "-m", "examples.demo"])))
