"""Answers that are more than a body."""

from typing import TypeVar

from litestar import Response

Body = TypeVar("Body")


def created(body: Body, location: str) -> Response[Body]:
    """Return 201 with the `location` of what was created (RFC 9110 section 15.3.2)."""
    return Response(body, status_code=201, headers={"Location": location})


def secret(body: Body) -> Response[Body]:
    """Return 200 with something that no cache may keep (RFC 6749 section 5.1)."""
    return Response(body, headers={"Cache-Control": "no-store"})


def json_document(document: str, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return a JSON document that the database rendered, as it is."""
    return Response(document.encode(), media_type="application/json", headers=headers)
