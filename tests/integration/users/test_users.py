"""Users, and the effect of their changes."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from tests.api import NOBODY, Api, Json, problem, until_waiting, wrong_fields

from school_billing.auth.contracts import Role
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from school_billing.users.contracts import UserPatch
from school_billing.users.repository import Users

MakeClient = Callable[..., httpx.AsyncClient]
PASSWORD = "saxophone forever"


async def add(api: Api, **fields: Any) -> Json:
    body = {"username": f"lisa-{uuid4().hex}", "password": PASSWORD, "role": "accountant"} | fields
    response = await api.client.post("/users", json=body)
    assert response.status_code == 201, response.text
    user: Json = response.json()
    assert response.headers["location"] == f"/users/{user['id']}"
    return user


async def test_a_new_user_is_shown_and_can_log_in(api: Api, anonymous: httpx.AsyncClient) -> None:
    school = await api.school()
    user = await add(api, school_id=school["id"])
    assert (user["role"], user["school_id"], user["disabled_at"]) == ("accountant", school["id"], None)
    assert await api.get(f"/users/{user['id']}") == user
    assert await api.get(f"/users?school_id={school['id']}") == [user]
    assert PASSWORD not in str(user)
    login = await anonymous.post("/auth/login", json={"username": user["username"].upper(), "password": PASSWORD})
    assert login.status_code == 200


async def test_a_body_that_breaks_several_rules_names_all_of_them(api: Api) -> None:
    for body, fields in (
        ({}, {"username", "password", "role"}),
        ({"username": "Lisa Simpson", "password": PASSWORD, "role": "boss"}, {"username", "role"}),
        ({"username": "role:postgres", "password": PASSWORD, "role": "viewer"}, {"username"}),
        ({"username": "key:back", "password": PASSWORD, "role": "viewer"}, {"username"}),
        ({"username": "admin\n", "password": PASSWORD, "role": "viewer"}, {"username"}),
        ({"username": "", "password": PASSWORD, "role": "viewer"}, {"username"}),
        ({"username": "x" * 101, "password": PASSWORD, "role": "viewer"}, {"username"}),
        ({"username": "lisa", "password": "short", "role": "viewer"}, {"password"}),
        ({"username": "saxophone.forever", "password": "Saxophone.Forever", "role": "viewer"}, {"password"}),
        ({"username": "lisa", "password": "password1234", "role": "viewer"}, {"password"}),
        ({"username": "lisa", "password": PASSWORD, "role": "viewer", "disabled": True}, {"disabled"}),
    ):
        assert set(wrong_fields(await api.client.post("/users", json=body))) == fields, body
    user = await add(api)
    taken = await api.client.post("/users", json={"username": user["username"], "password": PASSWORD, "role": "viewer"})
    problem(taken, 409, "duplicate_username")
    unknown = await api.client.post(
        "/users", json={"username": "x", "password": PASSWORD, "role": "viewer", "school_id": NOBODY}
    )
    problem(unknown, 404, "school_not_found")


async def test_no_fast_hash_of_a_password_is_stored(api: Api, psql: Any) -> None:
    """An idempotency key would store a SHA-256 of the body, which is easy to guess. So these routes take none."""
    key = {"Idempotency-Key": uuid4().hex}
    body = {"username": f"lisa-{uuid4().hex}", "password": PASSWORD, "role": "viewer"}
    assert (await api.client.post("/users", json=body, headers=key)).status_code == 201
    problem(await api.client.post("/users", json=body, headers=key), 409, "duplicate_username")
    made = await api.client.post("/api-keys", json={"name": uuid4().hex, "role": "viewer"}, headers=key)
    assert made.status_code == 201
    kept = await psql.fetchval("select count(*) from idempotency_keys where key = $1", key["Idempotency-Key"])
    assert kept == 0
    stored = await psql.fetchval("select string_agg(audit_log::text, '') from audit_log")
    for secret in (made.json()["key"], PASSWORD, "argon2id"):
        assert secret not in stored


async def test_disabling_a_user_takes_effect_with_the_next_request_and_enabling_restores_no_session(
    api: Api, make_client: MakeClient, anonymous: httpx.AsyncClient
) -> None:
    user, other = await add(api), await add(api)
    async with (
        make_client(Role.ACCOUNTANT, username=user["username"]) as lisa,
        make_client(Role.ACCOUNTANT, username=other["username"]) as bart,
    ):
        assert (await lisa.get("/schools")).status_code == 200
        disabled = await api.client.patch(f"/users/{user['id']}", json={"disabled": True})
        assert disabled.json()["disabled_at"] is not None
        problem(await lisa.get("/schools"), 401, "not_authenticated")
        problem(await lisa.post("/students", json={}), 401, "not_authenticated")
        assert (await bart.get("/schools")).status_code == 200
        credentials = {"username": user["username"], "password": PASSWORD}
        problem(await anonymous.post("/auth/login", json=credentials), 401, "wrong_credentials")
        again = await api.client.patch(f"/users/{user['id']}", json={"disabled": True})
        assert again.json()["disabled_at"] == disabled.json()["disabled_at"]
        enabled = await api.client.patch(f"/users/{user['id']}", json={"disabled": False})
        assert enabled.json()["disabled_at"] is None
        problem(await lisa.get("/schools"), 401, "not_authenticated")
        assert (await anonymous.post("/auth/login", json=credentials)).status_code == 200


async def test_a_new_role_takes_effect_with_the_next_request(api: Api, make_client: MakeClient) -> None:
    user, school = await add(api), await api.school()
    body = {"school_id": school["id"], "full_name": "Bart"}
    async with make_client(Role.ACCOUNTANT, username=user["username"]) as lisa:
        assert (await lisa.post("/students", json=body)).status_code == 201
        assert (await api.client.patch(f"/users/{user['id']}", json={"role": "viewer"})).json()["role"] == "viewer"
        problem(await lisa.post("/students", json=body), 403, "forbidden")
        await api.client.patch(f"/users/{user['id']}", json={"role": "admin"})
        assert (await lisa.post("/schools", json={"name": "x"})).status_code == 201


async def test_setting_a_password_ends_the_users_sessions(
    api: Api, make_client: MakeClient, anonymous: httpx.AsyncClient
) -> None:
    user = await add(api)
    path = f"/users/{user['id']}/password"
    async with make_client(Role.ACCOUNTANT, username=user["username"]) as lisa:
        assert wrong_fields(await api.client.put(path, json={"new_password": "short"})) == ["new_password"]
        assert wrong_fields(await api.client.put(path, json={"new_password": user["username"]})) == ["new_password"]
        assert (await lisa.get("/schools")).status_code == 200
        changed = await api.client.put(path, json={"new_password": "trombone forever"})
        assert changed.json()["password_changed_at"] > user["password_changed_at"]
        problem(await lisa.get("/schools"), 401)
    for password, status in ((PASSWORD, 401), ("trombone forever", 200)):
        credentials = {"username": user["username"], "password": password}
        assert (await anonymous.post("/auth/login", json=credentials)).status_code == status
    problem(await api.client.put(f"/users/{NOBODY}/password", json={"new_password": PASSWORD}), 404, "user_not_found")


async def test_an_administrator_cannot_change_their_own_account(api: Api, make_client: MakeClient) -> None:
    user = await add(api, role="admin")
    async with make_client(Role.ADMIN, username=user["username"]) as admin:
        for body in ({"disabled": True}, {"role": "viewer"}):
            problem(await admin.patch(f"/users/{user['id']}", json=body), 409, "own_account")
        password = {"new_password": "trombone forever"}
        problem(await admin.put(f"/users/{user['id']}/password", json=password), 409, "own_account")
        assert (await admin.get(f"/users/{user['id']}")).json()["role"] == "admin"


async def test_the_audit_trail_records_changes_of_users(api: Api) -> None:
    user = await add(api)
    await api.client.patch(f"/users/{user['id']}", json={"role": "viewer"})
    await api.client.put(f"/users/{user['id']}/password", json={"new_password": "trombone forever"})
    trail = await api.get(f"/audit?entity=users&entity_id={user['id']}")
    assert [(entry["action"], entry["actor"]) for entry in trail] == [
        ("INSERT", "tester"),
        ("UPDATE", "tester"),
        ("UPDATE", "tester"),
    ]
    assert (trail[1]["row_before"]["role"], trail[1]["row_after"]["role"]) == ("accountant", "viewer")
    assert trail[2]["row_before"]["password_changed_at"] != trail[2]["row_after"]["password_changed_at"]


@pytest.mark.parametrize("role", [Role.ACCOUNTANT, Role.VIEWER])
async def test_only_administrators_manage_users_and_keys(make_client: MakeClient, role: Role) -> None:
    async with make_client(role) as client:
        for method, path in (
            ("GET", "/users"), ("POST", "/users"), ("GET", f"/users/{NOBODY}"), ("PATCH", f"/users/{NOBODY}"),
            ("PUT", f"/users/{NOBODY}/password"), ("GET", "/api-keys"), ("POST", "/api-keys"),
            ("GET", f"/api-keys/{NOBODY}"), ("DELETE", f"/api-keys/{NOBODY}"),
        ):  # fmt: skip
            problem(await client.request(method, path, json={} if method != "GET" else None), 403, "forbidden")


async def test_an_administrator_of_one_school_manages_only_its_users(api: Api, make_client: MakeClient) -> None:
    mine, other = await api.school(), await api.school()
    everywhere, theirs = await add(api, role="admin"), await add(api, school_id=other["id"])
    async with make_client(Role.ADMIN, UUID(mine["id"])) as admin:
        body = {"username": f"bart-{uuid4().hex}", "password": PASSWORD, "role": "viewer"}
        bart = (await admin.post("/users", json=body)).json()
        assert bart["school_id"] == mine["id"]
        assert {user["school_id"] for user in (await admin.get("/users")).json()} == {mine["id"]}
        assert (await admin.patch(f"/users/{bart['id']}", json={"disabled": True})).status_code == 200
        for stranger in (everywhere, theirs):
            path = f"/users/{stranger['id']}"
            problem(await admin.get(path), 404, "user_not_found")
            problem(await admin.patch(path, json={"disabled": True}), 404, "user_not_found")
            problem(await admin.put(f"{path}/password", json={"new_password": PASSWORD}), 404, "user_not_found")


async def test_a_school_with_users_or_keys_cannot_be_deleted(api: Api) -> None:
    with_user, with_key = await api.school(), await api.school()
    await add(api, school_id=with_user["id"])
    await api.client.post("/api-keys", json={"name": "x", "role": "viewer", "school_id": with_key["id"]})
    for school in (with_user, with_key):
        problem(await api.client.delete(f"/schools/{school['id']}"), 409, "in_use")


async def test_two_administrators_cannot_disable_each_other(new_database: Callable[[], str]) -> None:
    url = new_database()
    hashed = "$argon2id$x"
    async with Database(Settings(database_url=url)) as database:
        users = Users(database)
        first = await users.create(None, "first", hashed, Role.ADMIN, None)
        second = await users.create(None, "second", hashed, Role.ADMIN, None)
        psql, watch = await asyncpg.connect(url), await asyncpg.connect(url)
        async with psql.transaction():
            await psql.execute("update users set disabled_at = now() where id = $1", second.id)
            disabling = asyncio.create_task(users.update(None, first.id, UserPatch(disabled=True)))
            await until_waiting(watch)
        with pytest.raises(ConstraintViolated, match="users_one_administrator_stays"):
            await disabling
        for change in (UserPatch(role=Role.VIEWER), UserPatch(disabled=True)):
            with pytest.raises(ConstraintViolated, match="users_one_administrator_stays"):
                await users.update(None, first.id, change)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await psql.execute("delete from users where id = $1", first.id)
        await psql.execute("delete from users where id = $1", second.id)
        await psql.close()
        await watch.close()
