"""A payer's statement: the invoices of all children, the money that came, and what pays nothing yet."""

import csv
import io
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from school_billing.auth.contracts import Role
from school_billing.platform.web.json_body import decode
from school_billing.statements.contracts import PayerStatement
from tests.api import NOBODY, Api, Json, problem
from tests.integration.statements.test_printed import PageReader


class Family:
    """Marge owes 100.00 for Bart, 200.00 for Lisa and from March on 300.00 for Maggie; Abe of the same school 50.00."""

    school: Json
    marge: Json
    abe: Json
    children: list[Json]
    bart: Json
    lisa: Json
    maggie: Json
    others: Json
    """Abe's invoice."""


@pytest.fixture
async def family(api: Api) -> Family:
    one = Family()
    one.school = await api.school()
    one.marge = await api.payer(one.school, name="Marge Simpson", external_id="P-1")
    one.abe = await api.payer(one.school, name="Abe Simpson")
    one.children = [await api.student(one.school, full_name=f"{name} Simpson") for name in ("Bart", "Lisa", "Maggie")]

    async def bill(child: int, total: str, issued_at: str, due_date: str, payer: Json) -> Json:
        fields = {"issued_at": issued_at, "due_date": due_date, "payer_id": payer["id"]}
        return await api.invoice(one.children[child], total, **fields)

    one.bart = await bill(0, "100.00", "2026-01-05T12:00:00Z", "2026-01-31", one.marge)
    one.lisa = await bill(1, "200.00", "2026-01-06T12:00:00Z", "2026-02-28", one.marge)
    one.maggie = await bill(2, "300.00", "2026-03-01T12:00:00Z", "2026-03-31", one.marge)
    one.others = await bill(1, "50.00", "2026-01-07T12:00:00Z", "2026-02-28", one.abe)
    return one


async def received(api: Api, payer: Json, amount: str, day: str, *pays: tuple[Json, str], **fields: Any) -> Json:
    """Book money that arrived at noon of a day, for exactly these invoices."""
    allocate = [{"invoice_id": invoice["id"], "amount": part} for invoice, part in pays] or "none"
    return await api.receipt(payer, amount, received_at=f"{day}T12:00:00Z", allocate=allocate, **fields)


async def post(api: Api, path: str, **body: Any) -> Json:
    response = await api.client.post(path, json=body)
    assert response.status_code == 201, response.text
    answer: Json = response.json()
    return answer


async def of_payer(api: Api, payer: Json, query: str = "") -> Json:
    """Return the statement, having seen that it is what OpenAPI promises and that its figures agree."""
    response = await api.client.get(f"/payers/{payer['id']}/statement{query}")
    assert response.status_code == 200, response.text
    decode(response.content, PayerStatement)
    statement: Json = response.json()
    open_ = sum(Decimal(line["balance_due"]) for line in statement["invoices"])
    assert Decimal(statement["totals"]["balance_due_total"]) == open_
    assert sum(Decimal(amount) for amount in statement["ageing"].values()) == open_
    assert Decimal(statement["balance"]) == open_ - Decimal(statement["unallocated"])
    if "period" in statement:
        balance = Decimal(statement["opening_balance"])
        sums = {name: Decimal(text) for name, text in statement["period"].items() if name not in {"from", "to"}}
        assert balance + sums["invoiced"] - sums["paid"] + sums["refunded"] - sums["voided"] - sums["received"] + sums[
            "returned"
        ] + sums["paid_for_others"] == Decimal(statement["closing_balance"])
        charges = {"INVOICE", "REFUND", "RECEIPT_REFUND", "RECEIPT_REVERSAL", "ALLOCATION"}
        for entry in statement["entries"]:
            balance += Decimal(entry["amount"]) * (1 if entry["kind"] in charges else -1)
            assert Decimal(entry["balance"]) == balance
        assert statement["closing_balance"] == statement["balance"] == str(balance)
    return statement


