"""The query parameters of statements."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import HeaderParameter, QueryParameter

from school_billing.money import Amount
from school_billing.platform.web.errors import FieldError, InvalidParameter
from school_billing.platform.web.pages import (
    LIMIT_DEFAULT,
    NIL,
    UNKNOWN_CURSOR,
    Cursor,
    Limit,
    Offset,
    Page,
    decode_cursor,
    encode_cursor,
    item_before,
    page_of,
)
from school_billing.schools.days import Day, Moment
from school_billing.statements.contracts import CollectionsBy, DebtorsBy, DebtorsDocument
from school_billing.statements.printed.language import Language

AsOf = Annotated[
    Moment | None,
    QueryParameter(
        description="The figures as they were at this moment: a day, which means its end, or an instant. In the "
        "future: aged to that day, with the invoices that are dated ahead. Not together with from and to.",
    ),
]
DebtorsAsOf = Annotated[
    Moment | None,
    QueryParameter(
        description="The debtors at this moment: a day, which means its end, or an instant. Without it: now."
    ),
]
From = Annotated[
    Day | None,
    QueryParameter(
        name="from", description="The period's first day. Without it, the period begins with the first invoice."
    ),
]
To = Annotated[
    Day | None,
    QueryParameter(
        description="The period's last day, whose end the figures are of; it may lie in the future, as in as_of. "
        "Without it, the period ends now.",
    ),
]
CollectedFrom = Annotated[
    Day | None,
    QueryParameter(name="from", description="The first day. Without it, the first of the month in which to lies."),
]
CollectedTo = Annotated[Day | None, QueryParameter(description="The last day. Without it, today.")]
ByDebtors = Annotated[DebtorsBy, QueryParameter(name="by", description="Whether students or payers are listed.")]
By = Annotated[CollectionsBy, QueryParameter(description="What each row stands for.")]
MinOverdueDays = Annotated[
    int,
    QueryParameter(ge=0, le=500_000, description="Only debtors with an invoice at least this many days overdue."),
]
MinBalance = Annotated[Amount | None, QueryParameter(description="Only debtors who owe at least this much.")]


class PaperSize(Enum):
    """The paper sizes of a PDF document."""

    A4 = "a4"
    LETTER = "letter"


Months = Annotated[int, QueryParameter(ge=1, le=60, description="The number of months.")]
Excel = Annotated[
    bool,
    QueryParameter(description="Whether the file begins with a byte order mark, without which Excel misreads accents."),
]
Paper = Annotated[PaperSize, QueryParameter(description="The size of the paper.")]
Lang = Annotated[
    Language | None,
    QueryParameter(
        description="The language of the reader, if it is not that of the client. Without it, "
        "Accept-Language decides, and else it is English.",
    ),
]
AcceptLanguage = Annotated[
    str | None,
    HeaderParameter(name="Accept-Language", description="The languages that the client prefers (RFC 9110)."),
]


class ReversedPeriod(InvalidParameter):
    """The period begins after its end."""

    def __init__(self, message: str) -> None:
        super().__init__(FieldError("from", message))


_FIRST_DAY = date(1, 1, 2)  # The driver takes date.min for minus infinity, which is no date in JSON.


class StatementRange(msgspec.Struct, frozen=True):
    """The moment or the period of a statement. Without any of them, it is a statement of now."""

    as_of: datetime | None = None
    as_of_date: date | None = None
    starts_on: date | None = None
    ends_on: date | None = None

    @property
    def with_entries(self) -> "StatementRange":
        """The same figures, as those of a period, which has entries: of all time where it has no beginning."""
        return msgspec.structs.replace(self, starts_on=self.starts_on or _FIRST_DAY)

    @property
    def is_now(self) -> bool:
        """Whether the totals that the invoices keep are the answer."""
        return self == StatementRange()


class DebtorFilters(msgspec.Struct, frozen=True):
    """The debtors that a list shows, and the moment at which they owe; None is now."""

    as_of: Moment | None
    min_overdue_days: int
    min_balance: Decimal | None


class DebtorsPage(msgspec.Struct, frozen=True):
    """The page of a list of debtors, and the debtor before its first."""

    page: Page
    after_due_date: date = date.min
    after_balance: Decimal = Decimal(0)

    def link(self, debtors: DebtorsDocument) -> dict[str, str]:
        """Return the Link header of the page after `debtors`, if there is one."""
        if debtors.next_due_date is None or debtors.next_balance is None or debtors.next_id is None:
            return {}
        due = debtors.next_due_date.toordinal().to_bytes(3)
        cents = int(debtors.next_balance.scaleb(2)).to_bytes(10)
        return self.page.link_to(encode_cursor(due + cents + debtors.next_id.bytes))


def require_order(from_: date | None, to: date | None) -> None:
    """Raise ReversedPeriod if a period begins after its end."""
    if from_ is not None and to is not None and from_ > to:
        raise ReversedPeriod(f"({from_}) must not be later than to ({to})")


def provide_statement_range(as_of: AsOf = None, from_: From = None, to: To = None) -> StatementRange:
    """Read the moment or the period of a statement.

    Raises:
        InvalidParameter: as_of comes with a period.
        ReversedPeriod: from is later than to.
    """
    if as_of is not None and (from_ is not None or to is not None):
        raise InvalidParameter(FieldError("as_of", "cannot be combined with from and to"))
    require_order(from_, to)
    if as_of is not None:
        return StatementRange(as_of=as_of.instant, as_of_date=as_of.day)
    return StatementRange(starts_on=from_, ends_on=to)


async def provide_invoices_page(
    request: Request[Any, Any, Any], limit: Limit = LIMIT_DEFAULT, offset: Offset = 0, cursor: Cursor = None
) -> Page:
    """Read the page of the invoices of a statement, which are always newest last."""
    return page_of(request, limit, offset, cursor, item_before(cursor))


async def provide_debtor_filters(
    as_of: DebtorsAsOf = None, min_overdue_days: MinOverdueDays = 0, min_balance: MinBalance = None
) -> DebtorFilters:
    """Read the filters of a list of debtors."""
    return DebtorFilters(as_of, min_overdue_days, min_balance)


async def provide_debtors_page(
    request: Request[Any, Any, Any], limit: Limit = LIMIT_DEFAULT, offset: Offset = 0, cursor: Cursor = None
) -> DebtorsPage:
    """Read the page of debtors that the request asks for.

    Raises:
        InvalidParameter: A number is out of range, the cursor is not ours, or cursor and offset are both given.
    """
    if cursor is None:
        return DebtorsPage(page_of(request, limit, offset, None, NIL))
    place = decode_cursor(cursor, 29)
    due, cents, identifier = place[:3], place[3:13], place[13:]
    try:
        due_date = date.fromordinal(int.from_bytes(due))
        after = UUID(bytes=identifier)
    except (ValueError, OverflowError):
        raise InvalidParameter(UNKNOWN_CURSOR) from None
    balance = Decimal(int.from_bytes(cents)).scaleb(-2)
    return DebtorsPage(page_of(request, limit, offset, cursor, after), due_date, balance)
