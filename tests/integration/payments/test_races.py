"""Races over real sockets against real servers, and three with a fixed order of steps."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import httpx
import pytest

from tests.api import Api, Json, problem, until_waiting
from tests.server import Server, serve


@pytest.fixture
async def racers(server: Server) -> AsyncIterator[Api]:
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=server.url, headers=server.admin, limits=limits, timeout=30) as http:
        yield Api(http)


async def statuses(*requests: object) -> Counter[int]:
    responses = await asyncio.gather(*requests)  # type: ignore[call-overload] # coroutines
    assert all(response.status_code < 500 for response in responses), [
        r.text for r in responses if r.status_code >= 500
    ]
    return Counter(response.status_code for response in responses)


async def assert_adds_up(api: Api, *invoices: Json) -> None:
    for invoice in invoices:
        payments = await api.get(f"/invoices/{invoice['id']}/payments?limit=500")
        sums = {"PAYMENT": Decimal(0), "REFUND": Decimal(0)}
        for payment in payments:
            sums[payment["kind"]] += Decimal(payment["amount"])
        now = await api.reload(invoice)
        assert (Decimal(now["payments_total"]), Decimal(now["refunds_total"])) == (sums["PAYMENT"], sums["REFUND"])
        assert 0 <= sums["PAYMENT"] - sums["REFUND"] <= Decimal(now["total_amount"])


async def test_fifty_payers_cannot_overpay_one_invoice(racers: Api) -> None:
    invoice = await racers.invoice(total="100.00")
    body = {"invoice_id": invoice["id"], "amount": "10.00"}
    answers = await statuses(*(racers.client.post("/payments", json=body) for _ in range(50)))
    assert answers == {201: 10, 409: 40}
    assert (await racers.reload(invoice))["status"] == "PAID"
    await assert_adds_up(racers, invoice)


async def test_payers_at_several_servers_cannot_overpay_one_invoice(racers: Api, server: Server) -> None:
    invoice = await racers.invoice(total="100.00")
    body = {"invoice_id": invoice["id"], "amount": "10.00"}
    with serve(server.database_url) as second, serve(server.database_url) as third:
        urls = [running.url for running in (server, second, third)]
        answers = await statuses(*(racers.client.post(f"{urls[n % 3]}/payments", json=body) for n in range(60)))
    assert answers == {201: 10, 409: 50}
    await assert_adds_up(racers, invoice)


async def test_the_answer_to_an_overpayment_has_the_balance_due(racers: Api) -> None:
    invoice = await racers.invoice(total="100.00")
    await racers.pay(invoice, "60.00")
    body = {"invoice_id": invoice["id"], "amount": "40.01"}
    assert "40.00" in problem(await racers.client.post("/payments", json=body), 409, "overpayment")["detail"]
    refund = body | {"kind": "REFUND", "amount": "60.01"}
    assert "60.00" in problem(await racers.client.post("/payments", json=refund), 409, "over_refund")["detail"]


async def test_parallel_refunds_cannot_exceed_the_payments(racers: Api) -> None:
    invoice = await racers.invoice(total="100.00")
    await racers.pay(invoice, "60.00")
    body = {"invoice_id": invoice["id"], "amount": "20.00", "kind": "REFUND"}
    answers = await statuses(*(racers.client.post("/payments", json=body) for _ in range(20)))
    assert answers == {201: 3, 409: 17}
    await assert_adds_up(racers, invoice)


async def test_payments_that_swap_their_invoices_neither_deadlock_nor_lose_money(racers: Api) -> None:
    student = await racers.student()
    first, second = await racers.invoice(student, "1000.00"), await racers.invoice(student, "1000.00")
    payments = [await racers.pay(invoice, "10.00") for invoice in (first, second) * 5]
    for _ in range(5):
        answers = await statuses(
            *(
                racers.client.patch(f"/payments/{payment['id']}", json={"invoice_id": invoice["id"]})
                for payment in payments
                for invoice in (first, second)
            )
        )
        assert answers == {200: 20}
        await assert_adds_up(racers, first, second)


async def test_parallel_payments_changes_and_deletes_add_up(racers: Api) -> None:
    student = await racers.student()
    invoices = [await racers.invoice(student, "100.00") for _ in range(2)]
    payments = [await racers.pay(invoice, "10.00") for invoice in invoices for _ in range(5)]
    requests = []
    for number, payment in enumerate(payments):
        path, other = f"/payments/{payment['id']}", invoices[number % 2]
        requests += [
            racers.client.patch(path, json={"amount": f"{number + 1}.50", "invoice_id": other["id"]}),
            racers.client.delete(path),
            racers.client.post("/payments", json={"invoice_id": other["id"], "amount": "3.50", "kind": "REFUND"}),
            racers.client.post("/payments", json={"invoice_id": other["id"], "amount": "7.25"}),
            racers.client.delete(f"/invoices/{other['id']}"),
            racers.client.patch(f"/invoices/{other['id']}", json={"total_amount": f"{60 + number}.00"}),
        ]
    await statuses(*requests)
    await assert_adds_up(racers, *invoices)


async def test_two_dates_that_only_one_of_which_can_change_do_not_both_change(racers: Api, server: Server) -> None:
    """The payment may come to the day of the refund, or the refund to that of the payment. Both would swap them."""
    invoice = await racers.invoice(total="100.00", issued_at="2026-01-01T00:00:00Z")
    payment = await racers.pay(invoice, "40.00", paid_at="2026-01-10T00:00:00Z")
    refund = await racers.refund(invoice, "40.00", paid_at="2026-01-20T00:00:00Z")
    connection = await asyncpg.connect(server.database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("update payments set paid_at = '2026-01-20Z' where id = $1", payment["id"])
        moved = racers.client.patch(f"/payments/{refund['id']}", json={"paid_at": "2026-01-10T00:00:00Z"})
        waiting = asyncio.create_task(moved)
        await until_waiting(connection)
        await transaction.commit()
    finally:
        await connection.close()
    problem(await waiting, 409, "over_refund")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_that_waited_for_a_payment_uses_the_totals_after_it(
    racers: Api, server: Server, method: str
) -> None:
    """In the snapshot of the waiting statement the second invoice has no payment. Meanwhile the payment moved there."""
    student = await racers.student()
    first, second, third = [await racers.invoice(student, "100.00") for _ in range(3)]
    payment = await racers.pay(first, "40.00")
    connection = await asyncpg.connect(server.database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("update payments set invoice_id = $1 where id = $2", second["id"], payment["id"])
        body = {"invoice_id": third["id"]} if method == "PATCH" else None
        changing = asyncio.create_task(racers.client.request(method, f"/payments/{payment['id']}", json=body))
        await until_waiting(connection)
        await transaction.commit()
        assert (await changing).status_code in {200, 204}
    finally:
        await connection.close()
    await assert_adds_up(racers, first, second, third)
    assert (await racers.reload(third))["paid_total"] == ("40.00" if method == "PATCH" else "0.00")


async def test_a_payment_waits_for_an_earlier_one_and_then_sees_its_totals(racers: Api, server: Server) -> None:
    invoice = await racers.invoice(total="100.00")
    connection = await asyncpg.connect(server.database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("update invoices set description = 'held' where id = $1", invoice["id"])
        body = {"invoice_id": invoice["id"], "amount": "60.00"}
        waiting = [asyncio.create_task(racers.client.post("/payments", json=body)) for _ in range(2)]
        await until_waiting(connection, 2)
        assert not any(task.done() for task in waiting)
        await transaction.commit()
        answers = sorted([(await task).status_code for task in waiting])
    finally:
        await connection.close()
    assert answers == [201, 409]
    await assert_adds_up(racers, invoice)
