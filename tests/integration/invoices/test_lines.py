"""What an invoice is made of, and the invoice on paper."""

import asyncio
import json
from functools import partial
from typing import Any

import asyncpg
import pytest

from school_billing.schools.check_digits import in_fours
from tests.api import NOBODY, Api, Json, in_turn, problem, until_waiting, wrong_fields

LINES: list[Json] = [
    {"description": "Tuition", "category": "tuition", "amount": "900.00"},
    {"description": "Meals", "amount": 50},
    {"description": "Second child", "category": "discount", "amount": "-150.25"},
]


async def in_one_transaction(psql: Any, *statements: tuple[str, *tuple[object, ...]]) -> None:
    async with psql.transaction():
        for statement, *arguments in statements:
            await psql.execute(statement, *arguments)


async def refused(psql: Any, *statements: tuple[str, *tuple[object, ...]]) -> str:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as error:
        await in_one_transaction(psql, *statements)
    return str(error.value.constraint_name)


async def test_lines_sum_to_the_total_and_only_one_invoice_shows_them(api: Api) -> None:
    student = await api.student()
    key = {"Idempotency-Key": student["id"]}
    body = {"student_id": student["id"], "due_date": "2026-02-28", "lines": LINES}
    answer = await api.client.post("/invoices", json=body, headers=key)
    invoice = answer.json()
    assert (answer.status_code, invoice["total_amount"]) == (201, "799.75")  # 900.00 + 50.00 - 150.25
    assert invoice["lines"] == [
        {"position": 1, "description": "Tuition", "category": "tuition", "amount": "900.00"},
        {"position": 2, "description": "Meals", "category": None, "amount": "50.00"},
        {"position": 3, "description": "Second child", "category": "discount", "amount": "-150.25"},
    ]
    assert (await api.client.post("/invoices", json=body, headers=key)).json() == invoice
    other = await api.invoice(student, None, lines=[{"description": "Books", "amount": "0.01"}])
    plain = await api.invoice(student, "5.00")
    assert await api.reload(invoice) == invoice
    assert [(await api.reload(one))["lines"] for one in (other, plain)] == [other["lines"], []]
    listed = await api.get(f"/students/{student['id']}/invoices")
    assert listed == [{k: v for k, v in one.items() if k != "lines"} for one in (invoice, other, plain)]
    paid = await api.pay(invoice, "799.75")
    assert (await api.reload(invoice))["status"] == "PAID"
    await api.client.delete(f"/payments/{paid['id']}")
    path = f"/invoices/{invoice['id']}"
    assert (await api.client.patch(path, json={"due_date": "2026-03-01"})).json()["lines"] == invoice["lines"]
    assert (await api.client.post(f"{path}/void", json={"reason": "x"})).json()["lines"] == invoice["lines"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "total_amount"),
        ({"total_amount": None, "lines": None}, "total_amount"),
        ({"total_amount": "900.00", "lines": LINES[:1]}, "lines"),
        ({"lines": []}, "lines"),
        ({"lines": [LINES[1]] * 101}, "lines"),
        ({"lines": LINES[2:]}, "lines"),
        ({"lines": [LINES[0], {"description": "Waived", "amount": "-900.00"}]}, "lines"),
        ({"lines": [{"description": "x", "amount": "9999999999.99"}] * 2}, "lines"),
        ({"lines": [LINES[0], {"amount": "1.00"}]}, "lines[1].description"),
        ({"lines": [LINES[0], {"description": "", "amount": "1.00"}]}, "lines[1].description"),
        ({"lines": [{"description": "x", "amount": "1.001"}]}, "lines[0].amount"),
        ({"lines": [{"description": "x", "amount": "--1"}]}, "lines[0].amount"),
        ({"lines": [{"description": "x", "amount": "1", "category": "x" * 51}]}, "lines[0].category"),
        ({"lines": [{"description": "x", "amount": "1", "position": 1}]}, "lines[0].position"),
    ],
)
async def test_an_invoice_has_a_total_or_lines(api: Api, fields: Json, wrong: str) -> None:
    student = await api.student()
    body = {"student_id": student["id"], "due_date": "2026-02-28"} | fields
    assert wrong_fields(await api.client.post("/invoices", json=body)) == [wrong]
    assert await api.get(f"/students/{student['id']}/invoices") == []


