"""Random requests to the API and to a model of the books in plain Python. After each step they agree."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from school_billing.ledger.repository import Ledger
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from tests.server import Server, serve

Json = dict[str, Any]
amounts = st.integers(min_value=1, max_value=20_000).map(lambda cents: Decimal(cents).scaleb(-2))
kinds = st.sampled_from(["PAYMENT", "PAYMENT", "REFUND"])


ENTRIES = """
select payer_id::text, sum(change)
from account_entries
where school_id = %(school)s and payer_id is not null and happened_at <= %(moment)s
group by payer_id
union all
select receipt_id::text, sum(change)
from receipt_entries
where school_id = %(school)s and happened_at <= %(moment)s
group by receipt_id
"""

RECEIPT_FIELDS = ("payer_id", "amount", "allocated_total", "refunded_total", "unallocated")
DAYS = [f"2026-01-{day:02}" for day in range(1, 6)]
"""Moments of the past. A request that is dated by the server has the moment "now 0001", "now 0002" and so on."""
days = st.sampled_from(DAYS)
END = "now 9999"
NO_END = "on 2999-12-31"
"""The last day of an early discount that is after all moments."""
Movement = tuple[str, Decimal, str]
"""The kind, the amount and the moment of a payment."""
SUMS = {"credited_total": "CREDIT_NOTE", "discounted_total": "DISCOUNT", "written_off_total": "WRITE_OFF"}
PATHS = {"CREDIT_NOTE": "credit-notes", "DISCOUNT": "discounts", "WRITE_OFF": "write-off"}
"""The kinds of adjustments, and where each is made."""


def at(day: str) -> str:
    return f"{day}T12:00:00Z"


def total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


@dataclass
class Adjustment:
    """A credit note, discount or write-off in the model."""

    kind: str
    amount: Decimal
    moment: str
    reversed_on: str | None = None


@dataclass
class Invoice:
    """An invoice in the model."""

    id: str
    student: str
    payer: str | None
    total: Decimal
    issued_on: str
    due_on: str
    voided_on: str | None = None
    payments: dict[str, Movement] = field(default_factory=dict)
    adjustments: dict[str, Adjustment] = field(default_factory=dict)
    early: tuple[Decimal, str] | None = None
    """The early discount, and the last day of it."""
    grant: str | None = None
    """The adjustment that granted it, as long as it counts."""

    def adjusted(self, moment: str = END, kind: str = "") -> Decimal:
        """Return what is credited, discounted and written off at that moment, or one of these."""
        return total(
            one.amount
            for one in self.adjustments.values()
            if max(one.moment, self.issued_on) <= moment
            and (one.reversed_on is None or one.reversed_on > moment)
            and kind in {"", one.kind}
        )

    def moments(self) -> list[str]:
        """Return when it was adjusted, and when that was reversed."""
        made = [one.moment for one in self.adjustments.values()]
        return made + [one.reversed_on for one in self.adjustments.values() if one.reversed_on]

    def sums(self, moment: str = END) -> tuple[Decimal, Decimal]:
        """Return the sum of the payments and the sum of the refunds that count at that moment."""
        if self.issued_on > moment:
            return Decimal(0), Decimal(0)
        counted = [(kind, amount) for kind, amount, paid_on in self.payments.values() if paid_on <= moment]
        payments = total(amount for kind, amount in counted if kind == "PAYMENT")
        return payments, total(amount for kind, amount in counted if kind == "REFUND")

    def net(self, moment: str = END) -> Decimal:
        """Return what is paid at that moment and not refunded."""
        payments, refunds = self.sums(moment)
        return payments - refunds

    def open(self, moment: str = END) -> Decimal:
        """Return what is owed at that moment."""
        is_void = self.voided_on is not None and self.voided_on <= moment
        is_owed = not is_void and self.issued_on <= moment
        return self.total - self.net(moment) - self.adjusted(moment) if is_owed else Decimal(0)

    def allows(self, payment: str, *movements: Movement) -> bool:
        """Tell whether the invoice is possible with these movements in the place of `payment`."""
        payments = {name: other for name, other in self.payments.items() if name != payment}
        added = {f"new {number}": movement for number, movement in enumerate(movements)}
        return replace(self, payments=payments | added).is_possible()

    def is_possible(self) -> bool:
        """Tell whether what is paid stays within its bounds at every moment."""
        moments = [self.issued_on, *(moment for _, _, moment in self.payments.values()), *self.moments()]
        possible = all(0 <= self.net(moment) <= self.total - self.adjusted(moment) for moment in moments)
        return possible and (self.voided_on is None or self.net() == self.adjusted() == 0)

    def earliest(self, moment: str) -> str:
        """Return when money of a receipt pays it if it arrived at `moment`: after refunds, reversals and the issue."""
        is_after = self.sums()[1] > 0 or any(one.reversed_on for one in self.adjustments.values())
        others = [*(day for _, _, day in self.payments.values()), *self.moments()] if is_after else []
        return max([moment, self.issued_on, *others])

    @property
    def status(self) -> str:
        """Return the status that the API should show."""
        payments, refunds = self.sums()
        if self.voided_on:
            return "VOID"
        if self.open() > 0:
            return "PENDING" if payments == refunds else "PARTIAL"
        if self.adjusted(kind="WRITE_OFF"):
            return "WRITTEN_OFF"
        return "CREDITED" if payments == refunds else "PAID"


@dataclass
class Allocation:
    """What a receipt pays on an invoice."""

    invoice: str
    amount: Decimal
    moment: str
    reversed_on: str | None = None


@dataclass
class Receipt:
    """A receipt in the model."""

    payer: str | None
    amount: Decimal
    received_on: str
    allocations: dict[str, Allocation] = field(default_factory=dict)
    refunds: list[tuple[Decimal, str]] = field(default_factory=list)
    reversed_on: str | None = None

    def allocated(self, moment: str = END) -> Decimal:
        """Return what pays invoices at that moment."""
        return total(
            one.amount
            for one in self.allocations.values()
            if one.moment <= moment and (one.reversed_on is None or one.reversed_on > moment)
        )

    def refunded(self, moment: str = END) -> Decimal:
        """Return what is given back at that moment."""
        return total(amount for amount, day in self.refunds if day <= moment)

    def unallocated(self, moment: str = END) -> Decimal:
        """Return what is left at that moment."""
        if self.received_on > moment or (self.reversed_on is not None and self.reversed_on <= moment):
            return Decimal(0)
        return self.amount - self.allocated(moment) - self.refunded(moment)

    def last_movement(self) -> str:
        """Return the moment before which nothing more can be dated."""
        moments = [one.moment for one in self.allocations.values()]
        moments += [one.reversed_on for one in self.allocations.values() if one.reversed_on]
        return max([self.received_on, *moments, *(day for _, day in self.refunds)])

    def plan(
        self, invoices: Iterable[Invoice], completed_by: Callable[[Invoice], Decimal]
    ) -> list[tuple[str, Decimal]]:
        """Return what the payer's open invoices get, oldest due date first."""
        left, planned = self.unallocated(), []
        owed = [one for one in invoices if self.payer and one.payer == self.payer and one.open() > 0]
        for one in sorted(owed, key=lambda one: (one.due_on, one.issued_on, one.id)):
            if amount := min(left, completed_by(one)):
                planned.append((one.id, amount))
                left -= amount
        return planned


