"""Statements of account: a period's entries, past moments, and where a school's days begin and end."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest

from school_billing.auth.contracts import Role
from school_billing.platform.web.json_body import decode
from school_billing.statements.contracts import SchoolStatement
from tests.api import NOBODY, Api, Json, problem


def told(statement: Json) -> list[tuple[str, str, str, str]]:
    return [(line["date"], line["kind"], line["amount"], line["balance"]) for line in statement["entries"]]


async def void(psql: "asyncpg.Connection[asyncpg.Record]", invoice: Json, voided_at: str) -> None:
    await psql.execute(
        "update invoices set voided_at = $2, void_reason = 'Entered twice' where id = $1",
        invoice["id"],
        datetime.fromisoformat(voided_at),
    )


async def test_a_statement_of_account_tells_the_period_line_by_line(api: Api) -> None:
    student = await api.student(await api.school())
    tuition = await api.invoice(student, "600.00", description="Tuition", issued_at="2026-01-05T13:00:00Z")
    first = await api.pay(tuition, "250.00", method="card", reference="C-1", paid_at="2026-01-20T09:00:00Z")
    books = await api.invoice(student, "80.50", description="Books", issued_at="2026-02-03T08:00:00Z")
    back = await api.refund(tuition, "50.25", method="cash", paid_at="2026-02-10T10:00:00Z")
    await api.pay(tuition, "100.00", paid_at="2026-03-01T00:00:00Z")  # after the period
    await api.invoice(await api.student(), "5.00", issued_at="2026-02-03T08:00:00Z")  # somebody else's
    statement = await api.get(f"/students/{student['id']}/statement?from=2026-01-20&to=2026-02-28")
    assert (statement["as_of"], statement["as_of_date"]) == ("2026-02-28T23:59:59.999999Z", "2026-02-28")
    assert statement["opening_balance"] == "600.00"
    assert statement["entries"] == [
        {
            "date": "2026-01-20",
            "happened_at": "2026-01-20T09:00:00.000000Z",
            "kind": "PAYMENT",
            "invoice_id": tuition["id"],
            "payment_id": first["id"],
            "receipt_id": None,
            "adjustment_id": None,
            "description": None,
            "method": "card",
            "reference": "C-1",
            "amount": "250.00",
            "balance": "350.00",  # 600.00 - 250.00
        },
        {
            "date": "2026-02-03",
            "happened_at": "2026-02-03T08:00:00.000000Z",
            "kind": "INVOICE",
            "invoice_id": books["id"],
            "payment_id": None,
            "receipt_id": None,
            "adjustment_id": None,
            "description": "Books",
            "method": None,
            "reference": None,
            "amount": "80.50",
            "balance": "430.50",  # 350.00 + 80.50
        },
        {
            "date": "2026-02-10",
            "happened_at": "2026-02-10T10:00:00.000000Z",
            "kind": "REFUND",
            "invoice_id": tuition["id"],
            "payment_id": back["id"],
            "receipt_id": None,
            "adjustment_id": None,
            "description": None,
            "method": "cash",
            "reference": None,
            "amount": "50.25",
            "balance": "480.75",  # 430.50 + 50.25
        },
    ]
    assert statement["period"] == {
        "from": "2026-01-20",
        "to": "2026-02-28",
        "invoiced": "80.50",
        "credited": "0.00",
        "discounted": "0.00",
        "written_off": "0.00",
        "paid": "250.00",
        "refunded": "50.25",
        "voided": "0.00",
    }
    assert statement["closing_balance"] == "480.75"  # 600.00 + 80.50 - 250.00 + 50.25
    assert [(line["balance_due"], line["status"]) for line in statement["invoices"]] == [
        ("400.25", "PARTIAL"),  # 600.00 - 250.00 + 50.25
        ("80.50", "PENDING"),
    ]
    of_school = await api.get(f"/schools/{student['school_id']}/statement?from=2026-01-20&to=2026-02-28")
    assert of_school["totals"].items() >= statement["totals"].items()
    for name in ("opening_balance", "closing_balance", "period", "ageing", "oldest_due_date"):
        assert of_school[name] == statement[name]
    assert "entries" not in of_school


async def test_without_from_a_period_begins_with_the_account_and_without_to_it_ends_now(api: Api) -> None:
    invoice = await api.invoice(total="10.00", issued_at="1900-01-01T00:00:00Z")
    path = f"/students/{invoice['student_id']}/statement"
    await api.pay(invoice, "4.00", paid_at="2026-02-01T00:00:00Z")
    until = await api.get(f"{path}?to=2026-01-31")
    assert (until["opening_balance"], until["closing_balance"], until["period"]["from"]) == ("0.00", "10.00", None)
    assert told(until) == [("1900-01-01", "INVOICE", "10.00", "10.00")]
    since = await api.get(f"{path}?from=2026-02-01")
    assert (since["opening_balance"], since["closing_balance"]) == ("10.00", "6.00")
    assert told(since) == [("2026-02-01", "PAYMENT", "4.00", "6.00")]
    assert since["period"]["to"] == since["as_of_date"] == str(datetime.now(ZoneInfo("UTC")).date())
    assert await api.get(f"{path}?from=1900-01-01&to=2026-01-31") == until | {
        "period": until["period"] | {"from": "1900-01-01"}
    }


async def test_the_statement_of_now_stays_the_same_while_nothing_happens(api: Api) -> None:
    invoice = await api.invoice()
    for path in (f"/students/{invoice['student_id']}/statement", f"/schools/{invoice['school_id']}/statement"):
        statement = await api.get(path)
        assert await api.get(path) == statement
        assert not {"as_of", "opening_balance", "closing_balance", "period", "entries"} & statement.keys()


async def test_an_account_on_which_nothing_happened_is_all_zeros(api: Api) -> None:
    student = await api.student()
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        statement = await api.get(f"{path}/statement?from=2026-01-01&to=2026-01-01")
        assert (statement["opening_balance"], statement["closing_balance"]) == ("0.00", "0.00")
        assert list(statement["period"].values()) == ["2026-01-01"] * 2 + ["0.00"] * 7
        assert set(statement["totals"].values()) == set(statement["ageing"].values()) == {"0.00"}
        assert (statement["invoices"], statement["oldest_due_date"]) == ([], None)
        assert statement.get("entries", []) == []


async def test_a_void_takes_effect_when_it_happened(api: Api, psql: "asyncpg.Connection[asyncpg.Record]") -> None:
    invoice = await api.invoice(total="100.00", issued_at="2026-01-10T00:00:00Z")
    await api.pay(invoice, "30.00", paid_at="2026-01-20T00:00:00Z")
    await api.refund(invoice, "30.00", paid_at="2026-02-01T00:00:00Z")
    await void(psql, invoice, "2026-02-10T12:00:00Z")
    path = f"/students/{invoice['student_id']}/statement"
    account = await api.get(f"{path}?to=2026-02-28")
    assert told(account) == [
        ("2026-01-10", "INVOICE", "100.00", "100.00"),
        ("2026-01-20", "PAYMENT", "30.00", "70.00"),
        ("2026-02-01", "REFUND", "30.00", "100.00"),
        ("2026-02-10", "VOID", "100.00", "0.00"),
    ]
    assert set(account["totals"].values()) == {"0.00"}
    february = await api.get(f"{path}?from=2026-02-01&to=2026-02-28")
    # 70.00 + 0.00 - 0.00 + 30.00 - 100.00
    assert (february["opening_balance"], february["period"]["voided"], february["closing_balance"]) == (
        "70.00",
        "100.00",
        "0.00",
    )
    before = await api.get(f"{path}?as_of=2026-02-10T11:59:59.999999Z")
    assert (before["totals"]["balance_due_total"], before["invoices"][0]["status"]) == ("100.00", "PENDING")
    in_january = await api.get(f"{path}?as_of=2026-01-31")
    assert (in_january["totals"]["balance_due_total"], in_january["invoices"][0]["status"]) == ("70.00", "PARTIAL")
    after = await api.get(f"{path}?as_of=2026-02-10T12:00:00Z")
    assert (after["totals"]["balance_due_total"], after["invoices"][0]["status"]) == ("0.00", "VOID")
    assert after["invoices"] == (await api.get(path))["invoices"]


async def test_an_invoice_voided_before_its_date_comes_and_goes_on_that_date(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    invoice = await api.invoice(total="100.00", issued_at="2026-03-01T00:00:00Z")
    await api.pay(invoice, "40.00", paid_at="2026-01-01T00:00:00Z")
    await api.refund(invoice, "40.00", paid_at="2026-04-01T00:00:00Z")
    await void(psql, invoice, "2026-02-01T00:00:00Z")
    path = f"/students/{invoice['student_id']}/statement"
    assert told(await api.get(f"{path}?to=2026-04-30")) == [
        ("2026-03-01", "INVOICE", "100.00", "100.00"),
        ("2026-03-01", "PAYMENT", "40.00", "60.00"),  # not before its invoice
        ("2026-03-01", "REFUND", "40.00", "100.00"),  # nor after its void
        ("2026-03-01", "VOID", "100.00", "0.00"),
    ]
    assert (await api.get(f"{path}?as_of=2026-02-28"))["invoices"] == []
    assert (await api.get(f"{path}?as_of=2026-03-01"))["invoices"][0]["status"] == "VOID"
    for account in (path, f"/schools/{invoice['school_id']}/statement"):
        march = await api.get(f"{account}?from=2026-03-01&to=2026-03-31")
        assert (march["opening_balance"], march["period"]["voided"]) == ("0.00", "100.00")


async def test_an_invoice_dated_ahead_is_not_owed_before_its_date(api: Api) -> None:
    student = await api.student()
    ahead = await api.invoice(student, "70.00", issued_at="2990-01-01T00:00:00Z", due_date="2990-01-31")
    await api.pay(ahead, "20.00")
    owed = await api.invoice(student, "1.00")
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        now = await api.get(f"{path}/statement")
        assert (now["totals"]["balance_due_total"], now["totals"]["payments_total"]) == ("1.00", "0.00")
        assert [line["id"] for line in now["invoices"]] == [owed["id"]]
        then = await api.get(f"{path}/statement?as_of=2990-02-01")
        assert then["totals"]["balance_due_total"] == "51.00"  # 1.00 + 70.00 - 20.00
        assert then["ageing"]["days_1_30"] == "50.00"  # the day after 31 January
        assert len(then["invoices"]) == 2
    # What was paid ahead counts on the day of its invoice.
    account = await api.get(f"/students/{student['id']}/statement?from=2989-12-31&to=2990-01-01")
    assert told(account) == [("2990-01-01", "INVOICE", "70.00", "71.00"), ("2990-01-01", "PAYMENT", "20.00", "51.00")]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kolkata"])
async def test_a_day_is_the_schools_day(api: Api, zone: str) -> None:
    student = await api.student(await api.school(time_zone=zone))
    midnight = datetime(2026, 2, 1, tzinfo=ZoneInfo(zone))
    await api.invoice(student, "1.00", issued_at=(midnight - timedelta(microseconds=1)).isoformat())
    await api.invoice(student, "20.00", issued_at=midnight.isoformat())
    path = f"/students/{student['id']}/statement"
    january = await api.get(f"{path}?from=2026-01-31&to=2026-01-31")
    assert told(january) == [("2026-01-31", "INVOICE", "1.00", "1.00")]
    february = await api.get(f"{path}?from=2026-02-01&to=2026-02-01")
    assert (february["opening_balance"], told(february)) == ("1.00", [("2026-02-01", "INVOICE", "20.00", "21.00")])
    for query, balance in (("as_of=2026-01-31", "1.00"), ("as_of=2026-02-01", "21.00")):
        assert (await api.get(f"{path}?{query}"))["totals"]["balance_due_total"] == balance
        of_school = await api.get(f"/schools/{student['school_id']}/statement?{query}")
        assert of_school["totals"]["balance_due_total"] == balance


async def test_days_of_23_and_25_hours_end_at_their_midnight(api: Api) -> None:
    student = await api.student(await api.school(time_zone="America/Los_Angeles"))
    path = f"/students/{student['id']}/statement"
    # The clock goes forward on 8 March 2026 (UTC-8 to UTC-7), and went back on 2 November 2025.
    for day, first_after in (("2026-03-08", "2026-03-09T07:00:00Z"), ("2025-11-02", "2025-11-03T08:00:00Z")):
        before = datetime.fromisoformat(first_after) - timedelta(microseconds=1)
        await api.invoice(student, "1.00", issued_at=before.isoformat())
        await api.invoice(student, "20.00", issued_at=first_after)
        on_day = await api.get(f"{path}?from={day}&to={day}")
        assert on_day["period"]["invoiced"] == "1.00"
        assert on_day["as_of"] == before.isoformat().replace("+00:00", "Z")
        next_day = str(date.fromisoformat(day) + timedelta(days=1))
        assert (await api.get(f"{path}?from={next_day}&to={next_day}"))["period"]["invoiced"] == "20.00"


async def test_the_pages_of_a_past_statement_keep_its_moment(api: Api) -> None:
    student = await api.student()
    invoices = [(await api.invoice(student, "10.00", issued_at="2026-01-01T00:00:00Z"))["id"] for _ in range(3)]
    await api.invoice(student, "10.00", issued_at="2026-02-01T00:00:00Z")
    path: str | None = f"/schools/{student['school_id']}/statement?from=2026-01-01&to=2026-01-31&limit=2"
    seen = []
    while path:
        response = await api.client.get(path)
        statement = decode(response.content, SchoolStatement)
        assert str(statement.totals.invoiced_total) == "30.00"
        seen.append([str(line.id) for line in statement.invoices])
        path = response.links.get("next", {}).get("url")
    assert seen == [invoices[:2], invoices[2:]]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=2026-02-01&to=2026-01-31", "from"),
        ("from=2999-01-01", "from"),  # no to: the period would end now
        ("from=", "from"), ("from=yesterday", "from"), ("from=2026-02-30", "from"), ("from=1899-12-31", "from"),
        ("from=null", "from"), ("from=2026-01-01T00:00:00Z", "from"), ("from=2026-01-01&from=2026-01-02", "from"),
        ("to=", "to"), ("to=3000-01-01", "to"), ("to=0000-00-00", "to"), ("to=%00", "to"),
        ("as_of=", "as_of"), ("as_of=now", "as_of"), ("as_of=3000-01-01", "as_of"), ("as_of=null", "as_of"),
        ("as_of=2026-01-01T00:00:00", "as_of"), ("as_of=2026-01-01T00:00:00+01:00", "as_of"),  # the + is a blank
        ("as_of=9999-12-31T23:59:59-14:00", "as_of"),
        ("as_of=2026-01-01&from=2026-01-01", "as_of"), ("as_of=2026-01-01&to=2026-01-01", "as_of"),
        ("from_=2026-01-01", "from_"), ("until=2026-01-01", "until"),
    ],
)  # fmt: skip
async def test_a_period_that_cannot_be_read_is_a_400_that_names_the_parameter(api: Api, query: str, name: str) -> None:
    student = await api.student()
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        refusal = problem(await api.client.get(f"{path}/statement?{query}"), 400, "invalid_parameter")
        assert [error["field"] for error in refusal["errors"]] == [name]
        assert name in refusal["detail"]


@pytest.mark.parametrize("query", ["from=1900-01-01&to=2999-12-31", "as_of=2999-12-31", "as_of=1900-01-01"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Niue"])
async def test_the_calendar_can_be_asked_from_its_first_to_its_last_day(api: Api, zone: str, query: str) -> None:
    student = await api.student(await api.school(time_zone=zone))
    await api.invoice(student, "1.00", due_date="1900-01-01", issued_at="1900-01-01T00:00:00Z")
    await api.invoice(student, "9999999999.99", due_date="2999-12-31", issued_at="2999-12-31T00:00:00Z")
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        statement = await api.get(f"{path}/statement?{query}")
        assert statement["totals"]["invoiced_total"] == ("1.00" if "as_of=1900" in query else "10000000000.99")


async def test_an_instant_may_have_any_offset(api: Api) -> None:
    invoice = await api.invoice(issued_at="2026-01-01T00:00:00Z")
    path = f"/students/{invoice['student_id']}/statement?as_of="
    assert await api.get(f"{path}2026-01-01T01:00:00%2B01:00") == await api.get(f"{path}2026-01-01T00:00:00Z")
    assert (await api.get(f"{path}2026-01-01T00:59:59%2B01:00"))["invoices"] == []


@pytest.mark.parametrize("query", ["as_of=2026-12-31", "from=2026-01-01", "to=2026-12-31"])
async def test_a_past_is_seen_by_its_own_school_alone(api: Api, make_client: Callable[..., Any], query: str) -> None:
    student, other = await api.student(), await api.student()
    await api.invoice(student, "10.00", issued_at="2026-01-01T00:00:00Z")
    async with (
        make_client(Role.VIEWER, other["school_id"]) as theirs,
        make_client(Role.VIEWER, student["school_id"]) as ours,
    ):
        refusal = await theirs.get(f"/students/{student['id']}/statement?{query}")
        problem(refusal, 404, "student_not_found")
        problem(await theirs.get(f"/schools/{student['school_id']}/statement?{query}"), 404, "school_not_found")
        for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
            statement = (await ours.get(f"{path}/statement?{query}")).json()
            assert statement["totals"]["balance_due_total"] == "10.00"


@pytest.mark.parametrize("query", ["as_of=2026-01-01", "from=2026-01-01", "to=2026-01-01"])
async def test_nobody_has_no_past(client: httpx.AsyncClient, query: str) -> None:
    problem(await client.get(f"/students/{NOBODY}/statement?{query}"), 404, "student_not_found")
    problem(await client.get(f"/schools/{NOBODY}/statement?{query}"), 404, "school_not_found")
