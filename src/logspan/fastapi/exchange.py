"""The messages of one request, watched as they pass: counted, never kept; one header is added."""

from __future__ import annotations

from time import perf_counter

from opentelemetry.trace import format_trace_id

from logspan.fastapi.asgi import Message, Receive, Send, size_of
from logspan.fastapi.peek import peek
from logspan.fastapi.request import Request

_STARTS = ("http.response.start", "websocket.http.response.start")
_BODIES = ("http.response.body", "websocket.http.response.body")
_GONE = ("http.disconnect", "websocket.disconnect")


class Exchange:
    """What stands between the server's `receive` and `send` and the application's."""

    __slots__ = ("_reading", "_receive", "_send", "_taken", "_trailers", "request")

    def __init__(self, request: Request, receive: Receive, send: Send) -> None:
        self.request = request
        self._receive = receive
        self._send = send
        self._taken: Message | None = None
        self._reading = 0
        self._trailers = False

    async def receive(self) -> Message:
        """The next message of the client."""
        message, self._taken = self._taken, None
        if message is None:
            self._reading += 1
            try:
                message = await self._receive()
            finally:
                self._reading -= 1
        try:
            self._received(message)
        except Exception as error:
            self._blame("receive", error)
        return message

    def _received(self, message: Message) -> None:
        kind = message["type"]
        request = self.request
        if kind == "http.request":
            request.request_size = (request.request_size or 0) + size_of(message.get("body") or b"")
        elif kind in _GONE and request.live:  # once the response is complete, servers say this to everybody
            request.disconnected = True
            request.close_code = message.get("code")
            request.ended_at = perf_counter()

    async def send(self, message: Message) -> None:
        """Hand a message on to the server. The response is over before its last message leaves."""
        message, last = self._prepared(message)
        try:
            await self._send(message)
        except BaseException as error:
            self._refused(message, error)
            raise
        try:
            self._sent(message, last=last)
        except Exception as error:
            self._blame("send", error)

    def _prepared(self, message: Message) -> tuple[Message, bool]:
        """The message as it goes out, and whether it is the last."""
        try:
            if self._is_last(message):
                if self.request.slow:
                    self._look()
                self.request.live = False
                return message, True
            if message["type"] == "http.response.start":
                self._trailers = bool(message.get("trailers", False))
                return self._with_trace_id(message), False
        except Exception as error:
            self._blame("send", error)
        return message, False

    def _is_last(self, message: Message) -> bool:
        kind = message["type"]
        if kind in _BODIES:
            return not message.get("more_body", False) and not self._trailers
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        return kind in ("http.response.pathsend", "websocket.close")

    def _look(self) -> None:
        """Find out whether the client has gone while nobody was reading; servers swallow what is sent to it."""
        if self._taken is None and not self._reading and self.request.first_byte_at is not None:
            self._taken = peek(self._receive)
            if self._taken is not None and self._taken["type"] in _GONE:
                self.request.disconnected = True

    def _with_trace_id(self, message: Message) -> Message:
        request = self.request
        request.saw_span()
        name = request.config.header
        headers = list(message.get("headers", ()))
        if name is None or request.span is None or any(key.lower() == name for key, _ in headers):
            return message
        trace_id = format_trace_id(request.span.get_span_context().trace_id)
        return {**message, "headers": [*headers, (name, trace_id.encode())]}

    def _sent(self, message: Message, *, last: bool) -> None:
        """Note what has reached the server."""
        kind, request = message["type"], self.request
        if kind in _STARTS:
            request.status = message["status"]
            request.first_byte_at = perf_counter()
        elif kind in _BODIES:
            self._count(size_of(message.get("body") or b""))
        elif kind == "websocket.accept":
            request.status = 101
            request.first_byte_at = perf_counter()
        else:
            self._sent_other(message)
        if last:
            request.complete = True
            request.ended_at = request.ended_at or perf_counter()

    def _sent_other(self, message: Message) -> None:
        kind, request = message["type"], self.request
        if kind == "websocket.close":
            if request.status is None:  # instead of an accept: the server refuses the handshake
                request.status = 403
            if not request.disconnected:
                request.close_code = message.get("code", 1000)

    def _count(self, size: int) -> None:
        request = self.request
        if request.response_size is not None and not request.disconnected:
            request.response_size += size

    def _refused(self, message: Message, error: BaseException) -> None:
        """The server did not take a message; an `OSError` says that the client has gone (ASGI, send)."""
        if message["type"] in _STARTS:
            self.request.start_failed = True
        if isinstance(error, OSError) and message["type"] != "http.response.pathsend":
            self.request.disconnected = True
            self.request.refused_id = id(error)

    def _blame(self, what: str, error: Exception) -> None:
        self.request.config.notices.say("request", f"watching {what} failed: {type(error).__name__}")
