"""Days and moments of a school: its time zone decides when a day begins and ends."""

import re
from datetime import date, datetime
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from school_billing.platform.web.types import Scalar

FIRST_YEAR = 1900
LAST_YEAR = 2999
"""The accepted years. Arithmetic on these dates stays within the calendars of PostgreSQL and Python."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AwareDatetime = Annotated[datetime, Meta(tz=True)]


def _in_calendar(moment: date) -> None:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"must be a date from {FIRST_YEAR}-01-01 to {LAST_YEAR}-12-31")


class Day(Scalar, date):
    """A day in the school's time zone, from 1900-01-01 to 2999-12-31."""

    schema = {"type": "string", "format": "date", "examples": ["2026-03-31"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a day."""
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise ValueError("must be a date such as 2026-03-31")
        try:
            day = cls.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date that exists, such as 2026-03-31") from None
        _in_calendar(day)
        return day


class Moment(Scalar):
    """An instant with its offset from UTC (RFC 3339), or a day in the school's time zone."""

    __slots__ = ("day", "instant")

    schema = {
        "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
        "examples": ["2026-03-31", "2026-03-31T12:00:00Z"],
    }

    def __init__(self, day: Day | None = None, instant: datetime | None = None) -> None:
        self.day = day
        self.instant = instant

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a day or an instant."""
        if isinstance(value, str) and _DATE.fullmatch(value):
            return cls(day=Day.parse(value))
        try:
            instant = msgspec.convert(value, _AwareDatetime)
        except msgspec.ValidationError:
            raise ValueError(
                "must be a date such as 2026-03-31, or an instant with its offset such as 2026-03-31T12:00:00Z"
                " (in a URL, write + as %2B)"
            ) from None
        _in_calendar(instant)
        return cls(instant=instant)
