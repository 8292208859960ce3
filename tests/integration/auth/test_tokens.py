"""Access tokens: which are refused, and when changes in the database take effect."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
from jwt.warnings import InsecureKeyLengthWarning

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import client_of, problem
from tests.conftest import running
from tests.server import Server

MakeClient = Callable[..., httpx.AsyncClient]


@pytest.fixture
def good(settings: Settings) -> tuple[dict[str, Any], str]:
    """The claims of a valid token, and the id of its key."""
    token = log_in(settings.database_url, settings.jwt_secret, Role.ADMIN)
    claims = jwt.decode(token, settings.jwt_secret, ["HS256"], audience="school-billing-api")
    return claims, jwt.get_unverified_header(token)["kid"]


FORGERIES: dict[str, dict[str, Any]] = {
    "no algorithm": {"algorithm": "none", "key": None},
    "another algorithm": {"algorithm": "HS512"},
    "a foreign key": {"key": "another-secret-of-another-service-of-any-length-at-all"},
    "an unknown key id": {"kid": "0000000000000000"},
    "expired": {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
    "not yet": {"nbf": datetime(2999, 1, 1, tzinfo=UTC)},
    "issued in the future": {"iat": datetime(2999, 1, 1, tzinfo=UTC)},
    "another audience": {"aud": "another-api"},
    "another issuer": {"iss": "another-service"},
    "a session that nobody has": {"sid": str(uuid4())},
    "a session of somebody else": {"sub": str(uuid4())},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_token_that_was_not_issued_here_is_refused(
    anonymous: httpx.AsyncClient, settings: Settings, good: tuple[dict[str, Any], str], forgery: dict[str, Any]
) -> None:
    claims, kid = good

    async def answer(**changed: Any) -> httpx.Response:
        key = changed.pop("key", settings.jwt_secret)
        algorithm = changed.pop("algorithm", "HS256")
        header = {"kid": changed.pop("kid", kid)}
        with warnings.catch_warnings():
            # Our secret is too short for some of these algorithms.
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            token = jwt.encode(claims | changed, key, algorithm, header)
        return await anonymous.get("/users", headers={"Authorization": f"Bearer {token}"})

    assert (await answer()).status_code == 200
    refused = await answer(**forgery)
    problem(refused, 401, "not_authenticated")
    assert refused.headers["www-authenticate"].startswith("Bearer")


async def test_a_secret_can_be_rotated_while_tokens_are_valid(settings: Settings) -> None:
    old, new = settings.jwt_secret, "another-secret-that-is-long-enough-for-sha-256"
    rotated = Settings(database_url=settings.database_url, jwt_secret=f"{new}, {old}")
    service = create_app(rotated)
    async with running(service), client_of(service) as client:
        for secret, status in ((old, 200), (new, 200), (f"{new}, {old}", 401)):
            token = log_in(settings.database_url, secret, Role.ADMIN)
            assert (await client.get("/users", headers={"Authorization": f"Bearer {token}"})).status_code == status


async def test_parallel_requests_share_the_look_up_of_their_sessions(
    make_client: MakeClient, anonymous: httpx.AsyncClient
) -> None:
    async def asked() -> float:
        lines = (await anonymous.get("/metrics")).text.splitlines()
        name = 'db_query_duration_seconds_count{query="auth/valid_sessions"}'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    async with make_client(Role.VIEWER) as one, make_client(Role.VIEWER) as other:
        before = await asked()
        answers = await asyncio.gather(*(client.get("/audit") for client in (one, other) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {403}
        assert 1 <= await asked() - before <= 50


@pytest.mark.parametrize("change", ["disabled_at = now()", "role = 'viewer'", "session_generation = 7"])
async def test_a_slow_body_changes_nothing_if_the_session_ends_meanwhile(server: Server, change: str) -> None:
    username = f"lisa-{uuid4().hex}"
    headers = server.logged_in(Role.ADMIN, username=username)
    body = b'{"name": "too late"}'
    head = (
        f"POST /schools HTTP/1.1\r\nHost: test\r\nAuthorization: {headers['Authorization']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(head.encode() + body[:5])
    await writer.drain()
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        # After this answer, the server has read the head of the other request.
        assert (await http.get("/users")).status_code == 200
        with psycopg.connect(server.database_url) as psql:
            psql.execute(f"update users set {change} where username = %s", [username])
    writer.write(body[5:])
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith(("HTTP/1.1 401", "HTTP/1.1 403")), answer


async def test_a_body_that_never_arrives_is_408(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("school_billing.platform.web.json_body.BODY_SECONDS", 0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with make_client(Role.ADMIN) as client:
        problem(await client.post("/schools", content=never()), 408, "request_timeout")


async def test_two_authorization_headers_are_401(make_client: MakeClient) -> None:
    async with make_client(Role.ADMIN) as client:
        token = client.headers["authorization"]
        headers = [("Authorization", token), ("Authorization", "Bearer x")]
        problem(await client.get("/schools", headers=headers), 401, "not_authenticated")


async def test_a_change_at_psql_takes_effect_with_the_next_request(make_client: MakeClient, database_url: str) -> None:
    username = f"lisa-{uuid4().hex}"
    async with make_client(Role.ADMIN, username=username) as client:
        with psycopg.connect(database_url, autocommit=True) as psql:
            for change, status in (
                ("role = 'viewer'", 403),
                ("role = 'admin'", 200),
                ("disabled_at = now()", 401),
                ("disabled_at = null", 200),
                ("session_generation = session_generation + 1", 401),
            ):
                psql.execute(f"update users set {change} where username = %s", [username])
                assert (await client.get("/users")).status_code == status, change
