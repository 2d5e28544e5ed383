"""What changes or drops a record, in the order in which it is run: filter, sample, enrich | redact, limit.

The first three run on the caller's thread, the last two on the delivery worker, once per record and before any
exporter. Plain callables: no I/O, no environment, no locks.
"""
