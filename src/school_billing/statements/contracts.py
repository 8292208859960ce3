"""The answers of the statement routes. The database renders them as JSON; these structs describe it for OpenAPI."""

import re
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.invoices.contracts import Description, InvoiceStatus
from school_billing.money import Money
from school_billing.payers.contracts import PayerExternalId, PayerName
from school_billing.payments.contracts import Method, Reference
from school_billing.platform.web.responses import KeptBody
from school_billing.platform.web.types import Instant, Scalar
from school_billing.schools.contracts import Currency
from school_billing.students.contracts import ExternalId, FullName

_RATE = re.compile(r"-?[0-9]+\.[0-9]{4}")


class Totals(Struct, frozen=True, kw_only=True):
    """Sums over all invoices but the void ones, however many there are."""

    invoiced_total: Money
    credited_total: Money
    """Credit notes less what was reversed of them. The same holds for the next two."""
    discounted_total: Money
    written_off_total: Money
    payments_total: Money
    refunds_total: Money
    paid_total: Money
    """Payments less refunds."""
    balance_due_total: Money
    """What is still owed: invoiced less credited, discounted, written off and paid."""
    overdue_total: Money
    """The part of balance_due_total that was due before the statement's day, in the school's time zone."""


class SchoolTotals(Totals, frozen=True, kw_only=True):
    """Sums over all invoices of a school, and the money that pays none of them yet."""

    unallocated_total: Money
    """Money of known payers."""
    unidentified_total: Money
    """Money that has no payer yet."""


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
    issued_at: Instant
    due_date: date
    description: Description | None
    credited_total: Money
    discounted_total: Money
    written_off_total: Money
    payments_total: Money
    refunds_total: Money
    paid_total: Money
    balance_due: Money
    status: InvoiceStatus


class ExportedLine(InvoiceLine, frozen=True, kw_only=True):
    """An invoice of a school in a download, with its student."""

    full_name: FullName
    external_id: ExternalId | None


class ExportedLines(Scalar):
    """JSON lines: each line is an ExportedLine."""

    schema = {"type": "string", "contentMediaType": "application/x-ndjson", "contentSchema": ExportedLine}


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
    credited_total: str
    discounted_total: str
    written_off_total: str
    payments_total: str
    refunds_total: str
    paid_total: str
    balance_due: str
    status: str


