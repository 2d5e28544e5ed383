"""Stage 2, enrich: what only the caller's context knows; one enricher per file."""

from logspan.processors.enrich.baggage import BaggageEnricher
from logspan.processors.enrich.bound import enrich_bound
from logspan.processors.enrich.code import leave_out_code_location
from logspan.processors.enrich.guarded import OwnEnrichers
from logspan.processors.enrich.own import Enricher, EnricherFunction, Enrichers, enricher, named_enrichers
from logspan.processors.enrich.parts import EnrichParts
from logspan.processors.enrich.request import enrich_request, enrich_user
from logspan.processors.enrich.view import EnrichContext, RecordView

__all__ = [
    "BaggageEnricher",
    "EnrichContext",
    "EnrichParts",
    "Enricher",
    "EnricherFunction",
    "Enrichers",
    "OwnEnrichers",
    "RecordView",
    "enrich_bound",
    "enrich_request",
    "enrich_user",
    "enricher",
    "leave_out_code_location",
    "named_enrichers",
]
