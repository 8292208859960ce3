"""What a request is told that the server's stop cut off: nothing else would answer it but the connection's end."""

import asyncio
from typing import TYPE_CHECKING

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware

from school_billing.web.problems import ServerStopping

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send


class AnswerInterrupted(ASGIMiddleware):
    """Answers 503 where the server cancels a request because the time for its stop is over."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: "Scope", receive: "Receive", send: "Send", next_app: "ASGIApp") -> None:
        """Answer with `next_app`, and for it where it is cancelled before it began to answer."""
        has_started = False

        async def note_the_start(message: "Message") -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await next_app(scope, receive, note_the_start)
        except asyncio.CancelledError:
            if has_started:
                raise
            raise ServerStopping from None