@pytest.fixture
async def spring(api: Api, psql: "asyncpg.Connection[asyncpg.Record]", family: Family) -> Family:
    """What can happen to a family, and to others of the school."""
    first = await received(api, family.marge, "400.00", "2026-02-03", (family.bart, "100.00"), (family.lisa, "200.00"))
    extra = {"issued_at": "2026-03-02T12:00:00Z", "payer_id": family.marge["id"], "description": "Entered twice"}
    twice = await api.invoice(family.children[0], "70.00", **extra)
    await api.pay(family.maggie, "30.00", method="cash", paid_at="2026-03-05T12:00:00Z")
    await received(api, family.abe, "80.00", "2026-03-06", (family.maggie, "20.00"))
    await received(api, family.marge, "60.00", "2026-03-07", (family.others, "10.00"))
    back = {"amount": "25.00", "method": "cash", "reason": "Asked for it", "refunded_at": "2026-03-08T12:00:00Z"}
    await post(api, f"/receipts/{first['id']}/refunds", **back)
    cheque = await received(api, family.marge, "500.00", "2026-03-09", method="cheque", reference="C-7")
    await post(api, f"/receipts/{cheque['id']}/reverse", reason="Bounced", reversed_at="2026-03-12T12:00:00Z")
    await psql.execute(
        "update invoices set voided_at = $2, void_reason = 'Entered twice' where id = $1",
        *(twice["id"], datetime.fromisoformat("2026-03-10T12:00:00Z")),
    )
    return family


async def test_it_tells_the_family_line_by_line(api: Api, spring: Family) -> None:
    statement = await of_payer(api, spring.marge, "?from=2026-02-01&to=2026-03-31")
    assert [(one["date"][5:], one["kind"], one["amount"], one["balance"]) for one in statement["entries"]] == [
        ("02-03", "RECEIPT", "400.00", "-100.00"),  # What it pays of Bart's and Lisa's is no entry of its own.
        ("03-01", "INVOICE", "300.00", "200.00"),
        ("03-02", "INVOICE", "70.00", "270.00"),
        ("03-05", "PAYMENT", "30.00", "240.00"),
        ("03-06", "PAYMENT", "20.00", "220.00"),  # by Abe
        ("03-07", "RECEIPT", "60.00", "160.00"),
        ("03-07", "ALLOCATION", "10.00", "170.00"),  # for Abe
        ("03-08", "RECEIPT_REFUND", "25.00", "195.00"),
        ("03-09", "RECEIPT", "500.00", "-305.00"),
        ("03-10", "VOID", "70.00", "-375.00"),
        ("03-12", "RECEIPT_REVERSAL", "500.00", "125.00"),
    ]
    assert (statement["payer_id"], statement["opening_balance"]) == (spring.marge["id"], "300.00")  # 100 + 200
    assert statement["totals"]["balance_due_total"] == "250.00"  # 300 - 30 - 20
    assert statement["unallocated"] == "125.00"  # 400 - 300 - 25, and 60 - 10
    assert [one["full_name"] for one in statement["students"]] == ["Bart Simpson", "Lisa Simpson", "Maggie Simpson"]
    assert statement["period"] == {
        "from": "2026-02-01",
        "to": "2026-03-31",
        "invoiced": "370.00",
        "credited": "0.00",
        "discounted": "0.00",
        "written_off": "0.00",
        "paid": "50.00",
        "refunded": "0.00",
        "voided": "70.00",
        "received": "960.00",
        "returned": "525.00",
        "paid_for_others": "10.00",
    }
    by_kind = {one["kind"]: one for one in statement["entries"]}
    assert by_kind["RECEIPT_REVERSAL"]["description"] == "Bounced"
    assert by_kind["RECEIPT_REVERSAL"]["invoice_id"] is None
    assert (by_kind["ALLOCATION"]["invoice_id"], by_kind["RECEIPT"]["method"]) == (spring.others["id"], "cheque")


async def test_the_balance_of_each_day_is_that_of_its_last_entry(api: Api, spring: Family) -> None:
    for payer in (spring.marge, spring.abe):
        entries = (await of_payer(api, payer, "?to=2026-12-31"))["entries"]
        for day, balance in {one["date"]: one["balance"] for one in entries}.items():
            assert (await of_payer(api, payer, f"?as_of={day}"))["balance"] == balance
        # The totals that invoices and receipts keep are the sums of the entries.
        then = await of_payer(api, payer, "?as_of=2999-12-31")
        now = await of_payer(api, payer)
        for name in ("totals", "unallocated", "balance", "students", "invoices"):
            assert now[name] == then[name]
    assert now["balance"] == "-20.00"  # Abe: 50 - 10, and 80 - 20 unallocated
    ned = await api.payer(spring.school, name="Ned Flanders")
    assert (await of_payer(api, ned))["balance"] == (await of_payer(api, ned, "?from=2026-01-01"))["balance"] == "0.00"


async def test_the_rows_of_the_csv_add_up_to_the_balance(api: Api, spring: Family) -> None:
    response = await api.client.get(f"/payers/{spring.marge['id']}/statement.csv?from=2026-02-01&to=2026-03-31")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["kind"] for row in rows[:2]] == ["OPENING", "RECEIPT"]
    assert len(rows) == 12
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("125.00")
    assert "statement-marge-simpson-p-1-2026-03-31.csv" in response.headers["content-disposition"]