async def test_a_hundred_lines_are_kept_in_their_order(api: Api) -> None:
    invoice = await api.invoice(None, None, lines=[{"description": f"Day {n}", "amount": n} for n in range(100)])
    assert invoice["total_amount"] == "4950.00"  # 0 + 1 + ... + 99
    assert [line["description"] for line in (await api.reload(invoice))["lines"]] == [f"Day {n}" for n in range(100)]


async def test_lines_have_no_cents_in_a_currency_without_them(api: Api) -> None:
    student = await api.student(await api.school(currency="CLP"))
    lines = [{"description": "x", "amount": "10.50"}, {"description": "y", "amount": "-0.50"}]
    body = {"student_id": student["id"], "due_date": "2026-02-28", "lines": lines}
    assert wrong_fields(await api.client.post("/invoices", json=body)) == ["lines[0].amount"]


async def test_changes_of_lines_that_wait_for_each_other_are_all_made(psql: Any, api: Api) -> None:
    invoice = await api.invoice(await api.student(), None, lines=LINES)
    path = f"/invoices/{invoice['id']}"
    for lines, last_change in (
        ([LINES[:1], LINES[:2]], partial(api.client.patch, path, json={"description": "Autumn"})),
        ([LINES], partial(api.client.post, f"{path}/void", json={"reason": "Entered twice"})),
    ):
        changes = (api.client.patch(path, json={"lines": one}) for one in lines)
        last = await in_turn(psql, "invoices", invoice, *changes, last_change())
        assert await api.get(path) == last


async def test_lines_change_as_a_whole_until_something_is_paid(psql: Any, api: Api) -> None:
    student = await api.student()
    invoice, plain = await api.invoice(student, None, lines=LINES), await api.invoice(student, "5.00")
    path = f"/invoices/{invoice['id']}"
    problem(await api.client.patch(path, json={"total_amount": "800.00"}), 409, "invoice_has_lines")
    assert (await api.client.patch(path, json={"total_amount": "799.75"})).status_code == 200
    bodies: list[Json] = [{"lines": LINES, "total_amount": "799.75"}, {"lines": []}, {"lines": LINES[2:]}]
    for body in bodies:
        assert wrong_fields(await api.client.patch(path, json=body)) == ["lines"]
    for one, lines, total in ((invoice, [LINES[1], LINES[0]], "950.00"), (plain, LINES[:1], "900.00")):
        answer = await api.client.patch(f"/invoices/{one['id']}", json={"lines": lines})
        assert (answer.json()["total_amount"], answer.json()["balance_due"]) == (total, total)
        assert [line["description"] for line in answer.json()["lines"]] == [line["description"] for line in lines]
        assert await api.reload(one) == answer.json()
    stale = await api.client.patch(path, json={"lines": LINES}, headers={"If-Match": '"0"'})
    problem(stale, 412)
    # The sum holds for every writer, and a line is replaced, never changed.
    total = "update invoices set total_amount = 1 where id = $1"
    assert await refused(psql, (total, invoice["id"])) == "invoice_lines_sum_to_total"
    for change in ("amount = 1", "description = 'x'", "position = 9"):
        update = f"update invoice_lines set {change} where invoice_id = $1"
        assert await refused(psql, (update, invoice["id"])) == "invoice_lines_are_fixed"
    lose = ("delete from invoice_lines where invoice_id = $1 and amount = 50", invoice["id"])
    assert await refused(psql, lose) == "invoice_lines_sum_to_total"
    add = (
        "insert into invoice_lines (school_id, invoice_id, position, description, amount) "
        "values ($1, $2, 4, 'x', 6), ($1, $2, 5, 'y', 0)"
    )
    gain = (add, student["school_id"], invoice["id"])
    assert await refused(psql, gain) == "invoice_lines_sum_to_total"

    payment = await api.pay(invoice, "1.00")
    problem(await api.client.patch(path, json={"lines": LINES}), 409, "invoice_lines_fixed")
    assert await refused(psql, lose) == await refused(psql, gain) == "invoice_lines_are_fixed"
    assert (await api.client.patch(path, json={"due_date": "2026-03-31"})).status_code == 200
    await api.client.delete(f"/payments/{payment['id']}")
    assert (await api.client.patch(path, json={"lines": LINES})).json()["total_amount"] == "799.75"
    await api.client.patch(f"/schools/{student['school_id']}", json={"invoice_prefix": "SPR"})
    numbered = await api.invoice(student, None, lines=LINES)
    refusal = await api.client.patch(f"/invoices/{numbered['id']}", json={"lines": LINES[:1]})
    problem(refusal, 409, "invoice_lines_fixed")
    await api.client.post(f"{path}/void", json={"reason": "Entered twice"})
    problem(await api.client.patch(path, json={"lines": LINES}), 409, "invoice_void")
    assert await refused(psql, lose) == "invoice_lines_are_fixed"


