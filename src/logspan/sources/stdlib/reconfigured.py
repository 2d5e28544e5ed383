"""Notices when the application has configured `logging` anew, by `dictConfig` or `fileConfig`."""

from __future__ import annotations

import functools
import logging.config
from collections.abc import Callable
from typing import Any


class Reconfigured:
    """Calls `then` after each configuration. Loggers get handlers there that nobody else hears of."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then: Callable[[], None] | None = then
        self._previous: dict[str, Any] = {}
        self._ours: dict[str, Any] = {}

    def install(self) -> None:
        """Stand in for `dictConfigClass`, the hook that `logging.config` documents, and for `fileConfig`."""
        module = vars(logging.config)
        self._previous = {name: module[name] for name in ("dictConfigClass", "fileConfig")}
        self._ours = {
            "dictConfigClass": self._configurator(self._previous["dictConfigClass"]),
            "fileConfig": self._and_then(self._previous["fileConfig"]),
        }
        module.update(self._ours)

    def uninstall(self) -> None:
        """Put back what was there, where ours still stands; else only pass on from now on."""
        self._then = None
        module = vars(logging.config)
        module.update({name: self._previous[name] for name, ours in self._ours.items() if module[name] is ours})

    def _configurator(self, previous: Any) -> Any:
        return type(previous.__name__, (previous,), {"configure": self._and_then(previous.configure)})

    def _and_then(self, configure: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(configure)
        def configure_and_then(*args: Any, **kwargs: Any) -> Any:
            result = configure(*args, **kwargs)
            if self._then is not None:
                self._then()
            return result

        return configure_and_then