class Books(RuleBasedStateMachine):
    """Each rule sends one request to the API and makes the same change in the model."""

    server: Server

    students = Bundle("students")
    invoices = Bundle("invoices")
    payments = Bundle("payments")
    payers = Bundle("payers")
    receipts = Bundle("receipts")
    adjustments = Bundle("adjustments")

    def __init__(self) -> None:
        super().__init__()
        self.http = httpx.Client(base_url=self.server.url, headers=self.server.admin)
        self.psql = psycopg.connect(self.server.database_url, autocommit=True)
        self.school = self.post("/schools", {"name": "Model"}, 201)["id"]
        self.model: dict[str, Invoice] = {}
        self.enrolled: dict[str, list[str]] = {}
        self.known_payers: list[str] = []
        self.money: dict[str, Receipt] = {}
        self.of_receipts: set[str] = set()
        self.requests = 0
        self.released = 0
        self.granted = 0
        self.taken_back_again = 0

    @initialize(target=payers)
    def open_accounts(self) -> Any:
        """Begin with a family, so that few steps lead far."""
        body = {"school_id": self.school, "name": "Marge"}
        self.known_payers = [self.post("/payers", body, 201)["id"] for _ in range(2)]
        return multiple(*self.known_payers)

    @initialize(target=students)
    def open_the_doors(self) -> Any:
        return multiple(self.enrol(), self.enrol())

    def teardown(self) -> None:
        for day in DAYS:
            self.agree_on(day)
        for payer in self.known_payers:
            for first, last in (DAYS[0:2], DAYS[1:5:3], DAYS[2:5:2]):
                self.agree_on_period(payer, first, last)
        self.agree_on_cash()
        self.http.close()
        self.psql.close()

    def now(self) -> str:
        """Return a moment after all others."""
        self.requests += 1
        return f"now {self.requests:04}"

    def agree_on(self, day: str) -> None:
        """See that no correction has left an impossible past."""
        statement = self.send("GET", f"/schools/{self.school}/statement?limit=500&as_of={day}", None, 200)
        dues = {line["id"]: Decimal(line["balance_due"]) for line in statement["invoices"]}
        known = {name: invoice for name, invoice in self.model.items() if invoice.issued_on <= day}
        assert dues == {
            name: invoice.total - invoice.net(day) - invoice.adjusted(day) for name, invoice in known.items()
        }
        assert all(0 <= due <= known[name].total for name, due in dues.items())
        self.agree_on_entries(day, at(day))

    def agree_on_entries(self, moment: str, written: str) -> None:
        """Compare what each payer owes, and what is unallocated of each receipt, with the entries until then."""
        model = {payer: total(one.open(moment) for one in self.of_payer(payer)) for payer in self.known_payers}
        model |= {name: receipt.unallocated(moment) for name, receipt in self.money.items()}
        rows = self.psql.execute(ENTRIES, {"school": self.school, "moment": written}).fetchall()
        found: dict[str, Decimal] = dict(rows)
        assert dict.fromkeys(model, Decimal(0)) | found == model
        assert all(amount >= 0 for amount in model.values())
        for payer in self.known_payers:
            path = f"/payers/{payer}/statement" + ("" if moment == END else f"?as_of={written}")
            statement = self.send("GET", path, None, 200)
            left = total(receipt.unallocated(moment) for receipt in self.money.values() if receipt.payer == payer)
            told = [Decimal(statement[name]) for name in ("unallocated", "balance")]
            assert [Decimal(statement["totals"]["balance_due_total"]), *told] == [
                model[payer],
                left,
                model[payer] - left,
            ]

    def balance(self, payer: str, moment: str) -> Decimal:
        """Return what the payer owes at that moment, less what is unallocated."""
        owed = total(one.open(moment) for one in self.of_payer(payer))
        return owed - total(one.unallocated(moment) for one in self.money.values() if one.payer == payer)

    def agree_on_period(self, payer: str, first: str, last: str) -> None:
        """See that the sums and the entries of a period lead from one balance to the other."""
        statement = self.send("GET", f"/payers/{payer}/statement?from={first}&to={last}", None, 200)
        opening, closing = (Decimal(statement[name]) for name in ("opening_balance", "closing_balance"))
        before = DAYS[DAYS.index(first) - 1] if first != DAYS[0] else ""
        assert (opening, closing) == (self.balance(payer, before), self.balance(payer, last))
        sums = {name: Decimal(amount) for name, amount in statement["period"].items() if name not in {"from", "to"}}
        plus = total(sums[name] for name in ("invoiced", "refunded", "returned", "paid_for_others"))
        minus = total(sums[name] for name in ("credited", "discounted", "written_off", "paid", "voided", "received"))
        assert opening + plus - minus == closing
        assert Decimal(statement["entries"][-1]["balance"] if statement["entries"] else opening) == closing

    def agree_on_cash(self) -> None:
        """See that money is counted on the day on which it moved, whatever it pays."""
        collected = self.send("GET", f"/schools/{self.school}/collections?from=2026-01-01&by=day", None, 200)
        days = {row["from"]: (Decimal(row["paid"]), Decimal(row["refunded"])) for row in collected["rows"]}
        movements = [(name, one) for known in self.model.values() for name, one in known.payments.items()]
        moved = [movement for name, movement in movements if name not in self.of_receipts]
        for receipt in self.money.values():
            moved.append(("PAYMENT", receipt.amount, receipt.received_on))
            moved += [("REFUND", amount, day) for amount, day in receipt.refunds]
            moved += [("REFUND", receipt.amount, receipt.reversed_on)] if receipt.reversed_on else []
        for kind, place in (("PAYMENT", 0), ("REFUND", 1)):
            for day in DAYS:
                assert days[day][place] == total(amount for what, amount, on in moved if (what, on) == (kind, day))
            assert total(sums[place] for sums in days.values()) == total(
                amount for what, amount, _ in moved if what == kind
            )

    def of_payer(self, payer: str) -> list[Invoice]:
        return [known for known in self.model.values() if known.payer == payer]

    def send(self, method: str, path: str, body: Json | None, expected: int, **headers: str) -> Any:
        response = self.http.request(method, path, json=body, headers=headers)
        assert response.status_code == expected, (method, path, body, response.text)
        return response.json() if response.content else None

    def post(self, path: str, body: Json, expected: int, **headers: str) -> Any:
        return self.send("POST", path, body, expected, **headers)

    @rule(target=students)
    def enrol(self) -> str:
        student: str = self.post("/students", {"school_id": self.school, "full_name": "Lisa"}, 201)["id"]
        self.enrolled[student] = []
        return student

    @rule(student=students, some=st.lists(payers, max_size=2, unique=True))
    def set_payers(self, student: str, some: list[str]) -> None:
        shares = ["100"] if len(some) == 1 else ["33.3333", "66.6667"]
        body = {"payers": [{"payer_id": payer, "share": share} for payer, share in zip(some, shares, strict=False)]}
        self.send("PUT", f"/students/{student}/payers", body, 200 if student in self.enrolled else 404)
        if student in self.enrolled:
            self.enrolled[student] = some

    @rule(
        target=invoices,
        student=students,
        payer=st.none() | payers,
        total=amounts,
        day=days,
        due_on=st.sampled_from(["2020-01-01", "2020-02-01"]),
        early=st.none() | st.tuples(st.integers(1, 60), days | st.just(NO_END)),
    )
    def raise_invoice(
        self, student: str, payer: str | None, total: Decimal, day: str, due_on: str, early: tuple[int, str] | None
    ) -> Any:
        if student not in self.enrolled:
            return multiple()
        if early:
            return self.promise(student, payer, total, day, due_on, early)
        body = {"student_id": student, "total_amount": str(total), "due_date": due_on, "issued_at": at(day)}
        invoice = self.post("/invoices", body | ({"payer_id": payer} if payer else {}), 201)
        only = self.enrolled[student][0] if len(self.enrolled[student]) == 1 else None
        assert invoice["payer_id"] == (payer or only)
        self.model[invoice["id"]] = Invoice(invoice["id"], student, payer or only, total, day, due_on)
        return invoice["id"]

    def promise(
        self, student: str, payer: str | None, total: Decimal, day: str, due_on: str, early: tuple[int, str]
    ) -> Any:
        """Add an invoice with an early discount, as only a billing run does, by hand."""
        percent, last_day = early
        discount = round(total * percent / 100, 2)
        if not discount:
            return multiple()
        payer = payer or (self.enrolled[student][0] if len(self.enrolled[student]) == 1 else None)
        [[invoice]] = self.psql.execute(
            "insert into invoices"
            " (school_id, student_id, payer_id, total_amount, issued_at, due_date, early_discount, early_until)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) returning id::text",
            [
                self.school,
                student,
                payer,
                total,
                at(day),
                due_on,
                discount,
                f"{last_day.removeprefix('on ')}T23:59:59.999999Z",
            ],
        ).fetchall()
        self.model[invoice] = Invoice(invoice, student, payer, total, day, due_on, early=(discount, last_day))
        return invoice

    def last_standing(self, known: Invoice) -> str:
        """Return the moment of the last payment that was not taken back; "" if there is none."""
        gone = {name for one in self.money.values() for name, some in one.allocations.items() if some.reversed_on}
        moments = [day for name, (kind, _, day) in known.payments.items() if kind == "PAYMENT" and name not in gone]
        return max(moments, default="")

    def completed_by(self, moment: str) -> Callable[[Invoice], Decimal]:
        """Return what tells how much a receipt of that moment pays on an invoice."""

        def amount_of(known: Invoice) -> Decimal:
            discount, last_day = known.early or (Decimal(0), "")
            is_early = max(known.earliest(moment), self.last_standing(known)) <= last_day
            is_open = discount < known.open() and not known.grant and not known.adjusted(kind="WRITE_OFF")
            return known.open() - (discount if is_early and is_open else 0)

        return amount_of

    def settle(self, invoice: str, before: Decimal, refunded_on: str = "", *, is_redated: bool = False) -> None:
        """Grant the early discount or take it back, after `before` was paid and then something moved."""
        known = self.model[invoice]
        if known.early is None or (known.grant and known.net() >= before and not is_redated):
            return
        discount, last_day = known.early
        in_time = total(
            amount if kind == "PAYMENT" else -amount for kind, amount, day in known.payments.values() if day <= last_day
        )
        if known.grant:
            if min(known.net(), in_time) + known.adjusted() >= known.total:
                return
            grant = known.adjustments[known.grant]
            grant.reversed_on, known.grant = max(grant.moment, refunded_on), None
            self.taken_back_again += 1
        last, left = self.last_standing(known), known.open()
        if 0 < left <= discount and "" < last <= last_day and not known.adjusted(kind="WRITE_OFF"):
            moment = known.earliest(last)
            [made] = [
                one
                for one in self.send("GET", f"/invoices/{invoice}/adjustments?limit=500", None, 200)
                if one["reverses_id"] is None and one["id"] not in known.adjustments
            ]
            assert (made["kind"], Decimal(made["amount"])) == ("DISCOUNT", left)
            assert made["adjusted_at"] == at(moment) or moment.startswith("now")
            known.grant, self.granted = made["id"], self.granted + 1
            known.adjustments[made["id"]] = Adjustment("DISCOUNT", left, moment)

    @rule(target=payments, invoice=invoices, kind=kinds, amount=amounts, day=days, retries=st.integers(0, 2))
    def move_money(self, invoice: str, kind: str, amount: Decimal, day: str, retries: int) -> Any:
        body = {"invoice_id": invoice, "kind": kind, "amount": str(amount), "paid_at": at(day)}
        key = {"Idempotency-Key": str(uuid4())} if retries else {}
        known = self.model.get(invoice)
        if known is None:
            self.post("/payments", body, 404, **key)
            return multiple()
        if not self.allows(known, "", (kind, amount, day)):
            self.post("/payments", body, 409, **key)
            return multiple()
        payment: str = self.post("/payments", body, 201, **key)["id"]
        for _ in range(retries):
            assert self.post("/payments", body, 201, **key)["id"] == payment
        before = known.net()
        known.payments[payment] = (kind, amount, day)
        self.settle(invoice, before, day if kind == "REFUND" else "")
        return payment

    def allows(self, invoice: Invoice, payment: str, *movements: Movement) -> bool:
        """Tell whether the invoice is possible with these movements in the place of `payment`, all without receipts."""
        direct = [other for name, other in invoice.payments.items() if name != payment and name not in self.of_receipts]
        paid = total(amount if kind == "PAYMENT" else -amount for kind, amount, _ in [*direct, *movements])
        return invoice.allows(payment, *movements) and paid >= 0

    def invoice_of(self, payment: str) -> str | None:
        return next((invoice for invoice, known in self.model.items() if payment in known.payments), None)

    @rule(payment=payments, amount=amounts | st.none(), day=days | st.none())
    def correct(self, payment: str, amount: Decimal | None, day: str | None) -> None:
        path = f"/payments/{payment}"
        body = ({"amount": str(amount)} if amount else {}) | ({"paid_at": at(day)} if day else {})
        invoice = self.invoice_of(payment)
        if invoice is None:
            self.send("PATCH", path, body, 404)
            return
        known = self.model[invoice]
        kind, old_amount, old_day = known.payments[payment]
        movement = (kind, amount or old_amount, day or old_day)
        if payment not in self.of_receipts and self.allows(known, payment, movement):
            self.send("PATCH", path, body, 200)
            before = known.net()
            known.payments[payment] = movement
            if movement != (kind, old_amount, old_day):
                self.settle(invoice, before, is_redated=movement[2] != old_day)
        else:
            self.send("PATCH", path, body, 409)

    @rule(payment=payments, target_invoice=invoices)
    def move_to(self, payment: str, target_invoice: str) -> None:
        path, body = f"/payments/{payment}", {"invoice_id": target_invoice}
        source = self.invoice_of(payment)
        if source is None or target_invoice not in self.model:
            self.send("PATCH", path, body, 404)
            return
        here, there = self.model[source], self.model[target_invoice]
        if payment in self.of_receipts:
            self.send("PATCH", path, body, 409)
        elif here is there or (self.allows(here, payment) and self.allows(there, payment, here.payments[payment])):
            self.send("PATCH", path, body, 200)
            paid = here.net(), there.net()
            there.payments[payment] = here.payments.pop(payment)
            if here is not there:
                self.settle(source, paid[0])
                self.settle(target_invoice, paid[1])
        else:
            self.send("PATCH", path, body, 409)

    @rule(payment=payments)
    def strike(self, payment: str) -> None:
        invoice = self.invoice_of(payment)
        if invoice is None:
            self.send("DELETE", f"/payments/{payment}", None, 404)
            return
        known = self.model[invoice]
        if payment not in self.of_receipts and self.allows(known, payment):
            self.send("DELETE", f"/payments/{payment}", None, 204)
            before = known.net()
            del known.payments[payment]
            self.settle(invoice, before)
        else:
            self.send("DELETE", f"/payments/{payment}", None, 409)

    @rule(invoice=invoices, total=amounts | st.none(), day=days | st.none())
    def change_invoice(self, invoice: str, total: Decimal | None, day: str | None) -> None:
        path, known = f"/invoices/{invoice}", self.model.get(invoice)
        body = ({"total_amount": str(total)} if total else {}) | ({"issued_at": at(day)} if day else {})
        if known is None:
            self.send("PATCH", path, body, 404)
            return
        changed = replace(known, total=total or known.total, issued_on=day or known.issued_on)
        allocated = [day for name, (_, _, day) in known.payments.items() if name in self.of_receipts]
        allocated += [one.moment for one in known.adjustments.values()]
        if not known.voided_on and known.early and known.early[0] >= changed.total:
            self.send("PATCH", path, body, 422)
        elif known.voided_on or not changed.is_possible() or min(allocated, default=END) < changed.issued_on:
            self.send("PATCH", path, body, 409)
        else:
            self.send("PATCH", path, body, 200)
            self.model[invoice] = changed

    @rule(invoice=invoices)
    def void(self, invoice: str) -> None:
        path, known = f"/invoices/{invoice}/void", self.model.get(invoice)
        if known is None:
            self.post(path, {"reason": "x"}, 404)
            return
        payments, refunds = known.sums()
        possible = not known.voided_on and payments == refunds and known.adjusted() == 0
        self.post(path, {"reason": "x"}, 200 if possible else 409)
        known.voided_on = self.now() if possible else known.voided_on

    @rule(invoice=consumes(invoices))
    def delete_invoice(self, invoice: str) -> None:
        known = self.model.get(invoice)
        expected = 404 if known is None else 409 if known.payments or known.adjustments else 204
        self.send("DELETE", f"/invoices/{invoice}", None, expected)
        if expected == 204:
            del self.model[invoice]

    @rule(student=students)
    def expel(self, student: str) -> None:
        owes = any(known.student == student for known in self.model.values())
        expected = 404 if student not in self.enrolled else 409 if owes else 204
        self.send("DELETE", f"/students/{student}", None, expected)
        if expected == 204:
            del self.enrolled[student]

    def allocate(self, name: str, receipt: Receipt, planned: list[tuple[str, Decimal]], answer: Json, day: str) -> None:
        """Take the new allocations of an answer into the model, after comparing them with the plan."""
        new = [one for one in answer["allocations"] if one["payment_id"] not in receipt.allocations]
        assert sorted((one["invoice_id"], Decimal(one["amount"])) for one in new) == sorted(planned)
        for one in new:
            invoice, amount = self.model[one["invoice_id"]], Decimal(one["amount"])
            moment, before = invoice.earliest(day), invoice.net()
            invoice.payments[one["payment_id"]] = ("PAYMENT", amount, moment)
            receipt.allocations[one["payment_id"]] = Allocation(invoice.id, amount, moment)
            assert one["allocated_at"] == at(moment) or moment.startswith("now")
            self.settle(invoice.id, before)
        self.of_receipts |= receipt.allocations.keys()
        self.money[name] = receipt

    def refusal(self, listed: list[tuple[str, Decimal]], most: Decimal, too_much: int) -> int | None:
        """Return the status with which a list of allocations is refused."""
        names = [name for name, _ in listed]
        if len(set(names)) < len(names):
            return 422
        if too_much == 422 and total(amount for _, amount in listed) > most:
            return 422
        if not self.model.keys() >= set(names):
            return 422
        known = [(self.model[name], amount) for name, amount in listed]
        if total(amount for _, amount in listed) > most or any(amount > one.open() for one, amount in known):
            return 409
        return None

    @rule(
        target=receipts,
        payer=st.none() | payers,
        amount=amounts.map(lambda amount: 2 * amount),
        day=days | st.none(),
        choice=st.sampled_from(["oldest_due_first", "oldest_due_first", "none", "list"]),
        listed=st.lists(st.tuples(invoices, amounts), max_size=3),
        retries=st.integers(0, 1),
    )
    def receive(
        self,
        payer: str | None,
        amount: Decimal,
        day: str | None,
        choice: str,
        listed: list[tuple[str, Decimal]],
        retries: int,
    ) -> Any:
        owner = {"payer_id": payer} if payer else {"school_id": self.school}
        allocate = [{"invoice_id": name, "amount": str(part)} for name, part in listed] if choice == "list" else choice
        body = owner | {"amount": str(amount), "allocate": allocate} | ({"received_at": at(day)} if day else {})
        refused = self.refusal(listed, amount, 422) if choice == "list" else None
        if refused:
            self.post("/receipts", body, refused)
            return multiple()
        moment = day or self.now()
        receipt = Receipt(payer, amount, moment)
        planned = {
            "list": listed,
            "none": [],
            "oldest_due_first": receipt.plan(self.model.values(), self.completed_by(moment)),
        }[choice]
        key = {"Idempotency-Key": str(uuid4())}
        answer = self.post("/receipts", body, 201, **key)
        self.allocate(answer["id"], receipt, planned, answer, moment)
        for _ in range(retries):
            assert self.post("/receipts", body, 201, **key) == answer
        return answer["id"]

    @rule(
        name=receipts,
        choice=st.sampled_from(["oldest_due_first", "list"]),
        listed=st.lists(st.tuples(invoices, amounts), max_size=2),
    )
    def allocate_later(self, name: str, choice: str, listed: list[tuple[str, Decimal]]) -> None:
        receipt, path = self.money[name], f"/receipts/{name}/allocations"
        allocate = [{"invoice_id": one, "amount": str(part)} for one, part in listed] if choice == "list" else choice
        refused = self.refusal(listed, receipt.unallocated(), 409) if choice == "list" else None
        if receipt.reversed_on and refused != 422:
            refused = 409
        if refused:
            assert self.http.post(path, json={"allocate": allocate}).status_code in {refused, 409}
            return
        moment = self.now()
        planned = listed if choice == "list" else receipt.plan(self.model.values(), self.completed_by(moment))
        self.allocate(name, receipt, planned, self.post(path, {"allocate": allocate}, 201), moment)

    @rule(name=receipts, payer=payers)
    def claim(self, name: str, payer: str) -> None:
        receipt = self.money[name]
        free = receipt.payer in {None, payer} or receipt.allocated() == 0
        possible = free and receipt.reversed_on is None
        self.send("PATCH", f"/receipts/{name}", {"payer_id": payer}, 200 if possible else 409)
        receipt.payer = payer if possible else receipt.payer

    @rule(target=payments, name=receipts, place=st.integers(0, 3))
    def pick_allocation(self, name: str, place: int) -> Any:
        """Let the rules of payments meet those of receipts."""
        names = list(self.money[name].allocations)
        return names[place] if place < len(names) else multiple()

    @rule(target=payments, payment=payments | st.tuples(receipts, st.integers(0, 2)))
    def take_back(self, payment: str | tuple[str, int]) -> Any:
        if isinstance(payment, tuple):
            name, place = payment
            live = [one for one, known in self.money[name].allocations.items() if known.reversed_on is None]
            if place >= len(live):
                return multiple()
            payment = live[place]
        path, body = f"/payments/{payment}/reverse", {"reason": "x"}
        invoice = self.invoice_of(payment)
        if invoice is None:
            self.post(path, body, 404)
            return multiple()
        amount = self.model[invoice].payments[payment][1]
        one = next((some.allocations[payment] for some in self.money.values() if payment in some.allocations), None)
        moment = self.now()
        if one is None or one.reversed_on or not self.model[invoice].allows("", ("REFUND", amount, moment)):
            self.post(path, body, 409)
            return multiple()
        refund: str = self.post(path, body, 201)["id"]
        one.reversed_on, before = moment, self.model[invoice].net()
        self.model[invoice].payments[refund] = ("REFUND", amount, moment)
        self.of_receipts.add(refund)
        self.settle(invoice, before, moment)
        return refund

    @rule(name=receipts, amount=amounts, day=days | st.none())
    def give_back(self, name: str, amount: Decimal, day: str | None) -> None:
        receipt, moment = self.money[name], day or self.now()
        body = {"amount": str(amount)} | ({"refunded_at": at(day)} if day else {})
        possible = not receipt.reversed_on and amount <= receipt.unallocated() and receipt.last_movement() <= moment
        self.post(f"/receipts/{name}/refunds", body, 201 if possible else 409)
        if possible:
            receipt.refunds.append((amount, moment))

    @rule(name=receipts, day=days | st.none())
    def bounce(self, name: str, day: str | None) -> None:
        receipt, moment = self.money[name], day or self.now()
        body = {"reason": "x"} | ({"reversed_at": at(day)} if day else {})
        live = [one for one in receipt.allocations.values() if one.reversed_on is None]
        possible = not receipt.reversed_on and not receipt.refunds and receipt.last_movement() <= moment
        for invoice in {one.invoice for one in live}:
            refunds = [("REFUND", one.amount, moment) for one in live if one.invoice == invoice]
            possible &= self.model[invoice].allows("", *refunds)
        answer = self.http.post(f"/receipts/{name}/reverse", json=body)
        expected = {201} if possible else {409, 422} if moment < receipt.received_on else {409}
        assert answer.status_code in expected, (answer.text, receipt, moment)
        if possible:
            receipt.reversed_on = moment
            for one in live:
                one.reversed_on = moment
            for invoice in {one.invoice for one in live}:
                before = self.model[invoice].net()
                self.learn_refunds(invoice)
                self.settle(invoice, before, moment)

    @rule(
        target=adjustments,
        invoice=invoices,
        kind=st.sampled_from(list(PATHS)),
        amount=amounts,
        day=days | st.none(),
        release=st.booleans(),
    )
    def adjust(self, invoice: str, kind: str, amount: Decimal, day: str | None, release: bool) -> Any:
        path = f"/invoices/{invoice}/{PATHS[kind]}"
        body: Json = {"reason": "x"} | ({"adjusted_at": at(day)} if day else {})
        body |= {} if kind == "WRITE_OFF" else {"amount": str(amount)}
        body |= {"release": release} if kind == "CREDIT_NOTE" else {}
        known = self.model.get(invoice)
        if known is None:
            self.post(path, body, 404)
            return multiple()
        moment = day or self.now()
        amount = known.open() if kind == "WRITE_OFF" else amount
        needed = amount - known.open()
        live = [
            (one, name)
            for receipt in self.money.values()
            for name, one in receipt.allocations.items()
            if one.invoice == invoice and one.reversed_on is None
        ]
        live.sort(key=lambda found: (found[0].moment, found[1]), reverse=True)
        released: list[tuple[Allocation, str]] = []
        again: list[Movement] = []
        left = needed if release and kind == "CREDIT_NOTE" else Decimal(0)
        for one, _ in live:
            if left > 0:
                released.append((one, max(moment, one.moment)))
                again = [("PAYMENT", one.amount - left, released[-1][1])] if one.amount > left else []
            left -= one.amount
        adjusted = replace(known, adjustments=known.adjustments | {"new": Adjustment(kind, amount, moment)})
        refunds = [("REFUND", one.amount, taken_at) for one, taken_at in released]
        possible = amount > 0 and not known.voided_on and adjusted.allows("", *refunds, *again)
        # The refunds are written before what is paid again.
        possible &= known.net() >= total(amount for _, amount, _ in refunds)
        if moment < known.issued_on or not possible:
            assert self.http.post(path, json=body).status_code in ({409} if moment >= known.issued_on else {409, 422})
            return multiple()
        name: str = self.post(path, body, 201)["id"]
        known.adjustments[name] = Adjustment(kind, amount, moment)
        for one, taken_at in released:
            one.reversed_on = taken_at
        self.released += len(released)
        if released:
            before = known.net()
            self.learn_refunds(invoice, *again)
            self.settle(invoice, before, max(taken_at for _, taken_at in released))
        return name

    @rule(adjustment=adjustments)
    def take_adjustment_back(self, adjustment: str) -> None:
        path = f"/adjustments/{adjustment}/reverse"
        known = next(known for known in self.model.values() if adjustment in known.adjustments)
        one = known.adjustments[adjustment]
        self.post(path, {"reason": "x"}, 409 if one.reversed_on else 201)
        one.reversed_on = one.reversed_on or self.now()
        known.grant = None if known.grant == adjustment else known.grant

    def learn_refunds(self, invoice: str, *again: Movement) -> None:
        """Take the refunds and payments of receipts, which no answer names, into the model."""
        known = self.model[invoice].payments
        for row in self.send("GET", f"/invoices/{invoice}/payments?limit=500", None, 200):
            if row["id"] not in known and row["reverses_id"] is None:
                [known[row["id"]]] = again
                _, amount, moment = known[row["id"]]
                self.money[row["receipt_id"]].allocations[row["id"]] = Allocation(invoice, amount, moment)
                self.of_receipts.add(row["id"])
            elif row["id"] not in known:
                one = next(
                    some.allocations[row["reverses_id"]]
                    for some in self.money.values()
                    if row["reverses_id"] in some.allocations
                )
                assert one.reversed_on is not None
                known[row["id"]] = ("REFUND", one.amount, one.reversed_on)
                self.of_receipts.add(row["id"])

    @invariant()
    def receipts_agree(self) -> None:
        self.agree_on_entries(END, "infinity")
        found = self.send("GET", f"/receipts?school_id={self.school}&limit=500", None, 200)
        assert {row["id"]: tuple(row[name] for name in RECEIPT_FIELDS) for row in found} == {
            name: (
                receipt.payer,
                f"{receipt.amount:.2f}",
                f"{receipt.allocated():.2f}",
                f"{receipt.refunded():.2f}",
                f"{receipt.unallocated():.2f}",
            )
            for name, receipt in self.money.items()
        }

    @invariant()
    def everything_agrees(self) -> None:
        statement = self.send("GET", f"/schools/{self.school}/statement?limit=500", None, 200)
        lines = {line["id"]: line for line in statement["invoices"]}
        assert lines.keys() == self.model.keys()
        for invoice, known in self.model.items():
            payments, refunds = known.sums()
            line = lines[invoice]
            for name, kind in SUMS.items():
                assert Decimal(line[name]) == known.adjusted(kind=kind)
            assert line["status"] == known.status
            assert Decimal(line["total_amount"]) == known.total
            assert (Decimal(line["payments_total"]), Decimal(line["refunds_total"])) == (payments, refunds)
            assert Decimal(line["balance_due"]) == known.open()
        assert statement["students_count"] == len(self.enrolled)
        totals = statement["totals"]
        for name, is_known in (("unallocated_total", True), ("unidentified_total", False)):
            left = [one.unallocated() for one in self.money.values() if (one.payer is not None) == is_known]
            assert Decimal(totals.pop(name)) == total(left)
        self.agree(totals, list(self.model.values()))
        for student in self.enrolled:
            of_student = self.send("GET", f"/students/{student}/statement", None, 200)
            self.agree(of_student["totals"], [known for known in self.model.values() if known.student == student])

    def agree(self, totals: Json, counted: list[Invoice]) -> None:
        alive = [known for known in counted if not known.voided_on]
        sums = [known.sums() for known in alive]
        invoiced = sum((known.total for known in alive), Decimal(0))
        payments = sum((paid for paid, _ in sums), Decimal(0))
        refunds = sum((refunded for _, refunded in sums), Decimal(0))
        owed = invoiced - payments + refunds - total(known.adjusted() for known in alive)
        assert {name: Decimal(value) for name, value in totals.items()} == {
            **{name: total(known.adjusted(kind=kind) for known in alive) for name, kind in SUMS.items()},
            "invoiced_total": invoiced,
            "payments_total": payments,
            "refunds_total": refunds,
            "paid_total": payments - refunds,
            "balance_due_total": owed,
            "overdue_total": owed,  # Everything was due in 2020.
        }


