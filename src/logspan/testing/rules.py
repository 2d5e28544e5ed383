"""How the rules of a contract are checked: each on its own, with a time limit, and all of the broken ones named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from logspan.values import safe_str

Check = TypeVar("Check", bound=Callable[..., Any])

SECONDS = 20.0
"""What one rule may take."""


class ContractError(AssertionError):
    """A plug-in breaks rules of its contract; the message has a line for each."""


def verify(checks: Iterable[Check], run: Callable[[Check], object]) -> None:
    """Run each check; raise `ContractError` with a line for each that fails: its name, its rule, what happened."""
    broken = []
    for check in checks:
        problem = _problem(lambda check=check: run(check))  # type: ignore[misc]
        if problem is not None:
            broken.append(f"{getattr(check, '__name__', check)}: {check.__doc__} {problem}")
    if broken:
        raise ContractError("\n".join(broken))


def _problem(run: Callable[[], object]) -> str | None:
    """What was wrong, on a thread of its own so that a plug-in that hangs does not hang the check."""
    problem: list[str] = []

    def guarded() -> None:
        try:
            run()
        except BaseException as error:
            problem.append(f"[{type(error).__name__}: {safe_str(error)}]")

    thread = threading.Thread(target=guarded, name="contract", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        return "[hangs]"
    return problem[0] if problem else None
