"""API keys: what they allow, and when a change of them takes effect."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.accounts import digest
from tests.api import NOBODY, Api, Json, problem, wrong_fields


async def make(api: Api, **fields: Any) -> Json:
    response = await api.client.post("/api-keys", json={"name": uuid4().hex, "role": "accountant"} | fields)
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    key: Json = response.json()
    assert response.headers["location"] == f"/api-keys/{key['id']}"
    return key


def bearer(key: Json) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


async def test_a_key_allows_what_its_role_and_its_school_allow(api: Api, anonymous: httpx.AsyncClient) -> None:
    mine, other = await api.school(), await api.school()
    key = await make(api, school_id=mine["id"])
    body = {"full_name": "Bart"}
    added = await anonymous.post("/students", json=body | {"school_id": mine["id"]}, headers=bearer(key))
    assert added.status_code == 201
    elsewhere = await anonymous.post("/students", json=body | {"school_id": other["id"]}, headers=bearer(key))
    problem(elsewhere, 404, "school_not_found")
    problem(await anonymous.post("/schools", json={"name": "x"}, headers=bearer(key)), 403)
    (entry,) = await api.get(f"/audit?entity_id={added.json()['id']}")
    assert entry["actor"] == f"key:{key['name']} ({key['key_prefix']})"
    password = {"current_password": "x", "new_password": "saxophone forever"}
    problem(await anonymous.put("/auth/password", json=password, headers=bearer(key)), 403)


async def test_a_key_is_shown_once_and_stored_as_a_hash(api: Api, psql: Any) -> None:
    key = await make(api)
    assert key["key"].startswith("sbk_")
    assert len(key["key"]) == 47  # 4 and the 43 characters of 256 bits
    assert key["key"].startswith(key["key_prefix"])
    assert len(key["key_prefix"]) == 10
    shown = {name: value for name, value in key.items() if name != "key"}
    assert await api.get(f"/api-keys/{key['id']}") == shown
    assert shown in await api.get("/api-keys?limit=500")
    assert await psql.fetchval("select key_hash from api_keys where id = $1", key["id"]) == digest(key["key"])
    for table in ("api_keys", "audit_log"):
        stored = await psql.fetchval(f"select string_agg({table}::text, '') from {table}")
        assert key["key"] not in stored
        if table == "audit_log":
            assert digest(key["key"]).hex() not in stored


async def test_revoking_a_key_takes_effect_with_the_next_request(api: Api, anonymous: httpx.AsyncClient) -> None:
    key, other = await make(api), await make(api)
    assert (await anonymous.get("/schools", headers=bearer(key))).status_code == 200
    assert (await api.client.delete(f"/api-keys/{key['id']}")).status_code == 204
    problem(await anonymous.get("/schools", headers=bearer(key)), 401, "not_authenticated")
    assert (await anonymous.get("/schools", headers=bearer(other))).status_code == 200
    revoked_at = (await api.get(f"/api-keys/{key['id']}"))["revoked_at"]
    assert revoked_at is not None
    assert (await api.client.delete(f"/api-keys/{key['id']}")).status_code == 204
    assert (await api.get(f"/api-keys/{key['id']}"))["revoked_at"] == revoked_at


async def test_the_last_use_is_stored_to_the_minute_and_is_not_audited(
    api: Api, anonymous: httpx.AsyncClient, psql: Any
) -> None:
    key = await make(api)
    assert key["last_used_at"] is None
    await anonymous.get("/schools", headers=bearer(key))
    first = (await api.get(f"/api-keys/{key['id']}"))["last_used_at"]
    assert first is not None
    await anonymous.get("/schools", headers=bearer(key))
    assert (await api.get(f"/api-keys/{key['id']}"))["last_used_at"] == first
    await psql.execute("update api_keys set last_used_at = now() - interval '61 seconds' where id = $1", key["id"])
    await anonymous.get("/schools", headers=bearer(key))
    assert (await api.get(f"/api-keys/{key['id']}"))["last_used_at"] > first
    assert len(await api.get(f"/audit?entity=api_keys&entity_id={key['id']}")) == 1


async def test_recording_the_last_use_never_waits_for_a_lock(api: Api, anonymous: httpx.AsyncClient, psql: Any) -> None:
    key = await make(api)
    async with psql.transaction():
        await psql.execute("select from api_keys where id = $1 for update", key["id"])
        assert (await anonymous.get("/schools", headers=bearer(key))).status_code == 200


async def test_the_name_of_a_revoked_key_can_be_used_again(api: Api) -> None:
    school, other = await api.school(), await api.school()
    name = uuid4().hex
    for school_id in (school["id"], other["id"], None):  # The name is free in each school, and for all schools.
        key = await make(api, name=name, school_id=school_id)
        again = await api.client.post("/api-keys", json={"name": name, "role": "viewer", "school_id": school_id})
        problem(again, 409, "duplicate_name")
        await api.client.delete(f"/api-keys/{key['id']}")
        await make(api, name=name, school_id=school_id)


async def test_a_key_cannot_manage_users_or_keys(api: Api, anonymous: httpx.AsyncClient) -> None:
    """A key outlives the account of its owner, and could enable that account again."""
    key = await make(api, role="admin")
    assert key["created_by"] == "tester"
    for method, path in (("GET", "/users"), ("POST", "/users"), ("PATCH", f"/users/{NOBODY}"), ("GET", "/api-keys"),
                         ("POST", "/api-keys"), ("DELETE", f"/api-keys/{NOBODY}")):  # fmt: skip
        body: Json | None = None if method == "GET" else {}
        problem(await anonymous.request(method, path, json=body, headers=bearer(key)), 403, "forbidden")
    assert (await anonymous.post("/schools", json={"name": "x"}, headers=bearer(key))).status_code == 201
    assert (await anonymous.get("/audit", headers=bearer(key))).status_code == 200


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "a\u202eb", "a\u200bb", "\u00a0"])
async def test_a_key_name_has_only_visible_characters(api: Api, name: str) -> None:
    assert wrong_fields(await api.client.post("/api-keys", json={"name": name, "role": "viewer"})) == ["name"]


async def test_a_wrong_field_of_a_key_is_named(api: Api, anonymous: httpx.AsyncClient) -> None:
    assert set(wrong_fields(await api.client.post("/api-keys", json={"name": "", "role": "x", "key": "mine"}))) == {
        "name", "role", "key",
    }  # fmt: skip
    unknown = await api.client.post("/api-keys", json={"name": "x", "role": "viewer", "school_id": NOBODY})
    problem(unknown, 404, "school_not_found")
    problem(await api.client.get(f"/api-keys/{NOBODY}"), 404, "api_key_not_found")
    problem(await api.client.delete(f"/api-keys/{NOBODY}"), 404, "api_key_not_found")
    for key in ("sbk_", "sbk_unknown", f"sbk_{'x' * 5000}", "sbk_é"):
        refused = await anonymous.get("/schools", headers={b"Authorization": f"Bearer {key}".encode()})
        problem(refused, 401, "not_authenticated")
