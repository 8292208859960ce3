"""Idempotency-Key: what is sent again is not done again."""

import asyncio
from collections import Counter
from collections.abc import Callable
from uuid import UUID, uuid4

import asyncpg
import httpx
import psycopg
import pytest

from school_billing.auth.contracts import Role
from tests.api import NOBODY, Api, Json, problem, until_waiting
from tests.server import Server


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


async def test_the_same_request_gets_the_same_answer_and_is_done_once(api: Api, key: dict[str, str]) -> None:
    school = await api.school(currency="EUR")
    student = await api.student(school)
    invoice = await api.invoice(student, "100.00")
    for path, body in {
        "/schools": {"name": "Shelbyville"},
        "/students": {"school_id": school["id"], "full_name": "Lisa"},
        "/invoices": {"student_id": student["id"], "total_amount": 10, "due_date": "2026-01-01"},
        "/payments": {"invoice_id": invoice["id"], "amount": "30.50", "method": "cash"},
    }.items():
        first = await api.client.post(path, json=body, headers=key)
        again = await api.client.post(path, json=body, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.content == first.content
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
    assert (await api.reload(invoice))["paid_total"] == "30.50"
    assert len(await api.get(f"/schools/{school['id']}/students")) == 2


async def test_the_answer_is_the_first_one_whatever_became_of_it(api: Api, key: dict[str, str]) -> None:
    body = {"invoice_id": (await api.invoice())["id"], "amount": "30.00"}
    first = await api.client.post("/payments", json=body, headers=key)
    path = first.headers["location"]
    await api.client.patch(path, json={"amount": "20.00"})
    assert (await api.client.post("/payments", json=body, headers=key)).json() == first.json()
    await api.client.delete(path)
    assert (await api.client.post("/payments", json=body, headers=key)).json() == first.json()
    assert (await api.client.get(path)).status_code == 404


async def test_two_keys_are_refused(api: Api) -> None:
    keys = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    problem(await api.client.post("/schools", json={"name": "x"}, headers=keys), 400, "invalid_parameter")


async def test_the_same_key_with_another_body_is_422_and_does_nothing(api: Api, key: dict[str, str]) -> None:
    invoice = await api.invoice()
    body = {"invoice_id": invoice["id"], "amount": "10.00"}
    await api.client.post("/payments", json=body, headers=key)
    refusal = await api.client.post("/payments", json=body | {"amount": "11.00"}, headers=key)
    problem(refusal, 422, "idempotency_key_reused")
    assert (await api.reload(invoice))["paid_total"] == "10.00"


async def test_the_answer_is_the_first_one_even_when_all_that_it_was_about_is_gone(
    api: Api, key: dict[str, str]
) -> None:
    student = await api.student()
    invoice_body = {"student_id": student["id"], "total_amount": "10.00", "due_date": "2026-01-01"}
    invoice = await api.client.post("/invoices", json=invoice_body, headers=key)
    payment_body = {"invoice_id": invoice.json()["id"], "amount": "5.00"}
    payment = await api.client.post("/payments", json=payment_body, headers=key)
    for made in (payment, invoice):
        assert (await api.client.delete(made.headers["location"])).status_code == 204
    await api.client.delete(f"/students/{student['id']}")
    assert (await api.client.post("/payments", json=payment_body, headers=key)).content == payment.content
    assert (await api.client.post("/invoices", json=invoice_body, headers=key)).content == invoice.content
    other = await api.client.post("/payments", json=payment_body | {"invoice_id": NOBODY}, headers=key)
    problem(other, 422, "idempotency_key_reused")


async def test_the_answer_of_an_earlier_version_lacks_fields(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]", key: dict[str, str]
) -> None:
    student = await api.student()
    body = {"student_id": student["id"], "total_amount": "10.00", "due_date": "2026-01-01"}
    made = await api.client.post("/invoices", json=body, headers=key)
    update = "update idempotency_keys set answer = answer - $1::text[] where key = $2"
    await psql.execute(update, ["number", "lines"], key["Idempotency-Key"])
    again = await api.client.post("/invoices", json=body, headers=key)
    assert (again.status_code, again.json()) == (201, made.json())
    # What cannot be filled in is in the invoice, whose id is known.
    await psql.execute(update, ["balance_due"], key["Idempotency-Key"])
    told = problem(await api.client.post("/invoices", json=body, headers=key), 409, "idempotency_answer_outdated")
    assert told["id"] == made.json()["id"]


async def test_a_user_who_changed_schools_is_not_answered_from_the_old_one(
    api: Api, make_client: Callable[..., httpx.AsyncClient], key: dict[str, str]
) -> None:
    old, new = await api.school(), await api.school()
    body = {"school_id": old["id"], "full_name": "Lisa"}
    async with make_client(Role.ADMIN, UUID(old["id"])) as before:
        assert (await before.post("/students", json=body, headers=key)).status_code == 201
    async with make_client(Role.ADMIN, UUID(new["id"])) as after:
        problem(await after.post("/students", json=body, headers=key), 404, "school_not_found")