async def test_a_payment_and_other_lines_do_not_pass_each_other(psql: Any, api: Api) -> None:
    invoice = await api.invoice(None, None, lines=LINES)
    path = f"/invoices/{invoice['id']}"
    async with psql.transaction():
        await psql.execute(
            "insert into payments (school_id, invoice_id, amount) values ($1, $2, 799.75)",
            *(invoice["school_id"], invoice["id"]),
        )
        other = asyncio.create_task(api.client.patch(path, json={"lines": LINES[:1]}))
        await until_waiting(psql)
    problem(await other, 409, "invoice_lines_fixed")
    assert (await api.reload(invoice))["status"] == "PAID"


async def test_lines_are_made_and_go_with_their_invoice(psql: Any, api: Api) -> None:
    student = await api.student()
    invoice = await api.invoice(student, None, lines=LINES)
    add = (
        "insert into invoice_lines (school_id, invoice_id, position, description, amount) "
        "values ($1, $2, 4, 'x', 6), ($1, $2, 5, 'y', 0)"
    )
    made = (
        "insert into invoices (id, school_id, student_id, total_amount, due_date) values ($1, $2, $3, $4, '2026-01-01')"
    )
    begun = (made, NOBODY, student["school_id"], student["id"])
    lines = (add, student["school_id"], NOBODY)
    assert await refused(psql, (*begun, 7), lines) == "invoice_lines_sum_to_total"
    await in_one_transaction(psql, (*begun, 6), lines)
    assert len((await api.get(f"/invoices/{NOBODY}"))["lines"]) == 2
    # An invoice takes its lines with it.
    for gone in (NOBODY, invoice["id"]):
        stale = await api.client.delete(f"/invoices/{gone}", headers={"If-Match": '"0"'})
        problem(stale, 412)
        assert (await api.client.delete(f"/invoices/{gone}")).status_code == 204
        assert await psql.fetchval("select count(*) from invoice_lines where invoice_id = $1", gone) == 0


