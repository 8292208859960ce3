from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.api import NOBODY, Api, figures, problem, wrong_fields


async def test_an_invoice_begins_unpaid(api: Api) -> None:
    student = await api.student()
    before = datetime.now(UTC)
    invoice = await api.invoice(student, "1000", description="Annual tuition")
    assert invoice == invoice | {
        "school_id": student["school_id"],
        "student_id": student["id"],
        "total_amount": "1000.00",
        "payments_total": "0.00",
        "refunds_total": "0.00",
        "paid_total": "0.00",
        "balance_due": "1000.00",
        "status": "PENDING",
        "due_date": "2026-02-28",
        "description": "Annual tuition",
        "voided_at": None,
    }
    assert abs((datetime.fromisoformat(invoice["issued_at"]) - before).total_seconds()) < 60
    assert await api.reload(invoice) == invoice


async def test_old_debts_can_be_entered(api: Api) -> None:
    invoice = await api.invoice(due_date="1999-12-31", issued_at="1999-12-01T08:00:00+01:00")
    assert (invoice["due_date"], invoice["issued_at"]) == ("1999-12-31", "1999-12-01T07:00:00Z")


async def test_the_largest_amount_is_kept_to_the_cent(api: Api) -> None:
    invoice = await api.invoice(total="9999999999.99")
    await api.pay(invoice, "9999999999.98")
    assert (await api.reload(invoice))["balance_due"] == "0.01"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_amount", 0), ("total_amount", "-1"), ("total_amount", "0.001"), ("total_amount", "1e10"),
        ("total_amount", "NaN"), ("total_amount", "abc"), ("total_amount", "10000000000.00"), ("total_amount", None),
        ("total_amount", True), ("due_date", "2026-02-30"), ("due_date", "tomorrow"), ("due_date", None),
        ("due_date", ""),
        ("due_date", "2026-02-28T00:00:00Z"), ("student_id", "x"), ("student_id", None), ("description", "x" * 501),
        ("description", "a\x00b"), ("issued_at", "2026-02-30"), ("issued_at", "2026-01-01T00:00:00"),
        ("status", "PAID"), ("payments_total", "5.00"), ("school_id", NOBODY),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named(api: Api, field: str, value: object) -> None:
    student = await api.student()
    body = {"student_id": student["id"], "total_amount": "10.00", "due_date": "2026-02-28"} | {field: value}
    assert wrong_fields(await api.client.post("/invoices", json=body)) == [field]
    assert await api.get(f"/students/{student['id']}/invoices") == []


async def test_a_missing_field_is_named(client: httpx.AsyncClient) -> None:
    assert wrong_fields(await client.post("/invoices", json={})) == ["student_id", "due_date"]


async def test_an_unknown_student_is_404(client: httpx.AsyncClient) -> None:
    body = {"student_id": NOBODY, "total_amount": "10.00", "due_date": "2026-02-28"}
    problem(await client.post("/invoices", json=body), 404, "student_not_found")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("due_date", "0001-01-01"),
        ("due_date", "1899-12-31"),
        ("due_date", "3000-01-01"),
        ("due_date", "9999-12-31"),
        ("issued_at", "0001-01-01T00:00:00Z"),
        ("issued_at", "9999-12-31T23:59:59.999999Z"),
    ],
)
async def test_a_date_outside_the_calendar_is_refused(api: Api, field: str, value: str) -> None:
    # asyncpg sends the first and the last day of Python's calendar as infinity.
    student = await api.student()
    body = {"student_id": student["id"], "total_amount": "1", "due_date": "2026-01-01"} | {field: value}
    assert wrong_fields(await api.client.post("/invoices", json=body)) == [field]
    invoice = await api.invoice(student)
    assert wrong_fields(await api.client.patch(f"/invoices/{invoice['id']}", json={field: value})) == [field]
    response = await api.client.post(
        "/payments", json={"invoice_id": invoice["id"], "amount": 1, "paid_at": "0001-01-01T00:00:00Z"}
    )
    assert wrong_fields(response) == ["paid_at"]


