"""The types of fields and parameters: text, instants, days, and scalars with other rules.

`parse` reads a Scalar. OpenAPI shows its name, its docstring and its `schema`.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Self, TypeGuard

import msgspec
from msgspec import Meta

from school_billing.platform.password_rules import USERNAME_PATTERN

NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
# No control characters, no characters that reverse the text, and no invisible characters.
PRINTABLE_PATTERN = r"^(?!\s)[^\x00-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$(?![\s\S])(?<!\s)"
_NO_NUL = r"^[^\x00]*$"

PATTERN_SENTENCES = {
    NOT_BLANK: "Expected text that is not blank and has no NUL character",
    _NO_NUL: "Expected text without a NUL character",
    PRINTABLE_PATTERN: "Expected visible text that does not begin or end with a blank",
    USERNAME_PATTERN: "Expected lower-case letters, digits and . _ @ + -, and a letter or a digit at the beginning",
}
"""The error text for each pattern, because clients should not have to read a regular expression."""

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=NOT_BLANK)]
ShortText = Annotated[str, Meta(min_length=1, max_length=50, pattern=NOT_BLANK)]
LongText = Annotated[str, Meta(max_length=500, pattern=_NO_NUL)]

Instant = Annotated[
    datetime,
    Meta(tz=True, description="An instant with its offset from UTC (RFC 3339).", examples=["2026-01-10T13:00:00Z"]),
]


class Scalar:
    """The base of types that msgspec cannot check."""

    __slots__ = ()

    schema: ClassVar[Mapping[str, object]] = {}
    """The JSON Schema of the value, without title and description."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Make the value from a decoded JSON value. Raise ValueError with the broken rule as its message."""
        raise NotImplementedError


def is_scalar(kind: object) -> TypeGuard[type[Scalar]]:
    """Tell whether `kind` is a Scalar."""
    return isinstance(kind, type) and issubclass(kind, Scalar)


def decode_scalar(kind: type[Any], value: object) -> Any:
    """Read a value of the Scalar `kind`. This is the dec_hook of msgspec."""
    if issubclass(kind, Scalar):
        return kind.parse(value)
    raise TypeError(f"{kind} cannot be read from JSON")


FIRST_YEAR = 1900
LAST_YEAR = 2999
"""The accepted years. Arithmetic on these dates stays within the calendars of PostgreSQL and Python."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AwareDatetime = Annotated[datetime, Meta(tz=True)]


def _in_calendar(moment: date) -> None:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"Expected a date from {FIRST_YEAR}-01-01 to {LAST_YEAR}-12-31")


class Day(Scalar, date):
    """A day in the school's time zone, from 1900-01-01 to 2999-12-31."""

    schema = {"type": "string", "format": "date", "examples": ["2026-03-31"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a day."""
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise ValueError("Expected a date such as 2026-03-31")
        try:
            day = cls.fromisoformat(value)
        except ValueError:
            raise ValueError("Expected a date that exists, such as 2026-03-31") from None
        _in_calendar(day)
        return day


class Moment(Scalar):
    """An instant (RFC 3339), or a day in the school's time zone, which stands for the end of that day."""

    __slots__ = ("day", "instant")

    schema = {
        "any_of": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
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
                "Expected a date such as 2026-03-31, or an instant with its offset such as 2026-03-31T12:00:00Z"
                " (write a + as %2B)"
            ) from None
        _in_calendar(instant)
        return cls(instant=instant)
