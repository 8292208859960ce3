"""Downloads: answers in parts, however long they are."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import structlog
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

from school_billing.platform.web.requests import IS_HEAD

STALL_SECONDS = 30
"""A download is broken off when its reader takes nothing for this long, because it keeps a database connection."""

log = structlog.get_logger("school_billing.downloads")

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
        while part is not None:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            except TimeoutError:
                log.warning("a download was broken off: its reader stalled", seconds=STALL_SECONDS)
                raise
            part = await anext(self._others, None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