async def test_an_invoice_on_paper_says_what_is_owed_for_what_and_how_to_pay(api: Api) -> None:
    school = await api.school(
        address="19 Plympton Street", payment_instructions="To account 12345678.", invoice_prefix="SPR"
    )
    student = await api.student(school, full_name="Bart Simpson", external_id="SPR-002")
    payer = await api.payer(school, name="Marge Simpson", language="es")
    invoice = await api.invoice(
        student, None, lines=LINES, payer_id=payer["id"], description="Term 2", issued_at="2026-02-01"
    )
    await api.pay(invoice, "300.00")
    path = f"/invoices/{invoice['id']}"
    page = await api.client.get(f"{path}.html", params={"lang": "en"})
    for text in (
        *("Invoice", "Springfield Elementary", "19 Plympton Street", "Marge Simpson", "Bart Simpson", "SPR-002"),
        *("Tuition", "Meals", "Second child", "900.00", "-150.25", "discount", "Term 2", "February 1, 2026"),
        *("$799.75", "$300.00", "$499.75", "February 28, 2026", "To account 12345678.", invoice["number"]),
        in_fours(payer["payment_reference"]),
    ):
        assert text in page.text, text
    assert invoice["id"] not in page.text
    spanish = await api.client.get(f"{path}.html", headers={"Accept-Language": "de"})
    assert "Número de factura" in spanish.text
    document = await api.client.get(f"{path}.pdf", params={"paper": "letter", "lang": "en"})
    assert document.content.startswith(b"%PDF-")
    assert invoice["number"].lower() in document.headers["content-disposition"].lower()
    again = await api.client.get(
        f"{path}.pdf", params={"paper": "letter", "lang": "en"}, headers={"If-None-Match": document.headers["etag"]}
    )
    assert again.status_code == 304
    for whose in (f"/students/{student['id']}", f"/payers/{payer['id']}"):
        for period in ({}, {"from": "2026-01-01"}):
            page = await api.client.get(f"{whose}/statement.html", params={"lang": "en"} | period)
            for text in ("Term 2", "Tuition", "900.00", "Second child", "-150.25"):
                assert text in page.text.replace("\N{MINUS SIGN}", "-"), (whose, period, text)
    await api.pay(invoice, "499.75")
    assert "To account" not in (await api.client.get(f"{path}.html")).text
    problem(await api.client.get(f"/invoices/{NOBODY}.html"), 404, "invoice_not_found")


async def test_an_invoice_without_lines_number_and_payer_has_a_paper_too(api: Api) -> None:
    student = await api.student(full_name="Lisa Simpson")
    invoice = await api.invoice(student, "5.00", description="Museum")
    page = await api.client.get(f"/invoices/{invoice['id']}.html")
    for text in (invoice["id"], "Lisa Simpson", "Museum", "$5.00"):
        assert text in page.text
    await api.client.post(f"/invoices/{invoice['id']}/void", json={"reason": "Entered twice"})
    page = await api.client.get(f"/invoices/{invoice['id']}.html")
    assert page.text.count('class="void"') == 1
    assert "Please pay" not in page.text


async def test_the_audit_entry_of_an_invoice_has_its_lines(api: Api, psql: Any) -> None:
    lines = [{"description": "A", "amount": "2"}, {"description": "B", "amount": "1"}]
    invoice = await api.invoice(None, None, lines=lines)
    plain = await api.invoice()
    by_hand = await api.student()
    async with psql.transaction():
        # Here the lines come after their invoice, so each has an entry of its own.
        added = await psql.fetchrow(
            "insert into invoices (school_id, student_id, total_amount, due_date) values ($1, $2, 3, '2026-01-01')"
            " returning id, school_id",
            by_hand["school_id"], by_hand["id"],
        )  # fmt: skip

        await psql.execute(
            "insert into invoice_lines (school_id, invoice_id, position, description, amount)"
            " values ($2, $1, 1, 'A', 2), ($2, $1, 2, 'B', 1)",
            *added,
        )
    for invoice_id, with_it, apart in ((invoice["id"], ["A", "B"], 0), (plain["id"], None, 0), (added["id"], None, 2)):
        entry = await psql.fetchval("select row_after from audit_log where entity_id = $1", invoice_id)
        found = json.loads(entry).get("lines")
        assert (found and [line["description"] for line in found]) == with_it
        count = "select count(*) from audit_log where entity = 'invoice_lines' and row_after ->> 'invoice_id' = $1"
        assert await psql.fetchval(count, str(invoice_id)) == apart
