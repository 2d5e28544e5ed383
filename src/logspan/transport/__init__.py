"""How encoded batches travel: what the exporters that send over a network share."""

from logspan.transport.http import Answer, Compression, HttpSender, Tls, basic_auth
from logspan.transport.payload import PayloadExporter

__all__ = ["Answer", "Compression", "HttpSender", "PayloadExporter", "Tls", "basic_auth"]
