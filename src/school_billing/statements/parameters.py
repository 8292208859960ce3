"""What the statements are asked: a moment or a period, and a page of debtors."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from school_billing.money import Amount
from school_billing.platform.web.errors import FieldError, InvalidParameter
from school_billing.platform.web.pages import (
    LIMIT_DEFAULT,
    NIL,
    Cursor,
    Limit,
    Offset,
    Page,
    UnknownCursor,
    decode_place,
    encode_place,
    page_of,
)
from school_billing.platform.web.types import Day, Moment
from school_billing.statements.contracts import CollectionsBy, DebtorsDocument

AsOf = Annotated[
    Moment | None,
    QueryParameter(
        description="The figures as they were at this moment: a day, which means its end, or an instant. In the "
        "future: aged to that day, with the invoices that are dated ahead. Not together with from and to.",
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
By = Annotated[CollectionsBy, QueryParameter(description="What each row stands for.")]
MinOverdueDays = Annotated[
    int,
    QueryParameter(ge=0, le=500_000, description="Only those of whom something is that many days past due."),
]
MinBalance = Annotated[Amount | None, QueryParameter(description="Only those who owe that much or more.")]


class ReversedPeriod(InvalidParameter):
    """The period begins after its end."""

    def __init__(self, message: str) -> None:
        super().__init__(f"from: {message}.", [FieldError("from", message)])


class StatementRange(msgspec.Struct, frozen=True):
    """What a statement is to be of: now, a past or a future moment, or a period."""

    as_of: datetime | None = None
    as_of_date: date | None = None
    starts_on: date | None = None
    ends_on: date | None = None

    @property
    def is_now(self) -> bool:
        """Whether the totals that the invoices keep are the answer."""
        return self == StatementRange()


class Period(msgspec.Struct, frozen=True):
    """The days from one to another; None means that the school's calendar decides."""

    starts_on: date | None
    ends_on: date | None


class DebtorsPage(msgspec.Struct, frozen=True):
    """The part of a list of debtors that a request asks for: those behind a place in its order."""

    page: Page
    after_due_date: date = date.min
    after_balance: Decimal = Decimal(0)

    @classmethod
    def read(cls, request: Request[Any, Any, Any], limit: int, offset: int, cursor: str | None) -> Self:
        """Read the page that `cursor` leads to.

        Raises:
            InvalidParameter: The cursor was not made here, or comes with an offset.
        """
        if cursor is None:
            return cls(page_of(request, limit, offset, None, NIL))
        place = decode_place(cursor)
        due, cents, identifier = place[:3], place[3:13], place[13:]
        try:
            due_date = date.fromordinal(int.from_bytes(due))
            after = UUID(bytes=identifier)
        except (ValueError, OverflowError):
            raise UnknownCursor from None
        return cls(page_of(request, limit, offset, cursor, after), due_date, Decimal(int.from_bytes(cents)).scaleb(-2))

    def link(self, debtors: DebtorsDocument) -> dict[str, str]:
        """Return the Link header of the page behind `debtors`; none where they are the last."""
        if debtors.next_due_date is None or debtors.next_balance is None or debtors.next_id is None:
            return {}
        due = debtors.next_due_date.toordinal().to_bytes(3)
        cents = int(debtors.next_balance.scaleb(2)).to_bytes(10)
        return self.page.link_to(encode_place(due + cents + debtors.next_id.bytes))


def provide_statement_range(as_of: AsOf = None, from_: From = None, to: To = None) -> StatementRange:
    """Read what a statement is to be of.

    Raises:
        InvalidParameter: as_of comes with a period.
        ReversedPeriod: from lies after to.
    """
    if as_of is not None and (from_ is not None or to is not None):
        raise InvalidParameter(
            "as_of cannot be combined with from and to.",
            [FieldError("as_of", "Cannot be combined with from and to")],
        )
    period = _period(from_, to)
    if as_of is not None:
        return StatementRange(as_of=as_of.instant, as_of_date=as_of.day)
    return StatementRange(starts_on=period.starts_on, ends_on=period.ends_on)


def provide_period(from_: CollectedFrom = None, to: CollectedTo = None) -> Period:
    """Read a period.

    Raises:
        ReversedPeriod: from lies after to.
    """
    return _period(from_, to)


async def provide_debtors_page(
    request: Request[Any, Any, Any],
    limit: Limit = LIMIT_DEFAULT,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> DebtorsPage:
    """Read the page of debtors that the request asks for.

    Raises:
        InvalidParameter: A number is out of range, the cursor is not ours, or cursor and offset are both given.
    """
    return DebtorsPage.read(request, limit, offset, cursor)


def _period(from_: date | None, to: date | None) -> Period:
    if from_ is not None and to is not None and from_ > to:
        raise ReversedPeriod(f"{from_} lies after to, {to}")
    return Period(from_, to)
