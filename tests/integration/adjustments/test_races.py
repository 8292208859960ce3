"""Races over real sockets against a real server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from tests.api import Api, Json, problem, until_waiting
from tests.server import Server


@pytest.fixture
async def racers(server: Server) -> AsyncIterator[Api]:
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=server.url, headers=server.admin, limits=limits, timeout=30) as http:
        yield Api(http)


async def adjust(api: Api, invoice: Json, what: str, **body: Any) -> httpx.Response:
    return await api.client.post(f"/invoices/{invoice['id']}/{what}", json={"reason": "Race"} | body)


async def test_of_two_credit_notes_for_all_that_is_open_one_wins(racers: Api, server: Server) -> None:
    school = await racers.school(invoice_prefix="RACE")
    invoice = await racers.invoice(await racers.student(school), "100.00")
    connection = await asyncpg.connect(server.database_url)
    try:
        # Both wait for the invoice, with its old balance in their snapshots.
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("update invoices set description = 'held' where id = $1", invoice["id"])
        both = [asyncio.create_task(adjust(racers, invoice, "credit-notes", amount="100.00")) for _ in range(2)]
        await until_waiting(connection, 2)
        await transaction.commit()
    finally:
        await connection.close()
    won, lost = sorted([await task for task in both], key=lambda answer: answer.status_code)
    assert won.json()["number"].endswith("-000001")
    assert problem(lost, 409, "over_adjustment")["balance_due"] == "0.00"
    [only] = await racers.get(f"/invoices/{invoice['id']}/adjustments")
    assert only["id"] == won.json()["id"]
    # The one that lost took no number.
    other = await racers.invoice(await racers.student(school), "100.00")
    again = await adjust(racers, other, "credit-notes", amount="1.00")
    assert again.json()["number"].endswith("-000002")


async def test_a_write_off_takes_what_the_payment_left_for_which_it_waited(racers: Api, server: Server) -> None:
    invoice = await racers.invoice(total="100.00")
    connection = await asyncpg.connect(server.database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        pay = "insert into payments (school_id, invoice_id, amount) values ($1, $2, 30)"
        await connection.execute(pay, invoice["school_id"], invoice["id"])
        waiting = asyncio.create_task(adjust(racers, invoice, "write-off"))
        await until_waiting(connection)
        await transaction.commit()
    finally:
        await connection.close()
    assert (await waiting).json()["amount"] == "70.00"


async def test_money_and_adjustments_of_one_invoice_at_once_never_exceed_its_total(racers: Api) -> None:
    school = await racers.school(invoice_prefix="ALL")
    payer = await racers.payer(school)
    student = await racers.student(school)
    invoices = [await racers.invoice(student, "100.00", payer_id=payer["id"]) for _ in range(2)]
    for _ in range(2):
        await racers.receipt(payer, "60.00")
    requests: list[Any] = []
    for invoice in invoices:
        for _ in range(4):
            requests += [
                adjust(racers, invoice, "credit-notes", amount="15.00", release=True),
                adjust(racers, invoice, "credit-notes", amount="12.50"),
                adjust(racers, invoice, "discounts", amount="7.25"),
                racers.client.post("/payments", json={"invoice_id": invoice["id"], "amount": "9.00"}),
                racers.client.post("/receipts", json={"payer_id": payer["id"], "amount": "20.00"}),
            ]
        requests.append(adjust(racers, invoice, "write-off"))
    answers = await asyncio.gather(*requests)
    counts = Counter(answer.status_code for answer in answers)
    assert counts.keys() <= {201, 409}, [answer.text for answer in answers if answer.status_code >= 500]
    assert counts[201] > 10
    for invoice in invoices:
        now = await racers.reload(invoice)
        assert now["balance_due"] == "0.00"
        adjusted = await racers.get(f"/invoices/{invoice['id']}/adjustments")
        kinds = {"CREDIT_NOTE": "credited_total", "DISCOUNT": "discounted_total", "WRITE_OFF": "written_off_total"}
        for kind, total in kinds.items():
            cents = sum(round(100 * float(one["amount"])) for one in adjusted if one["kind"] == kind)
            assert round(100 * float(now[total])) == cents
