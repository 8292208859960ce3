"""The wrapper around the application: request id, access line and request metrics, for every answer.

It stands outside of Litestar because the router's own 404 and 405 never reach a middleware inside.
"""

import re
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import structlog
from litestar.enums import ScopeType
from msgspec import UNSET
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from school_billing.platform.database.context import RequestContext, current_context
from school_billing.platform.database.errors import DatabaseError
from school_billing.platform.observability.instrumentation import Instrumentation
from school_billing.platform.observability.logging import AccessLine, log_access
from school_billing.platform.web.errors import BUG, IS_ANSWERED, PROBLEM_CODE, answer_interrupted
from school_billing.platform.web.requests import IS_HEAD, REQUEST_ID_HEADER, choose_request_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar import Litestar
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

    from school_billing.platform.observability.telemetry import RequestSpan

log = structlog.get_logger("school_billing.access")

_HEADER = REQUEST_ID_HEADER.lower().encode()
# What a school owes is nobody's to keep unless a route says otherwise (RFC 9111 section 5.2.2.5).
_NOT_STORED = (b"cache-control", b"no-store")
# How an answer that is under way ends early: its reader stalls, or the database goes. Neither is a bug.
_BREAK_OFF = (TimeoutError, DatabaseError)
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
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
        instrumentation: Instrumentation,
        *,
        headers: "Sequence[tuple[bytes, bytes]]" = (),
        trusted_proxies: "Sequence[str]" = (),
    ) -> None:
        self.litestar = litestar
        self.metrics = instrumentation.metrics
        self._telemetry = instrumentation.telemetry
        self._reports = instrumentation.reports
        self._headers = list(headers)
        # Here and not in the server, so that every server that runs the application knows its callers alike.
        self._app: ASGIApp = litestar
        if trusted_proxies:
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
        has_left = False
        # Any word can stand where the method stands; a label must not be anyone's to choose.
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        offered = next((value for name, value in scope["headers"] if name == _HEADER), None)
        request_id = choose_request_id(offered)
        known = RequestContext(request_id=request_id)
        current_context.set(known)
        own_headers = [(_HEADER, request_id.encode("ascii")), *self._headers]
        span = None
        if self._telemetry is not None and (span := self._telemetry.begin_request(scope, method)) is not None:
            known.trace_id = span.trace_id
            own_headers.append((b"traceresponse", span.traceresponse.encode("ascii")))

        # HEAD is GET without the body (RFC 9110 section 9.3.2); the server in front leaves the body out.
        inner = cast("HTTPScope", {**scope, "method": "GET", IS_HEAD: True}) if method == "HEAD" else scope
        notes = cast("dict[str, object]", inner)

        async def send_with_id(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                notes[IS_ANSWERED] = True
                headers = [*message["headers"], *own_headers]
                if b"cache-control" not in dict(headers):
                    headers.append(_NOT_STORED)
                message["headers"] = headers
            await send(message)

        async def receive_and_notice() -> "ReceiveMessage":
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "http.disconnect"
            return message

        self.metrics.in_flight.inc()
        try:
            await answer_interrupted(self._app, inner, receive_and_notice, send_with_id)
        except Exception as error:
            if not (IS_ANSWERED in notes and isinstance(error, _BREAK_OFF)):
                notes[BUG] = error
            # What even the handlers of exceptions stumbled over; the server would answer in words of its own.
            if IS_ANSWERED in notes:
                raise
            await send_with_id({"type": "http.response.start", "status": 500, "headers": [_PLAIN]})
            await send_with_id(
                {"type": "http.response.body", "body": b"Something went wrong here.", "more_body": False}
            )
        finally:
            self.metrics.in_flight.dec()
            seconds = perf_counter() - started
            if has_left:
                notes.pop(BUG, None)
                if status == 500:
                    status = 499  # As nginx has it: the client left before it had an answer. No error of ours.
                    notes.pop(PROBLEM_CODE, None)
            self._tell(inner, known, span, method, status, seconds)

    def _tell(
        self,
        scope: "HTTPScope",
        known: RequestContext,
        span: "RequestSpan | None",
        method: str,
        status: int,
        seconds: float,
    ) -> None:
        """Tell metrics, traces, Sentry and the log how a request was answered."""
        code = cast("str | None", scope.get(PROBLEM_CODE))
        bug = cast("BaseException | None", scope.get(BUG))
        template = scope.get("path_template")
        route = template or "unmatched"
        path = _path_to_tell(scope)
        self.metrics.count_request(method, route, status, seconds, code)
        if self._telemetry is not None:
            failure = None
            if status >= 500:
                failure = code or str(status)
            elif bug is not None:  # In the middle of an answer that had begun well.
                failure = type(bug).__name__
            self._telemetry.end_request(
                span,
                scope,
                method=method,
                route=template,
                path=path,
                status=status,
                seconds=seconds,
                failure=failure,
                request_id=known.request_id or "",
            )
        if bug is not None:
            log.error("unhandled error", exc_info=bug, method=method, route=route)
            if self._reports is not None:
                self._reports.report(bug, method=method, route=route, request_id=known.request_id or "")
        log_access(
            AccessLine(
                method=method,
                route=route,
                path=path,
                status=status,
                duration_ms=round(seconds * 1000, 2),
                user=known.actor,
                school=known.actor_school,
                request_id=known.request_id,
                trace_id=known.trace_id or UNSET,
                timestamp=datetime.now(UTC),
            )
        )


def _path_to_tell(scope: "HTTPScope") -> str | None:
    """Return the path if it has nothing in it but the route and ids, which say nothing by themselves; else None.

    What else stands in a path is anybody's to choose, and may be a name or a token. So may the query, which is never
    told.
    """
    if scope.get("path_template") is None:
        return None
    for value in scope.get("path_params", {}).values():
        if not _ID.fullmatch(str(value)):
            return None
    return scope["path"]
