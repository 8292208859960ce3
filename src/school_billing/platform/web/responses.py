"""Answers that are more than a body."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.serialization import get_serializer

from school_billing.platform.web.conditional import Versioned, has_current, tag_of_content, tag_of_row

if TYPE_CHECKING:
    from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

Answer = TypeVar("Answer", bound=Response[Any])
Body = TypeVar("Body")
Row = TypeVar("Row", bound=Versioned)


class WithETag(Response[Body]):
    """An answer with the entity tag of its content: 304 without the content for a GET by whom has it already."""

    def __init__(
        self,
        content: Body,
        etag: str,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self.etag = etag
        # May be stored by the caller alone, and asks again each time: a balance is never an old one.
        kept = {"ETag": etag, "Cache-Control": "private, no-cache", **(headers or {})}
        super().__init__(content, status_code=status_code, headers=kept, media_type=media_type)

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **defaults: Any) -> ASGIResponse:
        """Make the answer to `request`.

        Raises:
            InvalidParameter: If-None-Match is malformed.
        """
        if request.method == "GET" and has_current(request, self.etag):
            # With the headers of the 200, from which the caller's copy is brought up to date (RFC 9111 section 4.3.4).
            return _Prepared(304, self.headers, b"")
        media_type: str = self.media_type or defaults.get("media_type") or "application/json"
        body = self.render(self.content, media_type, get_serializer(defaults.get("type_encoders")))
        content_type = media_type + "; charset=utf-8" if media_type.startswith("text/") else media_type
        headers = {"Content-Type": content_type, "Content-Length": str(len(body)), **self.headers}
        return _Prepared(self.status_code or defaults.get("status_code", 200), headers, body)


class _Prepared(ASGIResponse):
    """An answer as it goes out, without the questions that Litestar's own asks of each header and each status."""

    def __init__(self, status_code: int, headers: Mapping[str, str], body: bytes) -> None:
        self._start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": status_code,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        self._body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": body, "more_body": False}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Send it."""
        await send(self._start)
        await send(self._body)


def unstored(response: Answer) -> Answer:
    """Keep every cache from storing a response that has a secret in it (RFC 6749 section 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    return response


def with_etag(row: Row) -> WithETag[Row]:
    """Return a row with its entity tag."""
    return WithETag(row, tag_of_row(row))


def created(row: Row, location: str) -> WithETag[Row]:
    """Return 201 with the `location` of the row that was created (RFC 9110 section 15.3.2), and its entity tag."""
    return WithETag(row, tag_of_row(row), status_code=201, headers={"Location": location})


def json_document(document: str, headers: dict[str, str] | None = None) -> WithETag[bytes]:
    """Return a JSON document that the database rendered, as it is.

    The headers count for its entity tag: a page is another one when its Link leads elsewhere.
    """
    content = document.encode()
    etag = tag_of_content(content, *(value.encode() for value in (headers or {}).values()))
    return WithETag(content, etag, headers=headers, media_type="application/json")
