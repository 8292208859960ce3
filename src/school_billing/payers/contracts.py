"""The bodies of /payers."""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Self
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from school_billing.money import digits_of
from school_billing.platform.web.types import Instant, Scalar, Text
from school_billing.schools.check_digits import compact, has_check_digits

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LANGUAGE_MOST = 35  # RFC 5646 section 4.4.1
_REFERENCE = re.compile(r"RF[0-9]{2}[0-9A-Z]{1,21}")
_REFERENCE_MOST = 50  # With its blanks.
_SHARE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,4})?")

WHOLE = Decimal("100.0000")
"""The sum of the shares of a student who has payers."""


class PayerKind(StrEnum):
    """What a payer is."""

    PERSON = "PERSON"
    """A parent, another relative, or a grown-up student."""
    ORGANISATION = "ORGANISATION"
    """An employer, a foundation, or an authority."""


class PayerName(Text, examples=["Marge Simpson"]):
    """The name of a payer."""


class Email(Text, least=3, most=254, examples=["marge@springfield.example"]):
    """An email address."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read an email address. ValueError if it is too long, or is not one name, an @ and one domain."""
        email = super().parse(value)
        if not _EMAIL.fullmatch(email):
            raise ValueError("must be an email address such as marge@springfield.example")
        return email


Email.schema = {**Email.schema, "pattern": rf"^{_EMAIL.pattern}$"}


class Phone(Text, most=50, examples=["+1 417 555 0113"]):
    """A telephone number, as people write it."""


class PayerExternalId(Text, examples=["P-1024"]):
    """The school's own number of the payer, unique in the school in any case: P-1 and p-1 are one number."""


class PaymentReference(Scalar, str):
    """The reference by which a payer pays (ISO 11649), unique in the school. It follows from the payer's id.

    RF, two check digits, and twelve digits. People write it in groups of four.
    """

    schema = {"type": "string", "pattern": f"^{_REFERENCE.pattern}$", "examples": ["RF74000000000001"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a reference in any case and with any blanks. ValueError if it is none, or a check digit is wrong."""
        code = compact(value) if isinstance(value, str) and len(value) <= _REFERENCE_MOST else ""
        if not _REFERENCE.fullmatch(code):
            raise ValueError("must be a payment reference such as RF74 0000 0000 0001")
        if not has_check_digits(code):
            raise ValueError("has a wrong check digit; it was mistyped")
        return cls(code)


class LanguageTag(Scalar, str):
    """The language in which the payer is written to (BCP 47). It may have a region, such as es-MX."""

    schema = {"type": "string", "pattern": f"^{_LANGUAGE.pattern}$", "maxLength": _LANGUAGE_MOST, "examples": ["en"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a language tag. ValueError if it is not one, or is longer than any in use."""
        if not isinstance(value, str) or len(value) > _LANGUAGE_MOST or not _LANGUAGE.fullmatch(value):
            raise ValueError("must be a language tag such as en or es-MX")
        return cls(value)


class Share(Scalar, Decimal):
    """The part of what a student is billed that a payer pays, in percent: 0.0001 to 100.0000."""

    schema = {"type": "string", "pattern": f"^(?=.*[1-9]){_SHARE.pattern}$", "examples": ["50.0000"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a string or a number. ValueError if it breaks a rule."""
        text = digits_of(value, 'a percentage such as "50.0000"')
        if not _SHARE.fullmatch(text) or not 0 < (share := cls(text)) <= WHOLE:
            raise ValueError("must be a percentage above zero, at most 100, with at most four decimals")
        return share


class Payer(Struct, frozen=True):
    """A person or an organisation that pays for students of a school."""

    id: UUID
    school_id: UUID
    kind: PayerKind
    name: PayerName
    email: Email | None
    phone: Phone | None
    external_id: PayerExternalId | None
    language: LanguageTag | None
    payment_reference: PaymentReference
    created_at: Instant
    updated_at: Instant


class PayerIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new payer."""

    school_id: UUID
    kind: PayerKind = PayerKind.PERSON
    name: PayerName
    email: Email | None = None
    phone: Phone | None = None
    external_id: PayerExternalId | None = None
    language: LanguageTag | None = None


class PayerPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a payer. A field that is absent stays as it is; null clears it."""

    kind: PayerKind | UnsetType = UNSET
    name: PayerName | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    external_id: PayerExternalId | UnsetType | None = UNSET
    language: LanguageTag | UnsetType | None = UNSET


class PayerFilters(Struct, frozen=True):
    """The payers that a list shows. A filter that is None does not apply."""

    q: str | None
    email: str | None
    external_id: str | None
    reference: PaymentReference | None


class StudentPayer(Struct, frozen=True):
    """A payer of a student, and the share that the payer pays."""

    payer_id: UUID
    name: PayerName
    share: Share
    payment_reference: PaymentReference


class StudentPayerIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A payer of a student, and the share that the payer pays."""

    payer_id: UUID
    share: Share


class StudentPayersIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All payers of a student."""

    payers: list[StudentPayerIn]
    """The shares sum to exactly 100. Without payers the student pays for himself."""
