"""A user of one school calls every route of the OpenAPI document with the ids of another school."""

import json
from collections.abc import AsyncIterator, Callable
from itertools import chain
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from school_billing.auth.contracts import Role
from tests.api import Api, Json
from tests.routes import MARK, PASSWORD, bodies, furnish, operations, paths, queries

MakeClient = Callable[..., httpx.AsyncClient]


class OtherSchool:
    """A school with one row of each kind, and the mark in each text."""

    def __init__(self, ids: dict[str, str], snapshot: Callable[[], list[tuple[Any, ...]]]) -> None:
        self.ids = ids
        """The ids, by their names in paths, parameters and bodies."""
        self.snapshot = snapshot
        """All stored values of the school."""

    def found_in(self, text: str) -> list[str]:
        """Return the values of the school that are in `text`."""
        return [mark for mark in (MARK, "billing@other.example", *self.ids.values()) if mark in text]


@pytest.fixture(scope="module")
async def other(api: Api, database_url: str) -> OtherSchool:
    ids = await furnish(api, f"lisa-{uuid4().hex}")

    def snapshot() -> list[tuple[Any, ...]]:
        tables = (
            *(
                "schools",
                "students",
                "payers",
                "student_payers",
                "invoices",
                "invoice_lines",
                "adjustments",
                "adjustment_lines",
                "receipts",
                "payments",
                "receipt_refunds",
                "fee_plans",
                "fee_plan_items",
                "awards",
                "billing_runs",
                "billing_run_rows",
                "closings",
            ),
            *("users", "api_keys"),
        )
        with psycopg.connect(database_url) as psql:
            rows = [
                psql.execute(
                    f"select row_to_json({table})::text from {table} "
                    f"where {'id' if table == 'schools' else 'school_id'} = %s order by id",
                    [ids["school_id"]],
                ).fetchall()
                for table in tables
            ]
            trail = psql.execute("select id from audit_log where school_id = %s", [ids["school_id"]]).fetchall()
        return [*chain.from_iterable(rows), (len(trail),)]

    return OtherSchool(ids, snapshot)


@pytest.fixture(scope="module")
async def mine(api: Api) -> dict[str, str]:
    """One row of each kind in the caller's own school."""
    school = await api.school(name="My school")
    student = await api.student(school)
    payer = await api.payer(school)
    invoice = await api.invoice(student)
    payment = await api.pay(invoice, "1.00")
    award = await api.award(student, amount="1.00")
    return {
        "school_id": school["id"],
        "student_id": student["id"],
        "payer_id": payer["id"],
        "invoice_id": invoice["id"],
        "payment_id": payment["id"],
        "award_id": award["id"],
    }


@pytest.fixture(scope="module")
async def listed(client: httpx.AsyncClient) -> list[tuple[str, str, Json]]:
    return operations((await client.get("/openapi.json")).json())


@pytest.fixture(params=list(Role), ids=lambda role: role.value)
async def bound(
    make_client: MakeClient, mine: dict[str, str], request: pytest.FixtureRequest
) -> AsyncIterator[httpx.AsyncClient]:
    """A user of one school, in each role."""
    async with make_client(request.param, UUID(mine["school_id"])) as http:
        yield http


async def test_every_route_with_another_schools_ids_is_404_and_changes_nothing(
    bound: httpx.AsyncClient, other: OtherSchool, mine: dict[str, str], listed: list[tuple[str, str, Json]]
) -> None:
    before = other.snapshot()
    assert len(listed) > 35
    for template, method, operation in listed:
        with_body = "requestBody" in operation
        for path in paths(template, other.ids):
            for query in queries(operation, other.ids):
                for body in bodies(operation["operationId"], other.ids, mine) if with_body else [None]:
                    response = await bound.request(
                        method, f"{path}?{query}", json=body, headers={"Idempotency-Key": uuid4().hex}
                    )
                    told = (method, path, query, body, response.status_code, response.text[:500])
                    echoed = response.text.replace(f'"instance":"{path}"', "")
                    if template not in {"/metrics"}:
                        assert not other.found_in(echoed), told
                    assert response.status_code < 500, told
                    if "{" in template:
                        assert response.status_code in {403, 404}, told
                    if body and any(one in json.dumps(body) for one in other.ids.values()):
                        assert response.status_code in {403, 404, 409}, told
    assert other.snapshot() == before


