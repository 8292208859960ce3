"""Downloads: answers in parts, however long they are."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

from school_billing.platform.web.errors import AnswerBrokenOff
from school_billing.platform.web.requests import IS_HEAD

STALL_SECONDS = 30
"""A download is broken off when its reader takes nothing for this long, because it keeps a database connection."""
TOTAL_SECONDS = 3_600
"""A download is broken off after this long, because it keeps a transaction open, and VACUUM waits for that."""
_PIECE_BYTES = 65_536  # A reader that takes this much in STALL_SECONDS makes progress.

Parts: TypeAlias = tuple[bytes | None, AsyncGenerator[bytes]]
"""The first part of a download (None if the download is empty), and the generator of the other parts."""


class Download(Response[None]):
    """An answer in parts. Their generator is closed as soon as the client leaves."""

    def __init__(self, parts: Parts, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(None, media_type=media_type, headers=dict(headers or {}))
        self._parts = parts

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **_options: Any) -> ASGIResponse:
        """Make the answer to `request`."""
        is_head = bool(request.scope.get(IS_HEAD))
        return _ASGIDownload(
            self._parts, media_type=self.media_type, headers=dict(self.headers), is_head_response=is_head
        )


async def started(request: Request[Any, Any, Any], parts: AsyncGenerator[bytes]) -> Parts:
    """Make the first of `parts` now, because the answer to a failure can still be an error. HEAD makes no part."""
    return (None if request.scope.get(IS_HEAD) else await anext(parts, None), parts)


class _ASGIDownload(ASGIStreamingResponse):
    def __init__(self, parts: Parts, **options: Any) -> None:
        self._part, self._others = parts
        super().__init__(iterator=self._others, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The generator is closed here, even after a cancellation, and not at garbage collection.
        async with aclosing(self._others):
            await super().__call__(scope, receive, send)

    async def _stream(self, send: Send) -> None:
        part = self._part
        async with _limit(TOTAL_SECONDS, "it took longer than"):
            while part is not None:
                for start in range(0, len(part), _PIECE_BYTES):
                    piece = part[start : start + _PIECE_BYTES]
                    async with _limit(STALL_SECONDS, "its reader took nothing for"):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                part = await anext(self._others, None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def _limit(seconds: float, reason: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise AnswerBrokenOff(f"{reason} {seconds} seconds") from None
        raise
