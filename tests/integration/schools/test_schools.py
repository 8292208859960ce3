import asyncio

import asyncpg
import httpx
import pytest

from tests.api import NOBODY, Api, Json, problem, until_waiting, wrong_fields


async def test_a_school_is_added_with_defaults_and_a_location(client: httpx.AsyncClient) -> None:
    response = await client.post("/schools", json={"name": "Springfield Elementary"})
    assert response.status_code == 201
    school = response.json()
    assert response.headers["location"] == f"/schools/{school['id']}"
    assert (school["currency"], school["time_zone"]) == ("USD", "UTC")
    assert school["created_at"].endswith("Z")
    assert (await client.get(response.headers["location"])).json() == school


async def test_a_school_has_its_own_currency_and_zone(api: Api) -> None:
    school = await api.school(currency="EUR", time_zone="Europe/Madrid")
    assert (school["currency"], school["time_zone"]) == ("EUR", "Europe/Madrid")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "   "), ("name", "x" * 256), ("name", "a\x00b"), ("name", None), ("name", 5),
        ("currency", "usd"), ("currency", "XXZ"), ("currency", "XXX"), ("currency", "DEM"), ("currency", "EURO"),
        ("currency", ""), ("currency", None), ("currency", "XAU"), ("currency", "KWD"),
        ("currency", "CLF"), ("time_zone", "Mars/Olympus"), ("time_zone", "utc+3"),
        ("time_zone", "CET"), ("time_zone", "localtime"), ("time_zone", ""), ("time_zone", "../etc/passwd"),
        ("address", ""), ("address", " \n"), ("address", "x" * 501), ("payment_instructions", "x" * 1001),
        ("payment_instructions", "a\x00b"), ("payment_instructions", 5), ("colour", "yellow"), ("id", NOBODY),
        ("created_at", "2026-01-01T00:00:00Z"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named(client: httpx.AsyncClient, field: str, value: object) -> None:
    response = await client.post("/schools", json={"name": "Springfield"} | {field: value})
    assert wrong_fields(response) == [field]


async def test_names_of_255_characters_in_any_script_are_kept(api: Api) -> None:
    name = "مدرسة" * 51
    assert (await api.school(name=name))["name"] == name


async def test_patch_changes_the_given_fields_only(api: Api) -> None:
    school = await api.school(currency="EUR")
    changed = (await api.client.patch(f"/schools/{school['id']}", json={"name": "Shelbyville"})).json()
    assert changed["name"] == "Shelbyville"
    assert changed["updated_at"] > school["updated_at"]
    assert changed == school | {"name": "Shelbyville", "updated_at": changed["updated_at"]}


async def test_a_school_says_where_it_is_and_how_to_pay_and_null_clears_it(api: Api) -> None:
    said = {"address": "19 Plympton Street\nSpringfield", "payment_instructions": "é" * 1000}
    school, other = await api.school(**said), await api.school()
    assert {name: school[name] for name in said} == said
    assert {name: other[name] for name in said} == dict.fromkeys(said)
    path = f"/schools/{school['id']}"
    for name in said:
        assert (await api.client.patch(path, json={name: None})).json()[name] is None
        assert (await api.client.patch(path, json={name: "New"})).json()[name] == "New"
    renamed = (await api.client.patch(path, json={"name": "Shelbyville"})).json()
    assert {name: renamed[name] for name in said} == dict.fromkeys(said, "New")
    assert await api.get(path) == renamed
    assert (await api.get(f"/schools/{other['id']}"))["address"] is None


async def test_an_empty_patch_changes_nothing(api: Api) -> None:
    school = await api.school()
    changed = (await api.client.patch(f"/schools/{school['id']}", json={})).json()
    assert changed == school | {"updated_at": changed["updated_at"]}


@pytest.mark.parametrize("field", ["name", "currency", "time_zone"])
async def test_null_cannot_clear_a_required_field_of_a_school(api: Api, field: str) -> None:
    school = await api.school()
    assert wrong_fields(await api.client.patch(f"/schools/{school['id']}", json={field: None})) == [field]


async def test_the_currency_of_a_school_with_invoices_cannot_change(api: Api) -> None:
    school = await api.school(currency="EUR")
    student = await api.student(school)
    assert (await api.client.patch(f"/schools/{school['id']}", json={"currency": "USD"})).status_code == 200
    await api.invoice(student)
    problem(await api.client.patch(f"/schools/{school['id']}", json={"currency": "EUR"}), 409, "currency_in_use")
    same = await api.client.patch(f"/schools/{school['id']}", json={"currency": "USD", "name": "New"})
    assert same.json()["name"] == "New"


async def test_the_currency_of_a_school_with_prices_cannot_change(api: Api) -> None:
    priced, helped = await api.school(), await api.school()
    await api.plan(priced, ("tuition", "1.50"))
    await api.award(await api.student(helped), amount="0.20")
    for school in (priced, helped):
        problem(await api.client.patch(f"/schools/{school['id']}", json={"currency": "CLP"}), 409, "currency_in_use")


async def test_the_currency_waits_for_the_first_invoice(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]", database_url: str
) -> None:
    student = await api.student(await api.school())
    school = f"/schools/{student['school_id']}"
    billing = await asyncpg.connect(database_url)
    transaction = billing.transaction()
    await transaction.start()
    await billing.execute(
        "insert into invoices (school_id, student_id, total_amount, due_date) values ($1, $2, 600.50, '2026-01-01')",
        *(student["school_id"], student["id"]),
    )
    change = asyncio.create_task(api.client.patch(school, json={"currency": "CLP"}))
    await until_waiting(psql)
    await transaction.commit()
    await billing.close()
    problem(await change, 409, "currency_in_use")
    assert (await api.get(school))["currency"] == "USD"


async def test_a_school_with_students_cannot_be_deleted(api: Api) -> None:
    school = await api.school()
    student = await api.student(school)
    refusal = problem(await api.client.delete(f"/schools/{school['id']}"), 409, "in_use")
    assert "students" in refusal["detail"]
    assert (await api.client.delete(f"/students/{student['id']}")).status_code == 204
    response = await api.client.delete(f"/schools/{school['id']}")
    assert (response.status_code, response.content) == (204, b"")
    problem(await api.client.get(f"/schools/{school['id']}"), 404, "school_not_found")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_school_is_404(client: httpx.AsyncClient, method: str) -> None:
    body: Json | None = {} if method == "PATCH" else None
    problem(await client.request(method, f"/schools/{NOBODY}", json=body), 404, "school_not_found")
