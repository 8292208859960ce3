"""The wrapper around the application: request id, access line and request metrics, for every answer.

It stands outside of Litestar because the router's own 404 and 405 never reach a middleware inside.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import structlog
from litestar.enums import ScopeType
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from school_billing.database.context import RequestContext, current_context
from school_billing.observability.metrics import Metrics
from school_billing.web.request_ids import (
    REQUEST_ID_HEADER,
    choose_request_id,
)
from school_billing.web.scopes import IS_HEAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar import Litestar
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

log = structlog.get_logger("school_billing.access")

_HEADER = REQUEST_ID_HEADER.lower().encode()
# What a school owes is nobody's to keep unless a route says otherwise (RFC 9111 section 5.2.2.5).
_NOT_STORED = (b"cache-control", b"no-store")
_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observed:
    """An ASGI application that answers with `litestar` and tells what it saw.

    `headers` go with every response. The X-Forwarded-For and -Proto of `trusted_proxies`, addresses or networks, are
    believed, and nobody else's.
    """

    def __init__(
        self,
        litestar: "Litestar",
        metrics: Metrics,
        *,
        headers: "Sequence[tuple[bytes, bytes]]" = (),
        trusted_proxies: "Sequence[str]" = (),
    ) -> None:
        self.litestar = litestar
        self.metrics = metrics
        self._headers = list(headers)
        # Here and not in the server, so that every server that runs the application knows its callers alike.
        self._app = cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", litestar), list(trusted_proxies)))

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request, or pass on what is none (the lifespan)."""
        if scope["type"] != ScopeType.HTTP:
            await self.litestar(scope, receive, send)
            return
        await self._observe(scope, receive, send)

    async def _observe(self, scope: "HTTPScope", receive: "Receive", send: "Send") -> None:
        started = perf_counter()
        status = 500
        has_left = has_started = False
        # Any word can stand where the method stands; a label must not be anyone's to choose.
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        offered = next((value for name, value in scope["headers"] if name == _HEADER), None)
        request_id = choose_request_id(offered)
        current_context.set(RequestContext(request_id=request_id))
        id_header = (_HEADER, request_id.encode("ascii"))

        async def send_with_id(message: "Message") -> None:
            nonlocal status, has_started
            if message["type"] == "http.response.start":
                status = message["status"]
                has_started = True
                headers = [*message["headers"], id_header, *self._headers]
                if all(name != b"cache-control" for name, _ in headers):
                    headers.append(_NOT_STORED)
                message["headers"] = headers
            await send(message)

        async def receive_and_notice() -> "ReceiveMessage":
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "http.disconnect"
            return message

        # HEAD is GET without the body (RFC 9110 section 9.3.2); the server in front leaves the body out.
        inner = cast("HTTPScope", {**scope, "method": "GET", IS_HEAD: True}) if method == "HEAD" else scope
        self.metrics.in_flight.inc()
        try:
            await self._app(inner, receive_and_notice, send_with_id)
        except Exception:
            # What even the handlers of exceptions stumbled over; the server would answer in words of its own.
            if has_started:
                raise
            log.exception("unhandled error", method=method)
            await send_with_id({"type": "http.response.start", "status": 500, "headers": [_PLAIN]})
            await send_with_id(
                {"type": "http.response.body", "body": b"Something went wrong here.", "more_body": False}
            )
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
