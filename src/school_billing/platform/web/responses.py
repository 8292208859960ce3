"""Answers: rows and documents with entity tags, and the headers that every answer has."""

import asyncio
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

from litestar import Request, Response
from litestar.config.cors import CORSConfig
from litestar.response.base import ASGIResponse
from litestar.serialization import get_serializer
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from school_billing.platform.web.conditional import Versioned, has_current, tag_of_row
from school_billing.platform.web.requests import VARIES_BY, accepts_gzip

# Only /docs is a page, and all its files come from here. Swagger UI sets styles by script, and its pictures are data:
# URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# Two years. Browsers ignore it without https (RFC 6797 section 8.1).
_PRODUCTION = {"strict-transport-security": "max-age=63072000; includeSubDomains"}

_LARGE_BYTES = 14_000  # Less fits into the packets that a new connection sends at once (RFC 6928).
_GZIP_LEVEL = 3  # As fast as 1: 21 ms for 2.5 MB, which become 16 %. With 6 it is 54 ms and 14 %.

Answer = TypeVar("Answer", bound=Response[Any])
Body = TypeVar("Body")
Row = TypeVar("Row", bound=Versioned)


class KeptBody(bytes):
    """The body of more than one answer, which is hashed only once, and compressed as soon as a client accepts it."""

    @cached_property
    def compressed(self) -> "asyncio.Future[bytes]":
        """The compressed body, made in a thread. Shield it: other answers wait for it, too."""
        return asyncio.ensure_future(asyncio.to_thread(gzip.compress, self, _GZIP_LEVEL, mtime=0))

    @cached_property
    def sha256(self) -> "hashlib._Hash":
        """The hash of the body. Copy it before you add to it."""
        return hashlib.sha256(self)


def tag_of_content(content: bytes, *others: bytes) -> str:
    """Return the entity tag of content that has no version: its hash, and that of what is sent with it."""
    # Processors have instructions for SHA-256, so no other hash of hashlib is faster for a statement of two megabytes.
    hashed = content.sha256.copy() if isinstance(content, KeptBody) else hashlib.sha256(content)
    for other in others:
        hashed.update(other)
    return f'"{hashed.hexdigest()[:32]}"'


class WithETag(Response[Body]):
    """An answer with the entity tag of its content: 304 without the content if the client already has it."""

    def __init__(
        self,
        content: Body,
        etag: str,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self.etag = etag
        # Only the client may store the answer, and must check it before each use, so that no balance is out of date.
        all_headers = {"ETag": etag, "Cache-Control": "private, no-cache", **(headers or {})}
        super().__init__(content, status_code=status_code, headers=all_headers, media_type=media_type)

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **defaults: Any) -> ASGIResponse:
        """Make the answer to `request`."""
        kept = self.content if isinstance(self.content, KeptBody) and len(self.content) >= _LARGE_BYTES else None
        etags = [self.etag]
        if kept is not None:
            cast("dict[str, object]", request.scope)[VARIES_BY] = b"Accept-Encoding"
            # Each encoding has a strong tag of its own (RFC 9110 section 8.8.3.3). The client may have either.
            etags.insert(0 if accepts_gzip(request) else 1, f'{self.etag[:-1]}-gzip"')
        if request.method == "GET":
            for etag in etags:
                if has_current(request, etag):
                    # The headers are those of a 200: they update the client's copy (RFC 9111 section 4.3.4).
                    return _Prepared(304, {**self.headers, "ETag": etag}, b"")
        media_type: str = self.media_type or defaults.get("media_type") or "application/json"
        content_type = media_type + "; charset=utf-8" if media_type.startswith("text/") else media_type
        headers = {"Content-Type": content_type, **self.headers, "ETag": etags[0]}
        status = self.status_code or defaults.get("status_code", 200)
        if kept is not None and etags[0] != self.etag:
            return _Compressed(status, {**headers, "Content-Encoding": "gzip"}, kept)
        body = self.render(self.content, media_type, get_serializer(defaults.get("type_encoders")))
        return _Prepared(status, {**headers, "Content-Length": str(len(body))}, body)


class _Compressed(ASGIResponse):
    """A complete answer that is compressed before it is sent, or was before."""

    def __init__(self, status_code: int, headers: Mapping[str, str], body: KeptBody) -> None:
        self._status = status_code
        self._headers = headers
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        body = await asyncio.shield(self._body.compressed)
        headers = {**self._headers, "Content-Length": str(len(body))}
        await _Prepared(self._status, headers, body)(scope, receive, send)


class _Prepared(ASGIResponse):
    """A complete answer. Unlike Litestar's, it does not check each header and each status."""

    def __init__(self, status_code: int, headers: Mapping[str, str], body: bytes) -> None:
        self._start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": status_code,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        self._body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": body, "more_body": False}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        await send(self._start)
        await send(self._body)


def unstored(response: Answer) -> Answer:
    """Forbid caches to store a response that contains a secret (RFC 6749 section 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    return response


def with_etag(row: Row) -> WithETag[Row]:
    """Return a row with its entity tag."""
    return WithETag(row, tag_of_row(row))


def created(row: Row, location: str) -> WithETag[Row]:
    """Return 201 with the `location` of the row that was created (RFC 9110 section 15.3.2), and its entity tag."""
    return WithETag(row, tag_of_row(row), status_code=201, headers={"Location": location})


def security_headers(*, in_production: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers of every response in the form of ASGI."""
    headers = _ALWAYS | (_PRODUCTION if in_production else {})
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def cors_config(origins: Sequence[str]) -> CORSConfig | None:
    """Let pages of `origins` call the API with a token and read the headers of its answers."""
    if not origins:
        return None
    request_headers = "Authorization Content-Type Idempotency-Key If-Match If-None-Match X-Request-Id traceparent"
    response_headers = (
        "Content-Disposition ETag Idempotency-Replayed Link Location Retry-After Total-Count X-Next-Cursor "
        "X-Request-Id X-Unprintable traceresponse"
    )
    # The API uses no cookies, so "credentials" stay off, and the origin "*" is safe.
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=[*request_headers.split(), "tracestate"],
        expose_headers=response_headers.split(),
        max_age=600,
    )
