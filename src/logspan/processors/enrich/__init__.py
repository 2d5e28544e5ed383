"""Stage 2, enrich: what only the caller's context knows; one enricher per file."""

from logspan.processors.enrich.bound import enrich_bound
from logspan.processors.enrich.code import leave_out_code_location

__all__ = ["enrich_bound", "leave_out_code_location"]
