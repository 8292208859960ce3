"""Closed periods: what is refused, what stays possible, and the figures that stay."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest

from school_billing.auth.contracts import Role
from school_billing.ledger.repository import Ledger
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from school_billing.platform.web.json_body import decode
from school_billing.statements.contracts import RollForward
from tests.api import NOBODY, Api, Json, problem, wrong_fields

MakeClient = Callable[..., httpx.AsyncClient]
PERIOD_CLOSED = asyncpg.IntegrityConstraintViolationError


async def closed(api: Api, school: Json, through: str, **fields: Any) -> Json:
    """Close a period."""
    response = await api.client.post(f"/schools/{school['id']}/closings", json={"through": through} | fields)
    assert response.status_code == 201, response.text
    closing: Json = response.json()
    return closing


async def roll_forward(api: Api, school: Json, query: str) -> Json:
    response = await api.client.get(f"/schools/{school['id']}/roll-forward?{query}")
    assert response.status_code == 200, response.text
    decode(response.content, RollForward)
    found: Json = response.json()
    return found


def moved(figures: Json) -> dict[str, str]:
    """Return the amounts that are not zero."""
    return {
        name: amount
        for name, amount in figures.items()
        if name not in NAMES and isinstance(amount, str) and amount != "0.00"
    }


NAMES = {"school_id", "currency", "from", "to"}
ZERO_AGES = {"current": "0.00", "days_1_30": "0.00", "days_31_60": "0.00", "days_61_90": "0.00", "days_over_90": "0.00"}


async def winter(api: Api, **fields: Any) -> dict[str, Any]:
    """A school with a winter of each kind of movement, beside another one that is as busy."""
    books: dict[str, Any] = {}
    for _ in range(2):
        school = await api.school(**fields)
        marge, lisa = await api.payer(school), await api.student(school)
        old = await api.invoice(
            lisa, "300.00", payer_id=marge["id"], issued_at="2026-01-05", due_date="2026-01-20", description="Fees"
        )
        wrong = await api.invoice(lisa, "80.00", issued_at="2026-01-06", due_date="2026-02-28")
        direct = await api.pay(old, "50.00", method="cash", paid_at="2026-01-10")
        await api.refund(old, "10.00", paid_at="2026-01-11")
        cheque = await api.receipt(marge, "100.00", received_at="2026-01-15")
        bounced = await api.receipt(marge, "30.00", received_at="2026-01-16", allocate="none")
        reverse = {"reason": "No cover", "reversed_at": "2026-01-18"}
        assert (await api.client.post(f"/receipts/{bounced['id']}/reverse", json=reverse)).status_code == 201
        unknown = await api.client.post(
            "/receipts", json={"school_id": school["id"], "amount": "25.00", "received_at": "2026-01-20"}
        )
        rest = await api.receipt(marge, "40.00", received_at="2026-01-21", allocate="none")
        back = {"amount": "15.00", "refunded_at": "2026-01-25"}
        assert (await api.client.post(f"/receipts/{rest['id']}/refunds", json=back)).status_code == 201
        books = {
            "school": school, "marge": marge, "lisa": lisa, "old": old, "wrong": wrong, "direct": direct,
            "cheque": cheque, "unknown": unknown.json(), "rest": rest, "other": books.get("school"),
        }  # fmt: skip
    return books


async def test_a_closing_stores_the_figures_that_tie_and_lists_what_is_open(
    api: Api, database_url: str, psql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    books = await winter(api)
    school = books["school"]
    async with Database(Settings(database_url=database_url)) as database:
        await Ledger(database).seal()
    plan = await api.plan(school, ("tuition", "10.00"))
    drafts = [
        await api.preview(plan, period, issued_at=day) for period, day in (("A", "2026-01-31"), ("B", "2026-02-01"))
    ]
    closing = await closed(api, school, "2026-01-31", reason="The bank agrees")
    figures = {
        "opening_balance": "0.00",
        "invoiced": "380.00",  # 300.00 + 80.00
        "credited": "0.00",
        "discounted": "0.00",
        "written_off": "0.00",
        "received": "245.00",  # 50.00 directly; receipts 100.00 + 30.00 + 25.00 + 40.00
        "refunded": "55.00",  # 10.00 + 15.00, and 30.00 that bounced
        "voided": "0.00",
        "closing_balance": "190.00",
        "ageing": ZERO_AGES | {"current": "80.00", "days_1_30": "160.00"},  # 300.00 - 50.00 + 10.00 - 100.00
        "unallocated": "50.00",  # 25.00 of nobody, and 40.00 - 15.00
    }
    assert closing["figures"] == figures
    assert (closing["starts_on"], closing["through"], closing["reason"]) == (None, "2026-01-31", "The bank agrees")
    assert closing["audit_position"] > 10
    assert len(bytes.fromhex(closing["audit_hash"])) == 32
    assert [
        (one["id"], one["payer_id"], one["unallocated"], one["received_at"][:10]) for one in closing["open_receipts"]
    ] == [
        (books["unknown"]["id"], None, "25.00", "2026-01-20"),
        (books["rest"]["id"], books["marge"]["id"], "25.00", "2026-01-21"),
    ]
    # What can be billed no more: the run of February can.
    assert [(one["id"], one["period"]) for one in closing["open_billing_runs"]] == [(drafts[0]["id"], "A")]
    late = await api.client.post(f"/billing-runs/{drafts[0]['id']}/commit", json={})
    assert problem(late, 409, "period_closed")["earliest_open_date"] == "2026-02-01"
    path = f"/schools/{school['id']}"
    assert await api.get(f"{path}/closings/{closing['id']}") == closing == await api.get(f"/closings/{closing['id']}")
    assert await api.get(f"{path}/closings") == [
        {name: closing[name] for name in closing if not name.startswith("open_")}
    ]
    problem(await api.client.get(f"/schools/{books['other']['id']}/closings/{closing['id']}"), 404, "closing_not_found")
    assert await api.get(f"/schools/{books['other']['id']}/closings") == []
    problem(await api.client.get(f"/schools/{NOBODY}/closings"), 404, "school_not_found")
    problem(await api.client.post(f"/schools/{NOBODY}/closings", json={"through": "2026-01-31"}), 404)
    assert (await api.client.delete(path)).status_code == 409

    # February: nothing that follows changes January, and February begins where it ended.
    new = await api.invoice(books["lisa"], "200.00", issued_at="2026-02-02", due_date="2026-02-10")
    await api.pay(new, "20.00", paid_at="2026-02-03")
    drop = await api.invoice(books["lisa"], "7.00", issued_at="2026-02-02", due_date="2026-02-10")
    await psql.execute(
        "update invoices set voided_at = '2026-02-04Z', void_reason = 'Wrong' where id = $1", UUID(drop["id"])
    )
    february = await closed(api, school, "2026-02-28")
    assert (february["starts_on"], february["through"]) == ("2026-02-01", "2026-02-28")
    assert moved(february["figures"]) == {
        "opening_balance": "190.00", "invoiced": "207.00", "received": "20.00", "voided": "7.00",
        "closing_balance": "370.00", "unallocated": "50.00",
    }  # fmt: skip
    # Only what is dated in a month moves its figures, so those of January come out again.
    again = await roll_forward(api, school, "from=1900-01-01&to=2026-01-31")
    assert {name: again[name] for name in figures} == figures
    listed = await api.get(f"{path}/closings?limit=1")
    assert [one["id"] for one in listed] == [closing["id"]]
    async with Database(Settings(database_url=database_url)) as database:
        assert await Ledger(database).differences(5) == []


async def test_a_roll_forward_is_one_row_of_a_spreadsheet(api: Api) -> None:
    books = await winter(api, currency="EUR")
    path, query = f"/schools/{books['school']['id']}/roll-forward", "from=2026-01-11&to=2026-01-20"
    found = await roll_forward(api, books["school"], query)
    assert moved(found) == {
        "opening_balance": "330.00",  # 380.00 - 50.00
        "received": "155.00",
        "refunded": "40.00",
        "closing_balance": "215.00",
        "unallocated": "25.00",
    }
    assert found["ageing"] == ZERO_AGES | {"current": "240.00"}
    csv = await api.client.get(f"{path}.csv?{query}&excel=true")
    names, values = csv.content.decode("utf-8-sig").splitlines()
    row = dict(zip(names.split(","), values.split(","), strict=True))
    assert row == {name: found[name] for name in found if name not in {"ageing", "school_id"}} | found["ageing"]
    assert csv.headers["content-disposition"].endswith('2026-01-11-2026-01-20.csv"')
    workbook = await api.client.get(f"{path}.xlsx?{query}")
    assert workbook.content.startswith(b"PK")
    problem(await api.client.get(f"{path}?from=2026-02-01&to=2026-01-31"), 400, "invalid_parameter")
    problem(await api.client.get(f"{path}?from=2999-01-01"), 400, "invalid_parameter")
    assert (await roll_forward(api, books["school"], ""))["from"] == datetime.now(UTC).strftime("%Y-%m-01")


async def test_nothing_that_is_dated_in_a_closed_period_changes(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    books = await winter(api)
    school, old, wrong, direct = (books[name] for name in ("school", "old", "wrong", "direct"))
    new = await api.invoice(books["lisa"], "200.00", issued_at="2026-02-02", due_date="2026-02-10")
    paid = await api.pay(new, "20.00", paid_at="2026-02-03")
    await closed(api, school, "2026-01-31")
    due = {"total_amount": "9.00", "due_date": "2026-02-01", "student_id": books["lisa"]["id"]}
    january = {"issued_at": "2026-01-31T23:59:59.999999Z"}
    requests: list[tuple[str, str, Json | None]] = [
        ("POST", "/invoices", due | january),
        ("PATCH", f"/invoices/{new['id']}", january),  # into the closed month
        ("PATCH", f"/invoices/{old['id']}", {"issued_at": "2026-02-01"}),  # and out of it
        ("PATCH", f"/invoices/{old['id']}", {"due_date": "2026-06-30"}),
        ("PATCH", f"/invoices/{old['id']}", {"total_amount": "301.00"}),
        ("PATCH", f"/invoices/{old['id']}", {"description": "Other fees"}),
        ("DELETE", f"/invoices/{wrong['id']}", None),
        ("POST", f"/invoices/{wrong['id']}/void", {"reason": "Wrong"}),
        ("POST", "/payments", {"invoice_id": new["id"], "amount": "1.00", "paid_at": "2026-01-31"}),
        ("PATCH", f"/payments/{paid['id']}", {"paid_at": "2026-01-31"}),
        ("PATCH", f"/payments/{direct['id']}", {"paid_at": "2026-02-01"}),
        ("PATCH", f"/payments/{direct['id']}", {"amount": "49.00"}),
        ("PATCH", f"/payments/{direct['id']}", {"method": "card"}),
        ("DELETE", f"/payments/{direct['id']}", None),
        ("POST", "/receipts", {"payer_id": books["marge"]["id"], "amount": "1.00", "received_at": "2026-01-31"}),
        ("POST", f"/receipts/{books['rest']['id']}/refunds", {"amount": "1.00", "refunded_at": "2026-01-31"}),
        ("POST", f"/receipts/{books['cheque']['id']}/reverse", {"reason": "No cover", "reversed_at": "2026-01-31"}),
    ]
    before = await psql.fetchval("select count(*) from audit_log where school_id = $1", UUID(school["id"]))
    for method, path, body in requests:
        refused = problem(await api.client.request(method, path, json=body), 409, "period_closed")
        assert refused["earliest_open_date"] == "2026-02-01", (method, path)
    assert await psql.fetchval("select count(*) from audit_log where school_id = $1", UUID(school["id"])) == before

    statements = [
        "update invoices set issued_at = issued_at + interval '1 month' where id = '{old}'",
        "update invoices set voided_at = '2026-01-20Z', void_reason = 'x' where id = '{new}'",
        "update invoices set due_date = due_date + 1 where id = '{old}'",
        "delete from invoices where id = '{wrong}'",
        "insert into payments (school_id, invoice_id, amount, paid_at) values ('{school}', '{new}', 1, '2026-01-31Z')",
        "update payments set paid_at = now() where id = '{direct}'",
        "delete from payments where id = '{direct}'",
        "insert into receipts (school_id, amount, received_at) values ('{school}', 1, '2026-01-31Z')",
        "update receipts set method = 'cash' where id = '{cheque}'",
        "update receipts set reversed_at = '2026-01-31Z', reverse_reason = 'x' where id = '{unknown}'",
        "delete from receipts where id = '{unknown}'",
        "insert into receipt_refunds (school_id, receipt_id, amount, refunded_at) "
        "values ('{school}', '{unknown}', 1, '2026-01-31Z')",
    ]
    ids = {name: one["id"] for name, one in (books | {"new": new}).items()}
    for statement in statements:
        with pytest.raises(PERIOD_CLOSED) as refusal:
            await psql.execute(statement.format(**ids))
        assert refusal.value.constraint_name == "closed_periods_stay", statement

    # The other school, which never closed, is free.
    student = await api.student(books["other"])
    await api.pay(await api.invoice(student, issued_at="2026-01-05"), "1.00", paid_at="2026-01-06")


async def test_money_of_a_closed_period_is_allocated_taken_back_and_reversed_in_an_open_one(api: Api) -> None:
    books = await winter(api)
    marge, old, wrong = (books[name] for name in ("marge", "old", "wrong"))
    closing = await closed(api, books["school"], "2026-01-31")
    today = datetime.now(UTC).date().isoformat()

    rest, unknown, cheque = (f"/receipts/{books[name]['id']}" for name in ("rest", "unknown", "cheque"))
    allocated = await api.client.post(f"{rest}/allocations", json={})
    assert allocated.status_code == 201
    (one,) = allocated.json()["allocations"]
    assert (one["invoice_id"], one["amount"], one["allocated_at"][:10]) == (old["id"], "25.00", today)
    # Whose money it is changes no figure of the school.
    assert (await api.client.patch(unknown, json={"payer_id": marge["id"]})).status_code == 200
    listed = [{"invoice_id": wrong["id"], "amount": "20.00"}]
    assert (await api.client.post(f"{unknown}/allocations", json={"allocate": listed})).status_code == 201
    assert (await api.client.post(f"{unknown}/refunds", json={"amount": "5.00"})).status_code == 201
    back = await api.client.post(f"/payments/{one['payment_id']}/reverse", json={"reason": "For the sister"})
    assert (back.status_code, back.json()["paid_at"][:10]) == (201, today)
    bounced = await api.client.post(f"{cheque}/reverse", json={"reason": "No cover"})
    assert (bounced.status_code, bounced.json()["reversed_at"][:10]) == (201, today)
    await api.pay(old, "1.00")

    found = await api.get(f"/closings/{closing['id']}")
    assert found["figures"] == closing["figures"]
    assert [(one["id"], one["unallocated"]) for one in found["open_receipts"]] == [(books["rest"]["id"], "25.00")]
    again = await roll_forward(api, books["school"], "from=1900-01-01&to=2026-01-31")
    assert {name: again[name] for name in closing["figures"]} == closing["figures"]
    since = await roll_forward(api, books["school"], "from=2026-02-01")
    assert moved(since) == {
        "opening_balance": "190.00",
        "received": "1.00",
        "refunded": "105.00",  # 5.00 given back, and 100.00 that bounced
        "closing_balance": "294.00",
        "unallocated": "25.00",
    }


async def test_periods_are_closed_forward_and_reopened_backward(
    api: Api, make_client: MakeClient, psql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    books = await winter(api)
    school = books["school"]
    path = f"/schools/{school['id']}/closings"
    january = await closed(api, school, "2026-01-31")
    for through in ("2026-01-31", "2026-01-30"):
        refused = problem(await api.client.post(path, json={"through": through}), 409, "already_closed")
        assert refused["closing_id"] == january["id"]
        assert (refused["through"], refused["earliest_open_date"]) == ("2026-01-31", "2026-02-01")
    february = await closed(api, school, "2026-02-28")
    today = datetime.now(UTC).date()
    for wrong in (str(today), str(today + timedelta(days=1)), "2026-02-30", "1899-12-31", None):
        assert wrong_fields(await api.client.post(path, json={"through": wrong})) == ["through"]
    assert wrong_fields(await api.client.post(path, json={"through": "2026-03-01", "reason": " "})) == ["reason"]
    yesterday = await closed(api, school, str(today - timedelta(days=1)))

    reason = {"reason": "A payment was forgotten"}
    accountant = make_client(Role.ACCOUNTANT, UUID(school["id"]))
    viewer = make_client(Role.VIEWER, UUID(school["id"]))
    stranger = make_client(Role.ADMIN, UUID(books["other"]["id"]))
    async with accountant, viewer, stranger:
        problem(await viewer.post(path, json={"through": "2026-03-31"}), 403, "forbidden")
        problem(await accountant.post(f"/closings/{yesterday['id']}/reopen", json=reason), 403, "forbidden")
        problem(await stranger.post(path, json={"through": "2026-03-31"}), 404, "school_not_found")
        problem(await stranger.get(path), 404, "school_not_found")
        for identifier in (f"/closings/{yesterday['id']}", f"{path}/{yesterday['id']}"):
            problem(await stranger.get(identifier), 404, "closing_not_found")
        problem(await stranger.post(f"/closings/{yesterday['id']}/reopen", json=reason), 404, "closing_not_found")
        problem(await stranger.get(f"/schools/{school['id']}/roll-forward"), 404, "school_not_found")
        assert len((await viewer.get(path)).json()) == 3

    for earlier in (january, february):
        problem(await api.client.post(f"/closings/{earlier['id']}/reopen", json=reason), 409, "later_closing")
    for closing in (yesterday, february):
        key = {"Idempotency-Key": f"reopen-{closing['id']}"}
        reopened = await api.client.post(f"/closings/{closing['id']}/reopen", json=reason, headers=key)
        assert (reopened.status_code, reopened.json()["reopen_reason"]) == (201, reason["reason"])
        assert reopened.json()["figures"] == closing["figures"]
        replayed = await api.client.post(f"/closings/{closing['id']}/reopen", json=reason, headers=key)
        assert (replayed.json(), replayed.headers["location"]) == (reopened.json(), f"/closings/{closing['id']}")
        problem(await api.client.post(f"/closings/{closing['id']}/reopen", json=reason), 409, "closing_reopened")
    await api.pay(books["old"], "1.00", paid_at="2026-02-01")
    problem(await api.client.patch(f"/payments/{books['direct']['id']}", json={"amount": "1.00"}), 409, "period_closed")
    again = await closed(api, school, "2026-02-28")
    assert moved(again["figures"])["received"] == "1.00"
    assert [one["reopened_at"] is None for one in await api.get(path)] == [True, False, False, True]

    # Nobody writes a closing by hand, and psql obeys the same rules.
    for statement, constraint in (
        ("update closings set received = 0 where id = $1", "closings_are_fixed"),
        ("delete from closings where id = $1", "closings_are_fixed"),
        ("update closings set reopened_at = now(), reopen_reason = 'x' where id = $1", "closings_reopen_the_latest"),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
            await psql.execute(statement, UUID(january["id"]))
        assert refusal.value.constraint_name == constraint
    trail = await api.get(f"/audit?entity=closings&school_id={school['id']}")
    assert [entry["action"] for entry in trail] == ["INSERT"] * 3 + ["UPDATE"] * 2 + ["INSERT"]


@pytest.mark.parametrize(
    ("zone", "through", "last", "first"),
    [
        # The clock goes back at midnight at the end of 4 April 2026: that day has 25 hours.
        ("America/Santiago", "2026-04-04", "2026-04-05T03:59:59.999999Z", "2026-04-05T04:00:00Z"),
        # It goes forward at the beginning of 7 September 2025, whose first moment is 01:00.
        ("America/Santiago", "2025-09-06", "2025-09-07T03:59:59.999999Z", "2025-09-07T04:00:00Z"),
        ("Pacific/Auckland", "2026-01-31", "2026-01-31T10:59:59.999999Z", "2026-01-31T11:00:00Z"),
    ],
)
async def test_a_day_ends_in_the_time_zone_of_the_school(
    api: Api, zone: str, through: str, last: str, first: str
) -> None:
    school = await api.school(time_zone=zone)
    student = await api.student(school)
    await api.invoice(student, "10.00", issued_at=last)
    await api.invoice(student, "1.00", issued_at=first)
    closing = await closed(api, school, through)
    assert moved(closing["figures"]) == {"invoiced": "10.00", "closing_balance": "10.00"}
    tomorrow = str(date.fromisoformat(through) + timedelta(days=1))
    body = {"student_id": student["id"], "total_amount": "5.00", "due_date": "2026-06-30"}
    for issued_at in (last, through):
        refused = await api.client.post("/invoices", json=body | {"issued_at": issued_at})
        assert problem(refused, 409, "period_closed")["earliest_open_date"] == tomorrow
    for issued_at in (first, tomorrow):
        await api.invoice(student, "1.00", issued_at=issued_at)
    # The moments of a closing stay, wherever the school moves.
    for moved_to in (zone, "Asia/Tokyo"):
        assert (await api.client.patch(f"/schools/{school['id']}", json={"time_zone": moved_to})).status_code == 200
        until = await roll_forward(api, school, f"from=1900-01-01&to={through}")
        after = await roll_forward(api, school, f"from={tomorrow}&to={tomorrow}")
        assert (until["closing_balance"], after["opening_balance"]) == ("10.00", "10.00")


async def test_today_is_open_in_a_zone_that_is_a_day_ahead(api: Api) -> None:
    school = await api.school(time_zone="Pacific/Kiritimati")  # UTC+14
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    path = f"/schools/{school['id']}/closings"
    assert wrong_fields(await api.client.post(path, json={"through": str(today)})) == ["through"]
    await closed(api, school, str(today - timedelta(days=1)))
    await api.invoice(await api.student(school))


async def test_the_first_open_day_is_one_of_the_zone_to_which_the_school_moved(api: Api) -> None:
    school = await api.school(time_zone="America/Santiago")
    student = await api.student(school)
    await closed(api, school, "2026-01-31")
    await api.client.patch(f"/schools/{school['id']}", json={"time_zone": "Pacific/Auckland"})
    # The end of January in Santiago is the evening of 1 February in Auckland.
    body = {"student_id": student["id"], "total_amount": "1.00", "due_date": "2026-03-01"}
    refused = await api.client.post("/invoices", json=body | {"issued_at": "2026-02-01"})
    first = problem(refused, 409, "period_closed")["earliest_open_date"]
    assert first == "2026-02-02"
    assert (await api.client.post("/invoices", json=body | {"issued_at": first})).status_code == 201


async def test_a_closed_month_is_told_before_what_would_not_help(api: Api) -> None:
    school = await api.school()
    invoice = await api.invoice(await api.student(school), issued_at="2026-01-10")
    discount = {"amount": "10.00", "reason": "Sibling", "adjusted_at": "2026-01-12"}
    assert (await api.client.post(f"/invoices/{invoice['id']}/discounts", json=discount)).status_code == 201
    await closed(api, school, "2026-01-31")
    problem(await api.client.post(f"/invoices/{invoice['id']}/void", json={"reason": "x"}), 409, "period_closed")
