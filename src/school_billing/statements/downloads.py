"""Downloads: answers in parts, however long they are."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

import structlog
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import HTTPResponseBodyEvent, Receive, Scope, Send

from school_billing.platform.web.requests import IS_HEAD

STALL_SECONDS = 30
"""A download is broken off when its reader takes nothing for this long, because it keeps a database connection."""

log = structlog.get_logger("school_billing.downloads")


class Download(Response[None]):
    """An answer in parts. Their generator is closed as soon as the client leaves."""

    def __init__(self, parts: "Parts", media_type: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(None, media_type=media_type, headers=dict(headers or {}))
        self._parts = parts

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **_options: Any) -> ASGIResponse:
        """Make the answer to `request`."""
        return _ASGIDownload(
            iterator=self._parts,
            media_type=self.media_type,
            headers=dict(self.headers),
            is_head_response=bool(request.scope.get(IS_HEAD)),
        )


class Parts:
    """The parts of a download. The first may have been made already."""

    def __init__(self, first: bytes | None, rest: AsyncGenerator[bytes]) -> None:
        self._first = first
        self._rest = rest

    def __aiter__(self) -> "Parts":
        return self

    async def __anext__(self) -> bytes:
        if self._first is None:
            return await anext(self._rest)
        first, self._first = self._first, None
        return first

    async def aclose(self) -> None:
        """Close the generator, even in the middle."""
        await self._rest.aclose()


async def started(request: Request[Any, Any, Any], parts: AsyncGenerator[bytes]) -> Parts:
    """Make the first of `parts` now, while a failure can still be answered as an error. HEAD makes none."""
    return Parts(None if request.scope.get(IS_HEAD) else await anext(parts, None), parts)


class _ASGIDownload(ASGIStreamingResponse):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = cast("Parts", self.iterator)
        # Close it here, after any cancellation, rather than at garbage collection.
        async with aclosing(parts):
            await super().__call__(scope, receive, send)

    async def _stream(self, send: Send) -> None:
        async for part in self.iterator:
            event: HTTPResponseBodyEvent = {
                "type": "http.response.body",
                "body": cast("bytes", part),
                "more_body": True,
            }
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await send(event)
            except TimeoutError:
                log.warning("a download was broken off: its reader stalled", seconds=STALL_SECONDS)
                raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})
