"""Days and moments as query parameters give them, inside of the calendar that the schema keeps."""

import re
from datetime import date, datetime
from typing import Annotated, Self

import msgspec
from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Schema
from msgspec import Meta

from school_billing.platform.web.scalars import Scalar

FIRST_YEAR = 1900
LAST_YEAR = 2999
"""What a person means by a date; no arithmetic on these days leaves PostgreSQL's calendar or Python's."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AwareDatetime = Annotated[datetime, Meta(tz=True)]


def _in_calendar(moment: date) -> None:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"Expected a date from {FIRST_YEAR}-01-01 to {LAST_YEAR}-12-31")


class Day(Scalar, date):
    """A day of the school."""

    openapi = Schema(
        type=OpenAPIType.STRING,
        title="Day",
        description=f"A day in the school's time zone, from {FIRST_YEAR}-01-01 to {LAST_YEAR}-12-31.",
        format=OpenAPIFormat.DATE,
        examples=["2026-03-31"],
    )

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a day.

        Raises:
            ValueError: It is none, or lies outside of the calendar.
        """
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise ValueError("Expected a date such as 2026-03-31")
        try:
            day = cls.fromisoformat(value)
        except ValueError:
            raise ValueError("Expected a date that exists, such as 2026-03-31") from None
        _in_calendar(day)
        return day


class Moment(Scalar):
    """A day, which means its end, or an instant."""

    __slots__ = ("day", "instant")

    openapi = Schema(
        title="Moment",
        description="A day in the school's time zone, which means its end, or an instant (RFC 3339).",
        any_of=[
            Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE),
            Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME),
        ],
        examples=["2026-03-31", "2026-03-31T12:00:00Z"],
    )

    def __init__(self, day: Day | None = None, instant: datetime | None = None) -> None:
        self.day = day
        self.instant = instant

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a day or an instant.

        Raises:
            ValueError: It is neither, or lies outside of the calendar.
        """
        if isinstance(value, str) and _DATE.fullmatch(value):
            return cls(day=Day.parse(value))
        try:
            instant = msgspec.convert(value, _AwareDatetime)
        except msgspec.ValidationError:
            raise ValueError(
                "Expected a date such as 2026-03-31, or an instant with its offset such as 2026-03-31T12:00:00Z"
                " (write a + as %2B)"
            ) from None
        _in_calendar(instant)
        return cls(instant=instant)
