from collections.abc import Mapping
from typing import Any

from logspan import EnrichContext, RecordView, enricher

ERROR = 17  # of the severity numbers of OpenTelemetry


@enricher
def tenant(record: RecordView, context: EnrichContext) -> Mapping[str, Any] | None:
    """The tenant of the request; a record that is made outside of one gets nothing."""
    name = context.request.header("x-tenant") if context.request else None
    return {"app.tenant": name[:64]} if name else None


class OnCall:
    """Who looks after a logger: an enricher that has something to remember is an object."""

    def __init__(self, teams: Mapping[str, str]) -> None:
        self._teams = dict(teams)

    def __call__(self, record: RecordView, context: EnrichContext) -> Mapping[str, Any] | None:
        team = self._teams.get(record.scope.partition(".")[0])
        return {"app.team": team} if team and record.severity_number >= ERROR else None