async def test_between_receipt_and_allocation_the_money_stands_with_the_payer(api: Api, family: Family) -> None:
    student = family.children[0]["id"]
    shares = {"payers": [{"payer_id": one["id"], "share": "50"} for one in (family.marge, family.abe)]}
    response = await api.client.put(f"/students/{student}/payers", json=shares)
    assert response.status_code == 200, response.text
    receipt = await received(api, family.marge, "100.00", "2026-02-03")
    await post(api, f"/receipts/{receipt['id']}/allocations")  # Today, to Bart's.

    async def told(query: str) -> tuple[Any, ...]:
        of_student = await api.get(f"/students/{student}/statement{query}")
        of_family = await of_payer(api, family.marge, query)
        money = [(one["name"], one["unallocated"]) for one in of_student["payers"]]
        return of_student["totals"]["balance_due_total"], money, of_family["unallocated"], of_family["balance"]

    abe = ("Abe Simpson", "0.00")
    assert await told("?as_of=2026-02-02") == ("100.00", [abe, ("Marge Simpson", "0.00")], "0.00", "300.00")
    assert await told("?as_of=2026-02-03") == ("100.00", [abe, ("Marge Simpson", "100.00")], "100.00", "200.00")
    assert await told("") == ("0.00", [abe, ("Marge Simpson", "0.00")], "0.00", "500.00")  # 600 - 100
    period = await api.get(f"/students/{student}/statement?from=2026-01-01")
    assert [one["name"] for one in period["payers"]] == ["Abe Simpson", "Marge Simpson"]
    assert [one["receipt_id"] for one in period["entries"]] == [None, receipt["id"]]


async def test_to_allocate_and_take_back_changes_no_balance(api: Api, family: Family) -> None:
    receipt = await received(api, family.marge, "150.00", "2026-02-03")
    student, school = f"/students/{family.children[0]['id']}/statement", f"/schools/{family.school['id']}"

    async def balances() -> list[Any]:
        of_family, of_school = await of_payer(api, family.marge), await api.get(f"{school}/statement")
        of_bart = await api.get(student)
        turnover = {"payments_total", "refunds_total"}
        for one in (of_family, of_school, of_bart):
            one["totals"] = {name: text for name, text in one["totals"].items() if name not in turnover}
            one["invoices"] = [(line["id"], line["balance_due"], line["status"]) for line in one["invoices"]]
        of_school.pop("students")
        collected = [await api.get(f"{school}/collections?from=2026-01-01&by={by}") for by in ("month", "method")]
        debtors = [await api.get(f"{school}/debtors?by={by}") for by in ("student", "payer")]
        return [of_family, of_school, of_bart, collected, debtors]

    before = await balances()
    pays = [{"invoice_id": family.bart["id"], "amount": "100.00"}]
    allocated = await post(api, f"/receipts/{receipt['id']}/allocations", allocate=pays)
    during = await balances()
    assert during != before
    assert during[0]["balance"] == before[0]["balance"] == "450.00"  # 600 - 150, whatever it pays
    assert during[3] == before[3]  # No money moved.
    await post(api, f"/payments/{allocated['allocations'][0]['payment_id']}/reverse", reason="Wrong child")
    assert await balances() == before
    entries = (await api.get(f"{student}?from=2026-01-01"))["entries"]
    assert [(one["kind"], one["amount"], one["balance"]) for one in entries] == [
        ("INVOICE", "100.00", "100.00"),
        ("PAYMENT", "100.00", "0.00"),
        ("REFUND", "100.00", "100.00"),
    ]
    assert [one["receipt_id"] for one in entries] == [None, receipt["id"], receipt["id"]]
    listed = (await of_payer(api, family.marge, "?from=2026-01-01"))["entries"]
    assert {one["kind"] for one in listed} == {"INVOICE", "RECEIPT"}


