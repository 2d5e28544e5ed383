"""The command `logspan`; `python -m logspan.cli` is the same.

Exit codes: 0 all was done, 1 something was left undone or is damaged, 2 the command or the settings are wrong, 130
interrupted.
"""

from logspan.cli.command import main

__all__ = ["main"]
