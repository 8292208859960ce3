"""Random requests to the API and to a model of the books in plain Python. After each step they agree."""

from collections.abc import Callable, Iterator
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


class Invoice:
    """An invoice in the model."""

    def __init__(self, student: str, total: Decimal) -> None:
        self.student = student
        self.total = total
        self.void = False
        self.payments: dict[str, tuple[str, Decimal]] = {}

    def sums(self) -> tuple[Decimal, Decimal]:
        """Return the sum of the payments and the sum of the refunds."""
        payments = sum((amount for kind, amount in self.payments.values() if kind == "PAYMENT"), Decimal(0))
        refunds = sum((amount for kind, amount in self.payments.values() if kind == "REFUND"), Decimal(0))
        return payments, refunds

    def allows(self, *changes: tuple[str, Decimal]) -> bool:
        """Tell whether the net amount paid stays within its bounds after `changes`."""
        payments, refunds = self.sums()
        net = (
            payments - refunds + sum((amount if kind == "PAYMENT" else -amount for kind, amount in changes), Decimal(0))
        )
        return net == 0 if self.void else 0 <= net <= self.total

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
            self.http.close()

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

    @rule(target=invoices, student=students, total=amounts)
    def raise_invoice(self, student: str, total: Decimal) -> Any:
        if student not in self.enrolled:
            return multiple()
        body = {"student_id": student, "total_amount": str(total), "due_date": "2020-01-01"}
        invoice: str = self.post("/invoices", body, 201)["id"]
        self.model[invoice] = Invoice(student, total)
        return invoice

    @rule(target=payments, invoice=invoices, kind=kinds, amount=amounts, retries=st.integers(0, 2))
    def move_money(self, invoice: str, kind: str, amount: Decimal, retries: int) -> Any:
        body = {"invoice_id": invoice, "kind": kind, "amount": str(amount)}
        key = {"Idempotency-Key": str(uuid4())} if retries else {}
        known = self.model.get(invoice)
        if known is None:
            self.post("/payments", body, 404, **key)
            return multiple()
        if not known.allows((kind, amount)):
            self.post("/payments", body, 409, **key)
            return multiple()
        payment: str = self.post("/payments", body, 201, **key)["id"]
        for _ in range(retries):
            assert self.post("/payments", body, 201, **key)["id"] == payment
        known.payments[payment] = (kind, amount)
        return payment

    def invoice_of(self, payment: str) -> str | None:
        return next((invoice for invoice, known in self.model.items() if payment in known.payments), None)

    @rule(payment=payments, amount=amounts)
    def correct(self, payment: str, amount: Decimal) -> None:
        path, body = f"/payments/{payment}", {"amount": str(amount)}
        invoice = self.invoice_of(payment)
        if invoice is None:
            self.send("PATCH", path, body, 404)
            return
        known = self.model[invoice]
        kind, old_amount = known.payments[payment]
        if known.allows((kind, -old_amount), (kind, amount)):
            self.send("PATCH", path, body, 200)
            known.payments[payment] = (kind, amount)
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
        kind, amount = here.payments[payment]
        if here is there or (here.allows((kind, -amount)) and there.allows((kind, amount))):
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
        kind, amount = known.payments[payment]
        if known.allows((kind, -amount)):
            self.send("DELETE", f"/payments/{payment}", None, 204)
            del known.payments[payment]
        else:
            self.send("DELETE", f"/payments/{payment}", None, 409)

    @rule(invoice=invoices, total=amounts)
    def change_total(self, invoice: str, total: Decimal) -> None:
        path, body, known = f"/invoices/{invoice}", {"total_amount": str(total)}, self.model.get(invoice)
        if known is None:
            self.send("PATCH", path, body, 404)
            return
        payments, refunds = known.sums()
        if known.void or payments - refunds > total:
            self.send("PATCH", path, body, 409)
        else:
            self.send("PATCH", path, body, 200)
            known.total = total

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
