"""Stage 5, redact: what must not leave the process. Once per record, before any exporter; fails closed."""

from logspan.processors.redact.finding import Finding
from logspan.processors.redact.redactor import Redactor, tenant_of

__all__ = ["Finding", "Redactor", "tenant_of"]
