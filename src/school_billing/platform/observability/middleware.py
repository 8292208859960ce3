"""The wrapper around the application: request id, log line, metrics and trace of every answer.

It is outside of Litestar because the router's own 404 and 405 never reach a middleware inside.
"""

import asyncio
import re
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import structlog
from litestar import Request
from litestar.enums import ScopeType
from litestar.exceptions import LitestarException
from msgspec import UNSET
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from school_billing.platform.database.context import RequestContext, current_context
from school_billing.platform.database.errors import DatabaseUnavailable
from school_billing.platform.observability.instrumentation import Instrumentation
from school_billing.platform.observability.logging import UNMATCHED, AccessLine
from school_billing.platform.web.errors import (
    BUG,
    PROBLEM_CODE,
    AnswerBrokenOff,
    ApiError,
    PreflightRefused,
    RouteNotFound,
    ServerStopping,
    answer_error,
    split_suffix,
    with_suffix,
)
from school_billing.platform.web.requests import IS_HEAD, REQUEST_ID_HEADER, VARIES_BY, choose_request_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar import Litestar
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

log = structlog.get_logger("school_billing.access")

_HEADER = REQUEST_ID_HEADER.lower().encode()
# No cache may store an answer unless the route allows it (RFC 9111 section 5.2.2.5).
_NOT_STORED = (b"cache-control", b"no-store")
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_CLIENT_LEFT = 499  # nginx's status for a client that left before it had the whole answer.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observed:
    """An ASGI application that answers with `litestar` and records each answer.

    Every response has the `headers`. X-Forwarded-For and X-Forwarded-Proto count only if they come from the addresses
    or networks in `trusted_proxies`.
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
        self._tracing = instrumentation.tracing
        self._reports = instrumentation.reports
        self._headers = list(headers)
        # uvicorn could do this as well, but the application may run in another server.
        self._app: ASGIApp = litestar
        if trusted_proxies:
            self._app = cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", litestar), list(trusted_proxies)))

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request, or pass on the lifespan."""
        if scope["type"] != ScopeType.HTTP:
            await self.litestar(scope, receive, send)
            return
        started = perf_counter()
        # A client can send any word as the method, and must not choose the label of a metric.
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        request_id = choose_request_id(next((value for name, value in scope["headers"] if name == _HEADER), None))
        context = RequestContext(request_id=request_id)
        current_context.set(context)
        own_headers = [(_HEADER, request_id.encode("ascii")), *self._headers]
        if self._tracing is not None:
            own_headers.append((b"traceresponse", self._tracing.begin_request(scope, method, context)))
        inner = scope
        if (path := split_suffix(scope["path"])) != scope["path"]:
            inner = cast("HTTPScope", {**inner, "path": path})
        if method == "HEAD":  # GET without the body (RFC 9110 section 9.3.2). uvicorn leaves the body out.
            inner = cast("HTTPScope", {**inner, "method": "GET", IS_HEAD: True})
        answer = _Answer(inner, receive, send, own_headers)

        self.metrics.in_flight.inc()
        try:
            await self._pass_on(inner, answer)
        except ApiError as error:
            await _refuse(inner, answer, error)
        except asyncio.CancelledError:
            # The server cancels the requests that still run at the end of its time to stop.
            if answer.has_begun:
                raise _broken_off("the server is stopping") from None
            await _refuse(inner, answer, ServerStopping())
        except Exception as error:
            if answer.has_begun and answer.client_left:
                return
            if answer.has_begun and (reason := _why_broken_off(error)):
                raise _broken_off(reason) from error
            cast("dict[str, object]", inner)[BUG] = error
            if answer.has_begun:
                raise
            # Litestar's exception handlers failed as well.
            body = b"Something went wrong here."
            await answer.send({"type": "http.response.start", "status": 500, "headers": [_PLAIN]})
            await answer.send({"type": "http.response.body", "body": body, "more_body": False})
        finally:
            self.metrics.in_flight.dec()
            self._record(inner, context, method, answer.final_status, perf_counter() - started)

    async def _pass_on(self, scope: "HTTPScope", answer: "_Answer") -> None:
        """Let the application answer. Raise an ApiError for what it would take or answer in another way."""
        if "//" in scope["path"]:
            raise RouteNotFound  # Litestar takes //metrics for /metrics.
        if scope["method"] != "OPTIONS":
            await self._app(scope, answer.receive, answer.send)
            return
        messages: list[Message] = []

        async def collect(message: "Message") -> None:
            messages.append(message)

        await self._app(scope, answer.receive, collect)
        if cast("Any", messages[0])["status"] == 400:  # Litestar refuses a preflight with plain text.
            raise PreflightRefused
        for message in messages:
            await answer.send(message)

    def _record(self, scope: "HTTPScope", context: RequestContext, method: str, status: int, seconds: float) -> None:
        code = cast("str | None", scope.get(PROBLEM_CODE))
        bug = cast("BaseException | None", scope.get(BUG))
        if status == _CLIENT_LEFT:
            bug = code = None
        line = AccessLine(
            method=method,
            route=with_suffix(scope.get("path_template") or UNMATCHED),
            path=_loggable_path(scope),
            status=status,
            duration_ms=round(seconds * 1000, 2),
            user=context.actor,
            school=context.actor_school,
            request_id=context.request_id,
            trace_id=context.trace_id or UNSET,
            timestamp=datetime.now(UTC),
        )
        self.metrics.count_request(method, line.route, status, seconds, code)
        if self._tracing is not None:
            # A bug in the middle of an answer leaves the status with which the answer began.
            bug_name = None if bug is None else type(bug).__name__
            self._tracing.end_request(line, (code or str(status)) if status >= 500 else bug_name)
        if bug is not None:
            log.error("unhandled error", exc_info=bug, method=method, route=line.route)
            if self._reports is not None:
                self._reports.report(bug, line)
        line.log()


