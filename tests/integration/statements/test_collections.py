"""Collections: what was invoiced and what came in, by day, week, month and method."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from school_billing.auth.contracts import Role
from school_billing.platform.web.json_body import decode
from school_billing.statements.contracts import Collections
from tests.api import NOBODY, Api, Json, problem
from tests.integration.statements.histories import FIRST, LAST, History, histories, write


async def collections(api: Api, school: Json | UUID, query: str) -> Json:
    identifier = school if isinstance(school, UUID) else school["id"]
    response = await api.client.get(f"/schools/{identifier}/collections?{query}")
    assert response.status_code == 200, response.text
    decode(response.content, Collections)
    found: Json = response.json()
    return found


def told(document: Json) -> list[tuple[str | None, ...]]:
    names = ("from", "to", "invoiced", "paid", "refunded", "net", "collection_rate")
    return [tuple(row[name] for name in names) for row in document["rows"]]


async def spring(api: Api) -> Json:
    """A school with a spring of two students, beside another school that is as busy."""
    school = await api.school(currency="EUR")
    lisa, bart = await api.student(school), await api.student(school)
    first = await api.invoice(lisa, "300.00", issued_at="2026-03-02T10:00:00Z")  # a Monday
    second = await api.invoice(bart, "100.00", issued_at="2026-03-09T10:00:00Z")
    await api.pay(first, "200.00", method=" Bank Transfer", paid_at="2026-03-03T10:00:00Z")
    await api.pay(first, "50.00", method="cash", paid_at="2026-03-03T23:59:59.999999Z")
    await api.refund(first, "30.00", method="bank-transfer", paid_at="2026-03-09T00:00:00Z")
    await api.pay(second, "45.50", paid_at="2026-04-01T00:00:00Z")
    other = await api.invoice(None, "7.00", issued_at="2026-03-02T10:00:00Z")
    await api.pay(other, "7.00", method="card", paid_at="2026-03-03T10:00:00Z")
    return school


async def test_each_day_has_its_row_and_a_quiet_one_zeros(api: Api) -> None:
    school = await spring(api)
    document = await collections(api, school, "from=2026-03-02&to=2026-03-04")
    assert document == {
        "school_id": school["id"],
        "currency": "EUR",
        "from": "2026-03-02",
        "to": "2026-03-04",
        "by": "day",
        "totals": {
            "invoiced": "300.00",
            "paid": "250.00",
            "refunded": "0.00",
            "net": "250.00",
            "collection_rate": "0.8333",  # 250.00 / 300.00
        },
        "rows": document["rows"],
    }
    assert document["rows"][0] == {
        "from": "2026-03-02",
        "to": "2026-03-02",
        "method": None,
        "invoiced": "300.00",
        "paid": "0.00",
        "refunded": "0.00",
        "net": "0.00",
        "collection_rate": "0.0000",
    }
    assert told(document)[1:] == [
        ("2026-03-03", "2026-03-03", "0.00", "250.00", "0.00", "250.00", None),  # nothing invoiced: no rate
        ("2026-03-04", "2026-03-04", "0.00", "0.00", "0.00", "0.00", None),
    ]


async def test_weeks_begin_on_monday_and_are_cut_at_the_ends_of_the_period(api: Api) -> None:
    document = await collections(api, await spring(api), "from=2026-03-03&to=2026-03-18&by=week")
    assert told(document) == [
        ("2026-03-03", "2026-03-08", "0.00", "250.00", "0.00", "250.00", None),
        ("2026-03-09", "2026-03-15", "100.00", "0.00", "30.00", "-30.00", "-0.3000"),
        ("2026-03-16", "2026-03-18", "0.00", "0.00", "0.00", "0.00", None),
    ]


async def test_months_are_calendar_months(api: Api) -> None:
    document = await collections(api, await spring(api), "from=2026-01-31&to=2026-04-01&by=month")
    assert told(document) == [
        ("2026-01-31", "2026-01-31", "0.00", "0.00", "0.00", "0.00", None),
        ("2026-02-01", "2026-02-28", "0.00", "0.00", "0.00", "0.00", None),
        ("2026-03-01", "2026-03-31", "400.00", "250.00", "30.00", "220.00", "0.5500"),  # 220.00 / 400.00
        ("2026-04-01", "2026-04-01", "0.00", "45.50", "0.00", "45.50", None),
    ]
    assert document["totals"]["net"] == "265.50"  # 220.00 + 45.50
    assert document["totals"]["collection_rate"] == "0.6638"  # 265.50 / 400.00 = 0.66375


async def test_each_method_has_its_row_and_its_share_of_what_was_invoiced(api: Api) -> None:
    document = await collections(api, await spring(api), "from=2026-03-01&to=2026-04-30&by=method")
    names = ("method", "from", "to", "invoiced", "paid", "refunded", "net", "collection_rate")
    assert [tuple(row[name] for name in names) for row in document["rows"]] == [
        ("bank_transfer", "2026-03-01", "2026-04-30", None, "200.00", "30.00", "170.00", "0.4250"),  # 170.00 / 400.00
        ("cash", "2026-03-01", "2026-04-30", None, "50.00", "0.00", "50.00", "0.1250"),
        (None, "2026-03-01", "2026-04-30", None, "45.50", "0.00", "45.50", "0.1138"),
    ]
    assert document["totals"] == {
        "invoiced": "400.00",
        "paid": "295.50",
        "refunded": "30.00",
        "net": "265.50",
        "collection_rate": "0.6638",
    }
    quiet = await collections(api, await spring(api), "from=2025-01-01&to=2025-01-31&by=method")
    assert (quiet["rows"], quiet["totals"]["collection_rate"]) == ([], None)
    assert {quiet["totals"][name] for name in ("invoiced", "paid", "refunded", "net")} == {"0.00"}


async def test_a_void_invoice_is_not_invoiced_but_its_money_did_move(api: Api) -> None:
    student = await api.student()
    invoice = await api.invoice(student, "80.00", issued_at="2026-03-01T00:00:00Z")
    await api.invoice(student, "20.00", issued_at="2026-03-01T00:00:00Z")
    await api.pay(invoice, "80.00", method="cash", paid_at="2026-03-01T00:00:00Z")
    await api.refund(invoice, "80.00", method="cash", paid_at="2026-04-01T00:00:00Z")
    await api.client.post(f"/invoices/{invoice['id']}/void", json={"reason": "x"})
    school = {"id": student["school_id"]}
    assert told(await collections(api, school, "from=2026-03-01&to=2026-04-30&by=month")) == [
        ("2026-03-01", "2026-03-31", "20.00", "80.00", "0.00", "80.00", "4.0000"),
        ("2026-04-01", "2026-04-30", "0.00", "0.00", "80.00", "-80.00", None),
    ]
    by_method = await collections(api, school, "from=2026-03-01&to=2026-04-30&by=method")
    assert by_method["totals"]["invoiced"] == "20.00"
    assert (by_method["rows"][0]["paid"], by_method["rows"][0]["refunded"]) == ("80.00", "80.00")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kolkata"])
async def test_a_day_is_the_schools_day(api: Api, zone: str) -> None:
    student = await api.student(await api.school(time_zone=zone))
    school = {"id": student["school_id"]}
    # The clock of Los Angeles goes forward on this day.
    midnights = [datetime(2026, 3, 8, tzinfo=ZoneInfo(zone)), datetime(2026, 3, 9, tzinfo=ZoneInfo(zone))]
    for amount, midnight in zip(("1.00", "20.00"), midnights, strict=True):
        for moment in (midnight.astimezone(UTC), midnight.astimezone(UTC) - timedelta(microseconds=1)):
            await api.pay(
                await api.invoice(student, amount, issued_at=moment.isoformat()), amount, paid_at=moment.isoformat()
            )
    assert told(await collections(api, school, "from=2026-03-08&to=2026-03-08")) == [
        ("2026-03-08", "2026-03-08", "21.00", "21.00", "0.00", "21.00", "1.0000"),  # its first instant and its last
    ]
    around = await collections(api, school, "from=2026-03-07&to=2026-03-09")
    assert [row["paid"] for row in around["rows"]] == ["1.00", "21.00", "20.00"]


async def test_a_clock_set_back_over_midnight_loses_nothing(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    # At 00:01 on 29 October 2006 the clock of St. John's went back to 23:01 on the 28th.
    student = await api.student(await api.school(time_zone="America/St_Johns"))
    school = {"id": student["school_id"]}
    for minute in range(4):
        moment = datetime(2006, 10, 29, 2, 29, tzinfo=UTC) + timedelta(minutes=minute)
        await api.pay(
            await api.invoice(student, "1.00", issued_at=moment.isoformat()), "1.00", paid_at=moment.isoformat()
        )
    both = [await collections(api, school, f"from=2006-10-{day}&to=2006-10-{day}") for day in (28, 29)]
    assert sum(Decimal(document["totals"]["paid"]) for document in both) == 4
    assert sum(Decimal(document["rows"][0]["invoiced"]) for document in both) == 4


async def test_without_a_period_it_is_this_month_to_date(api: Api) -> None:
    school = await api.school(time_zone="Pacific/Kiritimati")
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    document = await collections(api, school, "by=month")
    assert (document["from"], document["to"]) == (str(today.replace(day=1)), str(today))
    assert len(document["rows"]) == 1
    assert len((await collections(api, school, ""))["rows"]) == today.day
    until = await collections(api, school, "to=2026-02-10")
    assert (until["from"], until["to"], len(until["rows"])) == ("2026-02-01", "2026-02-10", 10)
    since = await collections(api, school, f"from={today - timedelta(days=1)}")
    assert (since["to"], len(since["rows"])) == (str(today), 2)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("from=2016-01-01&to=2026-01-07&by=day", 3660),  # 10 * 365 + 3 days of leap years + 7
        ("from=1950-01-02&to=2020-02-23&by=week", 3660),
        ("from=1900-01-01&to=2204-12-31&by=month", 3660),  # 305 * 12
        ("from=1900-01-01&to=2999-12-31&by=method", 0),
    ],
)
async def test_there_are_at_most_ten_years_of_days(api: Api, query: str, rows: int) -> None:
    school = await api.school()
    assert len((await collections(api, school, query))["rows"]) == rows
    if rows:
        start, end = (query.split("&")[place].partition("=")[2] for place in (0, 1))
        longer = query.replace(end, str(date.fromisoformat(end) + timedelta(days=1)))
        refusal = problem(
            await api.client.get(f"/schools/{school['id']}/collections?{longer}"), 400, "invalid_parameter"
        )
        assert start in longer
        assert refusal["errors"] == [
            {
                "field": "by",
                "message": "makes 3661 rows, more than 3660: use longer parts or a shorter period",
            }
        ]


async def test_methods_are_bounded_too(api: Api, psql: "asyncpg.Connection[asyncpg.Record]") -> None:
    invoice = await api.invoice(total="9999.00")
    await psql.execute(
        """
        insert into payments (school_id, invoice_id, amount, method, paid_at)
        select $1, $2, 1, 'method_' || number, '2026-01-15Z' from generate_series(1, 3660) as number
        """,
        *(invoice["school_id"], invoice["id"]),
    )
    query = "from=2026-01-01&to=2026-01-31&by=method"
    school = {"id": invoice["school_id"]}
    assert len((await collections(api, school, query))["rows"]) == 3660
    await api.pay(invoice, "1.00", paid_at="2026-01-15T00:00:00Z")
    problem(await api.client.get(f"/schools/{school['id']}/collections?{query}"), 400, "invalid_parameter")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=2026-02-01&to=2026-01-31", "from"), ("from=2999-01-01", "from"), ("from=2999-01-01&by=method", "from"),
        ("from=x", "from"), ("to=3000-01-01", "to"), ("by=year", "by"), ("by=", "by"), ("by=DAY", "by"),
        ("by=null", "by"), ("by=day&by=week", "by"), ("from=1900-01-01&to=2999-12-31", "by"),
        ("limit=10", "limit"), ("from_=2026-01-01", "from_"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_a_400_that_names_the_parameter(api: Api, query: str, name: str) -> None:
    school = await api.school()
    refusal = problem(await api.client.get(f"/schools/{school['id']}/collections?{query}"), 400, "invalid_parameter")
    assert [error["field"] for error in refusal["errors"]] == [name]
    assert name in refusal["detail"]


@pytest.mark.parametrize("by", ["day", "week", "month", "method"])
async def test_collections_are_seen_by_their_own_school_alone(
    api: Api, make_client: Callable[..., Any], by: str
) -> None:
    school, other = await spring(api), await api.school()
    query = f"collections?from=2026-03-01&to=2026-03-31&by={by}"
    async with make_client(Role.VIEWER, other["id"]) as theirs, make_client(Role.VIEWER, school["id"]) as ours:
        problem(await theirs.get(f"/schools/{school['id']}/{query}"), 404, "school_not_found")
        assert (await theirs.get(f"/schools/{other['id']}/{query}")).json()["totals"]["paid"] == "0.00"
        assert (await ours.get(f"/schools/{school['id']}/{query}")).json()["totals"]["paid"] == "250.00"


async def test_receipts_are_money_and_what_they_pay_is_not(api: Api) -> None:
    school = await spring(api)
    student = await api.student(school)
    payer = await api.payer(school)
    invoice = await api.invoice(student, "40.00", payer_id=payer["id"], issued_at="2026-03-05T10:00:00Z")

    async def book(amount: str, day: str, method: str | None = None, **fields: Any) -> Json:
        whose = {} if "school_id" in fields else {"payer_id": payer["id"]}
        body = {"amount": amount, "received_at": day, "method": method} | whose | fields
        response = await api.client.post("/receipts", json=body)
        assert response.status_code == 201, response.text
        booked: Json = response.json()
        return booked

    card = await book("60.00", "2026-03-04", "card")  # 40.00 of it pay the invoice from the next day on
    assert card["allocated_total"] == "40.00"
    await book("5.00", "2026-03-06", "cash", school_id=school["id"])  # nobody's yet
    cheque = await book("100.00", "2026-03-06", "cheque", allocate="none")
    back = {"amount": "7.00", "method": "cash", "refunded_at": "2026-03-07"}
    assert (await api.client.post(f"/receipts/{card['id']}/refunds", json=back)).status_code == 201
    bounced = {"reason": "Bounced", "reversed_at": "2026-03-08"}
    assert (await api.client.post(f"/receipts/{cheque['id']}/reverse", json=bounced)).status_code == 201

    document = await collections(api, school, "from=2026-03-04&to=2026-03-08")
    assert told(document) == [
        ("2026-03-04", "2026-03-04", "0.00", "60.00", "0.00", "60.00", None),
        ("2026-03-05", "2026-03-05", "40.00", "0.00", "0.00", "0.00", "0.0000"),
        ("2026-03-06", "2026-03-06", "0.00", "105.00", "0.00", "105.00", None),
        ("2026-03-07", "2026-03-07", "0.00", "0.00", "7.00", "-7.00", None),
        ("2026-03-08", "2026-03-08", "0.00", "0.00", "100.00", "-100.00", None),
    ]
    by_method = await collections(api, school, "from=2026-03-04&to=2026-03-08&by=method")
    assert [(row["method"], row["paid"], row["refunded"]) for row in by_method["rows"]] == [
        ("card", "60.00", "0.00"),
        ("cash", "5.00", "7.00"),
        ("cheque", "100.00", "100.00"),
    ]
    assert by_method["totals"] == document["totals"]
    reversal = await api.client.post(f"/payments/{card['allocations'][0]['payment_id']}/reverse", json={"reason": "x"})
    assert reversal.status_code == 201, reversal.text
    assert (await api.reload(invoice))["balance_due"] == "40.00"
    assert await collections(api, school, "from=2026-03-04&to=2026-03-08") == document
    today = await collections(api, school, "")
    assert (today["totals"]["paid"], today["totals"]["refunded"]) == ("0.00", "0.00")


async def test_a_school_that_does_not_exist_is_404(client: httpx.AsyncClient) -> None:
    for query in ("", "?by=method", "?from=2026-01-01&to=2026-01-31"):
        problem(await client.get(f"/schools/{NOBODY}/collections{query}"), 404, "school_not_found")


def rate(net: Decimal, invoiced: Decimal) -> str | None:
    return str((net / invoiced).quantize(Decimal("0.0001"), ROUND_HALF_UP)) if invoiced else None


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), data=st.data())
async def test_the_rows_of_a_random_history_add_up_whichever_way_they_are_cut(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]", history: History, data: Any
) -> None:
    school, _ = await write(psql, history)
    last = data.draw(st.dates(FIRST, LAST))
    first = data.draw(st.dates(FIRST - timedelta(days=7), last))
    invoices = [invoice for books in history.students for invoice in books]
    expected: dict[date, list[Decimal]] = {}
    for invoice in invoices:
        # What is adjusted is no cash.
        places = {"PAYMENT": 1, "REFUND": 2}
        moved = [(move.paid_at, places[move.kind], move.amount) for move in invoice.payments if move.kind in places]
        for moment, place, amount in [*moved, *([] if invoice.voided_at else [(invoice.issued_at, 0, invoice.total)])]:
            expected.setdefault(history.day_of(moment), [Decimal(0)] * 3)[place] += amount
    documents = {
        by: await collections(api, school, f"from={first}&to={last}&by={by}")
        for by in ("day", "week", "month", "method")
    }
    for by, document in documents.items():
        rows = document["rows"]
        assert document["totals"] == documents["day"]["totals"]
        for name in ("paid", "refunded", "net", *(() if by == "method" else ("invoiced",))):
            assert sum(Decimal(row[name]) for row in rows) == Decimal(document["totals"][name])
        if by == "method":
            continue
        assert [row["from"] for row in rows[1:]] == [
            str(date.fromisoformat(row["to"]) + timedelta(days=1)) for row in rows[:-1]
        ]
        assert (rows[0]["from"], rows[-1]["to"]) == (str(first), str(last))
        for row in rows:
            inside = [sums for day, sums in expected.items() if row["from"] <= str(day) <= row["to"]]
            invoiced, paid, refunded = (sum((sums[place] for sums in inside), Decimal(0)) for place in range(3))
            assert told({"rows": [row]})[0][2:] == (
                f"{invoiced:.2f}", f"{paid:.2f}", f"{refunded:.2f}", f"{paid - refunded:.2f}",
                rate(paid - refunded, invoiced),
            )  # fmt: skip
