"""The access lines of uvicorn and gunicorn: their arguments as attributes of the semantic conventions.

Queries, referrers and headers stay out: what the line itself says of them is in the body, where redaction looks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any


def uvicorn_access(record: logging.LogRecord) -> dict[str, Any]:
    """Attributes of `'%s - "%s %s HTTP/%s" %d'`; none when the arguments are of another shape."""
    args = record.args
    if not isinstance(args, tuple) or len(args) != 5:
        return {}
    client, method, target, version, status = args
    attributes = _request(method, target, status)
    attributes["network.protocol.version"] = str(version)
    host, _, port = str(client).rpartition(":")
    if host and port.isdigit():
        attributes["client.address"] = host
        if port != "0":  # what uvicorn puts there for a proxy's client
            attributes["client.port"] = int(port)
    return attributes


def gunicorn_access(record: logging.LogRecord) -> dict[str, Any]:
    """Attributes of gunicorn's atoms; none when the arguments are of another shape."""
    atoms = record.args
    if not isinstance(atoms, Mapping) or "m" not in atoms:
        return {}
    attributes = _request(atoms["m"], atoms["U"], atoms["s"])
    if atoms["h"] not in ("", "-"):
        attributes["client.address"] = str(atoms["h"])
    return attributes


def _request(method: object, target: object, status: object) -> dict[str, Any]:
    attributes: dict[str, Any] = {"http.request.method": str(method), "url.path": str(target).partition("?")[0]}
    if str(status).isdigit():
        attributes["http.response.status_code"] = int(str(status))
    return attributes
