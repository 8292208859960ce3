from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import psycopg
import pytest

from school_billing.auth.contracts import Role
from tests.api import Api, Json, problem


async def history(api: Api, row: Json, entity: str) -> list[Json]:
    found: list[Json] = await api.get(f"/audit?entity={entity}&entity_id={row['id']}")
    return found


async def test_every_change_has_an_entry_with_actor_time_and_rows(api: Api) -> None:
    student = await api.student()
    response = await api.client.patch(
        f"/students/{student['id']}", json={"full_name": "Bart"}, headers={"X-Request-Id": "change-1"}
    )
    assert response.status_code == 200
    await api.client.delete(f"/students/{student['id']}")
    inserted, updated, deleted = await history(api, student, "students")
    assert [entry["action"] for entry in (inserted, updated, deleted)] == ["INSERT", "UPDATE", "DELETE"]
    assert {entry["actor"] for entry in (inserted, updated, deleted)} == {"tester"}
    assert updated["request_id"] == "change-1"
    assert (updated["row_before"]["full_name"], updated["row_after"]["full_name"]) == ("Lisa Simpson", "Bart")
    assert (inserted["row_before"], deleted["row_after"]) == (None, None)
    assert inserted["row_after"]["id"] == inserted["entity_id"] == student["id"]
    assert {entry["school_id"] for entry in (inserted, updated, deleted)} == {student["school_id"]}


async def test_a_payment_is_audited_and_the_totals_it_moves_are_not(api: Api) -> None:
    invoice = await api.invoice()
    payment = await api.pay(invoice, "10.00")
    (recorded,) = await history(api, payment, "payments")
    (raised,) = await history(api, invoice, "invoices")
    assert recorded["request_id"] != raised["request_id"]
    assert recorded["row_after"]["amount"] == 10.0


async def test_a_refused_change_is_not_audited(api: Api) -> None:
    invoice = await api.invoice(total="10.00")
    await api.client.post("/payments", json={"invoice_id": invoice["id"], "amount": "11.00"})
    assert len(await history(api, invoice, "invoices")) == 1


async def test_a_change_at_psql_is_audited_with_the_databases_role(api: Api, database_url: str) -> None:
    school = await api.school()
    with psycopg.connect(database_url) as connection:
        connection.execute("update schools set name = 'by hand' where id = %s", [school["id"]])
        row = connection.execute("select session_user").fetchone()
    entry = (await history(api, school, "schools"))[-1]
    assert row is not None
    assert (entry["actor"], entry["request_id"]) == (f"role:{row[0]}", None)


async def test_the_actor_of_an_earlier_request_is_not_recorded_for_a_later_one(database_url: str, api: Api) -> None:
    school = await api.school()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update schools set name = 'a' from written_by('lisa', 'r-1') where id = %s", [school["id"]])
        connection.execute("update schools set name = 'b' where id = %s", [school["id"]])
    _, by_lisa, by_hand = await history(api, school, "schools")
    assert (by_lisa["actor"], by_lisa["request_id"]) == ("lisa", "r-1")
    assert by_hand["actor"].startswith("role:")


async def test_passwords_are_not_in_the_audit_trail(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into users (username, password_hash, role) values ('audited', '$argon2id$secret', 'viewer')"
        )
        rows = connection.execute(
            "select row_after::text from audit_log where entity = 'users' and row_after ->> 'username' = 'audited'"
        ).fetchall()
    assert len(rows) == 1
    assert "argon2" not in rows[0][0]


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_log set actor = 'nobody'",
        "update audit_log set created_at = now() where hash is null",
        "update audit_log set hash = sha256('x') where hash is not null",
        "update audit_log set position = 1, hash = sha256('x'), actor = 'nobody' where hash is null",
        "delete from audit_log",
        "truncate audit_log",
    ],
)
async def test_audit_entries_cannot_be_changed_or_deleted(api: Api, database_url: str, statement: str) -> None:
    await api.school()
    with psycopg.connect(database_url) as connection:
        connection.execute("insert into schools (name) values ('one that is not sealed yet')")
        if "hash is not null" in statement:
            connection.execute(
                "update audit_log set position = -1, hash = sha256('x'), updated_at = now() "
                "where id = (select id from audit_log where hash is null order by id desc limit 1)"
            )
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="only ever added to"):
            connection.execute(statement)


