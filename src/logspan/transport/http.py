"""HTTP for exporters: one POST at a time over one kept connection, under one wall-clock deadline.

Built on `http.client`, which logs nothing. The deadline covers connecting, the TLS handshake, sending, the answer's
head and its body, however slowly its bytes come; only the system's name resolver cannot be interrupted. Redirects are
not followed, answers are read up to `MAX_ANSWER_BYTES`, and TLS never falls back to plain text.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import os
import selectors
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from logspan.errors import SettingsError
from logspan.outcome import Rejected, Retryable
from logspan.printable import escape
from logspan.transport.deadline_socket import DeadlineSocket, connect
from logspan.values import safe_str

Compression = Literal["gzip", "none"]

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""The limit that OTLP recommends for reading answers."""

_GZIP_LEVEL = 1  # half the processor time of level 6 for a tenth more bytes
_MAX_MESSAGE = 500
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer said: `headers` with lower-case names; `complete` is False when the body was over the limit."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True

    @property
    def content_type(self) -> str:
        """Without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def text(self) -> str:
        """The start of the body, fit for a message."""
        return escape(self.body[:_MAX_MESSAGE].decode("utf-8", "replace").strip())

    def status_message(self) -> str:
        """The message of the `google.rpc.Status` that OTLP receivers send with an error; "" where there is none."""
        if self.content_type not in ("application/x-protobuf", "application/octet-stream") or not self.complete:
            return ""
        try:
            from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

            status = Status()
            status.ParseFromString(self.body)
            return escape(status.message)[:_MAX_MESSAGE]
        except Exception:  # the status code alone decides; this is only its explanation
            return ""

    def retry_after(self, now: float | None = None) -> float | None:
        """Seconds from now (RFC 9110, 10.2.3: a number or a date); None when absent or unreadable."""
        return parse_retry_after(self.headers.get("retry-after", ""), time.time() if now is None else now)

    def refusal(self, retryable: frozenset[int], message: str = "") -> Rejected | Retryable:
        """What an answer that is no success means, given the statuses that may be tried again."""
        if self.status in retryable:
            return Retryable(f"HTTP {self.status}", self.retry_after())
        if 300 <= self.status < 400:
            message = f"redirects are not followed: {escape(self.headers.get('location', ''))[:_MAX_MESSAGE]}"
        return Rejected(str(self.status), message or self.text())


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: the authorities to trust (None: the system's), and the client's own certificate and key."""

    certificate: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """A verifying context; `OSError` (`ssl.SSLError` included) when a file is missing or no PEM."""
        context = ssl.create_default_context(cafile=self.certificate)
        if self.client_certificate is not None:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context


