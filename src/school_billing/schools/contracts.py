"""The bodies of /schools."""

import re
from functools import cache
from typing import Self
from uuid import UUID
from zoneinfo import available_timezones

import babel.core
from msgspec import UNSET, Struct, UnsetType, field

from school_billing.platform.web.types import Instant, Scalar, Text
from school_billing.schools.check_digits import compact, has_check_digits

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_IBAN_MOST = 50  # With its blanks.


class Currency(Scalar, str):
    """An ISO 4217 currency code, in capitals."""

    schema = {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["USD"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a currency code. ValueError if no country uses such a currency."""
        if not isinstance(value, str) or value not in _currencies():
            raise ValueError("must be an ISO 4217 currency code such as USD")
        return cls(value)


class TimeZone(Scalar, str):
    """The name of a time zone in the IANA database."""

    schema = {"type": "string", "examples": ["America/Chicago"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read the name of a time zone. ValueError if there is no such zone."""
        if not isinstance(value, str) or value not in _time_zones():
            raise ValueError("must be an IANA time zone such as America/Chicago")
        return cls(value)


# PostgreSQL reads the first four as abbreviations of zones without summer time, and does not know the last.
_AMBIGUOUS = {"CET", "EET", "MET", "WET", "localtime"}


@cache
def _currencies() -> frozenset[str]:
    # Only legal tender of today: babel also lists the Deutsche Mark and "no currency".
    uses = babel.core.get_global("territory_currencies").values()
    return frozenset(code for territory in uses for code, _, until, tender in territory if until is None and tender)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _AMBIGUOUS


class SchoolName(Text, examples=["Springfield Elementary"]):
    """The name of a school."""


class Address(Text, most=500, lines=True, examples=["19 Plympton Street\nSpringfield"]):
    """The lines of the postal address, as printed on statements."""


class PaymentInstructions(
    Text, most=1000, lines=True, examples=["By bank transfer to Springfield Elementary, account 12345678."]
):
    """How to pay the school, as printed on the statement of each student."""


class Iban(Scalar, str):
    """The number of a bank account (ISO 13616). Blanks and small letters are read, and not stored."""

    schema = {"type": "string", "minLength": 15, "maxLength": _IBAN_MOST, "examples": ["DE89370400440532013000"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read an IBAN. ValueError if it is none, or a check digit is wrong."""
        code = compact(value) if isinstance(value, str) and len(value) <= _IBAN_MOST else ""
        if not _IBAN.fullmatch(code):
            raise ValueError("must be an IBAN such as DE89 3704 0044 0532 0130 00")
        if not has_check_digits(code):
            raise ValueError("must be an IBAN with the right check digits; it was mistyped")
        return cls(code)


class InvoicePrefix(Scalar, str):
    """The beginning of the numbers of invoices and receipts."""

    schema = {"type": "string", "pattern": "^[A-Z0-9]{1,10}$", "examples": ["SPR"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a prefix. ValueError if it has other characters than capital letters and digits, or too many."""
        if not isinstance(value, str) or not re.fullmatch("[A-Z0-9]{1,10}", value):
            raise ValueError("must be 1 to 10 capital letters and digits, such as SPR")
        return cls(value)


class DocumentNumber(Text, most=50, examples=["SPR-2026-000123"]):
    """The number of an invoice (SPR-2026-000123) or a receipt (SPR-R-2026-000123).

    Each series counts from 1 without gaps in every year, in the order in which the documents were made. The year is
    that of the moment at which the number was taken, in the school's time zone, also if the document has another date.
    """

    @classmethod
    def sought(cls, text: str | None) -> str | None:
        """Return the number to look for, which may be written in small letters."""
        return None if text is None else cls.tidy(text).upper()


class School(Struct, frozen=True):
    """A school: a tenant with its own currency and time zone."""

    id: UUID
    name: SchoolName
    currency: Currency
    """The currency of all amounts of the school (ISO 4217). Amounts in one without cents, such as CLP, are whole."""
    time_zone: TimeZone
    """The IANA time zone that decides when the school's days begin and end."""
    address: Address | None
    payment_instructions: PaymentInstructions | None
    iban: Iban | None
    """The account to pay to. Statements show it, and in euros also a code that a banking app scans."""
    invoice_prefix: InvoicePrefix | None
    """With a prefix, each new invoice and receipt gets a number that begins with it."""
    created_at: Instant
    updated_at: Instant


class SchoolIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new school."""

    name: SchoolName
    # A factory, because the JSON schema cannot show a default that is a Scalar.
    currency: Currency = field(default_factory=lambda: Currency("USD"))
    """USD by default (ISO 4217); a currency with at most two decimals."""
    time_zone: TimeZone = field(default_factory=lambda: TimeZone("UTC"))
    """UTC by default. A name of the IANA database."""
    address: Address | None = None
    payment_instructions: PaymentInstructions | None = None
    iban: Iban | None = None
    invoice_prefix: InvoicePrefix | None = None


class SchoolPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a school. A field that is absent stays as it is; null clears an optional one."""

    name: SchoolName | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    """It can only change while the school has no invoices."""
    time_zone: TimeZone | UnsetType = UNSET
    address: Address | UnsetType | None = UNSET
    payment_instructions: PaymentInstructions | UnsetType | None = UNSET
    iban: Iban | UnsetType | None = UNSET
    invoice_prefix: InvoicePrefix | UnsetType | None = UNSET
    """It can only change while no number begins with it."""
