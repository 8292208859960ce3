"""A user of one school calls every route of the OpenAPI document with the ids of another school."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from school_billing.auth.contracts import Role
from tests.api import Api, Json

MakeClient = Callable[..., httpx.AsyncClient]

MARK = "of another school"
"""This mark is in every text of the other school."""
PASSWORD = "correct horse battery"


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
    school = await api.school(name=f"School {MARK}", invoice_prefix="OTHER")
    student = await api.student(school, full_name=f"Student {MARK}", external_id=f"Number {MARK}")
    payer = await api.payer(
        school, name=f"Payer {MARK}", email="billing@other.example", external_id=f"Number {MARK}", phone=MARK
    )
    await api.set_payers(student, {payer["id"]: "100"})
    invoice = await api.invoice(student, description=f"Tuition {MARK}")
    payment = await api.pay(invoice, "10.00", method=MARK, reference=f"Receipt {MARK}")
    lines = [{"description": f"Books {MARK}", "category": MARK, "amount": "100.00"}]
    unpaid = await api.invoice(student, None, description=f"Books {MARK}", lines=lines)
    receipt = await api.receipt(
        payer, "200.00", method=MARK, reference=f"Receipt {MARK}", source=MARK, external_reference=MARK, allocate="none"
    )
    late_fee = {"kind": "late_fee", "amount": "1.00", "after_days": 7, "description": f"Late fee {MARK}"}
    plan = await api.plan(school, (MARK, "10.00"), name=f"Plan {MARK}", rules=[late_fee])
    award = await api.award(student, amount="1.00", reason=MARK, approved_by=MARK, description=f"Award {MARK}")
    run = await api.preview(plan, f"Period {MARK}")
    await api.commit(run)
    await api.commit(await api.late_fees(plan, "2026-11-01"))
    (late,) = await api.get(f"/invoices?billing_run_id={run['id']}")
    credited = {"reason": f"Meals {MARK}", "lines": [{"description": f"Meals {MARK}", "amount": "1.00"}]}
    note = await api.client.post(f"/invoices/{unpaid['id']}/credit-notes", json=credited)
    closing = await api.client.post(
        f"/schools/{school['id']}/closings", json={"through": "2020-01-31", "reason": f"Because {MARK}"}
    )
    user = await api.client.post(
        "/users",
        json={"username": f"lisa-{uuid4().hex}", "password": PASSWORD, "role": "admin", "school_id": school["id"]},
    )
    key = await api.client.post("/api-keys", json={"name": MARK, "role": "admin", "school_id": school["id"]})
    ids = {
        "school_id": school["id"],
        "student_id": student["id"],
        "payer_id": payer["id"],
        "payment_reference": payer["payment_reference"],
        "invoice_id": invoice["id"],
        "unpaid_id": unpaid["id"],
        "payment_id": payment["id"],
        "receipt_id": receipt["id"],
        "adjustment_id": note.json()["id"],
        "closing_id": closing.json()["id"],
        "number": invoice["number"],
        "plan_id": plan["id"],
        "award_id": award["id"],
        "billing_run_id": run["id"],
        "late_invoice_id": late["id"],
        "note_number": note.json()["number"],
        "user_id": user.json()["id"],
        "api_key_id": key.json()["id"],
    }

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
                    [school["id"]],
                ).fetchall()
                for table in tables
            ]
            trail = psql.execute("select id from audit_log where school_id = %s", [school["id"]]).fetchall()
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
async def operations(client: httpx.AsyncClient) -> list[tuple[str, str, Json]]:
    document = (await client.get("/openapi.json")).json()
    return [(path, method, op) for path, methods in document["paths"].items() for method, op in methods.items()]


@pytest.fixture(params=list(Role), ids=lambda role: role.value)
async def bound(
    make_client: MakeClient, mine: dict[str, str], request: pytest.FixtureRequest
) -> AsyncIterator[httpx.AsyncClient]:
    """A user of one school, in each role."""
    async with make_client(request.param, UUID(mine["school_id"])) as http:
        yield http


def bodies(operation_id: str, ids: dict[str, str], mine: dict[str, str]) -> list[Json]:
    """Return bodies that would be valid for a user of the other school."""
    due = {"total_amount": "5.00", "due_date": "2026-01-01"}
    found: dict[str, list[Json]] = {
        "log_in": [{"username": "nobody", "password": "x"}],
        "refresh_session": [{"refresh_token": "sbr_x"}],
        "log_out": [{"refresh_token": "sbr_x"}],
        "change_password": [{"current_password": "x", "new_password": PASSWORD}],
        "create_user": [
            {"username": uuid4().hex, "password": PASSWORD, "role": "admin", "school_id": ids["school_id"]}
        ],
        "update_user": [{"role": "viewer"}, {"disabled": True}, {}],
        "set_user_password": [{"new_password": "another horse battery"}],
        "create_api_key": [{"name": uuid4().hex, "role": "admin", "school_id": ids["school_id"]}],
        "create_school": [{"name": "x"}],
        "update_school": [{"name": "x"}, {}],
        "create_student": [{"school_id": ids["school_id"], "full_name": "x"}],
        "update_student": [{"full_name": "x"}, {}],
        "create_payer": [{"school_id": ids["school_id"], "name": "x"}],
        "update_payer": [{"name": "x"}, {}],
        "set_payers_of_student": [
            {"payers": []},
            *({"payers": [{"payer_id": one["payer_id"], "share": "100"}]} for one in (ids, mine)),
        ],
        "create_invoice": [
            {"student_id": ids["student_id"], **due},
            {"student_id": mine["student_id"], "payer_id": ids["payer_id"], **due},
            {"student_id": ids["student_id"], "lines": [{"description": "x", "amount": "1"}], "due_date": "2026-01-01"},
        ],
        "update_invoice": [{"description": "x"}, {"student_id": mine["student_id"]}, {}],
        "void_invoice": [{"reason": "x"}],
        "create_credit_note": [
            {"amount": "1.00", "reason": "x"},
            {"amount": "100.00", "reason": "x", "release": True},
            {"lines": [{"description": "x", "amount": "1"}], "reason": "x"},
        ],
        "create_discount": [{"amount": "1.00", "reason": "x"}],
        "write_off_invoice": [{"reason": "x"}],
        "reverse_adjustment": [{"reason": "x"}],
        "create_payment": [{"invoice_id": ids["invoice_id"], "amount": "1.00"}],
        "create_receipt": [
            {"payer_id": ids["payer_id"], "amount": "1.00"},
            {"school_id": ids["school_id"], "amount": "1.00"},
        ],
        "claim_receipt": [{"payer_id": mine["payer_id"]}, {"payer_id": ids["payer_id"]}],
        "allocate_receipt": [{}, {"allocate": [{"invoice_id": mine["invoice_id"], "amount": "1.00"}]}],
        "refund_receipt": [{"amount": "1.00"}],
        "reverse_receipt": [{"reason": "x"}],
        "reverse_payment": [{"reason": "x"}],
        "create_fee_plan": [
            {
                "school_id": ids["school_id"],
                "name": "x",
                "items": [{"category": "x", "description": "x", "amount": "1"}],
            }
        ],
        "update_fee_plan": [{"name": "x"}, {"rules": []}, {}],
        "create_award": [
            {"student_id": ids["student_id"], "amount": "1", "valid_from": "2026-01-01", "reason": "x"}
            | {"approved_by": "x"}
        ],
        "update_award": [{"amount": "2"}, {}],
        "create_billing_run": [{"plan_id": ids["plan_id"], "period": "x", "due_dates": ["2999-01-01"]}],
        "create_late_fee_run": [{"plan_id": ids["plan_id"], "due_date": "2999-01-01"}],
        "commit_billing_run": [{}],
        "revert_billing_run": [{"reason": "x"}],
        "create_closing": [{"through": "2020-02-29"}],
        "reopen_closing": [{"reason": "x"}],
        "update_payment": [{"amount": "2.00"}, {"invoice_id": mine["invoice_id"]}, {}],
    }
    return found[operation_id]


def queries(operation: Json, ids: dict[str, str]) -> Iterator[str]:
    """Yield query strings with each filter for the other school alone, and the empty one."""
    yield ""
    for parameter in operation.get("parameters", []):
        if parameter["in"] != "query":
            continue
        name = parameter["name"]
        if name == "number":
            yield from (urlencode({name: ids[number]}) for number in ("number", "note_number"))
        elif name in ids:
            yield urlencode({name: ids[name]})
        elif name == "entity_id":
            yield from (urlencode({name: value}) for key, value in ids.items() if key.endswith("_id"))
        elif name == "reference" and "payers" in operation["tags"]:
            yield urlencode({name: ids["payment_reference"]})
        elif name in {"name", "q", "external_id", "method", "reference", "source", "external_reference"}:
            yield from (urlencode({name: value}) for value in (MARK, f"Number {MARK}", f"Receipt {MARK}"))
        elif name == "period":
            yield urlencode({name: f"Period {MARK}"})
        elif name == "email":
            yield urlencode({name: "billing@other.example"})
        elif name == "limit":
            yield "limit=500"


def paths(template: str, ids: dict[str, str]) -> Iterator[str]:
    """Yield the path with the other school's ids. A KeyError means that this test lacks a kind of id."""
    yield template.format(**ids)
    if "{invoice_id}" in template:
        yield template.format(invoice_id=ids["unpaid_id"])


async def test_every_route_with_another_schools_ids_is_404_and_changes_nothing(
    bound: httpx.AsyncClient, other: OtherSchool, mine: dict[str, str], operations: list[tuple[str, str, Json]]
) -> None:
    before = other.snapshot()
    assert len(operations) > 35
    for template, method, operation in operations:
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
    bound: httpx.AsyncClient, other: OtherSchool, operations: list[tuple[str, str, Json]]
) -> None:
    """The two answers are equal, so a caller cannot find out which ids exist."""
    nobodys = {name: str(uuid4()) for name in other.ids}
    for template, method, operation in operations:
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
