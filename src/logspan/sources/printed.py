"""What the interpreter prints on standard error of its own accord, without secrets: it is collected like any log."""

from __future__ import annotations

import sys
from collections.abc import Callable

from logspan.printable import escape_keeping_backslashes

Redact = Callable[[str], str]
Redaction = Callable[[], Redact | None]
"""What redacts a text at this moment; None when nobody wants that."""


def print_redacted(make: Callable[[], str], redact: Redact, instead: str) -> None:
    """Print the text of `make`, redacted; where that fails `instead`, which has no data in it. Never raises."""
    try:
        text = "\n".join(map(escape_keeping_backslashes, redact(make()).split("\n")))
    except Exception:
        text = f"{instead} (not shown: redaction failed)\n"
    try:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
    except Exception:  # closed, or nobody reads it: so it is for the interpreter
        pass
