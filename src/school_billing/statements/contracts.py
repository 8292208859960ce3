"""What comes out of the statements. The database renders it; these structs are its contract and its description."""

from datetime import date, datetime
from uuid import UUID

from msgspec import Struct

from school_billing.invoices.contracts import Description, InvoiceStatus
from school_billing.money import Money
from school_billing.schools.contracts import Currency
from school_billing.students.contracts import FullName


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
    """What of it was due before today, in the school's time zone."""


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


class StudentStatement(Struct, frozen=True, kw_only=True):
    """What one student owes, and how it came to that."""

    student_id: UUID
    school_id: UUID
    currency: Currency
    totals: Totals
    invoices: list[InvoiceLine]
    """Every invoice by its date, the void ones too, which no total counts."""


class StudentTotals(Totals, frozen=True, kw_only=True):
    """What one student of a school owes."""

    student_id: UUID
    full_name: FullName
    invoices_count: int
    """How many invoices the totals count."""


class SchoolStatement(Struct, frozen=True, kw_only=True):
    """What a school is owed, by whom, and for what."""

    school_id: UUID
    currency: Currency
    students_count: int
    totals: Totals
    students: list[StudentTotals]
    """Every student of the school, those without invoices too, by name."""
    invoices: list[InvoiceLine]
    """A page of the school's invoices, newest last; the Link header leads to the next."""


class StatementDocument(Struct, frozen=True):
    """A statement as the database gives it."""

    document: str
    """The statement in JSON."""
    next_after: UUID | None
    """Behind which invoice the next page begins; null where this is the last or the only one."""
