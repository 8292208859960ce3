"""The wrapper around the application: request id, access line and request metrics, for every answer.

It stands outside of Litestar because the router's own 404 and 405 never reach a middleware inside.
"""

from time import perf_counter
from typing import TYPE_CHECKING, cast

import structlog
from litestar.enums import ScopeType

from school_billing.database.context import RequestContext, current_context
from school_billing.observability.metrics import Metrics
from school_billing.web.request_ids import (
    REQUEST_ID_HEADER,
    choose_request_id,
)

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

log = structlog.get_logger("school_billing.access")

_HEADER = REQUEST_ID_HEADER.lower().encode()
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observed:
    """An ASGI application that answers with `litestar` and tells what it saw."""

    def __init__(self, litestar: "Litestar", metrics: Metrics) -> None:
        self.litestar = litestar
        self.metrics = metrics

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request, or pass on what is none (the lifespan)."""
        if scope["type"] != ScopeType.HTTP:
            await self.litestar(scope, receive, send)
            return
        await self._observe(scope, receive, send)

    async def _observe(self, scope: "HTTPScope", receive: "Receive", send: "Send") -> None:
        started = perf_counter()
        status = 500
        has_left = False
        # Any word can stand where the method stands; a label must not be anyone's to choose.
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        offered = next((value for name, value in scope["headers"] if name == _HEADER), None)
        request_id = choose_request_id(offered)
        current_context.set(RequestContext(request_id=request_id))
        id_header = (_HEADER, request_id.encode("ascii"))

        async def send_with_id(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], id_header]
            await send(message)

        async def receive_and_notice() -> "ReceiveMessage":
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "http.disconnect"
            return message

        # HEAD is GET without the body (RFC 9110 section 9.3.2); the server in front leaves the body out.
        inner = cast("HTTPScope", {**scope, "method": "GET"}) if method == "HEAD" else scope
        self.metrics.in_flight.inc()
        try:
            await self.litestar(inner, receive_and_notice, send_with_id)
        finally:
            self.metrics.in_flight.dec()
            seconds = perf_counter() - started
            if has_left and status == 500:
                status = 499  # As nginx has it: the client went away before it had an answer. No error of ours.
            route = inner.get("path_template") or "unmatched"
            self.metrics.requests.labels(method, route, str(status)).inc()
            self.metrics.latency.labels(method, route).observe(seconds)
            log.info(
                "request",
                method=method,
                route=route,
                path=scope["path"],
                status=status,
                duration_ms=round(seconds * 1000, 2),
            )
