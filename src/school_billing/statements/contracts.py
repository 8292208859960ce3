"""What comes out of the statements. The database renders it; these structs are its contract and its description."""

import re
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.invoices.contracts import Description, InvoiceStatus
from school_billing.money import Money
from school_billing.payments.contracts import Method, Reference
from school_billing.platform.web.types import Scalar
from school_billing.schools.contracts import Currency
from school_billing.students.contracts import ExternalId, FullName

_RATE = re.compile(r"-?[0-9]+\.[0-9]{4}")


class Totals(Struct, frozen=True, kw_only=True):
    """Sums over all invoices but the void ones, however many there are."""

    invoiced_total: Money
    payments_total: Money
    refunds_total: Money
    paid_total: Money
    """Payments less refunds."""
    balance_due_total: Money
    """What is still owed."""
    overdue_total: Money
    """What of it was due before the statement's day, in the school's time zone."""


class Ageing(Struct, frozen=True, kw_only=True):
    """What is owed by how many days it is past due, in the school's time zone; the five add up to what is owed."""

    current: Money
    """Due today or later."""
    days_1_30: Money
    days_31_60: Money
    days_61_90: Money
    days_over_90: Money


class InvoiceLine(Struct, frozen=True, kw_only=True):
    """An invoice on a statement."""

    id: UUID
    student_id: UUID
    total_amount: Money
    issued_at: datetime
    due_date: date
    description: Description | None
    payments_total: Money
    refunds_total: Money
    paid_total: Money
    balance_due: Money
    status: InvoiceStatus


class ExportedLine(Struct, frozen=True, kw_only=True):
    """An invoice of a school in a download, with the student whom it is raised on."""

    id: UUID
    student_id: UUID
    full_name: FullName
    external_id: ExternalId | None
    total_amount: Money
    issued_at: datetime
    due_date: date
    description: Description | None
    payments_total: Money
    refunds_total: Money
    paid_total: Money
    balance_due: Money
    status: InvoiceStatus


class ExportedRow(Struct, frozen=True):
    """An ExportedLine as the database renders it."""

    id: UUID
    student_id: UUID
    full_name: str
    external_id: str | None
    total_amount: str
    issued_at: str
    due_date: date
    description: str | None
    payments_total: str
    refunds_total: str
    paid_total: str
    balance_due: str
    status: str


