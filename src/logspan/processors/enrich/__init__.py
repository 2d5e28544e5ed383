"""Stage 2, enrich: what only the caller's context knows; one enricher per file."""

from logspan.processors.enrich.bound import enrich_bound

__all__ = ["enrich_bound"]
