"""uvicorn's HTTP protocol, with limits on what one connection may hold before the application sees a request.

Without them, five connections with 10 MB of headers each took 1.1 GB, and 400,000 pipelined requests 700 MB.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from school_billing.platform.web.errors import (
    PROBLEM_MEDIA_TYPE,
    ApiError,
    HeadersTooLarge,
    MalformedRequest,
    SlowBody,
)

HEAD_BYTES_MOST = 32 * 1024
"""The most bytes of the request line and the headers."""
HEAD_SECONDS = 15
"""The time in which a request line and its headers arrive, from the connection or from the first byte."""
PIPELINED_MOST = 16
"""The most requests of a connection that wait for the answers before them."""


class _Refused(Exception):
    """The parser stops."""


class LimitedProtocol(HttpToolsProtocol):
    """Refuses a request whose head is too long, too slow or malformed, and closes the connection."""

    _head_bytes: int | None = 0  # Of a head that has not ended; None between the end of a head and the next request.
    _head_timer: TimerHandle | None = None
    _error: ApiError = MalformedRequest()

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived. The parser itself would keep a header of any length."""
        # A chunk in which a head begins may hold the body before it, so it does not count. It has 256 KiB at most.
        counts = self._head_bytes is not None
        super().data_received(data)
        if self._head_bytes is not None and counts:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MOST:
                self._refuse(HeadersTooLarge())

    def on_message_begin(self) -> None:
        """Begin to count the head of a request."""
        super().on_message_begin()
        if self._head_bytes is None:
            self._begin_head()

    def on_headers_complete(self) -> None:
        """Hand the request to the application, if its head is acceptable."""
        self._end_head()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES_MOST:
            self._error = HeadersTooLarge()
            raise _Refused
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise _Refused  # RFC 9112 section 3.2
        if len(self.pipeline) >= PIPELINED_MOST:
            # The client sends what was not answered again on another connection (RFC 9112 section 9.3.2).
            self.transport.close()
            raise _Refused
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Begin the next pipelined request, and read more only if it was the last."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused with a problem document."""
        self._refuse(self._error)

    def _begin_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._refuse, SlowBody())

    def _end_head(self) -> None:
        self._head_bytes = None
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, error: ApiError) -> None:
        self._end_head()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            title = HTTPStatus(error.status).phrase
            problem = {"type": "about:blank", "title": title, "status": error.status, "detail": error.detail}
            body = msgspec.json.encode(problem | {"code": error.code})
            head = (
                f"HTTP/1.1 {error.status} {title}\r\ncontent-type: {PROBLEM_MEDIA_TYPE}\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