class HttpSender:
    """Posts bodies to one URL. `timeout` is in seconds and covers a whole attempt."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        compression: Compression = "gzip",
        timeout: float = 10.0,
        tls: Tls | None = None,
    ) -> None:
        """Refuses a URL, a header or a TLS file that can never work with `SettingsError`. Opens nothing."""
        self._scheme, self._host, self._port, self._path, credentials = _parse(url)
        self._headers = {"accept-encoding": "identity", **credentials, **checked_headers(headers or {})}
        self._compression = compression
        if compression == "gzip":
            self._headers["content-encoding"] = "gzip"
        self._timeout = timeout
        self._tls = tls or Tls()
        if self._scheme == "https":
            _check(self._tls)
        self._connection: _Connection | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def reset_after_fork(self) -> None:
        """Start without a connection: closing a descriptor in a child leaves the parent's connection as it is."""
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._drop_connection()

    def post(self, body: bytes, timeout: float | None = None) -> Answer | Retryable:
        """Post one body, within `timeout` seconds or the sender's own, whichever is less; never raises."""
        if os.getpid() != self._pid:
            self.reset_after_fork()
        deadline = time.monotonic() + min(self._timeout, self._timeout if timeout is None else timeout)
        if not self._lock.acquire(timeout=max(deadline - time.monotonic(), 0)):
            return Retryable("timeout: another request is still under way")
        try:
            return self._post(body, deadline)
        except Exception as error:
            self._drop_connection()
            return Retryable(_reason(error))
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the connection; a request that is under way fails at once."""
        connection = self._connection
        if connection is not None:
            connection.abort()
        if self._lock.acquire(blocking=False):
            self._drop_connection()
            self._lock.release()

    def _post(self, body: bytes, deadline: float) -> Answer:
        if self._compression == "gzip":
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        connection = self._ready(deadline)
        connection.request("POST", self._path, body, self._headers)
        with contextlib.closing(connection.getresponse()) as response:
            content = response.read(MAX_ANSWER_BYTES + 1)
            headers = {name.lower(): value for name, value in response.getheaders()}
        complete = len(content) <= MAX_ANSWER_BYTES
        if not complete or response.will_close:
            self._drop_connection()
        return Answer(response.status, headers, content[:MAX_ANSWER_BYTES], complete)

    def _ready(self, deadline: float) -> _Connection:
        connection = self._connection
        if connection is not None and connection.is_stale():
            self._drop_connection()
            connection = None
        if connection is None:
            context = self._tls.context() if self._scheme == "https" else None
            connection = self._connection = _Connection(self._host, self._port, context)
        connection.deadline = deadline
        return connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection whose every wait ends at `deadline` (of `time.monotonic`)."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        self.default_port = 443 if context else 80  # decides whether `Host` names the port
        self.deadline = 0.0
        self._context = context
        self._socket: DeadlineSocket | None = None

    def connect(self) -> None:
        self._socket = DeadlineSocket(
            connect(self.host, self.port, self._context, self.deadline), lambda: self.deadline
        )
        self.sock = self._socket  # has what http.client asks of a socket

    def is_stale(self) -> bool:
        """Whether the peer has closed (or spoken out of turn) since the last answer."""
        if self._socket is None or self.sock is None:
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            return bool(selector.select(0))

    def abort(self) -> None:
        """Wake a thread that is waiting on this connection."""
        if self._socket is not None:
            self._socket.abort()


def parse_retry_after(text: str, now: float) -> float | None:
    """Seconds from `now` (since the epoch); a date in the past is 0, anything unreadable None."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), 1e9)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The same headers, names in lower case, if none could break out of its line; the message never shows a value."""
    for name, value in headers.items():
        if not name or not name.isascii() or any(c <= " " or c in ':"(),/;<=>?@[\\]{}\x7f' for c in name):
            raise SettingsError(f"{escape(name)!r} cannot be the name of an HTTP header")
        if name.lower() in _FRAMING:
            raise SettingsError(f"header {name!r} says how a message ends, and cannot be set")
        if not value.isascii() or any((c < " " and c != "\t") or c == "\x7f" for c in value):
            raise SettingsError(f"the value of header {name!r} has characters that HTTP does not allow")
    return {name.lower(): value for name, value in headers.items()}


def basic_auth(username: str, password: str) -> dict[str, str]:
    """The `Authorization` header of RFC 7617."""
    token = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"authorization": f"Basic {token}"}


def _parse(url: str) -> tuple[str, str, int, str, dict[str, str]]:
    """Scheme, host, port, path with query, and the header of credentials that stand in the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"an endpoint is http://host[:port][/path] or https://...; got scheme {parts.scheme!r}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or any(c <= " " or c == "\x7f" for c in path):
        raise SettingsError("the path of an endpoint has characters that must be percent-encoded")
    credentials = basic_auth(unquote(parts.username), unquote(parts.password or "")) if parts.username else {}
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), path, credentials


def _check(tls: Tls) -> None:
    try:
        tls.context()
    except OSError as error:
        files = ", ".join(str(path) for path in (tls.certificate, tls.client_certificate, tls.client_key) if path)
        raise SettingsError(f"cannot set up TLS with {files or 'the default certificates'}: {error}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {escape(safe_str(error))[:_MAX_MESSAGE]}"
    return f"{type(error).__name__}: {escape(safe_str(error))[:_MAX_MESSAGE]}"
