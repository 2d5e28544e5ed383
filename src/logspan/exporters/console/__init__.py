"""The console: for people in colour, for machines as one JSON object a line."""

from logspan.exporters.console.exporter import ConsoleExporter, Format

__all__ = ["ConsoleExporter", "Format"]
