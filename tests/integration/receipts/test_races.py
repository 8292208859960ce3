"""Receipts that pay the same invoices at once, over real sockets against a real server."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from tests.api import Api, Json, until_waiting
from tests.server import Server


@pytest.fixture
async def racers(server: Server) -> AsyncIterator[Api]:
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=server.url, headers=server.admin, limits=limits, timeout=60) as http:
        yield Api(http)


async def family(api: Api, invoices: int, total: str) -> tuple[Json, list[Json]]:
    school = await api.school()
    payer, student = await api.payer(school), await api.student(school)
    return payer, [await api.invoice(student, total, payer_id=payer["id"]) for _ in range(invoices)]


async def assert_adds_up(api: Api, payer: Json, invoices: list[Json]) -> None:
    """Check that every total is the sum of its movements, and that no money is on two invoices."""
    paid = Counter[str]()
    for listed in await api.get(f"/payers/{payer['id']}/receipts"):
        receipt = await api.get(f"/receipts/{listed['id']}")
        live = [one for one in receipt["allocations"] if one["reversed_at"] is None]
        for one in live:
            paid[one["invoice_id"]] += Decimal(one["amount"])  # type: ignore[assignment] # a Counter of Decimal
        allocated, refunded = (Decimal(receipt[name]) for name in ("allocated_total", "refunded_total"))
        assert allocated == sum(Decimal(one["amount"]) for one in live)
        assert refunded == sum(Decimal(one["amount"]) for one in receipt["refunds"])
        assert Decimal(receipt["unallocated"]) == Decimal(receipt["amount"]) - allocated - refunded >= 0
    for invoice in invoices:
        now = await api.reload(invoice)
        assert Decimal(now["paid_total"]) == paid[invoice["id"]] <= Decimal(now["total_amount"])


async def test_fifty_racers_allocate_and_take_back_one_receipt(racers: Api) -> None:
    payer, invoices = await family(racers, 20, "100.00")
    receipt = await racers.receipt(payer, "1000.00", allocate="none")
    path = f"/receipts/{receipt['id']}"

    async def race(number: int) -> list[httpx.Response]:
        chance = random.Random(number)  # noqa: S311 - the same race each time
        answers = []
        for _ in range(4):
            if chance.random() < 0.5:
                listed = [
                    {"invoice_id": invoice["id"], "amount": f"{chance.randint(1, 60)}.00"}
                    for invoice in chance.sample(invoices, 3)
                ]
                body = {"allocate": chance.choice([listed, listed[:1], "oldest_due_first"])}
                answers.append(await racers.client.post(f"{path}/allocations", json=body))
            else:
                live = [one for one in (await racers.get(path))["allocations"] if one["reversed_at"] is None]
                for one in chance.sample(live, min(len(live), 2)):
                    back = f"/payments/{one['payment_id']}/reverse"
                    answers.append(await racers.client.post(back, json={"reason": "A race"}))
        return answers

    answers = [answer for some in await asyncio.gather(*map(race, range(50))) for answer in some]
    assert {answer.status_code for answer in answers} <= {201, 409}, Counter(a.text for a in answers if a.is_error)
    assert {"receipt_spent", "overpayment", "allocation_reversed"} >= {
        answer.json()["code"] for answer in answers if answer.status_code == 409
    }
    await assert_adds_up(racers, payer, invoices)


async def test_receipts_that_pay_the_same_invoices_do_not_overpay_them(racers: Api) -> None:
    payer, invoices = await family(racers, 5, "100.00")
    receipts = await asyncio.gather(*(racers.receipt(payer, "90.00") for _ in range(10)))
    # 900.00 came for 500.00 of invoices.
    assert sum(Decimal(receipt["unallocated"]) for receipt in receipts) == 400
    assert {(await racers.reload(invoice))["status"] for invoice in invoices} == {"PAID"}
    await assert_adds_up(racers, payer, invoices)


async def test_the_later_of_two_receipts_keeps_the_rest(racers: Api, server: Server) -> None:
    payer, [invoice] = await family(racers, 1, "100.00")
    psql: Any = await asyncpg.connect(server.database_url)
    try:
        transaction = psql.transaction()
        await transaction.start()
        await psql.execute(
            "insert into payments (school_id, invoice_id, amount) values ($1, $2, 70.00)",
            invoice["school_id"],
            invoice["id"],
        )
        receipt = asyncio.create_task(racers.receipt(payer, "100.00"))
        await until_waiting(psql)
        await transaction.commit()
        assert (await receipt)["unallocated"] == "70.00"  # 100.00 for the 30.00 that were still due
    finally:
        await psql.close()
    await racers.get(f"/invoices/{invoice['id']}")


async def test_a_receipt_is_reversed_once_while_others_take_it_apart(racers: Api) -> None:
    payer, invoices = await family(racers, 10, "50.00")
    receipt = await racers.receipt(payer, "500.00")
    path = f"/receipts/{receipt['id']}"
    requests = [racers.client.post(f"{path}/reverse", json={"reason": "Bounced"}) for _ in range(10)]
    for one in receipt["allocations"]:
        requests.append(racers.client.post(f"/payments/{one['payment_id']}/reverse", json={"reason": "A race"}))
        requests.append(racers.client.post(f"{path}/allocations", json={}))
    answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} <= {201, 409}, Counter(a.text for a in answers if a.is_error)
    assert [answer.status_code for answer in answers[:10]].count(201) == 1
    now = await racers.get(path)
    assert (now["allocated_total"], now["unallocated"]) == ("0.00", "0.00")
    assert {(await racers.reload(invoice))["balance_due"] for invoice in invoices} == {"50.00"}


async def test_a_reversal_takes_back_what_was_allocated_while_it_waited(racers: Api, server: Server) -> None:
    payer, [invoice] = await family(racers, 1, "100.00")
    receipt = await racers.receipt(payer, "100.00", allocate="none")
    psql: Any = await asyncpg.connect(server.database_url)
    try:
        transaction = psql.transaction()
        await transaction.start()
        await psql.execute("select 1 from receipts where id = $1 for no key update", receipt["id"])
        await psql.execute(
            "insert into payments (school_id, invoice_id, receipt_id, amount) values ($1, $2, $3, 60.00)",
            *(invoice["school_id"], invoice["id"], receipt["id"]),
        )
        path = f"/receipts/{receipt['id']}"
        reversal = asyncio.create_task(racers.client.post(f"{path}/reverse", json={"reason": "Bounced"}))
        await until_waiting(psql)
        await transaction.commit()
        answer = await reversal
    finally:
        await psql.close()
    assert answer.status_code == 201, answer.text
    assert await racers.get(path) == answer.json()
    assert (await racers.reload(invoice))["balance_due"] == "100.00"
