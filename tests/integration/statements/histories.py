"""Random histories of a school's books, written straight into the tables, and a model of what they come to.

The API voids an invoice now and never earlier, so a past in which that has happened can only be written by hand. The
model knows which changes are possible, and the schema refuses exactly the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from hypothesis import strategies as st

from tests.api import Json

ZONES = ["Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kolkata"]
"""UTC+14; UTC-8, where the clock went forward on 9 March 2025; UTC+5:30."""
FIRST, LAST = date(2025, 3, 6), date(2025, 3, 12)
"""Few days, so that histories meet at midnights and at equal instants."""
FUTURE = datetime(2990, 1, 1, tzinfo=UTC)
CENT = Decimal("0.01")
ADJUSTMENTS = ("CREDIT_NOTE", "DISCOUNT", "WRITE_OFF")


@dataclass
class Payment:
    """A payment or refund, or an adjustment, which never changes. A reversal has a number below zero."""

    number: int
    kind: str
    amount: Decimal
    paid_at: datetime

    @property
    def is_adjustment(self) -> bool:
        return self.kind in ADJUSTMENTS

    @property
    def change(self) -> Decimal:
        """What it changes of the balance."""
        return -self.amount if self.kind == "PAYMENT" or (self.is_adjustment and self.number >= 0) else self.amount

    @property
    def entry(self) -> str:
        """Its kind on a statement."""
        return f"{self.kind}_REVERSAL" if self.number < 0 else self.kind


@dataclass
class Change:
    """A change of an invoice, or of the payment with that number; a new payment, or null for a payment that goes."""

    column: str
    value: Any
    number: int | None = None


@dataclass
class Invoice:
    total: Decimal
    issued_at: datetime
    due_date: date
    voided_at: datetime | None
    payments: list[Payment] = field(default_factory=list)
    began_as: "Invoice | None" = None
    tried: list[tuple[Change, bool]] = field(default_factory=list)
    """The changes since it began, each with whether it was possible."""

    def after(self, change: Change) -> "Invoice":
        """Return the invoice as it would be after `change`."""
        if change.number is None:
            return replace(self, **{change.column: change.value})
        owner = next((payment for payment in self.payments if payment.number == change.number), None)
        others = [payment for payment in self.payments if payment is not owner]
        if change.column == "payments":
            return replace(self, payments=[*others, change.value] if change.value else others)
        assert owner is not None
        return replace(self, payments=[*others, replace(owner, **{change.column: change.value})])

    def is_possible(self, unit: Decimal) -> bool:
        """Tell whether its amounts fit the currency, and each of its balances lies between nothing and its total."""
        amounts = [self.total, *(payment.amount for payment in self.payments)]
        moments = [moment for moment, _, _ in self.events()]
        adjusted = [one for one in self.payments if one.is_adjustment]
        made = {one.number: one.paid_at for one in adjusted if one.number >= 0}
        in_order = all(one.paid_at >= made.get(-one.number - 1, self.issued_at) for one in adjusted)
        return (
            all(amount % unit == 0 for amount in amounts)
            and all(self.balance(moment) >= 0 for moment in moments)
            and all(paid >= refunded for paid, refunded in map(self.sums, moments))
            and in_order
            and all(one.paid_at >= self.issued_at for one in adjusted)
        )

    @property
    def void_from(self) -> datetime | None:
        return None if self.voided_at is None else max(self.voided_at, self.issued_at)

    def counts_from(self, payment: Payment) -> datetime:
        moment = max(payment.paid_at, self.issued_at)
        return moment if self.void_from is None else min(moment, self.void_from)

    def events(self) -> Iterator[tuple[datetime, str, Decimal]]:
        """Yield when what happened, and what it changed of the balance."""
        yield self.issued_at, "INVOICE", self.total
        for payment in self.payments:
            yield self.counts_from(payment), payment.entry, payment.change
        if self.void_from is not None:
            yield self.void_from, "VOID", -self.total

    def sums(self, moment: datetime) -> tuple[Decimal, Decimal]:
        """Return what was paid and what was refunded."""
        counted = [payment for payment in self.payments if self.counts_from(payment) <= moment]
        return (
            sum((payment.amount for payment in counted if payment.kind == "PAYMENT"), Decimal(0)),
            sum((payment.amount for payment in counted if payment.kind == "REFUND"), Decimal(0)),
        )

    def adjusted(self, moment: datetime, kind: str = "") -> Decimal:
        """Return what was credited, discounted and written off, or one of these, less what was reversed."""
        counted = [one for one in self.payments if one.is_adjustment and self.counts_from(one) <= moment]
        return -sum((one.change for one in counted if kind in {"", one.kind}), Decimal(0))

    def is_void(self, moment: datetime) -> bool:
        return self.void_from is not None and self.void_from <= moment

    def balance(self, moment: datetime) -> Decimal:
        paid, refunded = self.sums(moment)
        return Decimal(0) if self.is_void(moment) else self.total - paid + refunded - self.adjusted(moment)

    def status(self, moment: datetime) -> str:
        paid, refunded = self.sums(moment)
        if self.is_void(moment):
            return "VOID"
        if self.balance(moment) > 0:
            return "PENDING" if paid <= refunded else "PARTIAL"
        if self.adjusted(moment, "WRITE_OFF"):
            return "WRITTEN_OFF"
        return "CREDITED" if paid <= refunded else "PAID"


@dataclass
class History:
    zone: str
    currency: str
    students: list[list[Invoice]]

    def midnight(self, day: date) -> datetime:
        """Return the instant at which `day` begins."""
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)

    def end_of(self, day: date) -> datetime:
        """Return the last instant of `day`."""
        return self.midnight(day + timedelta(days=1)) - timedelta(microseconds=1)

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(ZoneInfo(self.zone)).date()


def totals(invoices: list[Invoice], moment: datetime, today: date) -> dict[str, Decimal]:
    """Return the totals of a statement as of `moment`."""
    counted = [invoice for invoice in invoices if invoice.issued_at <= moment and not invoice.is_void(moment)]
    sums = [invoice.sums(moment) for invoice in counted]
    invoiced = sum((invoice.total for invoice in counted), Decimal(0))
    paid, refunded = (sum((pair[side] for pair in sums), Decimal(0)) for side in (0, 1))
    adjusted = [sum((one.adjusted(moment, kind) for one in counted), Decimal(0)) for kind in ADJUSTMENTS]
    return {
        **dict(zip(("credited_total", "discounted_total", "written_off_total"), adjusted, strict=True)),
        "invoiced_total": invoiced,
        "payments_total": paid,
        "refunds_total": refunded,
        "paid_total": paid - refunded,
        "balance_due_total": invoiced - sum(adjusted) - paid + refunded,
        "overdue_total": sum((invoice.balance(moment) for invoice in counted if invoice.due_date < today), Decimal(0)),
    }


def ageing(invoices: list[Invoice], moment: datetime, today: date) -> dict[str, Decimal]:
    """Return the balances as of `moment` by how many days they are past due."""
    buckets = dict.fromkeys(("current", "days_1_30", "days_31_60", "days_61_90", "days_over_90"), Decimal(0))
    for invoice in invoices:
        if invoice.issued_at <= moment:
            days = (today - invoice.due_date).days
            limits = {"current": 0, "days_1_30": 30, "days_31_60": 60, "days_61_90": 90}
            bucket = next((name for name, most in limits.items() if days <= most), "days_over_90")
            buckets[bucket] += invoice.balance(moment)
    return buckets


def decimals(sums: Json) -> dict[str, Decimal]:
    """Return the sums of a document as numbers, having seen that each is written with two decimals."""
    assert all(str(Decimal(text).quantize(CENT)) == text for text in sums.values())
    return {name: Decimal(text) for name, text in sums.items()}


@st.composite
def instants(draw: Any, zone: str) -> datetime:
    """An instant near the beginning of a day or in it, in few places."""
    day = draw(st.dates(FIRST, LAST))
    midnight = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    minutes = draw(st.sampled_from([0, 0, 1, 150, 720]))
    return midnight + timedelta(minutes=minutes, microseconds=draw(st.sampled_from([0, 0, -1])))


@st.composite
def changes(draw: Any, zone: str, unit: Decimal, invoice: Invoice, number: int) -> Change:
    """A change of the invoice, which may be impossible; if it adds a payment, the payment gets `number`."""
    paid, refunded = invoice.sums(FUTURE)
    kind = draw(st.sampled_from(["PAYMENT", "REFUND"])) if paid > refunded else "PAYMENT"
    rest = paid - refunded if kind == "REFUND" else invoice.balance(FUTURE)
    # One amount in ten has cents, which the currency may lack.
    amounts = [*[rest or invoice.total] * 3, *[50 * unit] * 3, *[draw(st.integers(1, 200)) * unit] * 3, 25 * CENT]
    amount = draw(st.sampled_from(amounts)).quantize(CENT)
    moment = draw(instants(zone))
    columns = ["payments"] * 6 + ["paid_at"] * 2 + ["gone", "amount", "total", "issued_at", "due_date"]
    columns += ["adjustments"] * 4 + ["reversals"] * 2
    column = draw(st.sampled_from(columns))
    if column == "adjustments":
        return Change("payments", Payment(number, draw(st.sampled_from(ADJUSTMENTS)), amount, moment), number)
    taken_back = {-one.number - 1 for one in invoice.payments if one.number < 0}
    made = [one for one in invoice.payments if one.is_adjustment and one.number >= 0 and one.number not in taken_back]
    if column == "reversals" and made:
        one = draw(st.sampled_from(made))
        reversal = replace(one, number=-one.number - 1, paid_at=moment)
        return Change("payments", reversal, reversal.number)
    column = "payments" if column == "reversals" else column
    if column in {"total", "issued_at", "due_date"}:
        due_date = draw(st.sampled_from([FIRST, LAST]))
        return Change(column, {"total": amount, "issued_at": moment, "due_date": due_date}[column])
    payments = [one.number for one in invoice.payments if not one.is_adjustment]
    if column == "payments" or not payments:
        return Change("payments", Payment(number, kind, amount, moment), number)
    owner = draw(st.sampled_from(payments))
    if column == "gone":
        return Change("payments", None, owner)
    return Change(column, amount if column == "amount" else moment, owner)


@st.composite
def invoices(draw: Any, zone: str, unit: Decimal) -> Invoice:
    """An invoice, after payments, corrections and attempts at impossible ones."""
    issued_at = draw(st.one_of(instants(zone), instants(zone), instants(zone), st.just(FUTURE)))
    due_date = draw(st.sampled_from([FIRST, LAST])) - timedelta(
        days=draw(st.sampled_from([0, 1, 30, 31, 60, 61, 90, 91]))
    )
    invoice = Invoice((draw(st.sampled_from([100, 200, 301])) * unit).quantize(CENT), issued_at, due_date, None)
    began_as, tried = invoice, []
    for number in range(draw(st.integers(0, 7))):
        change = draw(changes(zone, unit, invoice, number))
        changed = invoice.after(change)
        tried.append((change, changed.is_possible(unit)))
        invoice = changed if tried[-1][1] else invoice
    paid, refunded = invoice.sums(FUTURE)
    nothing_counts = paid == refunded and invoice.adjusted(FUTURE) == 0
    voided_at = draw(instants(zone)) if nothing_counts and draw(st.booleans()) else None
    return replace(invoice, voided_at=voided_at, began_as=began_as, tried=tried)


@st.composite
def histories(draw: Any) -> History:
    """The books of two students of a school."""
    zone = draw(st.sampled_from(ZONES))
    currency, unit = draw(st.sampled_from([("USD", CENT), ("CLP", Decimal(1))]))
    books = [draw(st.lists(invoices(zone, unit), max_size=most)) for most in (4, 2)]
    return History(zone, currency, books)


async def write(connection: "asyncpg.Connection[asyncpg.Record]", history: History) -> tuple[UUID, list[UUID]]:
    """Write the books, and see the schema refuse what is impossible; return the school's id and the students'."""
    async with connection.transaction():
        school = await connection.fetchval(
            "insert into schools (name, time_zone, currency) values ('Past', $1, $2) returning id",
            *(history.zone, history.currency),
        )
        students = []
        for number, books in enumerate(history.students):
            student = await connection.fetchval(
                "insert into students (school_id, full_name) values ($1, $2) returning id", school, f"Student {number}"
            )
            students.append(student)
            for invoice in books:
                await write_invoice(connection, school, student, invoice)
    return school, students


async def write_invoice(
    connection: "asyncpg.Connection[asyncpg.Record]", school: UUID, student: UUID, invoice: Invoice
) -> None:
    first = invoice.began_as or invoice
    identifier = await connection.fetchval(
        "insert into invoices (school_id, student_id, total_amount, issued_at, due_date) "
        "values ($1, $2, $3, $4, $5) returning id",
        *(school, student, first.total, first.issued_at, first.due_date),
    )
    ids: dict[int | None, UUID] = {None: identifier}
    columns = {"total": "invoices set total_amount", "issued_at": "invoices set issued_at"}
    columns |= {"due_date": "invoices set due_date", "amount": "payments set amount", "paid_at": "payments set paid_at"}
    for change, is_possible in invoice.tried:
        try:
            async with connection.transaction():
                if change.column in columns:
                    update = f"update {columns[change.column]} = $2 where id = $1"
                    await connection.execute(update, ids[change.number], change.value)
                elif change.value is None:
                    await connection.execute("delete from payments where id = $1", ids[change.number])
                elif change.value.is_adjustment:
                    one = change.value
                    ids[change.number] = await connection.fetchval(
                        "insert into adjustments "
                        "(school_id, invoice_id, kind, amount, adjusted_at, reverses_id, reason) "
                        "values ($1, $2, $3, $4, $5, $6, 'x') returning id",
                        *(school, identifier, one.kind, one.amount, one.paid_at),
                        ids[-one.number - 1] if one.number < 0 else None,
                    )
                else:
                    ids[change.number] = await connection.fetchval(
                        "insert into payments (school_id, invoice_id, kind, amount, paid_at) "
                        "values ($1, $2, $3, $4, $5) returning id",
                        *(school, identifier, change.value.kind, change.value.amount, change.value.paid_at),
                    )
        except asyncpg.IntegrityConstraintViolationError:
            assert not is_possible, change
        else:
            assert is_possible, change
    if invoice.voided_at is not None:
        void = "update invoices set voided_at = $2, void_reason = 'x' where id = $1"
        await connection.execute(void, identifier, invoice.voided_at)
