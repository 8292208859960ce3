"""Logging in and out: sessions, their tokens, and the throttles of failed log-ins."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import argon2
import httpx
import psycopg
import pytest

from school_billing.auth import hashing
from school_billing.auth.contracts import Role
from school_billing.auth.errors import TooBusy
from school_billing.auth.passwords import hash_password
from school_billing.auth.repository import Sessions
from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.database.pool import Database
from school_billing.platform.observability.middleware import Observed
from school_billing.platform.settings import Settings
from school_billing.users.repository import Users
from tests.accounts import digest
from tests.api import Api, Json, problem, until_waiting, wrong_fields

PASSWORD = "saxophone forever"
HASH = hash_password(PASSWORD)

AddUser = Callable[..., str]


@pytest.fixture
def add_user(database_url: str) -> AddUser:
    """Adds a user with the password of these tests, and returns the name."""

    def add(role: Role = Role.VIEWER, password_hash: str = HASH) -> str:
        username = f"lisa-{uuid4().hex}"
        with psycopg.connect(database_url) as psql:
            psql.execute(
                "insert into users (username, password_hash, role) values (%s, %s, %s)",
                [username, password_hash, role.value],
            )
        return username

    return add


@asynccontextmanager
async def client_at(app: Observed, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client with the given address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 4711))  # type: ignore[arg-type] # ASGI by other names
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http


_addresses = iter(range(1, 250))


def new_address() -> str:
    """Return an address that no other test uses."""
    return f"198.51.100.{next(_addresses)}"


@pytest.fixture
async def door(app: Observed) -> AsyncIterator[httpx.AsyncClient]:
    async with client_at(app, new_address()) as http:
        yield http


async def log_in(client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> Json:
    response = await client.post("/auth/login", json={"username": username, "password": password})
    assert response.status_code == 200, response.text
    tokens: Json = response.json()
    return tokens


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/auth/refresh", json={"refresh_token": token})


async def reads(client: httpx.AsyncClient, tokens: Json) -> int:
    """Return the status of a read with the access token."""
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return (await client.get("/schools", headers=headers)).status_code


async def test_a_refresh_token_works_once(door: httpx.AsyncClient, add_user: AddUser) -> None:
    first = await log_in(door, add_user())
    response = await refresh(door, first["refresh_token"])
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    second = response.json()
    assert second.keys() == first.keys()
    assert second["refresh_token"] != first["refresh_token"]
    assert await reads(door, first) == await reads(door, second) == 200


async def test_a_spent_refresh_token_ends_its_session_and_no_other(
    door: httpx.AsyncClient, add_user: AddUser, api: Api
) -> None:
    username = add_user()
    elsewhere = await log_in(door, username)
    first = await log_in(door, username)
    second = (await refresh(door, first["refresh_token"])).json()
    problem(await refresh(door, first["refresh_token"]), 401, "invalid_refresh_token")
    problem(await refresh(door, second["refresh_token"]), 401, "invalid_refresh_token")
    assert await reads(door, first) == await reads(door, second) == 401
    assert await reads(door, elsewhere) == 200
    (user_id,) = [user["id"] for user in await all_users(api) if user["username"] == username]
    trail = await api.get(f"/audit?entity_id={user_id}")
    assert [entry["action"] for entry in trail] == ["INSERT", "LOGIN", "LOGIN", "TOKEN_REUSED"]


async def all_users(api: Api) -> list[Json]:
    found, path = [], "/users?limit=500"
    while path:
        response = await api.client.get(path)
        found += response.json()
        path = response.links.get("next", {}).get("url", "")
    return found


async def test_two_parallel_uses_of_one_refresh_token_end_the_session(
    door: httpx.AsyncClient, add_user: AddUser, psql: Any
) -> None:
    tokens = await log_in(door, add_user())
    async with psql.transaction():
        await psql.execute(
            "select from refresh_tokens where token_hash = $1 for update", digest(tokens["refresh_token"])
        )
        both = [asyncio.create_task(refresh(door, tokens["refresh_token"])) for _ in range(2)]
        await until_waiting(psql, 2)
    answers = sorted(await asyncio.gather(*both), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 401]
    problem(await refresh(door, answers[0].json()["refresh_token"]), 401, "invalid_refresh_token")
    assert await reads(door, answers[0].json()) == 401


@pytest.mark.parametrize("token", ["sbr_unknown", "", "sbk_x", "\x00", "😀", "x" * 100])
async def test_an_unknown_refresh_token_is_refused(door: httpx.AsyncClient, token: str) -> None:
    problem(await refresh(door, token), 401, "invalid_refresh_token")
    assert (await door.post("/auth/logout", json={"refresh_token": token})).status_code == 204


async def test_a_body_with_half_a_surrogate_pair_is_a_client_error(door: httpx.AsyncClient) -> None:
    for body in (b'{"refresh_token":"\\ud800"}', b'{"username":"\\ud800","password":"\\udfff"}'):
        path = "/auth/refresh" if b"refresh" in body else "/auth/login"
        response = await door.post(path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in {400, 401, 422}, response.text


async def test_a_refresh_token_expires_with_its_session(door: httpx.AsyncClient, add_user: AddUser, psql: Any) -> None:
    tokens = await log_in(door, add_user())
    await psql.execute(
        "update sessions set expires_at = now() from refresh_tokens where token_hash = $1 and session_id = sessions.id",
        digest(tokens["refresh_token"]),
    )
    problem(await refresh(door, tokens["refresh_token"]), 401, "invalid_refresh_token")
    assert await reads(door, tokens) == 401


async def test_no_secret_is_stored_in_plain_text(door: httpx.AsyncClient, add_user: AddUser, psql: Any) -> None:
    tokens = await log_in(door, add_user())
    for table in ("sessions", "refresh_tokens", "users", "audit_log", "login_throttles"):
        for row in await psql.fetch(f"select row_to_json({table})::text as row from {table}"):
            assert tokens["refresh_token"] not in row["row"]
            assert tokens["refresh_token"].encode().hex() not in row["row"]
            assert tokens["access_token"] not in row["row"]
    assert (
        await psql.fetchval(
            "select count(*) from refresh_tokens where token_hash = $1", digest(tokens["refresh_token"])
        )
        == 1
    )


async def test_logging_out_ends_the_access_token_too(door: httpx.AsyncClient, add_user: AddUser) -> None:
    username = add_user()
    tokens, elsewhere = await log_in(door, username), await log_in(door, username)
    response = await door.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    assert (response.status_code, response.content) == (204, b"")
    assert await reads(door, tokens) == 401
    problem(await refresh(door, tokens["refresh_token"]), 401)
    assert await reads(door, elsewhere) == 200


async def test_a_new_password_ends_every_session_and_replaces_the_old_one(
    door: httpx.AsyncClient, add_user: AddUser
) -> None:
    username, another = add_user(), add_user()
    first, second, others = await log_in(door, username), await log_in(door, username), await log_in(door, another)
    headers = {"Authorization": f"Bearer {first['access_token']}"}
    body = {"current_password": PASSWORD, "new_password": "trombone forever"}
    wrong = await door.put("/auth/password", json=body | {"current_password": "x"}, headers=headers)
    assert wrong_fields(wrong) == ["current_password"]
    for bad in ("short", username, "password1234", "x" * 129):
        refused = await door.put("/auth/password", json=body | {"new_password": bad}, headers=headers)
        assert wrong_fields(refused) == ["new_password"]
    assert await reads(door, first) == 200
    assert (await door.put("/auth/password", json=body, headers=headers)).status_code == 204
    assert await reads(door, first) == await reads(door, second) == 401
    problem(await refresh(door, second["refresh_token"]), 401)
    assert await reads(door, others) == 200
    problem(await door.post("/auth/login", json={"username": username, "password": PASSWORD}), 401)
    assert await reads(door, await log_in(door, username, "trombone forever")) == 200


async def test_a_log_in_with_the_old_password_fails_if_the_password_changes_meanwhile(
    door: httpx.AsyncClient, add_user: AddUser, psql: Any
) -> None:
    """The change is about to commit when a log-in with the right old password starts its session."""
    username = add_user()
    async with psql.transaction():
        await psql.execute(
            "update users set password_hash = '$argon2id$x', session_generation = session_generation + 1 "
            "where username = $1",
            username,
        )
        racing = asyncio.create_task(door.post("/auth/login", json={"username": username, "password": PASSWORD}))
        await until_waiting(psql)
    problem(await racing, 401, "wrong_credentials")


async def test_a_session_that_starts_while_the_password_changes_ends_with_the_others(
    door: httpx.AsyncClient, add_user: AddUser, database_url: str, psql: Any
) -> None:
    """The session is stored first, and the change, which started earlier, does not see it."""
    username = add_user()
    tokens = await log_in(door, username)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"current_password": PASSWORD, "new_password": "trombone forever"}
    async with psql.transaction():
        user_id = await psql.fetchval("select id from users where username = $1 for no key update", username)
        changing = asyncio.create_task(door.put("/auth/password", json=body, headers=headers))
        await until_waiting(psql)
        newborn = await psql.fetchval(
            "insert into sessions (user_id, generation, expires_at) "
            "select id, session_generation, now() + interval '1 day' from users where id = $1 returning id",
            user_id,
        )
    assert (await changing).status_code == 204
    good = await psql.fetchval(
        "select count(*) from sessions join users on users.id = user_id and generation = session_generation "
        "where sessions.id = $1",
        newborn,
    )
    assert good == 0


async def test_a_log_in_replaces_a_hash_with_outdated_parameters(
    door: httpx.AsyncClient, add_user: AddUser, psql: Any
) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)
    username = add_user(password_hash=weak)
    await log_in(door, username)
    stored = await psql.fetchval("select password_hash from users where username = $1", username)
    assert argon2.extract_parameters(stored) == argon2.extract_parameters(HASH)
    assert await reads(door, await log_in(door, username)) == 200


async def fail(client: httpx.AsyncClient, username: str, times: int) -> list[int]:
    body = {"username": username, "password": "wrong"}
    answers = await asyncio.gather(*(client.post("/auth/login", json=body) for _ in range(times)))
    return sorted(answer.status_code for answer in answers)


async def test_parallel_guesses_at_one_account_are_throttled(
    door: httpx.AsyncClient, app: Observed, add_user: AddUser
) -> None:
    username = add_user()
    assert await fail(door, username, 15) == [401] * 10 + [429] * 5
    refused = await door.post("/auth/login", json={"username": username, "password": PASSWORD})
    problem(refused, 429, "too_many_logins")
    assert 1 <= int(refused.headers["retry-after"]) <= 900
    await log_in(door, add_user())  # Other accounts are not affected.


async def test_guesses_at_one_account_from_many_addresses_are_throttled(app: Observed, add_user: AddUser) -> None:
    username = add_user()
    statuses = list[int]()
    for _ in range(12):
        async with client_at(app, new_address()) as attacker:
            statuses += await fail(attacker, username, 9)
    assert statuses.count(401) == 100
    assert statuses[-8:] == [429] * 8


async def test_an_unknown_account_is_throttled_like_a_known_one(door: httpx.AsyncClient) -> None:
    assert await fail(door, f"nobody-{uuid4().hex}", 12) == [401] * 10 + [429] * 2


async def test_guesses_at_many_accounts_from_one_address_are_throttled(
    app: Observed, add_user: AddUser, psql: Any
) -> None:
    async with client_at(app, new_address()) as attacker:
        statuses = [(await fail(attacker, f"nobody-{uuid4().hex}", 1))[0] for _ in range(52)]
    assert statuses == [401] * 50 + [429] * 2


async def test_one_address_cannot_lock_a_user_out_elsewhere(app: Observed, add_user: AddUser) -> None:
    username = add_user()
    async with client_at(app, new_address()) as attacker, client_at(app, new_address()) as home:
        assert 429 in await fail(attacker, username, 60)
        assert await reads(home, await log_in(home, username)) == 200


async def test_a_client_with_an_earlier_refresh_token_is_counted_apart(
    door: httpx.AsyncClient, app: Observed, add_user: AddUser
) -> None:
    """Even from the same address, and if strangers used up all attempts of the account."""
    username, another = add_user(), add_user()
    tokens = await log_in(door, username)
    await refresh(door, tokens["refresh_token"])
    assert 429 in await fail(door, username, 60)
    for _ in range(11):
        async with client_at(app, new_address()) as attacker:
            await fail(attacker, username, 10)
    known = {"username": username, "refresh_token": tokens["refresh_token"]}
    problem(await door.post("/auth/login", json={"username": username, "password": PASSWORD}), 429)
    assert (await door.post("/auth/login", json=known | {"password": PASSWORD})).status_code == 200
    # The token does not help with another account, and its own counter fills, too.
    await fail(door, another, 10)
    others = await door.post("/auth/login", json=known | {"username": another, "password": PASSWORD})
    problem(others, 429)
    guesses = [await door.post("/auth/login", json=known | {"password": "wrong"}) for _ in range(12)]
    assert [guess.status_code for guess in guesses] == [401] * 10 + [429] * 2


async def test_throttles_do_not_show_which_accounts_exist(app: Observed, add_user: AddUser) -> None:
    username = add_user()
    async with client_at(app, new_address()) as home:
        await log_in(home, username)
        for _ in range(55):
            await fail(home, f"nobody-{uuid4().hex}", 1)
        assert await fail(home, username, 1) == await fail(home, f"nobody-{uuid4().hex}", 1) == [429]


async def test_a_throttle_expires_and_further_attempts_do_not_prolong_it(
    door: httpx.AsyncClient, add_user: AddUser, psql: Any
) -> None:
    username = add_user()
    await fail(door, username, 11)
    ends = "select max(window_ends_at) from login_throttles"
    before = await psql.fetchval(ends)
    assert await fail(door, username, 3) == [429] * 3
    assert await psql.fetchval(ends) == before
    await psql.execute("update login_throttles set window_ends_at = now()")
    assert await reads(door, await log_in(door, username)) == 200
    assert await fail(door, username, 1) == [401]


async def test_a_successful_log_in_does_not_count(door: httpx.AsyncClient, app: Observed, add_user: AddUser) -> None:
    username = add_user()
    for _ in range(12):
        async with client_at(app, new_address()) as client:
            await log_in(client, username)


async def test_an_attempt_that_a_busy_server_did_not_check_does_not_count(
    door: httpx.AsyncClient, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    username = add_user()
    body = {"username": username, "password": PASSWORD}
    with monkeypatch.context() as busy:
        busy.setattr(hashing, "_queue", BoundedQueue(0, TooBusy, limit=0))
        for _ in range(12):
            refused = await door.post("/auth/login", json=body)
            problem(refused, 503, "too_busy")
            assert refused.headers["retry-after"] == "1"
    assert (await door.post("/auth/login", json=body)).status_code == 200


async def test_a_right_password_does_not_count_if_the_server_is_too_busy_to_hash_it(
    door: httpx.AsyncClient, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    username = add_user()
    tokens = await log_in(door, username)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"current_password": PASSWORD, "new_password": "trombone forever"}

    async def busy(*_: object) -> str:
        raise TooBusy

    with monkeypatch.context() as patched:
        patched.setattr("school_billing.auth.login_service.hash_new_password", busy)
        for _ in range(12):
            problem(await door.put("/auth/password", json=body, headers=headers), 503, "too_busy")
    assert (await door.put("/auth/password", json=body, headers=headers)).status_code == 204


async def test_old_sessions_and_counters_are_deleted_beside_the_requests(
    door: httpx.AsyncClient, add_user: AddUser, database_url: str, psql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    username = add_user()
    old, newer = await log_in(door, username), await log_in(door, username)
    for _ in range(3):  # Four tokens, more than a statement deletes.
        old = (await refresh(door, old["refresh_token"])).json()
    await psql.execute(
        "update sessions set expires_at = now() - interval '91 days' from refresh_tokens "
        "where token_hash = $1 and session_id = sessions.id",
        digest(old["refresh_token"]),
    )
    await psql.execute("update login_throttles set window_ends_at = now() - interval '1 second'")
    await log_in(door, username)
    tokens = "select count(*) from refresh_tokens where token_hash = $1"
    assert await psql.fetchval(tokens, digest(old["refresh_token"])) == 1, "no log-in waits for a deletion"
    monkeypatch.setattr("school_billing.auth.repository._BATCH_SIZE", 2)
    async with Database(Settings(database_url=database_url)) as database:
        await Sessions(database, Settings()).prune()
    assert await psql.fetchval(tokens, digest(old["refresh_token"])) == 0
    assert await psql.fetchval(tokens, digest(newer["refresh_token"])) == 1
    assert await psql.fetchval("select count(*) from sessions where expires_at < now() - interval '90 days'") == 0
    assert await psql.fetchval("select count(*) from login_throttles where window_ends_at < now()") == 0


async def test_a_session_that_is_refreshed_too_often_waits_and_goes_on(
    door: httpx.AsyncClient, add_user: AddUser, psql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("school_billing.auth.repository.REFRESHES_MOST", 2)
    username = add_user()
    tokens, other = await log_in(door, username), await log_in(door, username)
    for _ in range(2):
        tokens = (await refresh(door, tokens["refresh_token"])).json()
    for _ in range(2):
        refused = await refresh(door, tokens["refresh_token"])
        problem(refused, 429, "too_many_refreshes")
        assert 1 <= int(refused.headers["retry-after"]) <= 900
    assert (await refresh(door, other["refresh_token"])).status_code == 200
    await psql.execute("update login_throttles set window_ends_at = now()")
    assert (await refresh(door, tokens["refresh_token"])).status_code == 200


async def test_log_ins_with_the_right_password_have_a_limit_too(
    door: httpx.AsyncClient, app: Observed, add_user: AddUser, psql: Any
) -> None:
    username = add_user()
    await log_in(door, username)
    # As if there had been 200: a right log-in stays on this counter alone.
    account = "account = sha256(convert_to($1, 'UTF8'))"
    await psql.execute(f"update login_throttles set attempts = 200 where {account} and attempts = 1", username)
    problem(await door.post("/auth/login", json={"username": username, "password": PASSWORD}), 429, "too_many_logins")
    async with client_at(app, new_address()) as elsewhere:
        await log_in(elsewhere, username)
    await log_in(door, add_user())


async def test_guesses_from_many_networks_of_one_ipv6_site_are_throttled(app: Observed, psql: Any) -> None:
    async def guess(address: str) -> list[int]:
        async with client_at(app, address) as attacker:
            return await fail(attacker, f"nobody-{uuid4().hex}", 1)

    counters = "select array_agg(bucket) from login_throttles where account is null"
    before = await psql.fetchval(counters) or []
    assert await guess("2001:db8:77:1::1") == [401]
    network_and_site = set(await psql.fetchval(counters)) - set(before)
    assert len(network_and_site) == 2
    await psql.execute("update login_throttles set attempts = 500 where bucket = any($1)", list(network_and_site))
    assert await guess("2001:db8:77:2::1") == [429]
    assert await guess("2001:db8:78:1::1") == [401]


async def test_an_administrator_lifts_the_throttles_of_an_account(
    door: httpx.AsyncClient, add_user: AddUser, database_url: str
) -> None:
    username, another = add_user(), add_user()
    assert 429 in await fail(door, username, 11) + await fail(door, another, 11)
    async with Database(Settings(database_url=database_url)) as database:
        assert await Users(database).unlock(username) == 3
    await log_in(door, username)
    problem(await door.post("/auth/login", json={"username": another, "password": PASSWORD}), 429)


async def test_failed_log_ins_are_counted_and_audited_without_the_typed_text(
    door: httpx.AsyncClient, add_user: AddUser, api: Api, psql: Any
) -> None:
    async def counted(outcome: str) -> float:
        lines = (await door.get("/metrics")).text.splitlines()
        (line,) = [line for line in lines if line.startswith(f'auth_logins_total{{outcome="{outcome}"}}')]
        return float(line.rpartition(" ")[2])

    before = {outcome: await counted(outcome) for outcome in ("succeeded", "refused", "throttled")}
    username, typed = add_user(), f"my-secret-{uuid4().hex}"
    await log_in(door, username)
    await fail(door, username, 11)
    await fail(door, typed, 1)
    assert await counted("succeeded") - before["succeeded"] == 1
    assert await counted("refused") - before["refused"] == 11  # 10 of the user, 1 of an unknown user
    assert await counted("throttled") - before["throttled"] == 1
    user_id = await psql.fetchval("select id from users where username = $1", username)
    trail = await api.get(f"/audit?entity_id={user_id}")
    assert [entry["action"] for entry in trail] == ["INSERT", "LOGIN", *["LOGIN_FAILED"] * 10]
    assert trail[1]["actor"] == username
    assert trail[2]["actor"] == "(anonymous)"
    assert trail[2]["row_after"]["username"] == username
    assert await psql.fetchval("select count(*) from audit_log where audit_log::text like '%' || $1 || '%'", typed) == 0
    unknown = await psql.fetchrow("select * from audit_log where action = 'LOGIN_FAILED' order by id desc limit 1")
    assert unknown["school_id"].int == unknown["entity_id"].int == 0


async def test_audit_entries_about_log_ins_have_the_username_and_the_address(
    app: Observed, add_user: AddUser, psql: Any
) -> None:
    username = add_user()
    for address, kept in (
        ("2001:db8::1", "2001:db8::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.10", "203.0.113.10"),
        ("no address", "unreadable"),
    ):
        async with client_at(app, address) as client:
            await log_in(client, username)
        stored = await psql.fetchval(
            "select address from sessions join users on users.id = user_id where username = $1 "
            "order by sessions.id desc limit 1",
            username,
        )
        assert stored == kept