class StatementPeriod(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What happened in a period: opening_balance + invoiced - paid + refunded - voided = closing_balance."""

    from_: Annotated[date | None, Meta(description="Its first day; null where it begins with the account.")]
    to: date
    """Its last day."""
    invoiced: Money
    """What was invoiced, and be it void by now."""
    paid: Money
    refunded: Money
    voided: Money
    """What had been invoiced, then or before, and was voided in the period."""


class EntryKind(Enum):
    """What an entry of an account tells of."""

    INVOICE = "INVOICE"
    """An invoice was issued: more is owed."""
    PAYMENT = "PAYMENT"
    """Money came in: less is owed."""
    REFUND = "REFUND"
    """Money went back: more is owed."""
    VOID = "VOID"
    """An invoice was voided: its whole amount is no longer owed."""


class Entry(Struct, frozen=True, kw_only=True):
    """A line of a student's account."""

    date: date
    """The day in the school's time zone."""
    happened_at: datetime
    """From when on it counts: a movement not before its invoice, nor after that was voided."""
    kind: EntryKind
    invoice_id: UUID
    payment_id: UUID | None
    """The movement, where the entry is one."""
    description: Description | None
    method: Method | None
    reference: Reference | None
    amount: Money
    """Always above zero; the kind says which way it goes."""
    balance: Money
    """What is owed after this entry."""


class StudentStatement(Struct, frozen=True, kw_only=True):
    """What one student owes, and how it came to that."""

    student_id: UUID
    school_id: UUID
    currency: Currency
    as_of_date: date
    """The day of the figures, in the school's time zone, on which the balances are aged."""
    totals: Totals
    ageing: Ageing
    oldest_due_date: date | None
    """The earliest due date of what is unpaid; null where nothing is."""
    invoices: list[InvoiceLine]
    """Every invoice by its date, the void ones too, which no total counts."""
    as_of: datetime | UnsetType = UNSET
    """The moment that the figures are of, which they include. Not on a statement of now: as long as nothing happens,
    that stays the same."""
    opening_balance: Money | UnsetType = UNSET
    """What was owed before the period. This and what follows comes with a period, from or to, only."""
    closing_balance: Money | UnsetType = UNSET
    """What is owed at its end."""
    period: StatementPeriod | UnsetType = UNSET
    """What happened in it."""
    entries: list[Entry] | UnsetType = UNSET
    """The same line by line, in order; an invoice that was voided and its void are both there."""


class StudentTotals(Totals, frozen=True, kw_only=True):
    """What one student of a school owes."""

    student_id: UUID
    full_name: FullName
    invoices_count: int
    """How many invoices the totals count."""
    ageing: Ageing
    oldest_due_date: date | None
    """The earliest due date of what is unpaid; null where nothing is."""


class SchoolStatement(Struct, frozen=True, kw_only=True):
    """What a school is owed, by whom, and for what."""

    school_id: UUID
    currency: Currency
    as_of_date: date
    """The day of the figures, in the school's time zone, on which the balances are aged."""
    students_count: int
    totals: Totals
    ageing: Ageing
    oldest_due_date: date | None
    """The earliest due date of what is unpaid; null where nothing is."""
    students: list[StudentTotals]
    """Every student of the school, those without invoices too, by name."""
    invoices: list[InvoiceLine]
    """A page of the school's invoices, newest last; the Link header leads to the next."""
    as_of: datetime | UnsetType = UNSET
    """The moment that the figures are of, which they include. Not on a statement of now: as long as nothing happens,
    that stays the same."""
    opening_balance: Money | UnsetType = UNSET
    """What was owed before the period. This and what follows comes with a period, from or to, only."""
    closing_balance: Money | UnsetType = UNSET
    """What is owed at its end."""
    period: StatementPeriod | UnsetType = UNSET
    """What happened in it."""


class Debtor(Struct, frozen=True, kw_only=True):
    """A student who owes."""

    student_id: UUID
    full_name: FullName
    external_id: ExternalId | None
    balance_due: Money
    """All that the student owes."""
    overdue_total: Money
    """What of it was due before today, in the school's time zone."""
    oldest_due_date: date
    """The earliest due date of what is unpaid."""
    days_overdue: int
    """How many days ago that was; 0 where nothing is overdue."""
    ageing: Ageing
    invoices_count: int
    """How many invoices are unpaid."""


class CollectionsBy(Enum):
    """What a row of the collections stands for."""

    DAY = "day"
    WEEK = "week"
    """Monday to Sunday."""
    MONTH = "month"
    METHOD = "method"


class Rate(Scalar, Decimal):
    """A ratio with four decimals: 1.0000 is the whole."""

    schema = {"type": "string", "pattern": f"^{_RATE.pattern}$", "examples": ["0.8750"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what the API gave.

        Raises:
            ValueError: It is not a string with four decimals.
        """
        if not isinstance(value, str) or not _RATE.fullmatch(value):
            raise ValueError('Expected a ratio such as "0.8750"')
        return cls(value)


class CollectionsTotals(Struct, frozen=True, kw_only=True):
    """What was invoiced and collected in the whole period."""

    invoiced: Money
    """What was invoiced in the period, without what is void now."""
    paid: Money
    refunded: Money
    net: Money
    """Payments less refunds."""
    collection_rate: Rate | None
    """What came in, net, for each unit invoiced in the period; null where nothing was."""


class CollectionsRow(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What was invoiced and collected in a part of the period, or by a method."""

    from_: Annotated[date, Meta(description="The first day of the part.")]
    to: date
    """Its last day."""
    method: Method | None
    """The method; null where the row is of a part of the period, or of money that moved in an unknown way."""
    invoiced: Money | None
    """Null where the row is of a method, which an invoice has not."""
    paid: Money
    refunded: Money
    net: Money
    collection_rate: Rate | None
    """Net by what was invoiced, by a method: in the whole period; null where nothing was."""


class Collections(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What a school invoiced and collected.

    Movements stand on the day on which the money moved, those of invoices that were voided since too, so that a
    period agrees with the bank's; invoices on the day of their issue, without those that are void now.
    """

    school_id: UUID
    currency: Currency
    from_: Annotated[date, Meta(description="The first day of the period.")]
    to: date
    """Its last day."""
    by: CollectionsBy
    totals: CollectionsTotals
    rows: list[CollectionsRow]
    """In order; every day, week or month of the period has a row, and every method that was used."""


class StatementDocument(Struct, frozen=True):
    """A statement as the database gives it."""

    document: str
    """The statement in JSON; empty where its period begins after its end."""
    next_after: UUID | None
    """Behind which invoice the next page begins; null where this is the last or the only one."""


class DebtorsDocument(Struct, frozen=True):
    """A page of debtors as the database gives it."""

    document: str
    """The debtors in JSON."""
    next_due_date: date | None
    """Behind which debtor the next page begins: this, next_balance and next_id are all null on the last one."""
    next_balance: Decimal | None
    next_id: UUID | None


class CollectionsDocument(Struct, frozen=True):
    """Collections as the database gives them."""

    document: str
    """The collections in JSON; empty where there would be none, or too many."""
    starts_on: date
    ends_on: date
    rows_count: int
    """How many rows there are, or would be."""
