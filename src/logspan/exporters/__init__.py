"""Where records go: one exporter per module, each a complete `LogRecordExporter` of the OTel SDK.

They take plain arguments, know nothing of settings and nothing of each other, and open nothing before their first
batch in a process. What a batch came to is an `Outcome`, see `logspan.outcome`.
"""