async def test_money_of_august_pays_an_invoice_of_september_from_its_issue_on(api: Api, family: Family) -> None:
    ned = await api.payer(family.school, name="Ned Flanders")
    rod = await api.student(family.school, full_name="Rod Flanders")
    await api.invoice(rod, "400.00", issued_at="2025-09-01T12:00:00Z", due_date="2025-09-30", payer_id=ned["id"])
    receipt = await api.receipt(ned, "500.00", received_at="2025-08-20T12:00:00Z")
    assert receipt["unallocated"] == "100.00"
    august = await of_payer(api, ned, "?from=2025-08-01&to=2025-08-31")
    assert [one["kind"] for one in august["entries"]] == ["RECEIPT"]
    assert (august["unallocated"], august["balance"], august["invoices"]) == ("500.00", "-500.00", [])
    september = await of_payer(api, ned, "?as_of=2025-09-01")
    assert (september["unallocated"], september["balance"]) == ("100.00", "-100.00")
    entries = (await api.get(f"/students/{rod['id']}/statement?to=2025-09-30"))["entries"]
    assert [(one["date"], one["kind"]) for one in entries] == [("2025-09-01", "INVOICE"), ("2025-09-01", "PAYMENT")]


async def test_the_school_sees_the_money_that_pays_nothing_yet(api: Api, family: Family) -> None:
    path = f"/schools/{family.school['id']}/statement"

    async def credit(query: str = "") -> tuple[str, str, str]:
        totals = (await api.get(path + query))["totals"]
        return totals["balance_due_total"], totals["unallocated_total"], totals["unidentified_total"]

    await received(api, family.marge, "150.00", "2026-02-03", (family.bart, "90.00"))
    unknown = {"school_id": family.school["id"], "amount": "33.00", "received_at": "2026-02-04T12:00:00Z"}
    receipt = await post(api, "/receipts", **unknown, allocate="none")
    assert await credit("?as_of=2026-02-02") == ("350.00", "0.00", "0.00")  # 100 + 200 + 50
    assert await credit("?as_of=2026-02-03") == ("260.00", "60.00", "0.00")
    assert await credit() == ("560.00", "60.00", "33.00")
    assert await credit("?from=2026-02-01") == ("560.00", "60.00", "33.00")
    claimed = await api.client.patch(f"/receipts/{receipt['id']}", json={"payer_id": family.marge["id"]})
    assert claimed.status_code == 200, claimed.text
    assert await credit() == ("560.00", "93.00", "0.00")
    assert await credit("?as_of=2026-02-04") == ("260.00", "93.00", "0.00")  # Whose it is has no history.


@pytest.mark.parametrize("form", ["", ".csv", ".html", ".pdf"])
async def test_a_payer_of_another_school_is_404(
    api: Api, family: Family, make_client: Callable[..., httpx.AsyncClient], form: str
) -> None:
    path = f"/payers/{family.marge['id']}/statement{form}"
    async with make_client(Role.ACCOUNTANT, school_id=(await api.school())["id"]) as stranger:
        for query in ("", "?as_of=2026-01-31", "?from=2026-01-01"):
            problem(await stranger.get(path + query), 404, "payer_not_found")
    async with make_client(Role.VIEWER, school_id=family.school["id"]) as own:
        assert (await own.get(path)).status_code == 200
    problem(await api.client.get(f"/payers/{NOBODY}/statement{form}"), 404, "payer_not_found")


async def test_the_page_names_the_children_and_takes_the_credit_off_what_is_due(api: Api, spring: Family) -> None:
    path = f"/payers/{spring.marge['id']}/statement.html"
    now = PageReader()
    now.feed((await api.client.get(path)).text)
    assert now.facts["h1"].endswith("Marge Simpson")
    assert [now.facts[name] for name in ("Balance", "Balance due", "Unallocated credit", "Payer number")] == [
        *("$125.00", "$250.00", "$125.00", "P-1")
    ]
    assert all(name in now.facts["Students"] for name in ("Bart Simpson", "Lisa Simpson", "Maggie Simpson"))
    schedule, _, invoices = now.tables
    assert [row[-1] for row in schedule] == ["Amount", "250.00", "-125.00", "125.00"]
    assert [row[2] for row in invoices[1:]] == ["Bart Simpson", "Lisa Simpson", "Maggie Simpson", "Bart Simpson", ""]

    account = PageReader()
    account.feed((await api.client.get(f"{path}?from=2026-02-01&to=2026-03-31&lang=es")).text)
    rows = account.tables[-1]
    assert [row[1] for row in rows[2:4]] == ["Dinero recibido", "Factura"]
    assert "Maggie Simpson" in rows[3][2]
    assert [rows[2][3:5], rows[-1][-1]] == [["", "400,00"], "125,00"]
    of_school = PageReader()
    of_school.feed((await api.client.get(f"/schools/{spring.school['id']}/statement.html")).text)
    assert of_school.facts["Unallocated credit"] == "$185.00"  # and Abe's 80 - 20
    pdf = await api.client.get(path.replace(".html", ".pdf"))
    assert pdf.content.startswith(b"%PDF-")
