from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.api import NOBODY, Api, Json, figures, problem, wrong_fields


def money(invoice: Json) -> tuple[str, ...]:
    names = ("payments_total", "refunds_total", "paid_total", "balance_due", "status")
    return tuple(invoice[name] for name in names)


async def test_partial_payments_and_a_refund_add_up(api: Api) -> None:
    invoice = await api.invoice(total="800.00")
    payment = await api.pay(
        invoice, "300.00", method="cash", reference="DEMO-PARTIAL-1", paid_at="2026-01-15T13:00:00Z"
    )
    assert payment == payment | {
        "school_id": invoice["school_id"],
        "invoice_id": invoice["id"],
        "kind": "PAYMENT",
        "amount": "300.00",
        "method": "cash",
        "reference": "DEMO-PARTIAL-1",
        "paid_at": "2026-01-15T13:00:00Z",
    }
    assert money(await api.reload(invoice)) == ("300.00", "0.00", "300.00", "500.00", "PARTIAL")
    await api.refund(invoice, "50.00")
    assert money(await api.reload(invoice)) == ("300.00", "50.00", "250.00", "550.00", "PARTIAL")  # 800 - 300 + 50
    await api.pay(invoice, "550.00")
    assert money(await api.reload(invoice)) == ("850.00", "50.00", "800.00", "0.00", "PAID")
    await api.refund(invoice, "800.00")
    assert money(await api.reload(invoice)) == ("850.00", "850.00", "0.00", "800.00", "PENDING")


async def test_cents_do_not_drift(api: Api) -> None:
    invoice = await api.invoice(total="1.00")
    for _ in range(10):
        await api.pay(invoice, 0.1)  # type: ignore[arg-type] # a JSON number, which 0.1 of a float is not
    assert money(await api.reload(invoice)) == ("1.00", "0.00", "1.00", "0.00", "PAID")