async def test_a_key_is_of_one_user_one_method_and_one_path(
    api: Api, make_client: Callable[..., httpx.AsyncClient], key: dict[str, str]
) -> None:
    body = {"name": "Springfield"}
    first = (await api.client.post("/schools", json=body, headers=key)).json()
    async with make_client(Role.ADMIN, username="another") as other:
        assert (await other.post("/schools", json=body, headers=key)).json()["id"] != first["id"]
    student = await api.client.post("/students", json={"school_id": first["id"], "full_name": "x"}, headers=key)
    assert student.status_code == 201
    assert "idempotency-replayed" not in student.headers


async def test_a_request_that_changed_nothing_leaves_its_key_free(api: Api, key: dict[str, str]) -> None:
    invoice = await api.invoice(total="10.00")
    body = {"invoice_id": invoice["id"], "amount": "20.00"}
    problem(await api.client.post("/payments", json=body, headers=key), 409, "overpayment")
    await api.client.patch(f"/invoices/{invoice['id']}", json={"total_amount": "20.00"})
    assert (await api.client.post("/payments", json=body, headers=key)).status_code == 201


async def test_a_request_that_found_nothing_leaves_its_key_free(api: Api, key: dict[str, str]) -> None:
    student = await api.student()
    body = {"student_id": NOBODY, "total_amount": "1.00", "due_date": "2026-01-01"}
    for _ in range(2):
        problem(await api.client.post("/invoices", json=body, headers=key), 404, "student_not_found")
    made = await api.client.post("/invoices", json=body | {"student_id": student["id"]}, headers=key)
    assert made.status_code == 201


@pytest.mark.parametrize("value", ["", "x" * 256, "a b", "\u00e9", "a\tb"])
async def test_a_key_that_is_none_is_400(api: Api, value: str) -> None:
    headers = [(b"Idempotency-Key", value.encode("utf-8"))]
    response = await api.client.post("/schools", json={"name": "x"}, headers=headers)
    refusal = problem(response, 400, "invalid_parameter")
    assert [error["field"] for error in refusal["errors"]] == ["Idempotency-Key"]


async def test_a_key_of_255_characters_is_taken(api: Api) -> None:
    response = await api.client.post(
        "/schools", json={"name": "x"}, headers={"Idempotency-Key": uuid4().hex * 7 + "a" * 31}
    )
    assert response.status_code == 201


async def test_a_key_that_is_being_used_at_this_moment_is_409(api: Api, database_url: str, key: dict[str, str]) -> None:
    invoice = await api.invoice()
    body = {"invoice_id": invoice["id"], "amount": "10.00"}
    connection = await asyncpg.connect(database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("select from invoices where id = $1 for update", invoice["id"])
        first = asyncio.create_task(api.client.post("/payments", json=body, headers=key))
        await until_waiting(connection)
        second = await api.client.post("/payments", json=body, headers=key)
        problem(second, 409, "idempotency_key_in_flight")
        await transaction.rollback()
        assert (await first).status_code == 201
    finally:
        await connection.close()
    assert (await api.client.post("/payments", json=body, headers=key)).headers["idempotency-replayed"] == "true"


async def test_two_hundred_retries_at_once_record_one_payment(server: Server, key: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=30) as http:
        api = Api(http)
        invoice = await api.invoice(total="10000.00")
        body = {"invoice_id": invoice["id"], "amount": "10.00"}
        answers = await asyncio.gather(*(http.post("/payments", json=body, headers=key) for _ in range(200)))
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) <= {201, 409}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
            "idempotency_key_in_flight"
        }
        made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        assert len(made) == 1
        assert sum("idempotency-replayed" not in answer.headers for answer in answers if answer.status_code == 201) == 1
        assert (await api.reload(invoice))["payments_total"] == "10.00"
        assert len(await api.get(f"/invoices/{invoice['id']}/payments")) == 1


async def test_a_key_costs_no_round_trip_and_a_replay_one(api: Api, key: dict[str, str]) -> None:
    async def queries() -> float:
        metrics = (await api.client.get("/metrics")).text.splitlines()
        counts = [line for line in metrics if line.startswith("db_query_duration_seconds_count") and "seal" not in line]
        return sum(float(line.rpartition(" ")[2]) for line in counts)

    body = {"invoice_id": (await api.invoice())["id"], "amount": "1.00"}
    spent = []
    for headers in ({}, key, key):
        before = await queries()
        await api.client.post("/payments", json=body, headers=headers)
        spent.append(await queries() - before)
    assert spent == [2, 2, 3]  # One of them asks whether the session is good.


async def test_an_expired_key_is_free_again_and_expired_ones_are_pruned(
    api: Api, database_url: str, key: dict[str, str]
) -> None:
    body: Json = {"name": "Springfield"}
    first = (await api.client.post("/schools", json=body, headers=key)).json()
    with psycopg.connect(database_url) as connection:
        connection.execute("update idempotency_keys set created_at = now() - interval '25 hours'")
    again = await api.client.post("/schools", json=body, headers=key)
    assert "idempotency-replayed" not in again.headers
    assert again.json()["id"] != first["id"]
    for _ in range(20):  # Each prunes a few.
        await api.client.post("/schools", json=body, headers={"Idempotency-Key": str(uuid4())})
    with psycopg.connect(database_url) as connection:
        old = connection.execute(
            "select count(*) from idempotency_keys where created_at < now() - interval '24 hours'"
        ).fetchone()
    assert old == (0,)
