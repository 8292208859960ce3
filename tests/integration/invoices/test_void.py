import httpx
import pytest

from tests.api import NOBODY, Api, Json, figures, problem, wrong_fields


async def void(api: Api, invoice: Json, reason: str = "Entered twice") -> httpx.Response:
    return await api.client.post(f"/invoices/{invoice['id']}/void", json={"reason": reason})


async def test_nothing_is_owed_on_a_void_invoice_and_it_has_a_reason(api: Api) -> None:
    student = await api.student()
    invoice = await api.invoice(student, "100.00")
    response = await void(api, invoice)
    assert response.status_code == 200
    voided = response.json()
    assert (voided["status"], voided["balance_due"], voided["void_reason"]) == ("VOID", "0.00", "Entered twice")
    assert voided["voided_at"] is not None
    assert await api.reload(invoice) == voided
    totals = (await api.get(f"/students/{student['id']}/statement"))["totals"]
    assert set(totals.values()) == {"0.00"}
    assert [row["id"] for row in await api.get(f"/invoices?student_id={student['id']}&status=VOID")] == [invoice["id"]]


async def test_an_invoice_with_something_paid_cannot_be_voided(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    await api.pay(invoice, "30.00")
    await api.refund(invoice, "20.00")
    refusal = problem(await void(api, invoice), 409, "invoice_has_payments")
    assert refusal["detail"] == (
        "10.00 is paid on the invoice. Take back what receipts pay, with POST /payments/{id}/reverse, and"
        " refund or delete other payments. Then void it."
    )
    assert figures(refusal) == ("100.00", "30.00", "20.00", "10.00", "90.00")
    assert (await api.reload(invoice))["status"] == "PARTIAL"
    await api.refund(invoice, "10.00")
    assert (await void(api, invoice)).json()["status"] == "VOID"


async def test_a_void_invoice_takes_no_payments(api: Api) -> None:
    student = await api.student()
    invoice, other = await api.invoice(student, "100.00"), await api.invoice(student, "100.00")
    payment = await api.pay(invoice, "10.00")
    refund = await api.refund(invoice, "10.00")
    elsewhere = await api.pay(other, "10.00")
    await void(api, invoice)
    for kind in ("PAYMENT", "REFUND"):
        body = {"invoice_id": invoice["id"], "amount": "1.00", "kind": kind}
        problem(await api.client.post("/payments", json=body), 409)
    for row, change in (
        (payment, {"amount": "9.00"}),
        (refund, {"amount": "9.00"}),
        (payment, {"invoice_id": other["id"]}),
        (elsewhere, {"invoice_id": invoice["id"]}),
    ):
        problem(await api.client.patch(f"/payments/{row['id']}", json=change), 409)
    for row in (payment, refund):
        problem(await api.client.delete(f"/payments/{row['id']}"), 409)
    assert len(await api.get(f"/invoices/{invoice['id']}/payments")) == 2


async def test_a_void_invoice_cannot_be_changed_or_restored(api: Api) -> None:
    invoice = await api.invoice()
    await void(api, invoice)
    problem(await void(api, invoice), 409, "invoice_void")
    problem(await api.client.patch(f"/invoices/{invoice['id']}", json={"total_amount": "5.00"}), 409, "invoice_void")
    assert (await api.reload(invoice))["total_amount"] == "100.00"


@pytest.mark.parametrize("body", [{}, {"reason": None}, {"reason": ""}, {"reason": "x" * 501}, {"reason": "a\x00"}])
async def test_a_void_needs_a_reason(api: Api, body: Json) -> None:
    invoice = await api.invoice()
    assert wrong_fields(await api.client.post(f"/invoices/{invoice['id']}/void", json=body)) == ["reason"]
    assert await api.reload(invoice) == invoice


async def test_an_unknown_invoice_is_404(client: httpx.AsyncClient) -> None:
    problem(await client.post(f"/invoices/{NOBODY}/void", json={"reason": "x"}), 404, "invoice_not_found")