@pytest.fixture
def own_server(new_database: Callable[..., str]) -> Iterator[Server]:
    with serve(new_database()) as running:
        yield running


def test_the_api_agrees_with_the_model_after_every_step(own_server: Server) -> None:
    Books.server = own_server
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=10,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )


def step(books: Books, chance: random.Random) -> None:
    """Send a request at random, more often one that is possible than one that is not."""

    def amount(most: int) -> Decimal:
        return Decimal(chance.randint(1, most)).scaleb(-2)

    def day_or_now() -> str | None:
        return chance.choice([*DAYS, None, None, None])

    payer = chance.choice([*books.known_payers, None])
    adjustments = [name for known in books.model.values() for name in known.adjustments]
    kind_of = chance.choice(["CREDIT_NOTE", "CREDIT_NOTE", "DISCOUNT", "WRITE_OFF"])
    invoices, receipts = list(books.model), list(books.money)
    payments = [name for known in books.model.values() for name in known.payments]
    allocations = [name for receipt in books.money.values() for name in receipt.allocations]
    choice = chance.choice(["oldest_due_first", "oldest_due_first", "none", "list"])
    listed = [(name, amount(6_000)) for name in chance.sample(invoices, min(2, len(invoices)))]
    due_on = chance.choice(["2020-01-01", "2020-02-01"])
    student, day = chance.choice(list(books.enrolled)), chance.choice(DAYS)
    early = chance.choice([None, (chance.randint(1, 60), chance.choice([*DAYS[2:], NO_END]))])
    kind = chance.choice(["PAYMENT", "PAYMENT", "REFUND"])
    steps: list[tuple[int, Sequence[Any], Callable[[Any], Any]]] = [
        (4, [student], lambda one: books.raise_invoice(one, payer, amount(20_000), day, due_on, early)),
        (5, [payer], lambda one: books.receive(one, amount(30_000), day_or_now(), choice, listed, 0)),
        (5, receipts, lambda one: books.allocate_later(one, chance.choice(["oldest_due_first", "list"]), listed)),
        (5, allocations, books.take_back),
        (2, receipts, lambda one: books.give_back(one, amount(3_000), day_or_now())),
        (3, receipts, lambda one: books.bounce(one, day_or_now())),
        (2, receipts, lambda one: books.claim(one, chance.choice(books.known_payers))),
        (4, invoices, lambda one: books.move_money(one, kind, amount(5_000), day, 0)),
        (2, payments, lambda one: books.correct(one, amount(5_000), day)),
        (1, payments, books.strike),
        (1, payments, lambda one: books.move_to(one, chance.choice(invoices))),
        (1, invoices, lambda one: books.change_invoice(one, amount(30_000), day)),
        (1, invoices, books.void),
        (7, invoices, lambda one: books.adjust(one, kind_of, amount(8_000), day_or_now(), chance.random() < 0.7)),
        (2, adjustments, books.take_adjustment_back),
        (1, [student], lambda one: books.set_payers(one, chance.sample(books.known_payers, chance.randint(0, 2)))),
    ]
    possible = [(weight, known, act) for weight, known, act in steps if known]
    [(_, known, act)] = chance.choices(possible, [weight for weight, _, _ in possible])
    act(chance.choice(known))


