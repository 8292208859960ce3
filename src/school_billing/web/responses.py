"""Answers that are more than a body."""

from collections.abc import Mapping
from typing import Any, TypeVar

from litestar import Request, Response
from litestar.response.base import ASGIResponse

from school_billing.web.conditional import Versioned, has_current, tag_of_content, tag_of_row

Answer = TypeVar("Answer", bound=Response[Any])
Body = TypeVar("Body")
Row = TypeVar("Row", bound=Versioned)


class Tagged(Response[Body]):
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

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **options: Any) -> ASGIResponse:
        """Make the answer to `request`.

        Raises:
            InvalidParameter: If-None-Match is malformed.
        """
        if request.method == "GET" and has_current(request, self.etag):
            # With the headers of the 200, from which the caller's copy is brought up to date (RFC 9111 section 4.3.4).
            not_modified = Response(None, status_code=304, headers=self.headers)
            return not_modified.to_asgi_response(app, request, **options)
        return super().to_asgi_response(app, request, **options)


def unstored(response: Answer) -> Answer:
    """Keep every cache from storing a response that has a secret in it (RFC 6749 section 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    return response


def tagged(row: Row) -> Tagged[Row]:
    """Return a row with its entity tag."""
    return Tagged(row, tag_of_row(row))


def created(row: Row, location: str) -> Tagged[Row]:
    """Return 201 with the `location` of the row that was created (RFC 9110 section 15.3.2), and its entity tag."""
    return Tagged(row, tag_of_row(row), status_code=201, headers={"Location": location})


def json_document(document: str, headers: dict[str, str] | None = None) -> Tagged[bytes]:
    """Return a JSON document that the database rendered, as it is.

    The headers count for its entity tag: a page is another one when its Link leads elsewhere.
    """
    content = document.encode()
    etag = tag_of_content(content, *(value.encode() for value in (headers or {}).values()))
    return Tagged(content, etag, headers=headers, media_type="application/json")
