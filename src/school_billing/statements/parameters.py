"""What the statements are asked: a moment or a period, and a page of debtors."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from school_billing.web.days import Day, Moment
from school_billing.web.problems import FieldError, InvalidParameter

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


class ReversedPeriod(InvalidParameter):
    """The period begins after its end."""

    def __init__(self, message: str) -> None:
        super().__init__(f"from: {message}.", [FieldError("from", message)])


class Asked(msgspec.Struct, frozen=True):
    """What a statement is to be of: now, a past or a future moment, or a period."""

    as_of: datetime | None = None
    as_of_date: date | None = None
    starts_on: date | None = None
    ends_on: date | None = None

    @property
    def is_now(self) -> bool:
        """Whether the totals that the invoices keep are the answer."""
        return self == Asked()


class Period(msgspec.Struct, frozen=True):
    """The days from one to another; None means that the school's calendar decides."""

    starts_on: date | None
    ends_on: date | None


async def provide_asked(as_of: AsOf = None, from_: From = None, to: To = None) -> Asked:
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
        return Asked(as_of=as_of.instant, as_of_date=as_of.day)
    return Asked(starts_on=period.starts_on, ends_on=period.ends_on)


def _period(from_: date | None, to: date | None) -> Period:
    if from_ is not None and to is not None and from_ > to:
        raise ReversedPeriod(f"{from_} lies after to, {to}")
    return Period(from_, to)