async def differences(database_url: str) -> Sequence[object]:
    async with Database(Settings(database_url=database_url)) as database:
        return await Ledger(database).differences(5)


def test_the_api_agrees_with_the_model_through_a_long_history(own_server: Server) -> None:
    Books.server = own_server
    books, chance = Books(), random.Random(41)  # noqa: S311 - the same history each time
    books.open_accounts()
    books.open_the_doors()
    for number in range(450):
        step(books, chance)
        books.receipts_agree()
        if number % 10 == 0:
            books.everything_agrees()
            books.agree_on(chance.choice(DAYS))
    taken_back = sum(
        one.reversed_on is not None for known in books.money.values() for one in known.allocations.values()
    )
    refunded = sum(len(known.refunds) for known in books.money.values())
    bounced = sum(known.reversed_on is not None and bool(known.allocations) for known in books.money.values())
    adjusted = [one for known in books.model.values() for one in known.adjustments.values()]
    kinds = [sum(one.kind == kind for one in adjusted) for kind in PATHS]
    reversals = sum(one.reversed_on is not None for one in adjusted)
    counts = (taken_back, refunded, bounced, *kinds, reversals, books.released, books.granted, books.taken_back_again)
    assert min(counts) >= 2, counts  # Else this history proves little.
    books.teardown()
    assert asyncio.run(differences(own_server.database_url)) == []