def _complete(headers: "list[tuple[bytes, bytes]]", varies_by: bytes | None) -> "list[tuple[bytes, bytes]]":
    named = dict(headers)
    if b"cache-control" not in named:
        headers.append(_NOT_STORED)
    if b"content-language" in named:  # The handler cannot add it, because Litestar's CORS would replace it.
        headers.append((b"vary", b"Accept-Language"))
    if varies_by is not None:
        headers.append((b"vary", varies_by))
    return headers


async def _refuse(scope: "HTTPScope", answer: "_Answer", error: ApiError) -> None:
    request = Request[Any, Any, Any](scope)
    response = answer_error(request, error).to_asgi_response(app=None, request=request)
    await response(scope, answer.receive, answer.send)


class _Answer:
    """An answer while it is sent, with the `headers` that every answer has."""

    def __init__(
        self, scope: "HTTPScope", receive: "Receive", send: "Send", headers: "list[tuple[bytes, bytes]]"
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = headers
        self._status = 500
        self._is_complete = False
        self.has_begun = False
        self.client_left = False

    async def send(self, message: "Message") -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self.has_begun = True
            varies_by = cast("bytes | None", self._scope.get(VARIES_BY))
            message["headers"] = _complete([*message["headers"], *self._headers], varies_by)
        try:
            await self._send(message)
        except OSError:  # Some servers say in this way that the client has left.
            self.client_left = True
            raise
        if message["type"] == "http.response.body":
            self._is_complete = not message.get("more_body")

    async def receive(self) -> "ReceiveMessage":
        """Receive a part of the request, or hear that the client has left."""
        message = await self._receive()
        # uvicorn says this after a complete answer, too.
        if message["type"] == "http.disconnect" and not self._is_complete:
            self.client_left = True
        return message

    @property
    def final_status(self) -> int:
        """The status for the log and the metrics."""
        is_lost = self.client_left and (self._status == 500 or not self._is_complete)
        return _CLIENT_LEFT if is_lost else self._status


def _why_broken_off(error: BaseException) -> str:
    """Return why an answer ends in its middle, or "" if the reason is a bug."""
    if isinstance(error, BaseExceptionGroup):
        reasons = [_why_broken_off(inner) for inner in error.exceptions]
        return reasons[0] if all(reasons) else ""
    if type(error) is LitestarException and error.__cause__ is not None:  # What it raises after an answer has begun.
        return _why_broken_off(error.__cause__)
    if isinstance(error, DatabaseUnavailable):
        return type(error).__name__
    return str(error) if isinstance(error, AnswerBrokenOff) else ""


def _broken_off(reason: str) -> AnswerBrokenOff:
    log.warning("an answer was broken off", reason=reason)
    return AnswerBrokenOff(reason)


def _loggable_path(scope: "HTTPScope") -> str | None:
    """Return the path if it has only its route and ids. Anything else in a path may be a name or a token."""
    if scope.get("path_template") is None:
        return None
    for value in scope.get("path_params", {}).values():
        if not _ID.fullmatch(str(value)):
            return None
    return with_suffix(scope["path"])
