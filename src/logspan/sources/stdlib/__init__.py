"""The standard library's `logging`: the handler that captures, and how it stays where it is."""

from logspan.sources.stdlib.adoption import SERVER_LOGGERS, Adoption
from logspan.sources.stdlib.handler import LogspanHandler

__all__ = ["SERVER_LOGGERS", "Adoption", "LogspanHandler"]
