"""Pages of a list: `limit` and `offset`, or an opaque keyset `cursor` from the Link header."""

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
"""The first page begins after this id, because it sorts before every other id."""

LIMIT_DEFAULT = 100
LIMIT_MOST = 500
OFFSET_MOST = 2**31 - 1

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MOST, description="The largest number of items to return.")]
Offset = Annotated[int, QueryParameter(ge=0, le=OFFSET_MOST, description="The number of items to skip.")]
Cursor = Annotated[
    str | None,
    QueryParameter(max_length=64, description="The start of the page: opaque, from the header X-Next-Cursor or Link."),
]


class HasId(Protocol):
    """An item of a list. Lists are ordered by id."""

    @property
    def id(self) -> UUID:
        """The item's id."""


Item = TypeVar("Item", bound=HasId)


ROWS: dict[str, Any] = {"after": UUID, "limit": int, "offset": int}
"""The parameters by which a list query returns a page of its rows."""


class Page(msgspec.Struct, frozen=True):
    """The part of a list that a request asks for."""

    limit: int
    offset: int
    after: UUID
    """Only items with a greater id."""
    path: str
    query: tuple[tuple[str, str], ...]
    """The parameters of the request. The link to the next page keeps them."""

    @property
    def rows(self) -> dict[str, Any]:
        """The values of ROWS. One row more than the page holds tells whether there is a next page."""
        return {"after": self.after, "limit": self.limit + 1, "offset": self.offset}

    def answer(self, rows: Sequence[Item]) -> Response[list[Item]]:
        """Return at most `limit` of the `rows`, with a Link to the next page (RFC 8288) if there are more."""
        items = list(rows[: self.limit])
        next_after = items[-1].id if len(rows) > self.limit else None
        return Response(items, headers=self.link(next_after))

    def link(self, next_after: UUID | None) -> dict[str, str]:
        """Return the headers that lead to the page after the item `next_after`, or no header if it is None."""
        return {} if next_after is None else self.link_to(encode_cursor(next_after.bytes))

    def link_to(self, cursor: str) -> dict[str, str]:
        """Return the headers that lead to the page that begins at `cursor`."""
        others = [(name, value) for name, value in self.query if name not in {"cursor", "offset"}]
        target = f"{self.path}?{urlencode([*others, ('cursor', cursor)])}"
        return {"Link": f'<{target}>; rel="next"', "X-Next-Cursor": cursor}


class UnknownCursor(InvalidParameter):
    """cursor must be the X-Next-Cursor of the page before. Begin again without it."""

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("cursor", "must be the X-Next-Cursor of the page before")])


def encode_cursor(place: bytes) -> str:
    """Make the opaque cursor of a place in a list."""
    return urlsafe_b64encode(place).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str, length: int = 16) -> bytes:
    """Return the place, of `length` bytes, in a cursor. Raise UnknownCursor if `encode_cursor` did not make it."""
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
    """Read the page that the request asks for."""
    return page_of(request, limit, offset, cursor, NIL if cursor is None else UUID(bytes=decode_cursor(cursor)))


def page_of(request: Request[Any, Any, Any], limit: int, offset: int, cursor: str | None, after: UUID) -> Page:
    """Return the page after the item `after`, which the caller has read from the cursor."""
    if cursor is not None and offset:
        raise InvalidParameter(errors=[FieldError("offset", "cannot be combined with cursor")])
    return Page(limit, offset, after, path=path_of(request), query=tuple(request.query_params.multi_items()))
