"""What all lists share: pages, their order, and the number of all rows.

A page begins at `offset`, or at an opaque keyset `cursor` from the Link header. PostgreSQL renders the JSON of each
item, because decimals and instants are most of the work of a list in Python.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from copy import copy
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, Generic, TypeVar, cast
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter
from msgspec import inspect

from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.web.errors import FieldError, InvalidParameter, path_of
from school_billing.platform.web.json_body import whole
from school_billing.platform.web.types import alternatives

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


Item = TypeVar("Item")


class JsonItem(msgspec.Struct, frozen=True):
    """An item of a list as PostgreSQL renders it. Lists are ordered by id."""

    id: UUID
    json: str


class Listed(msgspec.Struct, Generic[Item], frozen=True):
    """The rows of a page, as the JSON of Items, and one more, which tells whether there is a next page."""

    rows: Sequence[JsonItem]
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
        rows = await self._all(database, as_json(query), self.limit + 1, filters)
        return Listed(rows, await self._total(database, query, filters))

    async def read_whole(self, database: Database, query: Query[Item], /, **filters: Any) -> Listed[Item]:
        """Return rows like `read`, if amounts are numbers in a JSON column, so that `whole` must read it."""
        rows: Sequence[Any] = await self._all(database, query, self.limit + 1, filters)
        items = [JsonItem(row.id, msgspec.json.encode(whole(row), enc_hook=str).decode()) for row in rows]
        return Listed(items, await self._total(database, query, filters))

    async def _total(self, database: Database, query: Query[Any], filters: dict[str, Any]) -> int | None:
        if not self.is_counted:
            return None
        return await database.count(query, **filters, after=NIL, newest_first=False, limit=None, offset=0)

    async def items(self, database: Database, query: Query[Item], /, **filters: Any) -> Sequence[Item]:
        """Return the rows of `query` on this page as structs. Code that reads their fields calls this."""
        return await self._all(database, query, self.limit, filters)

    async def _all(self, database: Database, query: Query[Item], limit: int, filters: dict[str, Any]) -> list[Item]:
        place = {"after": self.after, "newest_first": self.newest_first, "offset": self.offset}
        return await database.all(query, **filters, **place, limit=limit)

    def answer(self, listed: Listed[Item]) -> Response[list[Item]]:
        """Return at most `limit` of the rows, with a Link to the next page (RFC 8288) if there are more."""
        items = listed.rows[: self.limit]
        headers = self.link(items[-1].id if len(listed.rows) > self.limit else None)
        if listed.total is not None:
            headers[TOTAL_COUNT_HEADER] = str(listed.total)
        body = f"[{','.join([item.json for item in items])}]".encode()  # Litestar sends bytes as they are.
        return Response(cast("list[Item]", body), headers=headers)

    def link(self, next_after: UUID | None) -> dict[str, str]:
        """Return the headers that lead to the page after the item `next_after`, or no header if it is None."""
        return {} if next_after is None else self.link_to(encode_cursor(next_after.bytes))

    def link_to(self, cursor: str) -> dict[str, str]:
        """Return the headers that lead to the page that begins at `cursor`."""
        others = [(name, value) for name, value in self.query if name not in {"cursor", "offset", "count"}]
        target = f"{self.path}?{urlencode([*others, ('cursor', cursor)])}"
        return {"Link": f'<{target}>; rel="next"', "X-Next-Cursor": cursor}


@cache
def as_json(query: Query[Any]) -> Query[JsonItem]:
    """Return the query of a list whose rows are the JSON of the query's struct."""
    members = [
        f"""'{"," if place else "{"}"{field.encode_name}":', {_json_of(f'"{field.name}"', field.type)}"""
        for place, field in enumerate(msgspec.structs.fields(query.returns))
    ]
    # Each argument of concat() takes time for each row, so strings that meet become one.
    columns = f"id, concat({', '.join(members)}, '}}') as json".replace("', '", "")
    rendered = copy(query)
    rendered.returns = JsonItem
    rendered.text = f"-- {query.name} (json)\nselect {columns} from (\n{query.text}\n) as rows"
    return rendered


def _json_of(column: str, declared: Any) -> str:
    """Return the arguments of concat() that make the JSON of a column of the type `declared`.

    to_json() makes any value safe, but looks its type up each time. The texts of these types need no escapes.
    """
    kinds = alternatives(inspect.type_info(declared))
    match kinds[0]:
        case inspect.UUIDType() | inspect.DateType() | inspect.EnumType():
            text = column
        case inspect.CustomType(cls=kind) if issubclass(kind, Decimal):
            text = column
        case inspect.DateTimeType():
            # to_char() would take longer than all other columns of an invoice. The time zone of the session is UTC.
            # PostgreSQL leaves out zeros at the end of a fraction, and msgspec only a fraction of zero.
            time = f"{column}::time::text"
            is_short = f"{column}::timestamptz(5) = {column} and {column}::timestamptz(0) <> {column}"
            text = f"{column}::date, 'T', case when {is_short} then rpad({time}, 15, '0') else {time} end, 'Z'"
        case _:
            return f"coalesce(to_json({column}), 'null')"
    quoted = f"""'"', {text}, '"'"""
    is_nullable = any(isinstance(kind, inspect.NoneType) for kind in kinds)
    return f"case when {column} is null then 'null' else concat({quoted}) end" if is_nullable else quoted


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
    return Page(limit, offset, after, path=path_of(request), query=tuple(sorted(request.query_params.multi_items())))
