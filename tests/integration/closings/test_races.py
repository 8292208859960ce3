"""Payments that arrive while their month is closed, over real sockets against a real server."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import httpx

from tests.api import Api, Json, problem, until_waiting
from tests.server import Server


async def books(http: httpx.AsyncClient, invoices: int) -> tuple[Api, Json, list[Json], str]:
    """Return a school with invoices of a day that is over."""
    api = Api(http)
    school = await api.school()
    student = await api.student(school)
    day = str(datetime.now(UTC).date() - timedelta(days=3))
    found = [await api.invoice(student, "100.00", issued_at=day) for _ in range(invoices)]
    return api, school, found, day


def client_of(server: Server) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=50)
    return httpx.AsyncClient(base_url=server.url, headers=server.admin, limits=limits, timeout=60)


async def test_every_payment_is_in_the_figures_or_refused(server: Server) -> None:
    async with client_of(server) as http:
        api, school, invoices, day = await books(http, 8)
        path, through = f"/schools/{school['id']}/closings", {"through": day}

        async def pay(number: int) -> httpx.Response:
            await asyncio.sleep(number / 400)  # Some arrive before the closing, some after it.
            body = {"invoice_id": invoices[number % len(invoices)]["id"], "amount": "1.00", "paid_at": day}
            return await http.post("/payments", json=body)

        async def close() -> list[httpx.Response]:
            await asyncio.sleep(0.1)
            return await asyncio.gather(*(http.post(path, json=through) for _ in range(3)))

        closing = asyncio.create_task(close())
        payments = await asyncio.gather(*(pay(number) for number in range(120)))
        closings = await closing
        created = [answer for answer in closings if answer.status_code == 201]
        assert len(created) == 1
        for answer in closings:
            if answer is not created[0]:
                assert problem(answer, 409, "already_closed")["closing_id"] == created[0].json()["id"]
        accepted = [answer for answer in payments if answer.status_code == 201]
        for answer in payments:
            if answer not in accepted:
                problem(answer, 409, "period_closed")
        assert 0 < len(accepted) < len(payments)
        figures = created[0].json()["figures"]
        assert Decimal(figures["received"]) == len(accepted)
        again = await api.get(f"/schools/{school['id']}/roll-forward?from=1900-01-01&to={day}")
        assert {name: again[name] for name in figures} == figures


async def test_a_closing_waits_for_the_payment_before_it_and_the_payment_after_it_for_the_closing(
    server: Server,
) -> None:
    psql: Any = await asyncpg.connect(server.database_url)
    try:
        async with client_of(server) as http:
            _, school, [invoice], day = await books(http, 1)
            insert = (
                "insert into payments (school_id, invoice_id, amount, paid_at) "
                f"values ('{school['id']}', '{invoice['id']}', 7.00, '{day}Z')"
            )
            transaction = psql.transaction()
            await transaction.start()
            await psql.execute(insert)
            closing = asyncio.create_task(http.post(f"/schools/{school['id']}/closings", json={"through": day}))
            await until_waiting(psql)
            body = {"invoice_id": invoice["id"], "amount": "1.00", "paid_at": day}
            later = asyncio.create_task(http.post("/payments", json=body))
            await until_waiting(psql, 2)
            await transaction.commit()
            assert (await closing).json()["figures"]["received"] == "7.00"
            problem(await later, 409, "period_closed")
    finally:
        await psql.close()


async def test_a_change_that_locked_its_invoice_and_a_payment_of_it_both_end_while_a_closing_waits(
    server: Server,
) -> None:
    """The change holds the invoice and waits behind the closing, which waits for the payment, which waits for it.

    PostgreSQL lets the change pass the closing, because what they wait for is free for the change.
    """
    first: Any = await asyncpg.connect(server.database_url)
    second: Any = await asyncpg.connect(server.database_url)
    try:
        async with client_of(server) as http:
            _, school, [invoice, other], day = await books(http, 2)
            payment = "insert into payments (school_id, invoice_id, amount) values ($1, $2, 1.00)"
            change, paying = first.transaction(), second.transaction()
            await change.start()
            await first.execute("select 1 from invoices where id = $1 for no key update", invoice["id"])
            await paying.start()
            await second.execute(payment, school["id"], other["id"])
            closing = asyncio.create_task(http.post(f"/schools/{school['id']}/closings", json={"through": day}))
            async with asyncio.timeout(30):
                await until_waiting(first)
                waits = asyncio.create_task(second.execute(payment, school["id"], invoice["id"]))
                await until_waiting(first, 2)
                await first.execute("update invoices set description = 'Fees' where id = $1", invoice["id"])
                await change.commit()
                await waits
                await paying.commit()
            assert (await closing).status_code == 201
    finally:
        await first.close()
        await second.close()
