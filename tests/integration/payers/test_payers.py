"""Payers: the routes, the search, and who may not be deleted."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from school_billing.auth.contracts import Role
from tests.api import NOBODY, Api, Json, problem, wrong_fields

CONTACT = {
    "kind": "ORGANISATION",
    "name": "Globex Corporation",
    "email": "billing@globex.example",
    "phone": "+1 555 0113",
    "external_id": "P-1",
    "language": "es-MX",
}


async def test_a_payer_is_added_to_a_school_and_changed(api: Api) -> None:
    school = await api.school()
    response = await api.client.post("/payers", json={"school_id": school["id"], **CONTACT})
    payer = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/payers/{payer['id']}"
    assert payer.items() >= {"school_id": school["id"], **CONTACT}.items()
    assert await api.get(f"/payers/{payer['id']}") == payer
    bare = await api.payer(school, name="Marge Simpson")
    assert [bare[field] for field in CONTACT] == ["PERSON", "Marge Simpson", None, None, None, None]

    path = f"/payers/{payer['id']}"
    for field, value in {"kind": "PERSON", "name": "Hank Scorpio"}.items():
        assert (await api.client.patch(path, json={field: value})).json()[field] == value
        assert wrong_fields(await api.client.patch(path, json={field: None})) == [field]
    for field in ("email", "phone", "external_id", "language"):
        cleared = (await api.client.patch(path, json={field: None})).json()
        assert cleared[field] is None
        payer = (await api.client.patch(path, json={field: CONTACT[field]})).json()
        assert payer[field] == CONTACT[field]
    assert payer["updated_at"] > cleared["updated_at"]
    assert await api.get(f"/payers/{bare['id']}") == bare


async def test_an_idempotency_key_and_an_entity_tag_work_as_elsewhere(api: Api) -> None:
    school = await api.school()
    body = {"school_id": school["id"], "name": "Marge Simpson"}
    first, again = [
        await api.client.post("/payers", json=body, headers={"Idempotency-Key": school["id"]}) for _ in range(2)
    ]
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    path = f"/payers/{first.json()['id']}"
    old = {"If-Match": first.headers["etag"]}
    assert (await api.client.patch(path, json={"name": "Marge"}, headers=old)).status_code == 200
    problem(await api.client.patch(path, json={"name": "Homer"}, headers=old), 412, "precondition_failed")
    problem(await api.client.delete(path, headers=old), 412, "precondition_failed")
    assert (await api.client.delete(path)).status_code == 204
    problem(await api.client.get(path), 404, "payer_not_found")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"kind": "CAT"},
        {"email": "marge"},
        {"email": "m @x"},
        {"email": "a@b@c"},
        {"email": "x" * 249 + "@x.com"},
        {"phone": ""},
        {"phone": "1" * 51},
        {"external_id": ""},
        {"language": "english!"},
        {"language": "EN"},
        {"language": "en-" + "x" * 9},
        {"language": "en" + "-abc" * 9},
        {"balance": "1.00"},
    ],
)
async def test_a_wrong_field_is_named(api: Api, fields: Json) -> None:
    school = await api.school()
    body = {"school_id": school["id"], "name": "Marge Simpson"} | fields
    assert wrong_fields(await api.client.post("/payers", json=body)) == list(fields)
    payer = await api.payer(school)
    assert wrong_fields(await api.client.patch(f"/payers/{payer['id']}", json=fields)) == list(fields)


async def test_an_external_id_is_unique_in_its_school_only(api: Api) -> None:
    school, other = await api.school(), await api.school()
    await api.payer(school, external_id="P-1")
    await api.payer(other, external_id="P-1")
    await api.student(school, external_id="P-1")
    body = {"school_id": school["id"], "name": "Homer", "external_id": " p-1"}
    refusal = problem(await api.client.post("/payers", json=body), 409, "duplicate_external_id")
    assert refusal["errors"] == [{"field": "external_id", "message": "is already in use"}]
    problem(await api.client.post("/payers", json={**body, "school_id": NOBODY}), 404, "school_not_found")


async def test_payers_are_found_as_a_clerk_types_them(api: Api) -> None:
    school, other = await api.school(), await api.school()
    marge = await api.payer(school, name="Marge Bouvier-Simpson", email="Marge.B@Springfield.example")
    sean = await api.payer(school, name="Seán O'Brien", external_id="P-1024")
    globex = await api.payer(school, **CONTACT)
    await api.payer(other, name="Seán O'Brien", email="marge.b@springfield.example", external_id="P-1024")
    path = f"/schools/{school['id']}/payers"

    async def found(**query: str) -> list[Json]:
        response = await api.client.get(path, params=query)
        assert response.status_code == 200, response.text
        in_all = await api.client.get("/payers", params={"school_id": school["id"], **query})
        assert in_all.json() == response.json()
        return list(response.json())

    assert await found() == [marge, sean, globex]
    assert await found(q="OBRIEN sea") == await found(q="p-1024") == await found(external_id="p-1024 ") == [sean]
    assert await found(q="springf") == await found(q="simps marge.b") == [marge]
    assert await found(email="marge.b@springfield.EXAMPLE") == [marge]
    assert await found(q="example", order="desc") == [globex, marge]
    for nothing in ({"q": "ouvier"}, {"q": "marge globex"}, {"email": "marge.b"}, {"external_id": "P-102"}):
        assert await found(**nothing) == []
    problem(await api.client.get(f"/schools/{NOBODY}/payers"), 404, "school_not_found")


async def test_a_payer_in_use_is_not_deleted_and_the_answer_says_why(api: Api) -> None:
    school = await api.school()
    student = await api.student(school)
    sharing, billed = await api.payer(school), await api.payer(school)
    await api.set_payers(student, {sharing["id"]: "100"})
    await api.invoice(student, payer_id=billed["id"])
    for payer, word in ((sharing, "share"), (billed, "invoices")):
        refusal = problem(await api.client.delete(f"/payers/{payer['id']}"), 409, "in_use")
        assert word in refusal["detail"]
    await api.set_payers(student, {})
    assert (await api.client.delete(f"/payers/{sharing['id']}")).status_code == 204
    empty = await api.school()
    await api.payer(empty)
    assert "payers" in problem(await api.client.delete(f"/schools/{empty['id']}"), 409, "in_use")["detail"]


async def test_a_caller_of_one_school_meets_no_payer_of_another(
    api: Api, make_client: Callable[..., httpx.AsyncClient]
) -> None:
    mine, theirs = await api.school(), await api.school()
    student, payer = await api.student(mine), await api.payer(theirs, **CONTACT)
    bound = Api(make_client(Role.ACCOUNTANT, UUID(mine["id"])))
    for query in ("", "?q=globex", "?external_id=P-1", "?email=billing@globex.example", f"?school_id={theirs['id']}"):
        assert await bound.get(f"/payers{query}") == []
    problem(await bound.client.get(f"/payers/{payer['id']}/invoices"), 404, "payer_not_found")
    # Of the same external id it learns nothing.
    own = await bound.payer(mine, external_id="P-1")
    assert await bound.get("/payers?external_id=p-1") == [own]
    shares = {"payers": [{"payer_id": payer["id"], "share": "100"}]}
    path = f"/students/{student['id']}/payers"
    body = {"student_id": student["id"], "total_amount": "1.00", "due_date": "2026-02-28", "payer_id": payer["id"]}
    for client in (bound.client, api.client):  # A payer of another school is refused to a caller of all schools, too.
        problem(await client.put(path, json=shares), 404, "payer_not_found")
        problem(await client.post("/invoices", json=body), 404, "payer_not_found")
    assert await api.get(path) == await api.get(f"/students/{student['id']}/invoices") == []
