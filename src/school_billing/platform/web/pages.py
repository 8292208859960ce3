"""Pages of a list: `limit` and `offset`, or an opaque keyset `cursor` that the Link header hands out."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter

from school_billing.platform.web.errors import FieldError, InvalidParameter, path_of

NIL = UUID(int=0)
"""It sorts before every id, so the first page begins after it."""

LIMIT_DEFAULT = 100
LIMIT_MOST = 500
OFFSET_MOST = 2**31 - 1

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MOST, description="The most items to return.")]
Offset = Annotated[int, QueryParameter(ge=0, le=OFFSET_MOST, description="How many items to pass over.")]
Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=64,
        description='Where the page begins: opaque, from the Link header with rel="next".',
    ),
]


class HasId(Protocol):
    """Anything that a list can hold: it has the id by which lists are ordered."""

    @property
    def id(self) -> UUID:
        """The item's id."""


Item = TypeVar("Item", bound=HasId)


class Page(msgspec.Struct, frozen=True):
    """The part of a list that a request asks for."""

    limit: int
    offset: int
    after: UUID
    """Only items with a greater id."""
    path: str
    query: tuple[tuple[str, str], ...]
    """The request's own path and parameters, which the next page keeps."""

    @property
    def fetch(self) -> int:
        """How many rows to ask for: one more than the page holds tells whether there is a next page."""
        return self.limit + 1

    def answer(self, rows: Sequence[Item]) -> Response[list[Item]]:
        """Return up to `limit` of the `rows` fetched, with a Link to the next page (RFC 8288) if one is left."""
        items = list(rows[: self.limit])
        next_after = items[-1].id if len(rows) > self.limit else None
        return Response(items, headers=self.link(next_after))

    def link(self, next_after: UUID | None) -> dict[str, str]:
        """Return the Link header of the page after the item `next_after`, or none if that is None."""
        return {} if next_after is None else self.link_to(encode_cursor(next_after.bytes))

    def link_to(self, cursor: str) -> dict[str, str]:
        """Return the Link header of the page that begins at `cursor`."""
        kept = [(name, value) for name, value in self.query if name not in {"cursor", "offset"}]
        target = f"{self.path}?{urlencode([*kept, ('cursor', cursor)])}"
        return {"Link": f'<{target}>; rel="next"'}


class UnknownCursor(InvalidParameter):
    """cursor: not one that a Link header gave."""

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("cursor", "Expected a cursor that a Link header gave")])


def encode_cursor(place: bytes) -> str:
    """Make the opaque cursor of a place in a list."""
    return urlsafe_b64encode(place).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str, length: int = 16) -> bytes:
    """Read the place, of `length` bytes, in a cursor; an id has 16.

    Raises:
        UnknownCursor: It was not made here.
    """
    try:
        place = urlsafe_b64decode(f"{cursor}{'=' * (-len(cursor) % 4)}")
    except ValueError:
        raise UnknownCursor from None
    if len(place) != length or encode_cursor(place) != cursor:
        raise UnknownCursor
    return place


async def provide_page(
    request: Request[Any, Any, Any],
    limit: Limit = LIMIT_DEFAULT,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> Page:
    """Read the page that the request asks for.

    Raises:
        InvalidParameter: A number is out of range, the cursor is not ours, or cursor and offset are both given.
    """
    return page_of(request, limit, offset, cursor, NIL if cursor is None else UUID(bytes=decode_cursor(cursor)))


def page_of(request: Request[Any, Any, Any], limit: int, offset: int, cursor: str | None, after: UUID) -> Page:
    """Return the page of a request whose cursor was read as `after`.

    Raises:
        InvalidParameter: cursor and offset are both given.
    """
    if cursor is not None and offset:
        raise InvalidParameter(
            "cursor and offset exclude each other.",
            [FieldError("offset", "Cannot be combined with cursor")],
        )
    return Page(
        limit=limit,
        offset=offset,
        after=after,
        path=path_of(request),
        query=tuple(request.query_params.multi_items()),
    )
