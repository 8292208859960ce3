"""Receipts that pay the same invoices at once, over real sockets against a real server."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Coroutine
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
    paid = defaultdict[str, Decimal](Decimal)
    for listed in await api.get(f"/payers/{payer['id']}/receipts"):
        receipt = await api.get(f"/receipts/{listed['id']}")
        live = [one for one in receipt["allocations"] if one["reversed_at"] is None]
        for one in live:
            paid[one["invoice_id"]] += Decimal(one["amount"])
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


async def answer_after(
    server: Server, request: Coroutine[Any, Any, httpx.Response], lock: Json, *changes: tuple[object, ...]
) -> httpx.Response:
    """Lock a row, send the request, and when it waits for the row make `changes` and commit."""
    psql: Any = await asyncpg.connect(server.database_url)
    try:
        async with psql.transaction():
            table = "receipts" if "allocations" in lock else "invoices"
            await psql.execute(f"select 1 from {table} where id = $1 for no key update", lock["id"])
            answer = asyncio.create_task(request)
            await until_waiting(psql)
            for change in changes:
                await psql.execute(*change)
        return await answer
    finally:
        await psql.close()


BOUNCED = {"reason": "Bounced"}
NOW = "clock_timestamp(), clock_timestamp()"
MOVE = "insert into payments (school_id, invoice_id, kind, amount, paid_at, updated_at)"
OF_RECEIPT = "insert into payments (school_id, invoice_id, receipt_id, kind, amount, reverses_id)"


async def test_the_later_of_two_receipts_keeps_the_rest(racers: Api, server: Server) -> None:
    payer, [invoice] = await family(racers, 1, "100.00")
    request = racers.client.post("/receipts", json={"payer_id": payer["id"], "amount": "100.00"})
    paid = (f"{MOVE} values ($1, $2, 'PAYMENT', 70.00, {NOW})", invoice["school_id"], invoice["id"])
    receipt = await answer_after(server, request, invoice, paid)
    assert receipt.json()["unallocated"] == "70.00"  # 100.00 for the 30.00 that were still due


@pytest.mark.parametrize("path", ["/receipts", "/payments"])
async def test_money_that_waited_for_a_refund_is_dated_after_it(racers: Api, server: Server, path: str) -> None:
    payer, [invoice] = await family(racers, 1, "100.00")
    await racers.pay(invoice, "70.00")
    body = {"/receipts": {"payer_id": payer["id"]}, "/payments": {"invoice_id": invoice["id"]}}[path]
    request = racers.client.post(path, json=body | {"amount": "100.00"})
    refunded = (f"{MOVE} values ($1, $2, 'REFUND', 70.00, {NOW})", invoice["school_id"], invoice["id"])
    answer = await answer_after(server, request, invoice, refunded)
    assert answer.status_code == 201, answer.text
    assert (await racers.reload(invoice))["status"] == "PAID"


async def test_a_refund_that_waited_for_a_payment_is_dated_after_it(racers: Api, server: Server) -> None:
    _, [invoice] = await family(racers, 1, "100.00")
    request = racers.client.post("/payments", json={"invoice_id": invoice["id"], "kind": "REFUND", "amount": "20.00"})
    paid = (f"{MOVE} values ($1, $2, 'PAYMENT', 70.00, {NOW})", invoice["school_id"], invoice["id"])
    answer = await answer_after(server, request, invoice, paid)
    assert answer.status_code == 201, answer.text
    assert (await racers.reload(invoice))["paid_total"] == "50.00"


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
    path = f"/receipts/{receipt['id']}"
    ids = (invoice["school_id"], invoice["id"], receipt["id"])
    allocated = (f"{OF_RECEIPT} values ($1, $2, $3, 'PAYMENT', 60.00, null)", *ids)
    answer = await answer_after(server, racers.client.post(f"{path}/reverse", json=BOUNCED), receipt, allocated)
    assert answer.status_code == 201, answer.text
    assert await racers.get(path) == answer.json()
    assert (await racers.reload(invoice))["balance_due"] == "100.00"


async def test_a_reversal_leaves_what_was_taken_back_while_it_waited(racers: Api, server: Server) -> None:
    payer, [invoice] = await family(racers, 1, "100.00")
    receipt = await racers.receipt(payer, "100.00")
    path = f"/receipts/{receipt['id']}"
    ids = (invoice["school_id"], invoice["id"], receipt["id"], receipt["allocations"][0]["payment_id"])
    taken_back = (f"{OF_RECEIPT} values ($1, $2, $3, 'REFUND', 100.00, $4)", *ids)
    answer = await answer_after(server, racers.client.post(f"{path}/reverse", json=BOUNCED), receipt, taken_back)
    assert answer.status_code == 201, answer.text
    assert await racers.get(path) == answer.json()
    assert len(answer.json()["allocations"]) == 1
    assert (await racers.reload(invoice))["balance_due"] == "100.00"


@pytest.mark.parametrize("step", ["allocate", "refund", "claim"])
@pytest.mark.parametrize("change", ["allocated", "taken back", "refunded"])
async def test_an_answer_that_waited_lists_what_happened_meanwhile(
    racers: Api, server: Server, step: str, change: str
) -> None:
    payer, [invoice, other] = await family(racers, 2, "25.00")
    listed = [{"invoice_id": invoice["id"], "amount": "20.00"}]
    receipt = await racers.receipt(payer, "50.00", allocate=listed)
    ids = (receipt["school_id"], receipt["id"])
    allocation = receipt["allocations"][0]["payment_id"]
    moved = {
        "allocated": (f"{OF_RECEIPT} values ($1, $3, $2, 'PAYMENT', 3.00, null)", *ids, invoice["id"]),
        "taken back": (f"{OF_RECEIPT} values ($1, $3, $2, 'REFUND', 20.00, $4)", *ids, invoice["id"], allocation),
        "refunded": ("insert into receipt_refunds (school_id, receipt_id, amount) values ($1, $2, 5.00)", *ids),
    }[change]
    path = f"/receipts/{receipt['id']}"
    request = {
        "allocate": lambda: racers.client.post(
            f"{path}/allocations", json={"allocate": [{"invoice_id": other["id"], "amount": "7.00"}]}
        ),
        "refund": lambda: racers.client.post(f"{path}/refunds", json={"amount": "7.00"}),
        "claim": lambda: racers.client.patch(path, json={"payer_id": payer["id"]}),
    }[step]()
    answer = await answer_after(server, request, receipt, moved)
    assert answer.is_success, answer.text
    assert answer.json() == await racers.get(path)
