"""The messages of one request, watched as they pass: counted, never kept; the headers with its ids are added."""

from __future__ import annotations

import asyncio
import inspect
from time import perf_counter

from logspan.fastapi.asgi import Message, Receive, Send, header, size_of
from logspan.fastapi.content import Content, media_type_of
from logspan.fastapi.peek import peek
from logspan.fastapi.request import Request

_STARTS = ("http.response.start", "websocket.http.response.start")
_ANSWERS = (*_STARTS, "websocket.accept")
_BODIES = ("http.response.body", "websocket.http.response.body")
_GONE = ("http.disconnect", "websocket.disconnect")


class Exchange:
    """What stands between the server's `receive` and `send` and the application's."""

    __slots__ = ("_reading", "_receive", "_send", "_taken", "_trailers", "request")

    def __init__(self, request: Request, receive: Receive, send: Send) -> None:
        self.request = request
        self._receive = receive
        self._send = send
        self._taken: tuple[Message, ...] = ()
        """What `look` found: the application gets it first."""
        self._reading = 0
        self._trailers = False

    async def receive(self) -> Message:
        """The next message of the client."""
        if self._taken:
            message, *rest = self._taken
            self._taken = (*rest,)
        else:
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
        if request.over:
            return
        if kind == "http.request":
            body = message.get("body") or b""
            if request.request_size is None:
                request.request_size = 0
                if request.settle().request_body:
                    request.request_content = self._content(request.scope)
            request.request_size += size_of(body)
            if request.request_content is not None:
                request.request_content.add(body)
        elif kind in _GONE and request.live:  # once the response is complete, servers say this to everybody
            request.disconnected = True
            request.close_code = message.get("code")
            request.ended_at = perf_counter()

    async def send(self, message: Message) -> None:
        """Hand a message on to the server. The response is over before its last message leaves."""
        request = self.request
        if request.over:  # a task that outlives it
            await self._send(message)
            return
        kind, last = None, False
        try:
            kind = message["type"]
            if kind in _ANSWERS:
                message = {**message, "headers": [*message.get("headers", ())]}  # they may be read only once
                self._starting(message)
            elif kind in _BODIES:
                last = not (message.get("more_body") or self._trailers)
            else:
                last = self._is_last(kind, message)
            if last:
                if request.slow and request.first_byte_at is not None:
                    self.look()
                request.live = False
                request.bindings.responded = not request.websocket
        except Exception as error:
            self._blame("send", error)
        try:
            await self._send(message)
        except BaseException as error:
            self._refused(message, error)
            raise
        try:
            self._sent(kind, message, last=last)
        except Exception as error:
            self._blame("send", error)

    def _is_last(self, kind: str, message: Message) -> bool:
        """Whether it ends the response, as a part of the body without another does."""
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        return kind in ("http.response.pathsend", "websocket.close")

    def look(self) -> None:
        """Find out whether the client has gone while nobody was reading; servers swallow what is sent to it.

        Where they queue what they say, the end of the request's body stands before that.
        """
        try:
            if not self._reading and not self._taken:
                self._peek()
            if not self._reading and len(self._taken) == 1 and _is_whole(self._taken[0]):
                self._peek()
        except Exception as error:
            self._blame("receive", error)

    def _peek(self) -> None:
        found = peek(self._receive)
        if found is not None:
            self._taken = (*self._taken, found)
            self.request.disconnected |= found["type"] in _GONE

    def _starting(self, message: Message) -> None:
        """Add the headers that the client knows the request by, unless the application has set them itself."""
        request, config, headers = self.request, self.request.config, message["headers"]
        if request.span is None:
            request.saw_span()
        if message["type"] == "http.response.start":
            request.bindings.own_task()
            self._trailers = bool(message.get("trailers", False))
            request.response_headers = headers
            if request.settle().response_body:
                request.response_content = self._content(message)
        ids: dict[bytes, bytes] = {}
        if config.header is not None and request.span_context is not None:
            ids[config.header] = b"%032x" % request.span_context.trace_id
        if config.identification.header is not None and (identifier := request.id) is not None:
            ids[config.identification.header] = identifier.encode("latin-1")
        for key, _ in headers:
            ids.pop(key.lower(), None)
        message["headers"] = [*headers, *ids.items()]

    def _content(self, message: Message) -> Content | None:
        """Where the body goes that belongs to a scope or to the start of a response, if it is to be kept."""
        media_type = media_type_of(header(message, b"content-type"))
        if not self.request.config.content_types.have(media_type) or header(message, b"content-encoding"):
            return None
        return Content(media_type, self.request.options.body_size)

    def _sent(self, kind: str | None, message: Message, *, last: bool) -> None:
        """Note that a message has reached the server."""
        request = self.request
        if kind in _BODIES:
            body = message.get("body")
            if body and request.scope.get("method") != "HEAD":  # else the server keeps it to itself
                self._count(len(body) if type(body) is bytes else size_of(body))
                if request.response_content is not None:
                    request.response_content.add(body)
        elif kind in _ANSWERS:
            request.status = 101 if kind == "websocket.accept" else message["status"]
            request.first_byte_at = perf_counter()
        else:
            self._sent_other(kind, message)
        if last:
            request.complete = True
            if request.ended_at is None:
                request.ended_at = perf_counter()

    def _sent_other(self, kind: str | None, message: Message) -> None:
        request = self.request
        if kind == "http.response.pathsend":
            length = header({"headers": request.response_headers}, b"content-length")
            request.response_size = int(length) if length else None
        elif kind == "http.response.zerocopysend":
            self._count(message.get("count"))
        elif kind == "websocket.close":
            if request.status is None:  # instead of an accept: the server refuses the handshake
                request.status = 403
            if not request.disconnected:
                request.close_code = message.get("code", 1000)

    def _count(self, size: int | None) -> None:
        request = self.request
        if request.disconnected or request.response_size is None:
            return
        request.response_size = None if size is None else request.response_size + size

    def _refused(self, message: Message, error: BaseException) -> None:
        """The server did not take a message; it may be that the client has gone."""
        if message["type"] in _STARTS:
            self.request.start_failed = True
        if _says_gone(error) and message["type"] != "http.response.pathsend":
            self.request.disconnected = True
            self.request.refused_id = id(error)

    def failed(self, error: BaseException) -> None:
        """Note the exception that leaves the application; some servers cancel because the client has gone."""
        if isinstance(error, asyncio.CancelledError):
            self.request.answered_for = _is_called_by_uvicorn()
            if self.request.live:
                self.look()
        self.request.failed(error)

    def _blame(self, what: str, error: Exception) -> None:
        self.request.config.notices.say("request", f"watching {what} failed: {type(error).__name__}")


def _is_whole(message: Message) -> bool:
    """Whether nothing of the request's body comes after it, so that the next can only tell of the end."""
    return message["type"] == "http.request" and not message.get("more_body", False)


def _says_gone(error: BaseException) -> bool:
    """An `OSError` does (ASGI, send); uvloop has a `RuntimeError`, where the server has closed before it says so."""
    return isinstance(error, OSError) or (isinstance(error, RuntimeError) and "the handler is closed" in str(error))


def _is_called_by_uvicorn() -> bool:
    """Whether it is uvicorn whose call is ending: it answers 500 for whatever comes out of the application.

    Its `receive` does not tell, as others may have wrapped it.
    """
    frame = inspect.currentframe()
    while frame is not None and not str(frame.f_globals.get("__name__")).startswith("uvicorn.protocols."):
        frame = frame.f_back
    return frame is not None
