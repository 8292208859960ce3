from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import msgspec

from school_billing.platform.web.json_body import decode
from school_billing.statements.contracts import StudentStatement
from tests.api import NOBODY, Api, problem

ZERO = {
    "invoiced_total": "0.00",
    "credited_total": "0.00",
    "discounted_total": "0.00",
    "written_off_total": "0.00",
    "payments_total": "0.00",
    "refunds_total": "0.00",
    "paid_total": "0.00",
    "balance_due_total": "0.00",
    "overdue_total": "0.00",
}


async def test_the_statement_says_who_owes_what_and_why(api: Api) -> None:
    school = await api.school(currency="EUR")
    student = await api.student(school)
    tuition = await api.invoice(student, "1000.00", description="Tuition", issued_at="2026-01-05T13:00:00Z")
    books = await api.invoice(student, "80.50", due_date="2999-01-01", issued_at="2026-01-04T00:00:00.5Z")
    await api.pay(tuition, "600.00")
    await api.refund(tuition, "50.25")
    await api.invoice(await api.student(school), "5.00")
    statement = await api.get(f"/students/{student['id']}/statement")
    assert statement["student_id"] == student["id"]
    assert statement["school_id"] == school["id"]
    assert statement["currency"] == "EUR"
    assert statement["totals"] == {
        "invoiced_total": "1080.50",
        "credited_total": "0.00",
        "discounted_total": "0.00",
        "written_off_total": "0.00",
        "payments_total": "600.00",
        "refunds_total": "50.25",
        "paid_total": "549.75",  # 600.00 - 50.25
        "balance_due_total": "530.75",  # 1080.50 - 549.75
        "overdue_total": "450.25",  # 1000.00 - 549.75: the books are not due yet
    }
    assert [line["id"] for line in statement["invoices"]] == [books["id"], tuition["id"]]  # by date
    assert statement["invoices"][1] == {
        "id": tuition["id"],
        "student_id": student["id"],
        "total_amount": "1000.00",
        "issued_at": "2026-01-05T13:00:00.000000Z",
        "due_date": "2026-02-28",
        "description": "Tuition",
        "credited_total": "0.00",
        "discounted_total": "0.00",
        "written_off_total": "0.00",
        "payments_total": "600.00",
        "refunds_total": "50.25",
        "paid_total": "549.75",
        "balance_due": "450.25",
        "status": "PARTIAL",
    }


async def test_a_student_without_invoices_owes_nothing(api: Api) -> None:
    student = await api.student()
    statement = await api.get(f"/students/{student['id']}/statement")
    assert (statement["totals"], statement["invoices"]) == (ZERO, [])


async def test_a_void_invoice_is_shown_and_counts_for_nothing(api: Api) -> None:
    student = await api.student()
    invoice = await api.invoice(student)
    voided = await api.client.post(f"/invoices/{invoice['id']}/void", json={"reason": "Entered twice"})
    assert voided.status_code == 200
    statement = await api.get(f"/students/{student['id']}/statement")
    assert statement["totals"] == ZERO
    assert [(line["status"], line["balance_due"]) for line in statement["invoices"]] == [("VOID", "0.00")]
    refusal = await api.client.post("/payments", json={"invoice_id": invoice["id"], "amount": "1.00"})
    problem(refusal, 409, "invoice_void")
    school = await api.get(f"/schools/{student['school_id']}/statement")
    assert school["totals"] == ZERO | {"unallocated_total": "0.00", "unidentified_total": "0.00"}
    assert school["students"][0]["invoices_count"] == 0


async def test_an_invoice_is_overdue_from_the_schools_midnight_on(api: Api) -> None:
    # Kiritimati is UTC+14 and Niue UTC-11: at every moment their dates differ.
    overdue = {}
    for zone in ("Pacific/Kiritimati", "UTC", "Pacific/Niue"):
        student = await api.student(await api.school(time_zone=zone))
        today = datetime.now(ZoneInfo(zone)).date()
        await api.invoice(student, "10.00", due_date=str(today))
        await api.invoice(student, "1.00", due_date=str(today - timedelta(days=1)))
        overdue[zone] = (await api.get(f"/students/{student['id']}/statement"))["totals"]["overdue_total"]
        of_school = await api.get(f"/schools/{student['school_id']}/statement")
        assert of_school["totals"]["overdue_total"] == overdue[zone]
    assert set(overdue.values()) == {"1.00"}


async def test_the_document_is_what_the_contract_says(client: httpx.AsyncClient, api: Api) -> None:
    student = await api.student()
    await api.pay(await api.invoice(student, description='quotes " and \\ and é and\nmore'), "1.00")
    response = await client.get(f"/students/{student['id']}/statement")
    assert response.headers["content-type"] == "application/json"
    statement = decode(response.content, StudentStatement)
    assert msgspec.json.decode(msgspec.json.encode(statement, enc_hook=str))["totals"] == response.json()["totals"]
    assert statement.invoices[0].description == 'quotes " and \\ and é and\nmore'


async def test_a_student_that_does_not_exist_is_404(client: httpx.AsyncClient) -> None:
    problem(await client.get(f"/students/{NOBODY}/statement"), 404, "student_not_found")
