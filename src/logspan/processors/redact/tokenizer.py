"""The user's own callable, with a limit on what it can hold up."""

from __future__ import annotations

import time
from collections.abc import Callable

Tokenize = Callable[[str, str], str]
"""Given a rule's id and the secret, what stands in its place: a token of the user's own vault, say."""


class Tokenizer:
    """Calls it. Nothing can interrupt a call; one that takes longer than `patience` (seconds) has failed.

    While a call has been out for longer than that, all others fail at once: it holds up one thread and no second one.
    """

    def __init__(self, tokenize: Tokenize, patience: float) -> None:
        self._tokenize = tokenize
        self._patience = patience
        self._since: dict[object, float] = {}

    def __call__(self, rule: str, secret: str) -> str:
        """The token. Raises what the callable raises, and `TimeoutError`."""
        if self.overdue:
            raise TimeoutError
        call = object()
        since = self._since[call] = time.monotonic()
        try:
            token = str(self._tokenize(rule, secret))
        finally:
            self._since.pop(call, None)
        if time.monotonic() - since > self._patience:
            raise TimeoutError
        return token

    @property
    def overdue(self) -> float:
        """How long the oldest call has been out, in seconds; 0 while all are within their time."""
        now = time.monotonic()
        longest = max((now - since for since in self._since.copy().values()), default=0.0)
        return longest if longest > self._patience else 0.0

    def reset_after_fork(self) -> None:
        """In a forked child: what is out there is out in the parent."""
        self._since = {}
