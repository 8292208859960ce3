"""What the database refuses, whoever writes: here a person at psql."""

from typing import Any

import asyncpg
import pytest

from tests.api import Api, Json

Connection = Any


@pytest.fixture
async def invoice(api: Api) -> Json:
    return await api.invoice(total="100.00")


async def refused(psql: Connection, statement: str, *arguments: object) -> str:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as error:
        await psql.execute(statement, *arguments)
    return str(error.value.constraint_name)


async def test_a_movement_without_its_total_is_refused(psql: Connection, invoice: Json, api: Api) -> None:
    insert = "insert into payments (school_id, invoice_id, amount) values ($1, $2, 10)"
    name = await refused(psql, insert, invoice["school_id"], invoice["id"])
    assert name == "invoices_totals_match_movements"
    assert await api.get(f"/invoices/{invoice['id']}/payments") == []


async def test_a_total_without_its_movement_is_refused(psql: Connection, invoice: Json) -> None:
    for column in ("payments_total", "refunds_total = 10, payments_total"):
        name = await refused(psql, f"update invoices set {column} = 10 where id = $1", invoice["id"])
        assert name == "invoices_totals_match_movements"


async def test_an_invoice_cannot_begin_with_totals(psql: Connection, invoice: Json) -> None:
    insert = """
        insert into invoices (school_id, student_id, total_amount, due_date, payments_total)
        values ($1, $2, 10, '2026-01-01', 5)
    """
    name = await refused(psql, insert, invoice["school_id"], invoice["student_id"])
    assert name == "invoices_totals_match_movements"


async def test_a_movement_cannot_vanish_or_change_by_itself(psql: Connection, invoice: Json, api: Api) -> None:
    payment = await api.pay(invoice, "10.00")
    for statement in (
        "delete from payments where id = $1",
        "update payments set amount = 9 where id = $1",
        "update payments set kind = 'REFUND' where id = $1",
    ):
        assert await refused(psql, statement, payment["id"]) == "invoices_totals_match_movements"


async def test_both_in_one_transaction_are_accepted(psql: Connection, invoice: Json, api: Api) -> None:
    async with psql.transaction():
        await psql.execute(
            "insert into payments (school_id, invoice_id, amount) values ($1, $2, 10)",
            invoice["school_id"],
            invoice["id"],
        )
        await psql.execute("update invoices set payments_total = 10 where id = $1", invoice["id"])
    assert (await api.reload(invoice))["balance_due"] == "90.00"


async def test_a_row_cannot_point_into_another_school(psql: Connection, invoice: Json, api: Api) -> None:
    other = await api.school()
    insert = "insert into payments (school_id, invoice_id, amount) values ($1, $2, 10)"
    assert await refused(psql, insert, other["id"], invoice["id"]) == "payments_invoice_id_fkey"
    insert = "insert into invoices (school_id, student_id, total_amount, due_date) values ($1, $2, 10, '2026-01-01')"
    assert await refused(psql, insert, other["id"], invoice["student_id"]) == "invoices_student_id_fkey"


@pytest.mark.parametrize("amount", ["'NaN'", "0", "-1"])
async def test_an_amount_is_a_number_above_zero(psql: Connection, invoice: Json, amount: str) -> None:
    insert = f"insert into payments (school_id, invoice_id, amount) values ($1, $2, {amount})"
    assert await refused(psql, insert, invoice["school_id"], invoice["id"]) == "payments_amount_positive"
    insert = f"""
        insert into invoices (school_id, student_id, total_amount, due_date) values ($1, $2, {amount}, '2026-01-01')
    """
    name = await refused(psql, insert, invoice["school_id"], invoice["student_id"])
    assert name in {"invoices_total_amount_positive", "invoices_paid_at_most_total"}


async def test_a_zone_that_postgresql_does_not_know_is_refused(psql: Connection) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await psql.execute("insert into schools (name, time_zone) values ('x', 'Mars/Olympus')")


async def test_ids_are_version_7_and_grow(api: Api) -> None:
    school = await api.school()
    ids = [(await api.student(school))["id"] for _ in range(5)]
    assert ids == sorted(ids)
    assert {identifier[14] for identifier in ids} == {"7"}
