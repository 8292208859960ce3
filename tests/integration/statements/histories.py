"""Random histories of a school's books, written straight into the tables, and a model of what they come to.

The API voids an invoice now and never earlier, so a past in which that has happened can only be written by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
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


@dataclass
class Payment:
    kind: str
    amount: Decimal
    paid_at: datetime


@dataclass
class Invoice:
    total: Decimal
    issued_at: datetime
    due_date: date
    voided_at: datetime | None
    payments: list[Payment] = field(default_factory=list)

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
            change = -payment.amount if payment.kind == "PAYMENT" else payment.amount
            yield self.counts_from(payment), payment.kind, change
        if self.void_from is not None:
            yield self.void_from, "VOID", -self.total

    def sums(self, moment: datetime) -> tuple[Decimal, Decimal]:
        """Return what was paid and what was refunded."""
        counted = [payment for payment in self.payments if self.counts_from(payment) <= moment]
        return (
            sum((payment.amount for payment in counted if payment.kind == "PAYMENT"), Decimal(0)),
            sum((payment.amount for payment in counted if payment.kind == "REFUND"), Decimal(0)),
        )

    def is_void(self, moment: datetime) -> bool:
        return self.void_from is not None and self.void_from <= moment

    def balance(self, moment: datetime) -> Decimal:
        paid, refunded = self.sums(moment)
        return Decimal(0) if self.is_void(moment) else self.total - paid + refunded

    def status(self, moment: datetime) -> str:
        paid, refunded = self.sums(moment)
        if self.is_void(moment):
            return "VOID"
        if paid <= refunded:
            return "PENDING"
        return "PARTIAL" if paid - refunded < self.total else "PAID"


@dataclass
class History:
    zone: str
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
    return {
        "invoiced_total": invoiced,
        "payments_total": paid,
        "refunds_total": refunded,
        "paid_total": paid - refunded,
        "balance_due_total": invoiced - paid + refunded,
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
def invoices(draw: Any, zone: str) -> Invoice:
    """An invoice and its payments, which stay in its bounds in the order in which they are recorded."""
    total = draw(st.integers(1, 5_000))
    issued_at = draw(st.one_of(instants(zone), instants(zone), instants(zone), st.just(FUTURE)))
    due_date = draw(st.sampled_from([FIRST, LAST])) - timedelta(
        days=draw(st.sampled_from([0, 1, 30, 31, 60, 61, 90, 91]))
    )
    is_void = draw(st.booleans())
    net, payments = 0, []
    for _ in range(draw(st.integers(0, 4))):
        kinds = [kind for kind, most in (("PAYMENT", total - net), ("REFUND", net)) if most]
        kind = draw(st.sampled_from(kinds))
        cents = draw(st.integers(1, total - net if kind == "PAYMENT" else net))
        net += cents if kind == "PAYMENT" else -cents
        payments.append(Payment(kind, cents * CENT, draw(instants(zone))))
    if is_void and net:
        payments.append(Payment("REFUND", net * CENT, draw(instants(zone))))
    voided_at = draw(instants(zone)) if is_void else None
    return Invoice(total * CENT, issued_at, due_date, voided_at, payments)


@st.composite
def histories(draw: Any) -> History:
    """The books of two students of a school."""
    zone = draw(st.sampled_from(ZONES))
    return History(zone, [draw(st.lists(invoices(zone), max_size=4)), draw(st.lists(invoices(zone), max_size=2))])


async def write(connection: "asyncpg.Connection[asyncpg.Record]", history: History) -> tuple[UUID, list[UUID]]:
    """Write the books, which the schema checks as it checks everybody's; return the school's id and the students'."""
    async with connection.transaction():
        school = await connection.fetchval(
            "insert into schools (name, time_zone) values ('Past', $1) returning id", history.zone
        )
        students = []
        for number, books in enumerate(history.students):
            student = await connection.fetchval(
                "insert into students (school_id, full_name) values ($1, $2) returning id", school, f"Student {number}"
            )
            students.append(student)
            for invoice in books:
                identifier = await connection.fetchval(
                    "insert into invoices (school_id, student_id, total_amount, issued_at, due_date) "
                    "values ($1, $2, $3, $4, $5) returning id",
                    *(school, student, invoice.total, invoice.issued_at, invoice.due_date),
                )
                await connection.executemany(
                    "insert into payments (school_id, invoice_id, kind, amount, paid_at) values ($1, $2, $3, $4, $5)",
                    [(school, identifier, move.kind, move.amount, move.paid_at) for move in invoice.payments],
                )
                if invoice.voided_at is not None:
                    void = "update invoices set voided_at = $2, void_reason = 'x' where id = $1"
                    await connection.execute(void, identifier, invoice.voided_at)
    return school, students
