"""Numbers of invoices and receipts: without gaps, in every series, whoever writes and whatever fails."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest

from school_billing.ledger.repository import Ledger
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from tests.api import Api, Json, problem, until_waiting, wrong_fields
from tests.server import Server

Connection = Any


@pytest.fixture
async def racers(server: Server) -> AsyncIterator[Api]:
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=server.url, headers=server.admin, limits=limits, timeout=30) as http:
        yield Api(http)


def year_in(zone: str) -> int:
    return datetime.now(ZoneInfo(zone)).year


async def findings(database_url: str) -> list[str]:
    async with Database(Settings(database_url=database_url)) as database:
        return [str(found) for found in await Ledger(database).differences(50) if str(found).startswith("numbers")]


async def refused(psql: Connection, statement: str, *arguments: object) -> str:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as error:
        await psql.execute(statement, *arguments)
    return str(error.value.constraint_name)


async def test_every_school_and_series_counts_by_itself(api: Api) -> None:
    year = year_in("UTC")
    for prefix in ("A", "B2"):
        school = await api.school(invoice_prefix=prefix)
        assert school["invoice_prefix"] == prefix
        student, payer = await api.student(school), await api.payer(school)
        invoices = [await api.invoice(student, payer_id=payer["id"]) for _ in range(2)]
        assert [invoice["number"] for invoice in invoices] == [f"{prefix}-{year}-000001", f"{prefix}-{year}-000002"]
        receipt = await api.receipt(payer, "150.00")
        unidentified = await api.client.post("/receipts", json={"school_id": school["id"], "amount": "5.00"})
        assert receipt["number"] == f"{prefix}-R-{year}-000001"
        assert unidentified.json()["number"] == f"{prefix}-R-{year}-000002"
        assert (await api.reload(invoices[0]))["number"] == invoices[0]["number"]
        for path in (
            f"/invoices?number={prefix.lower()}-{year}-000002",
            f"/payers/{payer['id']}/invoices?number= {prefix}-{year}-000002",
        ):
            assert [one["id"] for one in await api.get(path)] == [invoices[1]["id"]]
        for path in (
            f"/receipts?number={prefix.lower()}-r-{year}-000001",
            f"/payers/{payer['id']}/receipts?number={receipt['number']}",
        ):
            assert [one["id"] for one in await api.get(path)] == [receipt["id"]]
        assert await api.get(f"/invoices?number={receipt['number']}") == []
        page = await api.client.get(f"/receipts/{receipt['id']}.html")
        assert receipt["number"] in page.text
        assert receipt["id"] not in page.text


async def test_without_a_prefix_nothing_has_a_number(api: Api) -> None:
    school = await api.school()
    invoice = await api.invoice(await api.student(school))
    receipt = await api.receipt(await api.payer(school), "1.00")
    assert (school["invoice_prefix"], invoice["number"], receipt["number"]) == (None, None, None)
    # It can be set later. What was there keeps no number, and can be deleted as ever.
    assert (await api.client.patch(f"/schools/{school['id']}", json={"invoice_prefix": "L8"})).status_code == 200
    assert (await api.invoice(await api.student(school)))["number"].endswith("-000001")
    assert (await api.client.delete(f"/invoices/{invoice['id']}")).status_code == 204


@pytest.mark.parametrize("prefix", ["", "a", "A-B", "ABCDEFGHIJK", "Ä", "A ", 5])
async def test_a_prefix_has_capitals_and_digits(api: Api, prefix: object) -> None:
    school = await api.school()
    assert wrong_fields(await api.client.patch(f"/schools/{school['id']}", json={"invoice_prefix": prefix})) == [
        "invoice_prefix"
    ]


async def test_a_prefix_changes_until_a_number_has_it(api: Api) -> None:
    school = await api.school(invoice_prefix="A")
    path = f"/schools/{school['id']}"
    for prefix in (None, "B", "C"):
        assert (await api.client.patch(path, json={"invoice_prefix": prefix})).json()["invoice_prefix"] == prefix
    await api.client.post("/receipts", json={"school_id": school["id"], "amount": "5.00"})
    for taken in (None, "D"):
        problem(await api.client.patch(path, json={"invoice_prefix": taken}), 409, "invoice_prefix_in_use")
    kept = await api.client.patch(path, json={"invoice_prefix": "C", "name": "Shelbyville"})
    assert (kept.json()["invoice_prefix"], kept.json()["name"]) == ("C", "Shelbyville")
    problem(await api.client.delete(path), 409, "in_use")


async def test_a_prefix_that_changes_waits_for_the_first_number(psql: Connection, api: Api) -> None:
    """Without the lock of the school it would see no number, and A-2026-000001 would be followed by B-2026-000002."""
    school = await api.school(invoice_prefix="A")
    student = await api.student(school)
    insert = "insert into invoices (school_id, student_id, total_amount, due_date) values ($1, $2, 10, '2026-01-01')"
    async with psql.transaction():
        await psql.execute(insert, school["id"], student["id"])
        change = asyncio.create_task(api.client.patch(f"/schools/{school['id']}", json={"invoice_prefix": "B"}))
        await until_waiting(psql)
    problem(await change, 409, "invoice_prefix_in_use")


async def test_fifty_racers_get_fifty_numbers_although_others_fail(racers: Api, server: Server) -> None:
    school = await racers.school(invoice_prefix="RACE")
    student = await racers.student(school)
    body = {"student_id": student["id"], "total_amount": "10.00", "due_date": "2026-02-28"}
    # The second kind is refused by the database, after it has taken a number.
    bodies = [body if place % 3 else body | {"due_date": "1800-01-01"} for place in range(75)]
    answers = await asyncio.gather(*(racers.client.post("/invoices", json=one) for one in bodies))
    numbers = sorted(answer.json()["number"] for answer in answers if answer.status_code == 201)
    assert [answer.status_code for answer in answers].count(422) == 25
    assert numbers == [f"RACE-{year_in('UTC')}-{place:06}" for place in range(1, 51)]
    assert await findings(server.database_url) == []


async def test_a_number_that_is_given_back_is_the_next_ones(psql: Connection, api: Api) -> None:
    """The second waits for the first, which fails: the numbers are in the order of the commits."""
    school = await api.school(invoice_prefix="A")
    student = await api.student(school)
    insert = "insert into invoices (school_id, student_id, total_amount, due_date) values ($1, $2, 10, '2026-01-01')"
    transaction = psql.transaction()
    await transaction.start()
    await psql.execute(insert, school["id"], student["id"])
    waiting = asyncio.create_task(api.invoice(student))
    await until_waiting(psql)
    await transaction.rollback()
    assert (await waiting)["number"].endswith("-000001")


async def test_a_key_that_comes_twice_takes_one_number(api: Api) -> None:
    student = await api.student(await api.school(invoice_prefix="A"))
    body = {"student_id": student["id"], "total_amount": "10.00", "due_date": "2026-02-28"}
    key = {"Idempotency-Key": student["id"]}
    first, again = [await api.client.post("/invoices", json=body, headers=key) for _ in range(2)]
    assert first.json() == again.json()
    assert (await api.invoice(student))["number"].endswith("-000002")


@pytest.mark.parametrize(
    ("zone", "last_of_2026", "first_of_2027"),
    [
        ("UTC", "2026-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z"),
        ("Pacific/Auckland", "2026-12-31T10:59:59Z", "2026-12-31T11:00:00Z"),  # 13 hours before.
        ("America/Santiago", "2027-01-01T02:59:59Z", "2027-01-01T03:00:00Z"),  # 3 hours after.
    ],
)
async def test_a_new_year_begins_in_the_zone_of_the_school(
    psql: Connection, api: Api, zone: str, last_of_2026: str, first_of_2027: str
) -> None:
    school = await api.school(invoice_prefix="NY", time_zone=zone)
    moments = [datetime.fromisoformat(moment) for moment in (last_of_2026, last_of_2026, first_of_2027, last_of_2026)]
    transaction = psql.transaction()
    await transaction.start()
    await psql.execute("alter table document_counters disable trigger document_counters_follow_documents")
    taken = [await psql.fetchval("select take_number($1, 'INVOICE', $2)", school["id"], moment) for moment in moments]
    await transaction.rollback()
    assert taken == ["NY-2026-000001", "NY-2026-000002", "NY-2027-000001", "NY-2026-000003"]
    # The date on the document is another matter.
    dated = await api.invoice(await api.student(school), issued_at="2025-12-31")
    assert dated["number"] == f"NY-{year_in(zone)}-000001"


async def test_a_number_has_more_digits_where_it_needs_them(psql: Connection) -> None:
    written = (
        "select document_number('A', series, 2026, number) from unnest($1::text[], $2::bigint[]) as t (series, number)"
    )
    rows = await psql.fetch(written, ["INVOICE", "RECEIPT", "CREDIT_NOTE"], [999_999, 1_000_000, 7])
    assert [row[0] for row in rows] == ["A-2026-999999", "A-R-2026-1000000", "A-C-2026-000007"]


async def test_a_numbered_invoice_is_voided_and_not_deleted(psql: Connection, api: Api) -> None:
    invoice = await api.invoice(await api.student(await api.school(invoice_prefix="A")))
    problem(await api.client.delete(f"/invoices/{invoice['id']}"), 409, "invoice_numbered")
    assert await refused(psql, "delete from invoices where id = $1", invoice["id"]) == "invoices_numbered_are_voided"
    voided = await api.client.post(f"/invoices/{invoice['id']}/void", json={"reason": "Entered twice"})
    assert (voided.json()["status"], voided.json()["number"]) == ("VOID", invoice["number"])


async def test_nobody_writes_a_number_or_a_counter_by_hand(psql: Connection, api: Api, database_url: str) -> None:
    school = await api.school(invoice_prefix="A")
    student, payer = await api.student(school), await api.payer(school)
    invoice, receipt = await api.invoice(student), await api.receipt(payer, "5.00")
    for number in ("'A-2026-000009'", "null"):
        for table, document in (("invoices", invoice), ("receipts", receipt)):
            fixed = "invoices_number_is_fixed" if table == "invoices" else "receipts_are_fixed"
            assert await refused(psql, f"update {table} set number = {number} where id = $1", document["id"]) == fixed
    assert await refused(psql, "delete from receipts where id = $1", receipt["id"]) == "receipts_are_fixed"
    insert = (
        "insert into invoices (school_id, student_id, total_amount, due_date, number) values ($1, $2, 10, now(), 'A')"
    )
    follow = "document_numbers_follow_counters"
    assert await refused(psql, insert, school["id"], student["id"]) == follow
    insert = "insert into receipts (school_id, amount, number) values ($1, 10, 'A')"
    assert await refused(psql, insert, school["id"]) == follow
    for statement in (
        "update document_counters set last_number = 7 where school_id = $1",
        "delete from document_counters where school_id = $1",
        "insert into document_counters (school_id, series, year, last_number) values ($1, 'CREDIT_NOTE', 2026, 1)",
        "select take_number($1, 'INVOICE', now())",
    ):
        assert await refused(psql, statement, school["id"]) == follow
    # A person at psql takes numbers as the API does.
    many = (
        "insert into invoices (school_id, student_id, total_amount, due_date) select $1, $2, 10, '2026-01-01' "
        "from generate_series(1, 3)"
    )
    await psql.execute(many, school["id"], student["id"])
    assert (await api.invoice(student))["number"].endswith("-000005")
    assert await findings(database_url) == []


async def test_verify_names_every_wrong_series(psql: Connection, api: Api, database_url: str) -> None:
    schools: list[Json] = [await api.school(invoice_prefix=prefix) for prefix in ("GAP", "LOW", "ODD", "NONE", "GOOD")]
    year = datetime.now(UTC).year
    numbered = [[await api.invoice(await api.student(school)) for _ in range(3)] for school in schools]
    transaction = psql.transaction()
    await psql.execute("set session_replication_role = replica")
    try:
        await transaction.start()
        await psql.execute("delete from invoices where id = $1", numbered[0][1]["id"])
        await psql.execute("update document_counters set last_number = 2 where school_id = $1", schools[1]["id"])
        await psql.execute("update invoices set number = 'X-1' where id = $1", numbered[2][1]["id"])
        await psql.execute("delete from document_counters where school_id = $1", schools[3]["id"])
        await transaction.commit()
        said = await findings(database_url)
    finally:
        await psql.execute("delete from invoices where school_id = any($1)", [school["id"] for school in schools])
        await psql.execute("delete from document_counters where school_id = any($1)", [one["id"] for one in schools])
        await psql.execute("reset session_replication_role")
    gap, low, odd, none, _ = (f"of school {school['id']}" for school in schools)

    def series(year: int, school: str, documents: int, last: int, misshapen: int, counter: int) -> str:
        return (
            f"numbers INVOICE {year} {school}: {documents} documents have the numbers 1 to {last}, {misshapen} of them "
            f"in another form; the counter is {counter}"
        )

    assert sorted(said) == sorted(
        [
            series(year, gap, 2, 3, 0, 3),
            series(year, low, 3, 3, 0, 2),
            series(0, odd, 1, 1, 1, 0),
            series(year, odd, 2, 3, 0, 3),
            series(year, none, 3, 3, 0, 0),
        ]
    )
