"""Lines of a server that say again what the request's own record says."""

from __future__ import annotations

import logging

from logspan.fastapi.request import CURRENT


def repeats_request(line: logging.LogRecord) -> bool:
    """Whether a line of uvicorn repeats the record of its request.

    The access line does only while its request is in progress: uvicorn writes one for requests that never reach the
    application as well (over `limit_concurrency`), and that is their only trace. A traceback is known by the identity
    of its exception, which uvicorn logs after the request's record is made.
    """
    request = CURRENT.get()
    if request is None or not request.speaks:
        return False
    if line.name == "uvicorn.access":
        return request.live
    error = line.exc_info[1] if line.exc_info else None
    return error is not None and id(error) == request.error_id