@pytest.mark.parametrize("table", ["schools", "students", "invoices", "payments", "users"])
async def test_audited_tables_cannot_be_truncated(database_url: str, table: str) -> None:
    with (
        psycopg.connect(database_url) as connection,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="one by one"),
    ):
        connection.execute(f"truncate {table} cascade")


async def test_a_temporary_table_does_not_replace_the_audit_log(api: Api, database_url: str) -> None:
    student = await api.student()
    with psycopg.connect(database_url) as connection:
        connection.execute("create temp table audit_log (like public.audit_log including defaults)")
        connection.execute("update students set full_name = 'by hand' where id = %s", [student["id"]])
    assert [entry["action"] for entry in await history(api, student, "students")] == ["INSERT", "UPDATE"]


async def test_a_temporary_table_does_not_replace_the_invoices_of_a_payment(api: Api, database_url: str) -> None:
    invoice = await api.invoice(total="100.00")
    with psycopg.connect(database_url) as connection:
        connection.execute("create temp table invoices (like public.invoices including all)")
        connection.execute(
            "insert into public.payments (school_id, invoice_id, amount) values (%s, %s, 60)",
            [invoice["school_id"], invoice["id"]],
        )
    assert (await api.reload(invoice))["balance_due"] == "40.00"


async def test_a_payment_has_one_entry_and_a_change_of_an_invoice_has_one(api: Api) -> None:
    invoice = await api.invoice(total="100.00")
    path = f"/payments/{(await api.pay(invoice, '60.00'))['id']}"
    await api.client.patch(path, json={"amount": "50.00"})
    await api.client.delete(path)
    await api.client.patch(f"/invoices/{invoice['id']}", json={"description": "by hand"})
    entries = await api.get(f"/audit?school_id={invoice['school_id']}&limit=500")
    assert [(entry["entity"], entry["action"]) for entry in entries[3:]] == [
        ("payments", "INSERT"),
        ("payments", "UPDATE"),
        ("payments", "DELETE"),
        ("invoices", "UPDATE"),
    ]


async def test_a_claimed_actor_is_recorded_with_the_role_that_was_logged_in(api: Api, database_url: str) -> None:
    school = await api.school()
    with psycopg.connect(database_url) as connection:
        connection.execute("set school_billing.actor = 'admin'")
        connection.execute("update schools set name = 'forged' where id = %s", [school["id"]])
        connection.execute(
            "insert into audit_log "
            "(school_id, entity, entity_id, action, actor, database_role, position, hash, created_at) "
            "values (%s, 'schools', %s, 'DELETE', 'admin', 'nobody', 9223372036854775807, 'x', '2020-01-01Z')",
            [school["id"], school["id"]],
        )
        row = connection.execute("select session_user").fetchone()
    assert row is not None
    _, updated, inserted = await history(api, school, "schools")
    assert updated["database_role"] == inserted["database_role"] == row[0]
    assert inserted["created_at"] > "2026"
    assert inserted["position"] != 9223372036854775807


async def test_audit_entries_have_pages_and_filters(api: Api) -> None:
    school = await api.school()
    students = [await api.student(school) for _ in range(4)]
    path: str | None = f"/audit?school_id={school['id']}&entity=students&limit=3"
    seen: list[str] = []
    while path:
        response = await api.client.get(path)
        seen += [entry["entity_id"] for entry in response.json()]
        path = response.links.get("next", {}).get("url")
    assert seen == [student["id"] for student in students]
    assert len(await api.get(f"/audit?school_id={school['id']}")) == 5
    problem(await api.client.get("/audit?entity=teachers"), 400, "invalid_parameter")
    assert await api.get("/audit?entity=schools&limit=1")


