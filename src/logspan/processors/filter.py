"""Stage 1, filter: what is not wanted at all, by severity and by scope (the logger's name)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry._logs import SeverityNumber

from logspan.record import Record

_NEVER = 25
_MOST_SCOPES = 4_096


class SeverityFilter:
    """Keeps the records of at least a severity, which may differ by scope; drops excluded scopes altogether.

    A scope prefix matches the logger of that name and those below it: `urllib3` matches `urllib3.connectionpool`. The
    longest matching prefix decides.
    """

    def __init__(
        self,
        least: SeverityNumber,
        excluded_scopes: Iterable[str] = (),
        scope_levels: Mapping[str, SeverityNumber] | None = None,
    ) -> None:
        self._least = least.value
        levels = {prefix: level.value for prefix, level in (scope_levels or {}).items()}
        levels |= dict.fromkeys(excluded_scopes, _NEVER)
        self._levels = sorted(levels.items(), key=lambda item: -len(item[0]))
        self._known: dict[str, int] = {}

    def __call__(self, record: Record) -> bool:
        """Whether to keep the record. Records of no known severity are kept unless their scope is excluded."""
        scope = record.instrumentation_scope
        return self.enabled(None if scope is None else scope.name, record.severity_number.value)

    def enabled(self, scope: str | None, number: int) -> bool:
        """Whether a record of this scope and severity number (0: unknown) would be kept."""
        least = self.least_of(scope) if scope is not None and self._levels else self._least
        return number >= least or (number == 0 and least != _NEVER)

    def least_of(self, scope: str) -> int:
        """The least severity number of a scope; 25, above them all, when it is excluded."""
        least = self._known.get(scope)
        if least is None:
            least = next((level for prefix, level in self._levels if _below(scope, prefix)), self._least)
            if len(self._known) < _MOST_SCOPES:
                self._known[scope] = least
        return least


def _below(scope: str, prefix: str) -> bool:
    return scope == prefix or scope.startswith(prefix + ".")
