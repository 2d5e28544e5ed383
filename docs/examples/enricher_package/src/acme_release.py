from collections.abc import Mapping
from typing import Any

from logspan import EnrichContext, RecordView, enricher

VERSION = "2026.11"


@enricher
def release(record: RecordView, context: EnrichContext) -> Mapping[str, Any]:
    return {"app.release": VERSION}
