"""Random requests to the API and to a model of the books in plain Python. After each step they agree."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
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

from tests.server import Server, serve

Json = dict[str, Any]
amounts = st.integers(min_value=1, max_value=20_000).map(lambda cents: Decimal(cents).scaleb(-2))
kinds = st.sampled_from(["PAYMENT", "PAYMENT", "REFUND"])


DAYS = [f"2026-01-{day:02}" for day in range(1, 6)]
days = st.sampled_from(DAYS)


def at(day: str) -> str:
    return f"{day}T12:00:00Z"


@dataclass
class Invoice:
    """An invoice in the model. A payment has a kind, an amount and a day."""

    student: str
    total: Decimal
    issued_on: str
    void: bool = False
    payments: dict[str, tuple[str, Decimal, str]] = field(default_factory=dict)

    def sums(self, day: str = DAYS[-1]) -> tuple[Decimal, Decimal]:
        """Return the sum of the payments and the sum of the refunds that count on that day."""
        if self.issued_on > day:
            return Decimal(0), Decimal(0)
        counted = [(kind, amount) for kind, amount, paid_on in self.payments.values() if paid_on <= day]
        payments = sum((amount for kind, amount in counted if kind == "PAYMENT"), Decimal(0))
        refunds = sum((amount for kind, amount in counted if kind == "REFUND"), Decimal(0))
        return payments, refunds

    def net(self, day: str = DAYS[-1]) -> Decimal:
        """Return what is paid on that day and not refunded."""
        payments, refunds = self.sums(day)
        return payments - refunds

    def allows(self, payment: str, movement: tuple[str, Decimal, str] | None) -> bool:
        """Tell whether the invoice is possible with another movement in the place of `payment`, or with none."""
        payments = {name: other for name, other in self.payments.items() if name != payment}
        return replace(self, payments=payments | ({payment: movement} if movement else {})).is_possible()

    def is_possible(self) -> bool:
        """Tell whether what is paid stays within its bounds on every day."""
        return all(0 <= self.net(day) <= self.total for day in DAYS) and (not self.void or self.net() == 0)

    @property
    def status(self) -> str:
        """Return the status that the API should show."""
        payments, refunds = self.sums()
        if self.void:
            return "VOID"
        if payments == refunds:
            return "PENDING"
        return "PAID" if payments - refunds == self.total else "PARTIAL"


class Books(RuleBasedStateMachine):
    """Each rule sends one request to the API and makes the same change in the model."""

    server: Server

    students = Bundle("students")
    invoices = Bundle("invoices")
    payments = Bundle("payments")

    @initialize()
    def open_the_books(self) -> None:
        self.http = httpx.Client(base_url=self.server.url, headers=self.server.admin)
        self.school = self.post("/schools", {"name": "Model"}, 201)["id"]
        self.model: dict[str, Invoice] = {}
        self.enrolled: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "http"):
            for day in DAYS:
                self.agree_on(day)
            self.http.close()

    def agree_on(self, day: str) -> None:
        """See that no correction has left an impossible past."""
        statement = self.send("GET", f"/schools/{self.school}/statement?limit=500&as_of={day}", None, 200)
        dues = {line["id"]: Decimal(line["balance_due"]) for line in statement["invoices"]}
        known = {name: invoice for name, invoice in self.model.items() if invoice.issued_on <= day}
        assert dues == {name: invoice.total - invoice.net(day) for name, invoice in known.items()}
        assert all(0 <= due <= known[name].total for name, due in dues.items())

    def send(self, method: str, path: str, body: Json | None, expected: int, **headers: str) -> Any:
        response = self.http.request(method, path, json=body, headers=headers)
        assert response.status_code == expected, (method, path, body, response.text)
        return response.json() if response.content else None

    def post(self, path: str, body: Json, expected: int, **headers: str) -> Any:
        return self.send("POST", path, body, expected, **headers)

    @rule(target=students)
    def enrol(self) -> str:
        student: str = self.post("/students", {"school_id": self.school, "full_name": "Lisa"}, 201)["id"]
        self.enrolled.add(student)
        return student

    @rule(target=invoices, student=students, total=amounts, day=days)
    def raise_invoice(self, student: str, total: Decimal, day: str) -> Any:
        if student not in self.enrolled:
            return multiple()
        body = {"student_id": student, "total_amount": str(total), "due_date": "2020-01-01", "issued_at": at(day)}
        invoice: str = self.post("/invoices", body, 201)["id"]
        self.model[invoice] = Invoice(student, total, day)
        return invoice

    @rule(target=payments, invoice=invoices, kind=kinds, amount=amounts, day=days, retries=st.integers(0, 2))
    def move_money(self, invoice: str, kind: str, amount: Decimal, day: str, retries: int) -> Any:
        body = {"invoice_id": invoice, "kind": kind, "amount": str(amount), "paid_at": at(day)}
        key = {"Idempotency-Key": str(uuid4())} if retries else {}
        known = self.model.get(invoice)
        if known is None:
            self.post("/payments", body, 404, **key)
            return multiple()
        if not known.allows("", (kind, amount, day)):
            self.post("/payments", body, 409, **key)
            return multiple()
        payment: str = self.post("/payments", body, 201, **key)["id"]
        for _ in range(retries):
            assert self.post("/payments", body, 201, **key)["id"] == payment
        known.payments[payment] = (kind, amount, day)
        return payment

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
        if known.allows(payment, movement):
            self.send("PATCH", path, body, 200)
            known.payments[payment] = movement
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
        if here is there or (here.allows(payment, None) and there.allows(payment, here.payments[payment])):
            self.send("PATCH", path, body, 200)
            there.payments[payment] = here.payments.pop(payment)
        else:
            self.send("PATCH", path, body, 409)

    @rule(payment=payments)
    def strike(self, payment: str) -> None:
        invoice = self.invoice_of(payment)
        if invoice is None:
            self.send("DELETE", f"/payments/{payment}", None, 404)
            return
        known = self.model[invoice]
        if known.allows(payment, None):
            self.send("DELETE", f"/payments/{payment}", None, 204)
            del known.payments[payment]
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
        if known.void or not changed.is_possible():
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
        possible = not known.void and payments == refunds
        self.post(path, {"reason": "x"}, 200 if possible else 409)
        known.void |= possible

    @rule(invoice=consumes(invoices))
    def delete_invoice(self, invoice: str) -> None:
        known = self.model.get(invoice)
        expected = 404 if known is None else 409 if known.payments else 204
        self.send("DELETE", f"/invoices/{invoice}", None, expected)
        if expected == 204:
            del self.model[invoice]

    @rule(student=students)
    def expel(self, student: str) -> None:
        owes = any(known.student == student for known in self.model.values())
        expected = 404 if student not in self.enrolled else 409 if owes else 204
        self.send("DELETE", f"/students/{student}", None, expected)
        if expected == 204:
            self.enrolled.discard(student)

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "school"):
            return
        statement = self.send("GET", f"/schools/{self.school}/statement?limit=500", None, 200)
        lines = {line["id"]: line for line in statement["invoices"]}
        assert lines.keys() == self.model.keys()
        for invoice, known in self.model.items():
            payments, refunds = known.sums()
            line = lines[invoice]
            assert line["status"] == known.status
            assert Decimal(line["total_amount"]) == known.total
            assert (Decimal(line["payments_total"]), Decimal(line["refunds_total"])) == (payments, refunds)
            assert Decimal(line["balance_due"]) == (0 if known.void else known.total - payments + refunds)
        assert statement["students_count"] == len(self.enrolled)
        self.agree(statement["totals"], list(self.model.values()))
        for student in self.enrolled:
            of_student = self.send("GET", f"/students/{student}/statement", None, 200)
            self.agree(of_student["totals"], [known for known in self.model.values() if known.student == student])

    def agree(self, totals: Json, counted: list[Invoice]) -> None:
        alive = [known for known in counted if not known.void]
        sums = [known.sums() for known in alive]
        invoiced = sum((known.total for known in alive), Decimal(0))
        payments = sum((paid for paid, _ in sums), Decimal(0))
        refunds = sum((refunded for _, refunded in sums), Decimal(0))
        assert {name: Decimal(value) for name, value in totals.items()} == {
            "invoiced_total": invoiced,
            "payments_total": payments,
            "refunds_total": refunds,
            "paid_total": payments - refunds,
            "balance_due_total": invoiced - payments + refunds,
            "overdue_total": invoiced - payments + refunds,  # Everything was due in 2020.
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
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
