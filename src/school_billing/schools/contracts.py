"""What goes in and out of /schools."""

from datetime import datetime
from functools import cache
from typing import Annotated, Self
from uuid import UUID
from zoneinfo import available_timezones

import babel.core
from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.platform.web.types import Name, Scalar


class Currency(Scalar, str):
    """An ISO 4217 currency code, in capitals."""

    schema = {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["USD"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a currency code.

        Raises:
            ValueError: There is no such currency.
        """
        if not isinstance(value, str) or value not in _currencies():
            raise ValueError("Expected an ISO 4217 currency code such as USD")
        return cls(value)


class TimeZone(Scalar, str):
    """The name of a time zone in the IANA database."""

    schema = {"type": "string", "examples": ["America/Chicago"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read the name of a time zone.

        Raises:
            ValueError: There is no such zone.
        """
        if not isinstance(value, str) or value not in _time_zones():
            raise ValueError("Expected an IANA time zone such as America/Chicago")
        return cls(value)


# PostgreSQL takes the first four for abbreviations, of zones without summer time, and does not know the last.
_AMBIGUOUS = {"CET", "EET", "MET", "WET", "localtime"}


@cache
def _currencies() -> frozenset[str]:
    # Those that are legal tender somewhere today; the list of all has the Deutsche Mark and "no currency" in it.
    uses = babel.core.get_global("territory_currencies").values()
    return frozenset(code for territory in uses for code, _, until, tender in territory if until is None and tender)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _AMBIGUOUS


SchoolName = Annotated[Name, Meta(examples=["Springfield Elementary"])]


class School(Struct, frozen=True, kw_only=False):
    """A school."""

    id: UUID
    name: SchoolName
    currency: Currency
    """The currency of every amount of the school (ISO 4217)."""
    time_zone: TimeZone
    """Where the school's days begin and end (IANA)."""
    created_at: datetime
    updated_at: datetime


class SchoolIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A school to be added."""

    name: SchoolName
    currency: Currency = Currency("USD")
    time_zone: TimeZone = TimeZone("UTC")


class SchoolPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What should change of a school; a field that is absent stays as it is."""

    name: SchoolName | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    """Can change only while the school has no invoices: their amounts would mean something else."""
    time_zone: TimeZone | UnsetType = UNSET
