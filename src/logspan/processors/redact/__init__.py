"""Stage 5, redact: what must not leave the process. Once per record, before any exporter; fails closed.

`redactor.py` is the way in. A record is looked at as a whole (`records/`), and most are done then: the sieve (`sieve/`)
names no rule. For the others `engine.py` asks the rules (`rules/`: data) that it names, of which some find a value by
its shape (`checks/` tells whether it is one) and some by the key or the words beside it (`texts/`, and `values/` tells
whether it is what the key announces). `actions.py` puts something in its place.
"""

from logspan.processors.redact.finding import Finding
from logspan.processors.redact.redactor import Redactor, tenant_of

__all__ = ["Finding", "Redactor", "tenant_of"]
