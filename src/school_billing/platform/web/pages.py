"""What all lists share: pages, their order, and the number of all rows.

A page begins at `offset`, or at an opaque keyset `cursor` from the Link header.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Generic, Protocol, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter

from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.errors import FieldError, InvalidParameter, path_of

NIL = UUID(int=0)
"""The first page begins after this id, because it sorts before every other id."""
LAST = UUID(int=2**128 - 1)
"""With the newest first, the first page begins after this id."""
TOTAL_COUNT_HEADER = "Total-Count"

LIMIT_DEFAULT = 100
LIMIT_MOST = 500
OFFSET_MOST = 2**31 - 1

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MOST, description="The largest number of items to return.")]
Offset = Annotated[int, QueryParameter(ge=0, le=OFFSET_MOST, description="The number of items to skip.")]
Cursor = Annotated[
    str | None,
    QueryParameter(max_length=64, description="The start of the page: opaque, from the header X-Next-Cursor or Link."),
]


class Order(Enum):
    """The order of a list."""

    ASC = "asc"
    """Newest last."""
    DESC = "desc"
    """Newest first."""


InOrder = Annotated[Order, QueryParameter(name="order", description="asc: newest last. desc: newest first.")]
Count = Annotated[
    bool,
    QueryParameter(
        description="true: the answer has a header Total-Count, the number of all items that the filters choose. "
        "Counting reads all of them, so ask for it once and not with every page."
    ),
]


class HasId(Protocol):
    """An item of a list. Lists are ordered by id."""

    @property
    def id(self) -> UUID:
        """The item's id."""


Item = TypeVar("Item", bound=HasId)


class Listed(msgspec.Struct, Generic[Item], frozen=True):
    """The rows of a page and one more, which tells whether there is a next page."""

    rows: Sequence[Item]
    total: int | None = None
    """The number of all rows that the filters choose, if the request asks for it."""


def first_page(limit: int = LIMIT_MOST) -> "Page":
    """Return the first page of a list that no request asks for."""
    return Page(limit=limit, offset=0, after=NIL, path="", query=())


class Page(msgspec.Struct, frozen=True):
    """The part of a list that a request asks for."""

    limit: int
    offset: int
    after: UUID
    """Only items behind this id, in the order of the page."""
    path: str
    query: tuple[tuple[str, str], ...]
    """The parameters of the request. The link to the next page keeps them."""
    newest_first: bool = False
    is_counted: bool = False

    async def read(self, database: Database, query: Query[Item], /, **filters: Any) -> Listed[Item]:
        """Return the rows of `query` on this page. A filter that is None does not apply."""
        rows = await database.all(
            query,
            **filters,
            after=self.after,
            newest_first=self.newest_first,
            limit=self.limit + 1,
            offset=self.offset,
        )
        if not self.is_counted:
            return Listed(rows)
        total = await database.count(query, **filters, after=NIL, newest_first=False, limit=None, offset=0)
        return Listed(rows, total)

    def answer(self, listed: Listed[Item]) -> Response[list[Item]]:
        """Return at most `limit` of the rows, with a Link to the next page (RFC 8288) if there are more."""
        items = list(listed.rows[: self.limit])
        headers = self.link(items[-1].id if len(listed.rows) > self.limit else None)
        if listed.total is not None:
            headers[TOTAL_COUNT_HEADER] = str(listed.total)
        return Response(items, headers=headers)

    def link(self, next_after: UUID | None) -> dict[str, str]:
        """Return the headers that lead to the page after the item `next_after`, or no header if it is None."""
        return {} if next_after is None else self.link_to(encode_cursor(next_after.bytes))

    def link_to(self, cursor: str) -> dict[str, str]:
        """Return the headers that lead to the page that begins at `cursor`."""
        others = [(name, value) for name, value in self.query if name not in {"cursor", "offset", "count"}]
        target = f"{self.path}?{urlencode([*others, ('cursor', cursor)])}"
        return {"Link": f'<{target}>; rel="next"', "X-Next-Cursor": cursor}


UNKNOWN_CURSOR = FieldError("cursor", "must be the X-Next-Cursor of the page before")


def encode_cursor(place: bytes) -> str:
    """Make the opaque cursor of a place in a list."""
    return urlsafe_b64encode(place).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str, length: int = 16) -> bytes:
    """Return the place, of `length` bytes, in a cursor. Raise InvalidParameter if `encode_cursor` did not make it."""
    try:
        place = urlsafe_b64decode(f"{cursor}{'=' * (-len(cursor) % 4)}")
    except ValueError:
        raise InvalidParameter(UNKNOWN_CURSOR) from None
    if len(place) != length or encode_cursor(place) != cursor:
        raise InvalidParameter(UNKNOWN_CURSOR)
    return place


def item_before(cursor: str | None, first: UUID = NIL) -> UUID:
    """Return the item after which the page begins: the one in the cursor, or `first` without a cursor."""
    return first if cursor is None else UUID(bytes=decode_cursor(cursor))


async def provide_page(
    request: Request[Any, Any, Any],
    limit: Limit = LIMIT_DEFAULT,
    offset: Offset = 0,
    cursor: Cursor = None,
    order: InOrder = Order.ASC,
    count: Count = False,
) -> Page:
    """Read the page of a list that the request asks for."""
    newest_first = order is Order.DESC
    page = page_of(request, limit, offset, cursor, item_before(cursor, LAST if newest_first else NIL))
    return msgspec.structs.replace(page, newest_first=newest_first, is_counted=count)


def page_of(request: Request[Any, Any, Any], limit: int, offset: int, cursor: str | None, after: UUID) -> Page:
    """Return the page after the item `after`, which the caller has read from the cursor."""
    if cursor is not None and offset:
        raise InvalidParameter(FieldError("offset", "cannot be combined with cursor"))
    return Page(limit, offset, after, path=path_of(request), query=tuple(request.query_params.multi_items()))
