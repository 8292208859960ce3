"""What a request is told that the server's stop cut off: nothing else would answer it but the connection's end."""

import asyncio
from typing import TYPE_CHECKING, Any

from litestar import Request

from school_billing.platform.web.problems import ServerStopping, answer_error
from school_billing.platform.web.scopes import IS_ANSWERED

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Receive, Send


async def answer_interrupted(app: "ASGIApp", scope: "HTTPScope", receive: "Receive", send: "Send") -> None:
    """Answer with `app`, and with 503 where the server cancels that because the time for its stop is over."""
    try:
        await app(scope, receive, send)
    except asyncio.CancelledError:
        if IS_ANSWERED in scope:
            raise
        request = Request[Any, Any, Any](scope, receive, send)
        response = answer_error(request, ServerStopping()).to_asgi_response(app=None, request=request)
        await response(scope, receive, send)