@pytest.mark.parametrize("issued_at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_an_instant_that_python_cannot_hold_in_utc_is_refused(api: Api, issued_at: str) -> None:
    student = await api.student()
    body = {"student_id": student["id"], "total_amount": "1", "due_date": "2026-01-01", "issued_at": issued_at}
    problem(await api.client.post("/invoices", json=body), 422)


async def test_patch_changes_the_given_fields(api: Api) -> None:
    invoice = await api.invoice(description="Tuition")
    path = f"/invoices/{invoice['id']}"
    change = {"total_amount": 120.5, "due_date": "2026-03-31", "issued_at": "2026-03-01T00:00:00Z"}
    changed = (await api.client.patch(path, json=change)).json()
    assert changed == invoice | change | {
        "total_amount": "120.50",
        "balance_due": "120.50",
        "updated_at": changed["updated_at"],
    }
    assert (await api.client.patch(path, json={"description": None})).json()["description"] is None


async def test_a_total_cannot_fall_below_what_is_paid(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    await api.pay(invoice, "60.00")
    path = f"/invoices/{invoice['id']}"
    refusal = problem(await api.client.patch(path, json={"total_amount": "59.99"}), 409, "overpayment")
    assert refusal["detail"].startswith(
        "60.00 is paid, credited or written off on the invoice, so its total cannot be less."
    )
    assert figures(refusal) == ("100.00", "60.00", "0.00", "60.00", "40.00")
    assert (await api.client.patch(path, json={"total_amount": "60.00"})).json()["status"] == "PAID"


async def test_a_total_cannot_fall_below_what_was_paid_on_an_earlier_day(api: Api) -> None:
    student = await api.student(await api.school(time_zone="America/Chicago"))
    invoice = await api.invoice(student, "300.00", issued_at="2026-01-05T00:00:00Z")
    await api.pay(invoice, "300.00", paid_at="2026-01-10T03:00:00Z")  # still 9 January in Chicago
    await api.refund(invoice, "250.00", paid_at="2026-01-20T00:00:00Z")
    path = f"/invoices/{invoice['id']}"
    refusal = problem(await api.client.patch(path, json={"total_amount": "67.25"}), 409, "overpayment")
    assert refusal["detail"] == (
        "On 2026-01-09, 300.00 would be paid or adjusted on the invoice of 67.25. Change a date or an amount, or void"
        " the invoice and add a new one."
    )
    assert (refusal["date"], refusal["total_amount"], refusal["balance_due"]) == ("2026-01-09", "67.25", "-232.75")
    assert (await api.client.patch(path, json={"total_amount": "300.01"})).status_code == 200
    [line] = (await api.get(f"/students/{student['id']}/statement?as_of=2026-01-15"))["invoices"]
    assert (line["balance_due"], line["status"]) == ("0.01", "PARTIAL")


async def test_only_an_invoice_without_payments_moves_to_another_student_of_its_school(api: Api) -> None:
    school = await api.school()
    lisa, bart, stranger = await api.student(school), await api.student(school), await api.student()
    invoice = await api.invoice(lisa)
    path = f"/invoices/{invoice['id']}"
    problem(await api.client.patch(path, json={"student_id": stranger["id"]}), 404, "student_not_found")
    problem(await api.client.patch(path, json={"student_id": NOBODY}), 404, "student_not_found")
    assert (await api.client.patch(path, json={"student_id": bart["id"]})).json()["student_id"] == bart["id"]
    await api.pay(invoice, "1.00")
    refusal = problem(await api.client.patch(path, json={"student_id": lisa["id"]}), 409, "invoice_has_payments")
    assert figures(refusal) == ("100.00", "1.00", "0.00", "1.00", "99.00")
    same = await api.client.patch(path, json={"student_id": bart["id"], "description": "kept"})
    assert same.json()["description"] == "kept"


async def test_an_invoice_with_payments_cannot_be_deleted(api: Api) -> None:
    invoice = await api.invoice()
    payment = await api.pay(invoice, "10.00")
    await api.refund(invoice, "10.00")
    path = f"/invoices/{invoice['id']}"
    refusal = problem(await api.client.delete(path), 409, "invoice_has_payments")
    assert figures(refusal) == ("100.00", "10.00", "10.00", "0.00", "100.00")
    for payment in reversed(await api.get(f"{path}/payments")):
        assert (await api.client.delete(f"/payments/{payment['id']}")).status_code == 204
    assert (await api.client.get(f"/payments/{payment['id']}")).status_code == 404
    assert (await api.client.delete(path)).status_code == 204
    for method in ("GET", "DELETE"):
        problem(await api.client.request(method, path), 404, "invoice_not_found")
    problem(await api.client.patch(path, json={}), 404, "invoice_not_found")


async def test_lists_filter_by_parent_status_and_due_date(api: Api) -> None:
    school = await api.school()
    lisa, bart = await api.student(school), await api.student(school)
    january = await api.invoice(lisa, due_date="2026-01-31")
    march = await api.invoice(lisa, due_date="2026-03-31")
    barts = await api.invoice(bart, due_date="2026-02-28")
    await api.pay(march, "100.00")

    async def found(query: str) -> list[str]:
        return [invoice["id"] for invoice in await api.get(query)]

    of_school, of_lisa = f"/invoices?school_id={school['id']}", f"/invoices?student_id={lisa['id']}"
    assert await found(of_school) == [january["id"], march["id"], barts["id"]]
    assert await found(of_lisa) == await found(f"/students/{lisa['id']}/invoices") == [january["id"], march["id"]]
    assert await found(f"{of_school}&status=PAID") == [march["id"]]
    assert await found(f"{of_school}&status=PENDING") == [january["id"], barts["id"]]
    assert await found(f"{of_school}&status=PAID,PENDING") == [january["id"], march["id"], barts["id"]]
    assert await found(f"{of_school}&due_from=2026-02-28") == [march["id"], barts["id"]]
    assert await found(f"{of_school}&due_to=2026-02-28") == [january["id"], barts["id"]]
    assert await found(f"{of_lisa}&due_from=2026-01-31&due_to=2026-01-31&status=PENDING") == [january["id"]]
    assert await found(f"/students/{lisa['id']}/invoices?status=PAID") == [march["id"]]
    assert await found(f"{of_lisa}&school_id={(await api.school())['id']}") == []
    assert march["id"] in await found("/invoices?status=PAID&due_from=2026-03-31&due_to=2026-03-31&limit=500")
    problem(await api.client.get(f"/students/{NOBODY}/invoices"), 404, "student_not_found")


async def test_lists_filter_by_what_is_open_and_overdue_and_by_the_day_of_issue(api: Api) -> None:
    # Kiritimati is UTC+14 and Niue UTC-11: at every moment their dates differ.
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        student = await api.student(await api.school(time_zone=zone))
        await api.invoice(await api.student())
        today = datetime.now(ZoneInfo(zone)).date()
        midnight = datetime(2026, 3, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        late = await api.invoice(student, due_date=str(today - timedelta(days=1)), issued_at=midnight.isoformat())
        earlier = (midnight - timedelta(microseconds=1)).isoformat()
        due = await api.invoice(student, due_date=str(today), issued_at=earlier)
        paid = await api.invoice(student, due_date="2026-01-01", issued_at=earlier)
        await api.pay(paid, "100.00")
        ahead = await api.invoice(student, due_date="2026-01-01", issued_at="2990-01-01T00:00:00Z")
        void = await api.invoice(student, due_date="2026-01-01", issued_at=earlier)
        await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "x"})
        names = {"late": late, "due": due, "paid": paid, "ahead": ahead, "void": void}
        for path in (f"/invoices?school_id={student['school_id']}", f"/students/{student['id']}/invoices?limit=9"):
            for query, expected in {
                "open=true": "late due ahead",
                "open=false": "paid void",
                "overdue=true": "late",
                "overdue=false": "due paid ahead void",
                "overdue=false&open=true": "due ahead",
                "status=PAID,VOID&order=desc": "void paid",
                "issued_from=2026-03-01": "late ahead",
                "issued_to=2026-02-28": "due paid void",
                "issued_from=2026-03-01&issued_to=2026-03-01": "late",
                "issued_from=2026-02-28&issued_to=2026-02-28&open=true": "due",
            }.items():
                listed = [invoice["id"] for invoice in await api.get(f"{path}&{query}")]
                assert listed == [names[name]["id"] for name in expected.split()], (zone, query)


@pytest.mark.parametrize(
    "query",
    [
        "status=paid",
        "status=",
        "status=PAID,",
        "open=x",
        "overdue=null",
        "issued_from=x",
        "due_from=2026-02-30",
        "student_id=x",
        "school_id=",
    ],
)
async def test_a_wrong_filter_is_a_400_that_names_it(client: httpx.AsyncClient, query: str) -> None:
    refusal = problem(await client.get(f"/invoices?{query}"), 400, "invalid_parameter")
    assert [error["field"] for error in refusal["errors"]] == [query.partition("=")[0]]


async def test_an_invoice_is_not_issued_after_money_of_a_receipt_paid_it(api: Api) -> None:
    student = await api.student()
    payer = await api.payer({"id": student["school_id"]})
    paid, other = [
        await api.invoice(student, payer_id=payer["id"], issued_at=f"2026-01-0{day}T00:00:00Z") for day in (5, 6)
    ]
    await api.receipt(payer, "100.00", received_at="2026-01-10T00:00:00Z")  # The older one, in full.
    for invoice, day, status in ((paid, "11", 409), (paid, "10", 200), (other, "11", 200)):
        answer = await api.client.patch(f"/invoices/{invoice['id']}", json={"issued_at": f"2026-01-{day}T00:00:00Z"})
        assert answer.status_code == status, answer.text
        if status == 409:
            problem(answer, 409, "issued_after_allocation")
