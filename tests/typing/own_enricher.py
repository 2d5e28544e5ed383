"""Enrichers that somebody else wrote: a function, an object, and where they are given."""

from collections.abc import Mapping

from fastapi import FastAPI

from logspan import EnrichContext, Enricher, RecordView, build_pipeline, configure_logging, enricher, instrument_app


@enricher
def tenant(record: RecordView, context: EnrichContext) -> Mapping[str, str] | None:
    if context.request is None or record.severity_number < 9:
        return None
    return {"tenant": context.request.header("x-tenant") or "", "route": context.request.route or ""}


@enricher(name="region")
def region(record: RecordView, context: EnrichContext) -> dict[str, object]:
    return {"region": "eu", "bound": len(context.bound), "sampled": context.span_context.trace_flags.sampled}


class Team:
    def __call__(self, record: RecordView, context: EnrichContext) -> None:
        return None


def silent(record: RecordView, context: EnrichContext) -> None:
    return None


named: Enricher = tenant

instrument_app(FastAPI(), enrichers=[tenant, region, Team(), silent])
configure_logging(enrichers={"tenant": tenant, "team": Team()})
build_pipeline(enrichers=(named,))
