"""The OTLP exporters of opentelemetry-exporter-otlp, for whoever wants those and nothing else.

They say SUCCESS or FAILURE only: which status, how many records were refused and when to try again is not known, and
they retry by themselves. The gRPC one opens its channel at once, so it must be made after a fork.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from opentelemetry.sdk._logs.export import LogRecordExporter

from logspan.transport import Compression


def stock_otlp_exporter(
    protocol: Literal["http/protobuf", "grpc"],
    address: str,
    *,
    insecure: bool = False,
    headers: Mapping[str, str] | None = None,
    compression: Compression = "gzip",
    timeout: float = 10.0,
    certificate: Path | None = None,
    client_certificate: Path | None = None,
    client_key: Path | None = None,
) -> LogRecordExporter:
    """The exporter for one protocol; `address` is a full URL for HTTP and a target for gRPC, as for our own."""
    if protocol == "grpc":
        files = (certificate, client_key, client_certificate)
        return _grpc(address, insecure, dict(headers or {}), compression, timeout, files)
    from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    return OTLPLogExporter(
        endpoint=address,
        certificate_file=_text(certificate),
        client_key_file=_text(client_key),
        client_certificate_file=_text(client_certificate),
        headers=dict(headers or {}),
        timeout=timeout,
        compression=HttpCompression.Gzip if compression == "gzip" else HttpCompression.NoCompression,
    )


def _grpc(
    target: str,
    insecure: bool,  # noqa: FBT001
    headers: dict[str, str],
    compression: Compression,
    timeout: float,
    files: tuple[Path | None, ...],
) -> LogRecordExporter:
    import grpc  # type: ignore[import-untyped]
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    pem: list[Any] = [path.read_bytes() if path else None for path in files]
    return OTLPLogExporter(
        endpoint=target,
        insecure=insecure,
        credentials=None if insecure else grpc.ssl_channel_credentials(*pem),
        headers={name.lower(): value for name, value in headers.items()},
        timeout=timeout,
        compression=grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