async def test_an_overpayment_is_409_and_records_nothing(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    await api.pay(invoice, "60.00")
    before = await api.reload(invoice)
    response = await api.client.post("/payments", json={"invoice_id": invoice["id"], "amount": "40.01"})
    refusal = problem(response, 409, "overpayment")
    assert refusal["detail"] == "The balance due on the invoice is 40.00; no more can be paid."
    assert figures(refusal) == ("100.00", "60.00", "0.00", "60.00", "40.00")
    assert await api.reload(invoice) == before
    assert len(await api.get(f"/invoices/{invoice['id']}/payments")) == 1


async def test_an_over_refund_is_409_and_records_nothing(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    await api.pay(invoice, "60.00")
    body = {"invoice_id": invoice["id"], "amount": "60.01", "kind": "REFUND"}
    refusal = problem(await api.client.post("/payments", json=body), 409, "over_refund")
    assert refusal["detail"] == "60.00 is paid on the invoice; no more can be refunded."
    assert figures(refusal) == ("100.00", "60.00", "0.00", "60.00", "40.00")
    assert money(await api.reload(invoice)) == ("60.00", "0.00", "60.00", "40.00", "PARTIAL")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 0), ("amount", -1), ("amount", 0.001), ("amount", 1e10), ("amount", "NaN"), ("amount", "abc"),
        ("amount", "10000000000.00"), ("amount", None), ("amount", [1]), ("kind", "payment"), ("kind", "GIFT"),
        ("kind", None),
        ("method", ""), ("method", " "), ("method", "x" * 51), ("method", "a\x00"), ("reference", "x" * 256),
        ("invoice_id", "x"), ("invoice_id", None), ("paid_at", "yesterday"), ("paid_at", "2026-02-30"),
        ("paid_at", "2026-01-01T00:00:00"),
        ("school_id", NOBODY), ("status", "PAID"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named_and_nothing_is_recorded(api: Api, field: str, value: object) -> None:
    invoice = await api.invoice()
    body = {"invoice_id": invoice["id"], "amount": "10.00"} | {field: value}
    assert wrong_fields(await api.client.post("/payments", json=body)) == [field]
    assert await api.reload(invoice) == invoice


async def test_an_amount_in_a_currency_without_cents_is_whole(api: Api) -> None:
    invoices = {}
    for currency in ("CLP", "USD"):
        student = await api.student(await api.school(currency=currency))
        invoices[currency] = await api.invoice(student, "601", due_date="2026-01-01")
    payments = {currency: await api.pay(invoice, 3) for currency, invoice in invoices.items()}  # type: ignore[arg-type] # an integer, as some clients send it
    pesos, payment = invoices["CLP"], payments["CLP"]
    assert (pesos["total_amount"], payment["amount"]) == ("601.00", "3.00")
    for field, method, path, body in (
        ("total_amount", "POST", "/invoices", {"student_id": pesos["student_id"], "due_date": "2026-01-01"}),
        ("total_amount", "PATCH", f"/invoices/{pesos['id']}", {}),
        ("amount", "POST", "/payments", {"invoice_id": pesos["id"]}),
        ("amount", "POST", "/payments", {"invoice_id": pesos["id"], "kind": "REFUND"}),
        ("amount", "PATCH", f"/payments/{payment['id']}", {}),
    ):
        response = await api.client.request(method, path, json=body | {field: "7.50"})
        told = "must be a whole number, because CLP has no cents"
        assert problem(response, 422, "invalid_body")["errors"] == [{"field": field, "message": told}]
    assert money(await api.reload(pesos)) == ("3.00", "0.00", "3.00", "598.00", "PARTIAL")
    dollars = await api.client.patch(f"/payments/{payments['USD']['id']}", json={"amount": "2.50"})
    assert dollars.json()["amount"] == "2.50"


async def test_a_payment_cannot_be_dated_in_the_future(api: Api) -> None:
    invoice = await api.invoice()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {"invoice_id": invoice["id"], "amount": "10.00", "paid_at": tomorrow}
    assert wrong_fields(await api.client.post("/payments", json=body)) == ["paid_at"]
    assert await api.reload(invoice) == invoice
    payment = await api.pay(invoice, "10.00")
    path = f"/payments/{payment['id']}"
    assert wrong_fields(await api.client.patch(path, json={"paid_at": tomorrow})) == ["paid_at"]


async def test_no_day_has_more_refunded_than_paid_or_more_paid_than_billed(api: Api) -> None:
    def on(day: int) -> str:
        return f"2026-01-{day:02}T12:00:00Z"

    student = await api.student()
    invoice, other = [await api.invoice(student, "100.00", issued_at=on(8)) for _ in range(2)]
    first = await api.pay(invoice, "60.00", paid_at=on(1))  # counts from the 8th, like its invoice
    second = await api.pay(invoice, "40.00", paid_at=on(10))
    refund = await api.refund(invoice, "80.00", paid_at=on(20))
    third = await api.pay(invoice, "45.00", paid_at=on(20))  # of the moment of the refund: 100 - 80 + 45
    await api.pay(invoice, "20.00", paid_at=on(25))
    one, two, three, back = (f"/payments/{row['id']}" for row in (first, second, third, refund))
    new = {"invoice_id": invoice["id"], "amount": "10.00"}
    give = new | {"kind": "REFUND"}
    for method, path, body, code, day in (
        ("POST", "/payments", new | {"paid_at": on(19)}, "overpayment", 19),  # 60 + 40 + 10
        ("POST", "/payments", give | {"amount": "30.00", "paid_at": on(7)}, "", 0),  # 60 - 30, from the 8th
        ("POST", "/payments", give | {"amount": "35.00", "paid_at": on(9)}, "over_refund", 9),  # 60 - 30 - 35
        ("PATCH", three, {"paid_at": on(15)}, "overpayment", 15),
        ("PATCH", one, {"paid_at": on(21)}, "over_refund", 8),  # -30
        ("PATCH", back, {"paid_at": on(8)}, "over_refund", 8),  # 60 - 30 - 80
        ("PATCH", two, {"invoice_id": other["id"]}, "over_refund", 20),  # 60 - 30 - 80 + 45
        ("DELETE", two, None, "over_refund", 20),
        ("PATCH", f"/invoices/{invoice['id']}", {"issued_at": on(1)}, "", 0),
        ("PATCH", f"/invoices/{invoice['id']}", {"total_amount": "69.99"}, "overpayment", 10),  # 60 - 30 + 40
        ("PATCH", back, {"paid_at": on(10)}, "over_refund", 10),  # 60 - 30 + 40 - 80
        ("PATCH", back, {"amount": "70.00"}, "", 0),
    ):
        response = await api.client.request(method, path, json=body)
        if code:
            assert f"On 2026-01-{day:02}, " in problem(response, 409, code)["detail"], response.text
        else:
            assert response.is_success, response.text
    assert money(await api.reload(invoice)) == ("165.00", "100.00", "65.00", "35.00", "PARTIAL")


@pytest.mark.parametrize(
    ("zone", "day", "beginning"),
    [
        ("Pacific/Auckland", "2026-06-30", "2026-06-29T12:00:00Z"),
        ("America/Havana", "2025-11-02", "2025-11-02T04:00:00Z"),  # The clock went back at 01:00, so 00:00 came twice.
        ("America/Nuuk", "2025-03-30", "2025-03-30T01:00:00Z"),  # It went forward at 23:00, the day before.
    ],
)
async def test_a_day_means_its_beginning_in_the_schools_zone(api: Api, zone: str, day: str, beginning: str) -> None:
    student = await api.student(await api.school(time_zone=zone))
    invoice = await api.invoice(student, "100.00", issued_at=day)
    payment, refund = await api.pay(invoice, "40.00", paid_at=day), await api.refund(invoice, "30.00", paid_at=day)
    later = await api.invoice(student, "20.00", issued_at="2026-07-20T00:00:00Z")
    assert invoice["issued_at"] == payment["paid_at"] == refund["paid_at"] == beginning
    before = (datetime.fromisoformat(beginning) - timedelta(microseconds=1)).isoformat()
    for path, field in (
        (f"/payments/{payment['id']}", "paid_at"), (f"/invoices/{later['id']}", "issued_at")
    ):  # fmt: skip
        for value, told in ((before, before.replace("+00:00", "Z")), (day, beginning)):
            assert (await api.client.patch(path, json={field: value})).json()[field] == told
    statement = await api.get(f"/students/{student['id']}/statement?from={day}&to={day}")
    assert [(entry["date"], entry["amount"]) for entry in statement["entries"]] == [
        (day, amount) for amount in ("100.00", "20.00", "40.00", "30.00")
    ]
    assert (statement["opening_balance"], statement["closing_balance"]) == ("0.00", "110.00")  # 120 - 40 + 30


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_today_is_no_day_of_the_future_wherever_the_school_is(api: Api, zone: str) -> None:
    invoice = await api.invoice(await api.student(await api.school(time_zone=zone)))
    today = datetime.now(ZoneInfo(zone)).date()
    payment = await api.pay(invoice, "1.00", paid_at=str(today))
    assert datetime.fromisoformat(payment["paid_at"]).astimezone(ZoneInfo(zone)).date() == today
    path, ahead = f"/payments/{payment['id']}", str(today + timedelta(days=2))
    assert wrong_fields(await api.client.patch(path, json={"paid_at": ahead})) == ["paid_at"]
    assert (await api.client.patch(path, json={"paid_at": str(today)})).status_code == 200


async def test_an_unknown_invoice_is_404(client: httpx.AsyncClient) -> None:
    response = await client.post("/payments", json={"invoice_id": NOBODY, "amount": "10.00"})
    problem(response, 404, "invoice_not_found")


async def test_a_payment_can_be_corrected_and_the_totals_follow(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    payment = await api.pay(invoice, "60.00", method="cash", reference="R-1")
    path = f"/payments/{payment['id']}"
    changed = (await api.client.patch(path, json={"amount": "80.00", "method": None})).json()
    assert changed == payment | {"amount": "80.00", "method": None, "updated_at": changed["updated_at"]}
    assert money(await api.reload(invoice)) == ("80.00", "0.00", "80.00", "20.00", "PARTIAL")
    problem(await api.client.patch(path, json={"amount": "100.01"}), 409, "overpayment")
    await api.refund(invoice, "70.00")
    refusal = problem(await api.client.patch(path, json={"amount": "69.99"}), 409, "over_refund")
    assert figures(refusal) == ("100.00", "80.00", "70.00", "10.00", "90.00")
    assert money(await api.reload(invoice)) == ("80.00", "70.00", "10.00", "90.00", "PARTIAL")


@pytest.mark.parametrize("kind", ["PAYMENT", "REFUND", None])
async def test_a_payment_does_not_become_a_refund_nor_a_refund_a_payment(api: Api, kind: str | None) -> None:
    invoice = await api.invoice(total="100.00")
    for row in (await api.pay(invoice, "50.00"), await api.refund(invoice, "20.00")):
        change = {"kind": kind, "reference": "R-2"}
        assert wrong_fields(await api.client.patch(f"/payments/{row['id']}", json=change)) == ["kind"]
    assert money(await api.reload(invoice)) == ("50.00", "20.00", "30.00", "70.00", "PARTIAL")


async def test_a_change_that_does_not_affect_the_amount_leaves_the_invoice_alone(api: Api) -> None:
    invoice = await api.invoice()
    payment = await api.pay(invoice, "10.00")
    before = await api.reload(invoice)
    changed = await api.client.patch(f"/payments/{payment['id']}", json={"reference": "R-2", "amount": "10.00"})
    assert changed.json()["reference"] == "R-2"
    assert await api.reload(invoice) == before


async def test_a_payment_that_moves_to_another_invoice_changes_the_totals_of_both(api: Api) -> None:
    student = await api.student()
    first, second = await api.invoice(student, "100.00"), await api.invoice(student, "50.00")
    payment = await api.pay(first, "40.00")
    moved = await api.client.patch(f"/payments/{payment['id']}", json={"invoice_id": second["id"], "amount": "45.00"})
    assert moved.json()["invoice_id"] == second["id"]
    assert money(await api.reload(first)) == ("0.00", "0.00", "0.00", "100.00", "PENDING")
    assert money(await api.reload(second)) == ("45.00", "0.00", "45.00", "5.00", "PARTIAL")


async def test_a_payment_cannot_move_to_an_invoice_that_it_would_overpay(api: Api) -> None:
    student = await api.student()
    first, small, strange = (
        await api.invoice(student, "100.00"),
        await api.invoice(student, "30.00"),
        await api.invoice(),
    )
    payment = await api.pay(first, "40.00")
    path = f"/payments/{payment['id']}"
    refusal = problem(await api.client.patch(path, json={"invoice_id": small["id"]}), 409, "overpayment")
    assert figures(refusal) == ("30.00", "0.00", "0.00", "0.00", "30.00")  # of the invoice that it would overpay
    problem(await api.client.patch(path, json={"invoice_id": strange["id"]}), 404, "invoice_not_found")
    problem(await api.client.patch(path, json={"invoice_id": NOBODY}), 404, "invoice_not_found")
    await api.refund(first, "10.00")
    change = {"invoice_id": small["id"], "amount": "30.00"}
    refusal = problem(await api.client.patch(path, json=change), 409, "over_refund")
    assert figures(refusal) == ("100.00", "40.00", "10.00", "30.00", "70.00")  # of the invoice that it would leave
    assert money(await api.reload(first)) == ("40.00", "10.00", "30.00", "70.00", "PARTIAL")
    assert await api.reload(small) == small
    assert await api.reload(strange) == strange
    assert await api.get(path) == payment


async def test_a_deleted_payment_is_taken_off_the_totals(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    payment, refund = await api.pay(invoice, "60.00"), await api.refund(invoice, "20.00")
    refusal = problem(await api.client.delete(f"/payments/{payment['id']}"), 409, "over_refund")
    assert refusal["detail"].startswith("20.00 is refunded on the invoice")
    assert figures(refusal) == ("100.00", "60.00", "20.00", "40.00", "60.00")
    assert (await api.client.delete(f"/payments/{refund['id']}")).status_code == 204
    assert money(await api.reload(invoice)) == ("60.00", "0.00", "60.00", "40.00", "PARTIAL")
    assert (await api.client.delete(f"/payments/{payment['id']}")).status_code == 204
    assert money(await api.reload(invoice)) == ("0.00", "0.00", "0.00", "100.00", "PENDING")
    for method in ("GET", "DELETE"):
        problem(await api.client.request(method, f"/payments/{payment['id']}"), 404, "payment_not_found")
    problem(await api.client.patch(f"/payments/{payment['id']}", json={}), 404, "payment_not_found")


@pytest.mark.parametrize("field", ["amount", "invoice_id", "paid_at"])
async def test_null_cannot_clear_a_required_field_of_a_payment(api: Api, field: str) -> None:
    payment = await api.pay(await api.invoice(), "1.00")
    assert wrong_fields(await api.client.patch(f"/payments/{payment['id']}", json={field: None})) == [field]


async def test_lists_filter_by_parent_kind_method_reference_and_day(api: Api) -> None:
    school = await api.school(time_zone="Pacific/Auckland")
    invoice, other = await api.invoice(await api.student(school)), await api.invoice(await api.student(school))
    # 12:30 UTC on 30 June is half past midnight on 1 July in Auckland.
    late = await api.pay(invoice, "1.00", method="cash", reference="A", paid_at="2026-06-30T12:30:00Z")
    early = await api.pay(invoice, "2.00", method="card", reference="B", paid_at="2026-06-30T11:30:00Z")
    refund = await api.refund(invoice, "1.00", method="cash", paid_at="2026-07-02T00:00:00Z")
    elsewhere = await api.pay(other, "3.00", reference=(mark := uuid4().hex))

    async def found(query: str) -> list[str]:
        return [payment["id"] for payment in await api.get(query)]

    of_school, of_invoice = f"/payments?school_id={school['id']}", f"/payments?invoice_id={invoice['id']}"
    assert await found(of_school) == [late["id"], early["id"], refund["id"], elsewhere["id"]]
    assert await found(of_invoice) == [late["id"], early["id"], refund["id"]]
    assert await found(f"/invoices/{invoice['id']}/payments") == [late["id"], early["id"], refund["id"]]
    assert await found(f"/invoices/{invoice['id']}/payments?kind=REFUND") == [refund["id"]]
    assert await found(f"{of_invoice}&method=cash") == [late["id"], refund["id"]]
    assert await found(f"{of_invoice}&method=Cash%20") == [late["id"], refund["id"]]
    assert await found(f"/payments?student_id={other['student_id']}") == [elsewhere["id"]]
    assert await found(f"{of_school}&student_id={invoice['student_id']}&kind=PAYMENT") == [late["id"], early["id"]]
    assert await found(f"/payments?student_id={other['student_id']}&school_id={NOBODY}") == []
    assert await found(f"/invoices/{invoice['id']}/payments?paid_to=2026-06-30&reference=B") == [early["id"]]
    assert await found(f"{of_school}&reference=B") == [early["id"]]
    assert await found(f"{of_school}&paid_to=2026-06-30") == [early["id"]]
    assert await found(f"{of_school}&paid_from=2026-07-01&paid_to=2026-07-01") == [late["id"]]
    assert await found(f"{of_invoice}&paid_from=2026-07-01") == [late["id"], refund["id"]]
    of_all = f"/payments?kind=PAYMENT&paid_from={elsewhere['paid_at'][:10]}"
    assert await found(f"{of_all}&reference={mark}") == [elsewhere["id"]]
    problem(await api.client.get(f"/invoices/{NOBODY}/payments"), 404, "invoice_not_found")