@pytest.mark.parametrize("table", ["users", "api_keys"])
async def test_a_row_cannot_take_its_history_to_another_school(api: Api, database_url: str, table: str) -> None:
    old, new = await api.school(), await api.school()
    columns = {"users": "username, password_hash", "api_keys": "name, key_hash, key_prefix, created_by"}[table]
    values = {"users": "'$argon2id$x'", "api_keys": "sha256(convert_to(%(name)s, 'UTF8')), 'sbk_', 'tester'"}[table]
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute(
            f"insert into {table} ({columns}, role, school_id) "
            f"values (%(name)s, {values}, 'viewer', %(school)s) returning id",
            {"name": str(uuid4()), "school": old["id"]},
        ).fetchone()
        assert row is not None
        for school_id in (new["id"], None):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="stay in their school"):
                connection.execute(f"update {table} set school_id = %s where id = %s", [school_id, row[0]])
    assert [entry["school_id"] for entry in await api.get(f"/audit?entity_id={row[0]}")] == [old["id"]]


async def test_audit_entries_are_found_by_actor_action_and_day(
    api: Api, make_client: Callable[..., httpx.AsyncClient]
) -> None:
    school = await api.school(time_zone="Pacific/Kiritimati")
    lisa = await api.student(school)
    async with make_client(Role.ADMIN, UUID(school["id"]), f"clerk-{school['id'][-12:]}") as clerk:
        await clerk.patch(f"/students/{lisa['id']}", json={"full_name": "Maggie"})
        path = f"/audit?school_id={school['id']}"

        async def found(query: str) -> list[str]:
            return [f"{entry['entity']} {entry['action']}" for entry in await api.get(f"{path}&{query}")]

        actor = (await clerk.get("/audit?order=desc&limit=1")).json()[0]["actor"]
    changes = ["schools INSERT", "students INSERT", "students UPDATE"]
    books = "entity=students"
    assert await found("actor=tester") == changes[:2]
    assert await found(f"actor={actor}&{books}") == await found(f"action=UPDATE&{books}") == changes[2:]
    assert await found(f"order=desc&{books}") == changes[:0:-1]
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    day = timedelta(days=1)
    assert await found(f"from={today}&to={today}&{books}") == await found(f"from={today}&{books}") == changes[1:]
    assert await found(f"from={today + day}") == await found(f"to={today - day}") == await found("to=1900-01-01") == []
    assert await found(f"from=1900-01-01&to=2999-12-31&{books}") == changes[1:]
    problem(await api.client.get(f"{path}&action=READ"), 400, "invalid_parameter")


async def test_an_accountant_of_a_school_reads_the_entries_of_its_books(
    api: Api, make_client: Callable[..., httpx.AsyncClient]
) -> None:
    mine, other = await api.school(), await api.school()
    key = {"name": "k", "role": "viewer", "school_id": mine["id"]}
    key_id = (await api.client.post("/api-keys", json=key)).json()["id"]
    payment = await api.pay(await api.invoice(await api.student(mine)), "1.00")
    await api.student(other)
    async with make_client(Role.ACCOUNTANT, UUID(mine["id"])) as accountant:
        entries = (await accountant.get("/audit?limit=500&count=true")).json()
        assert [entry["entity"] for entry in entries] == ["schools", "students", "invoices", "payments"]
        assert {entry["school_id"] for entry in entries} == {mine["id"]}
        assert len((await accountant.get(f"/audit?entity_id={payment['id']}&entity=payments")).json()) == 1
        assert (await accountant.get(f"/audit?entity_id={key_id}")).json() == []
        assert (await accountant.get(f"/audit?school_id={other['id']}")).json() == []
        for entity in ("users", "api_keys"):
            problem(await accountant.get(f"/audit?entity={entity}"), 403, "forbidden")
    async with make_client(Role.VIEWER, UUID(mine["id"])) as viewer:
        problem(await viewer.get("/audit"), 403, "forbidden")


async def test_administrators_read_the_entries_of_their_school_only(
    api: Api, make_client: Callable[..., httpx.AsyncClient]
) -> None:
    mine, other = await api.school(), await api.school()
    for role in (Role.ACCOUNTANT, Role.VIEWER):
        async with make_client(role) as client:
            problem(await client.get("/audit"), 403)
    async with make_client() as client:
        problem(await client.get("/audit"), 401)
    async with make_client(Role.ADMIN, UUID(mine["id"])) as bound:
        entries = (await bound.get("/audit?limit=500")).json()
        assert {entry["school_id"] for entry in entries} == {mine["id"]}
        assert (await bound.get(f"/audit?entity_id={other['id']}")).json() == []
        assert (await bound.get(f"/audit?school_id={other['id']}")).json() == []