async def test_another_schools_id_is_answered_like_an_unknown_id(
    bound: httpx.AsyncClient, other: OtherSchool, listed: list[tuple[str, str, Json]]
) -> None:
    """The two answers are equal, so a caller cannot find out which ids exist."""
    nobodys = {name: str(uuid4()) for name in other.ids}
    for template, method, operation in listed:
        if "{" not in template:
            continue
        answers = []
        for ids in (other.ids, nobodys):
            some = bodies(operation["operationId"], ids, ids)[0] if "requestBody" in operation else None
            response = await bound.request(method, template.format(**ids), json=some)
            document = response.json()
            answers.append((response.status_code, document["code"], document["detail"], sorted(response.headers)))
        assert answers[0] == answers[1], (method, template)


async def test_a_user_cannot_move_rows_into_another_school(
    make_client: MakeClient, other: OtherSchool, mine: dict[str, str]
) -> None:
    before = other.snapshot()
    async with make_client(Role.ADMIN, UUID(mine["school_id"])) as admin:
        for path, body, statuses in (
            (f"/payments/{mine['payment_id']}", {"invoice_id": other.ids["unpaid_id"]}, {404}),
            (f"/invoices/{mine['invoice_id']}", {"student_id": other.ids["student_id"]}, {404, 409}),
            (f"/students/{mine['student_id']}", {"school_id": other.ids["school_id"]}, {422}),
            (f"/payers/{mine['payer_id']}", {"school_id": other.ids["school_id"]}, {422}),
            (f"/awards/{mine['award_id']}", {"student_id": other.ids["student_id"]}, {422}),
        ):
            response = await admin.patch(path, json=body)
            assert response.status_code in statuses, response.text
            assert not other.found_in(response.text)
    assert other.snapshot() == before


async def test_another_schools_cursor_and_entity_tag_give_no_access(
    make_client: MakeClient, api: Api, other: OtherSchool, mine: dict[str, str]
) -> None:
    listed = await api.client.get(f"/invoices?school_id={other.ids['school_id']}&limit=1")
    next_page = listed.links["next"]["url"]
    tag = (await api.client.get(f"/invoices/{other.ids['invoice_id']}")).headers["etag"]
    async with make_client(Role.ADMIN, UUID(mine["school_id"])) as admin:
        page = await admin.get(next_page)
        assert page.json() == []
        nouns = "invoices students payers payments audit users api-keys schools fee-plans awards billing-runs"
        for path in (f"/{noun}" for noun in nouns.split()):
            cursor = httpx.URL(next_page).params["cursor"]
            assert not other.found_in((await admin.get(path, params={"cursor": cursor, "limit": 500})).text)
        for method in ("GET", "PATCH", "DELETE"):
            for header in ("If-Match", "If-None-Match"):
                response = await admin.request(
                    method,
                    f"/invoices/{other.ids['invoice_id']}",
                    headers={header: tag},
                    json={} if method == "PATCH" else None,
                )
                assert response.status_code == 404


async def test_an_idempotency_key_of_another_schools_user_replays_nothing(
    make_client: MakeClient, api: Api, other: OtherSchool, mine: dict[str, str]
) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    body = {"invoice_id": other.ids["invoice_id"], "amount": "1.00"}
    async with make_client(Role.ACCOUNTANT, UUID(other.ids["school_id"])) as theirs:
        assert (await theirs.post("/payments", json=body, headers=key)).status_code == 201
    async with make_client(Role.ACCOUNTANT, UUID(mine["school_id"])) as accountant:
        response = await accountant.post("/payments", json=body, headers=key)
    assert response.status_code == 404
    assert "idempotency-replayed" not in response.headers


async def test_an_administrator_of_one_school_adds_users_and_keys_of_that_school_only(
    make_client: MakeClient, mine: dict[str, str]
) -> None:
    async with make_client(Role.ADMIN, UUID(mine["school_id"])) as admin:
        user = {"username": uuid4().hex, "password": PASSWORD, "role": "admin"}
        for path, body in (("/users", user), ("/api-keys", {"name": uuid4().hex, "role": "admin"})):
            # Without a school_id, or with null, the new user is still bound to the school.
            for more in ({}, {"school_id": None}):
                name = {"name" if "name" in body else "username": uuid4().hex}
                made = await admin.post(path, json={**body, **name, **more})
                assert made.status_code == 201, made.text
                assert made.json()["school_id"] == mine["school_id"]
            unbound = [row for row in (await admin.get(f"{path}?limit=500")).json() if row["school_id"] is None]
            assert unbound == []
        key = (await admin.post("/api-keys", json={"name": uuid4().hex, "role": "admin"})).json()["key"]
        schools = await admin.get("/schools", headers={"Authorization": f"Bearer {key}"})
        assert [json.dumps(school["id"]) for school in schools.json()] == [json.dumps(mine["school_id"])]