class StatementPeriod(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The sums of a period.

    opening_balance + invoiced - credited - discounted - written_off - paid + refunded - voided = closing_balance.
    """

    from_: Annotated[date | None, Meta(description="Its first day; null where it begins with the account.")]
    to: date
    """Its last day."""
    invoiced: Money
    """All invoices of the period, including those that are void by now."""
    credited: Money
    """Credit notes less reversals; below zero if more was reversed. The same holds for the next two."""
    discounted: Money
    written_off: Money
    paid: Money
    refunded: Money
    voided: Money
    """The invoices of any time that were voided in the period."""


class PayerStatementPeriod(StatementPeriod, frozen=True, kw_only=True):
    """The sums of a period on the account of a payer.

    opening_balance + invoiced - credited - discounted - written_off - paid + refunded - voided - received + returned +
    paid_for_others = closing_balance.
    What the payer's receipts pay on the payer's invoices is in none of them. `paid` and `refunded` are direct payments
    and money of other payers.
    """

    received: Money
    """The receipts of the period, including those that were reversed later."""
    returned: Money
    """What was given back of receipts, and the receipts that were reversed."""
    paid_for_others: Money
    """What the receipts pay on invoices that are not the payer's, less what was taken back."""


class EntryKind(Enum):
    """The kinds of entries in an account. The last five are only on the account of a payer."""

    INVOICE = "INVOICE"
    """An invoice was issued: more is owed."""
    PAYMENT = "PAYMENT"
    """Money came in: less is owed."""
    REFUND = "REFUND"
    """Money went back: more is owed."""
    VOID = "VOID"
    """An invoice was voided: its whole amount is no longer owed."""
    CREDIT_NOTE = "CREDIT_NOTE"
    """A part of an invoice was credited: less is owed."""
    CREDIT_NOTE_REVERSAL = "CREDIT_NOTE_REVERSAL"
    """A credit note was reversed: more is owed."""
    DISCOUNT = "DISCOUNT"
    """A discount was given: less is owed."""
    DISCOUNT_REVERSAL = "DISCOUNT_REVERSAL"
    """A discount was reversed: more is owed."""
    WRITE_OFF = "WRITE_OFF"
    """What was left of an invoice was given up: less is owed."""
    WRITE_OFF_REVERSAL = "WRITE_OFF_REVERSAL"
    """A write-off was reversed: more is owed."""
    RECEIPT = "RECEIPT"
    """A sum of money arrived: less is owed, whether it pays invoices already or not."""
    RECEIPT_REFUND = "RECEIPT_REFUND"
    """Money of a receipt was given back: more is owed."""
    RECEIPT_REVERSAL = "RECEIPT_REVERSAL"
    """A receipt was reversed, as with a bounced cheque: its whole amount is owed again."""
    ALLOCATION = "ALLOCATION"
    """Money of a receipt paid an invoice that is not the payer's: more is owed."""
    ALLOCATION_REVERSAL = "ALLOCATION_REVERSAL"
    """Such money was taken back: less is owed."""


class Entry(Struct, frozen=True, kw_only=True):
    """A line of an account."""

    date: date
    """The day in the school's time zone."""
    happened_at: Instant
    """The moment from which it counts. A payment counts neither before its invoice nor after the void."""
    kind: EntryKind
    invoice_id: UUID | None
    """Null if the entry is of a receipt and no invoice."""
    payment_id: UUID | None
    """The payment or refund, if the entry is one."""
    receipt_id: UUID | None
    """The receipt whose money it is, if the money came by one."""
    adjustment_id: UUID | None
    """The credit note, discount or write-off, or the reversal of one, if the entry is one."""
    description: Description | None
    """What the invoice is for, or why money moved or less is owed."""
    method: Method | None
    reference: Reference | None
    """Of the money, or the number of the credit note."""
    amount: Money
    """Always above zero; the kind says which way it goes."""
    balance: Money
    """The balance after this entry."""


class Statement(Struct, frozen=True, kw_only=True):
    """The fields that all statements have in common."""

    school_id: UUID
    currency: Currency
    as_of_date: date
    """The day of the figures, in the school's time zone, on which the balances are aged."""
    totals: Totals
    ageing: Ageing
    oldest_due_date: date | None
    """The earliest due date of an unpaid invoice, or null."""
    as_of: Instant | UnsetType = UNSET
    """The moment of the figures. A statement of now has none, so it stays the same while nothing happens."""
    opening_balance: Money | UnsetType = UNSET
    """The balance before the period. Only statements of a period have this and the next two fields."""
    closing_balance: Money | UnsetType = UNSET
    """The balance at its end."""
    period: StatementPeriod | UnsetType = UNSET
    """The sums of the period."""


class AccountStatement(Statement, frozen=True, kw_only=True):
    """The fields that the statements of a student and of a payer have in common."""

    invoices: list[InvoiceLine]
    """Every invoice by its date, including the void ones, which no total counts."""
    entries: list[Entry] | UnsetType = UNSET
    """The entries of the period in order. A voided invoice and its void are both there."""


class Credit(Struct, frozen=True, kw_only=True):
    """A payer of a student, and the payer's money that pays nothing yet."""

    payer_id: UUID
    name: PayerName
    unallocated: Money
    """It stands with the payer, so it is in no figure of the student."""


class StudentStatement(AccountStatement, frozen=True, kw_only=True):
    """What one student owes, and how it came to that."""

    student_id: UUID
    payers: list[Credit]
    """Those who pay for the student today, by name, with their money of the statement's moment."""


class BilledStudent(Struct, frozen=True, kw_only=True):
    """A student whose invoices a payer owes."""

    student_id: UUID
    full_name: FullName
    external_id: ExternalId | None


class PayerStatement(AccountStatement, frozen=True, kw_only=True):
    """What one payer owes for all students together, and how it came to that."""

    payer_id: UUID
    unallocated: Money
    """The payer's money that pays nothing yet."""
    balance: Money
    """What is still owed, less `unallocated`; below zero if the school has more than it is owed."""
    students: list[BilledStudent]
    """The students of the invoices, by name."""
    period: PayerStatementPeriod | UnsetType = UNSET
    """The sums of the period."""


class StudentTotals(Totals, frozen=True, kw_only=True):
    """What one student of a school owes."""

    student_id: UUID
    full_name: FullName
    external_id: ExternalId | None
    invoices_count: int
    """The number of invoices in the totals."""
    ageing: Ageing
    oldest_due_date: date | None
    """The earliest due date of an unpaid invoice, or null."""


class SchoolStatement(Statement, frozen=True, kw_only=True):
    """What a school is owed, by whom, and for what."""

    totals: SchoolTotals
    students_count: int
    students: list[StudentTotals]
    """Every student of the school by name, including those without invoices."""
    invoices: list[InvoiceLine]
    """A page of the school's invoices, newest last; the Link header leads to the next."""


class DebtorsBy(Enum):
    """Who the debtors of a list are."""

    STUDENT = "student"
    PAYER = "payer"
    """An invoice without a payer is in no debt of a payer."""


class Debt(Struct, frozen=True, kw_only=True):
    """What somebody owes."""

    balance_due: Money
    """What is open on all invoices together."""
    overdue_total: Money
    """The part that was due before today, in the school's time zone."""
    oldest_due_date: date
    """The earliest due date of an unpaid invoice."""
    days_overdue: int
    """The days since then; 0 if nothing is overdue."""
    ageing: Ageing
    invoices_count: int
    """The number of unpaid invoices."""


class Debtor(Debt, frozen=True, kw_only=True):
    """A student who owes."""

    student_id: UUID
    full_name: FullName
    external_id: ExternalId | None


class PayingDebtor(Debt, frozen=True, kw_only=True):
    """A payer who owes."""

    payer_id: UUID
    name: PayerName
    external_id: PayerExternalId | None
    unallocated: Money
    """The payer's money that pays nothing yet. It is not taken off the debt."""


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
            raise ValueError('must be a ratio such as "0.8750"')
        return cls(value)


class PdfDocument(Scalar):
    """A PDF document."""

    schema = {"type": "string", "format": "binary", "examples": ["%PDF-1.7"]}


class XlsxDocument(Scalar):
    """A workbook of Excel."""

    schema = {"type": "string", "format": "binary", "examples": ["PK"]}


class CollectionsTotals(Struct, frozen=True, kw_only=True):
    """What was invoiced and collected in the whole period."""

    invoiced: Money
    """The invoices of the period, without those that are void now."""
    paid: Money
    refunded: Money
    net: Money
    """Payments less refunds."""
    collection_rate: Rate | None
    """Net divided by invoiced; null if nothing was invoiced."""


class CollectionsRow(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What was invoiced and collected in a part of the period, or by a method."""

    from_: Annotated[date, Meta(description="The first day of the part.")]
    to: date
    """Its last day."""
    method: Method | None
    """Null if the row is of a part of the period, or of money that moved by an unknown method."""
    invoiced: Money | None
    """Null if the row is of a method, because an invoice has none."""
    paid: Money
    refunded: Money
    net: Money
    collection_rate: Rate | None
    """Net divided by invoiced; by a method, divided by all that was invoiced in the period."""


class Collections(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What a school invoiced and collected.

    Money counts on the day on which it moved, even if its invoice was voided later, so that a period agrees with the
    bank. It came by direct payments and receipts, and went by refunds of both and by receipts that were reversed. What
    a receipt pays on invoices moves no money. Invoices count on the day of their issue, unless they are void now.
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


class ForecastMonth(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What falls due in a month."""

    from_: Annotated[date, Meta(description="The first day of the month.")]
    to: date
    """Its last day."""
    due: Money
    """The invoices that are due in the month, without void ones."""
    paid: Money
    """What is paid of them already."""
    open: Money
    """What is still owed on them."""
    invoices_count: int


class Forecast(Struct, frozen=True, kw_only=True):
    """What falls due at a school, from the invoices that there are. It guesses nothing."""

    school_id: UUID
    currency: Currency
    open_before: Money
    """What was due before the first month and is still owed."""
    rows: list[ForecastMonth]
    """A row for each month, this one first."""
    open_after: Money
    """What is owed and falls due after the last month."""


class RollForwardFigures(Struct, frozen=True, kw_only=True):
    """How the balance of a school came about in a period.

    opening_balance + invoiced - credited - discounted - written_off - received + refunded - voided = closing_balance.
    That is the sum of the five ageing buckets less unallocated.
    """

    opening_balance: Money
    """What was open on invoices before the period, less the money that paid none of them yet."""
    invoiced: Money
    credited: Money
    """Credit notes, less those that were reversed. So with the next two."""
    discounted: Money
    written_off: Money
    received: Money
    """Direct payments and receipts. What a receipt pays on invoices moves no balance."""
    refunded: Money
    """Refunds of both, and receipts that were reversed."""
    voided: Money
    closing_balance: Money
    ageing: Ageing
    """What is open on invoices at the end of the period."""
    unallocated: Money
    """The money that pays no invoice at the end of the period, also of unknown payers."""


class RollForward(RollForwardFigures, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The figures of a school in a period."""

    school_id: UUID
    currency: Currency
    from_: Annotated[date, Meta(description="The first day of the period.")]
    to: date
    """Its last day."""


class StatementDocument(Struct, frozen=True):
    """A statement from the database."""

    document: str
    """The statement in JSON; empty if its period begins after its end."""
    next_after: UUID | None
    """The invoice after which the next page begins, or null."""

    @property
    def content(self) -> bytes:
        """The statement in JSON as bytes."""
        return self.document.encode()


class KeptStatement(StatementDocument, frozen=True):
    """A statement that is kept for later answers. Its document is empty, because the body has its place."""

    body: KeptBody

    @property
    def content(self) -> bytes:
        """The statement in JSON as bytes."""
        return self.body


class DebtorsDocument(Struct, frozen=True):
    """A page of debtors from the database."""

    document: str
    """The debtors in JSON."""
    next_due_date: date | None
    """The next page begins after the debtor with these three values; they are null on the last page."""
    next_balance: Decimal | None
    next_id: UUID | None


class CollectionsDocument(Struct, frozen=True):
    """Collections from the database."""

    document: str
    """The collections in JSON; empty if there are no rows, or too many."""
    starts_on: date
    ends_on: date
    rows_count: int
    """The number of rows, also of too many."""


class RollForwardDocument(Struct, frozen=True):
    """A roll-forward from the database."""

    document: str
    """The figures in JSON; empty if the period begins after its end."""
    starts_on: date
    ends_on: date
