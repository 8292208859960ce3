"""What stands between the service and the internet."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.observability.middleware import Observed
from school_billing.platform.settings import Settings
from school_billing.schools.repository import Schools
from tests.accounts import log_in
from tests.api import Api, client_of, problem
from tests.conftest import running
from tests.server import free_port, serve

SECRET = "0123456789abcdef" * 2
TOKEN = "fedcba9876543210" * 2


@pytest.fixture
def make_app(settings: Settings) -> Callable[..., Observed]:
    """Makes the application with production settings."""

    def make(**changed: Any) -> Observed:
        production = {"environment": "production", "jwt_secret": SECRET, "database_url": settings.database_url}
        return create_app(Settings(**production | changed))

    return make


async def test_every_answer_tells_browsers_what_not_to_do(make_app: Callable[..., Observed]) -> None:
    service = make_app()
    async with running(service), client_of(service) as client:
        for path, status in (("/health", 200), ("/schools", 401), ("/nowhere", 404), ("/docs", 200)):
            response = await client.get(path)
            assert response.status_code == status
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["x-frame-options"] == "DENY"
            assert response.headers["referrer-policy"] == "no-referrer"
            assert response.headers["strict-transport-security"].startswith("max-age=")
            assert "default-src 'none'" in response.headers["content-security-policy"]
            assert "unsafe-inline" not in response.headers["content-security-policy"].partition("script-src")[2][:20]
        assert (await client.get("/schools")).headers["cache-control"] == "no-store"


async def test_a_bug_tells_the_caller_nothing_of_itself(
    make_app: Callable[..., Observed], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("select secret from internals")

    monkeypatch.setattr(Schools, "list", broken)
    for environment in ("production", "development"):
        service = make_app(environment=environment, public_reads=True)
        async with running(service), client_of(service) as client:
            response = await client.get("/schools")
        problem(response, 500, "internal_error")
        for word in ("secret", "RuntimeError", "Traceback", ".py"):
            assert word not in response.text


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(database_url: str) -> None:
    with serve(database_url, REQUEST_MAX_BODY_BYTES="2000") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin) as client:
            problem(await client.post("/schools", json={"name": "x" * 3000}), 413)

            async def chunks() -> Any:
                for _ in range(30):
                    yield b"x" * 100

            problem(await client.post("/schools", content=chunks()), 413)
            login = await client.post("/auth/login", json={"username": "x", "password": "y" * 3000})
            problem(login, 413)


async def failures(database_url: str, address: str) -> int:
    """Return how many failed log-ins are in the trail from that address."""
    with psycopg.connect(database_url) as psql:
        row = psql.execute(
            "select count(*) from audit_log where action = 'LOGIN_FAILED' and row_after ->> 'address' = %s", [address]
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "counted"),
    [
        ("", "192.0.2.1", "203.0.113.1", "192.0.2.1"),
        ("10.0.0.0/8", "192.0.2.2", "203.0.113.2", "192.0.2.2"),
        ("10.0.0.0/8", "10.1.2.3", "203.0.113.3", "203.0.113.3"),
        ("10.0.0.0/8", "10.1.2.3", "198.18.0.1, 203.0.113.4", "203.0.113.4"),
        ("10.0.0.0/8", "10.1.2.3", "198.18.0.1, 203.0.113.5, 10.9.9.9", "203.0.113.5"),
        ("10.0.0.0/8, 192.0.2.7", "192.0.2.7", "2001:db8:0:1::9", "2001:db8:0:1::/64"),
    ],
)
async def test_the_callers_address_is_what_trusted_proxies_say_and_nobody_else(
    make_app: Callable[..., Observed], database_url: str, trusted: str, peer: str, forwarded: str, counted: str
) -> None:
    before = await failures(database_url, counted)
    service = make_app(trusted_proxies=trusted)
    transport = httpx.ASGITransport(service, client=(peer, 1))  # type: ignore[arg-type] # ASGI by other names
    async with running(service), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        body = {"username": uuid4().hex, "password": "x"}
        problem(await client.post("/auth/login", json=body, headers={"X-Forwarded-For": forwarded}), 401)
    assert await failures(database_url, counted) == before + 1


async def test_the_operators_pages_can_be_behind_a_token(make_app: Callable[..., Observed]) -> None:
    service = make_app(internal_token=TOKEN)
    async with running(service), client_of(service) as client:
        script = "/docs/assets/docs.js"
        for path in ("/metrics", "/docs", "/openapi.json", "/docs/openapi.json", script):
            refused = await client.get(path)
            problem(refused, 401)
            assert refused.headers["www-authenticate"].startswith("Basic")
            for wrong in ("Bearer x", f"Bearer {TOKEN}x", "Basic x", "Basic !!!", f"Digest {TOKEN}", "Bearer é"):
                problem(await client.get(path, headers={b"Authorization": wrong.encode()}), 401)
            assert (await client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200
            assert (await client.get(path, auth=("anybody", TOKEN))).status_code == 200
        assert (await client.get("/health")).status_code == 200
        document = (await client.get("/openapi.json", auth=("", TOKEN))).json()
        assert document["paths"]["/metrics"]["get"]["security"] == [{"bearer": []}]
        assert not document["paths"]["/health"]["get"].get("security")
        # It opens nothing else.
        problem(await client.get("/schools", headers={"Authorization": f"Bearer {TOKEN}"}), 401)


async def test_the_operators_pages_can_be_on_a_port_of_their_own(database_url: str) -> None:
    internal_port = free_port()
    with serve(database_url, INTERNAL_PORT=str(internal_port)) as server:
        internal = f"http://127.0.0.1:{internal_port}"
        async with httpx.AsyncClient(headers={"Host": f"127.0.0.1:{internal_port}"}) as client:
            for path in ("/metrics", "/docs", "/openapi.json", "/docs/assets/docs.js"):
                problem(await client.get(f"{server.url}{path}"), 404, "route_not_found")
                assert (await client.get(f"{internal}{path}")).status_code == 200
            for path in ("/health", "/health/db"):
                assert (await client.get(f"{server.url}{path}")).status_code == 200
                assert (await client.get(f"{internal}{path}")).status_code == 200
            assert (await client.get(f"{server.url}/schools")).status_code == 200
            problem(await client.get(f"{internal}/schools"), 404, "route_not_found")
            problem(await client.post(f"{internal}/auth/login", json={"username": "a", "password": "b"}), 404)


async def test_no_other_origin_may_call_unless_it_is_named(
    make_app: Callable[..., Observed], database_url: str
) -> None:
    office = "https://office.example"
    asks = {"Origin": office, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "If-Match"}
    closed, opened = make_app(), make_app(cors_origins=f"{office}, https://other.example")
    async with running(closed), client_of(closed) as client:
        for response in (
            await client.options("/schools", headers=asks),
            await client.get("/health", headers={"Origin": office}),
        ):
            assert not [name for name in response.headers if name.startswith("access-control")]
    async with running(opened), client_of(opened) as client:
        preflight = await client.options("/schools", headers=asks)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == office
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        assert "if-match" in preflight.headers["access-control-allow-headers"].lower()
        for path in ("/health", "/schools", "/nowhere"):
            response = await client.get(path, headers={"Origin": office})
            assert response.headers["access-control-allow-origin"] == office, path
            assert "etag" in response.headers["access-control-expose-headers"].lower()
            assert "access-control-allow-credentials" not in response.headers
        client.headers["Authorization"] = f"Bearer {log_in(database_url, SECRET, Role.ADMIN)}"
        page = f"/students/{(await Api(client).student())['id']}/statement.html"
        varies = (await client.get(page, headers={"Origin": office})).headers.get_list("vary", split_commas=True)
        assert set(varies) == {"Origin", "Accept-Language"}
        stranger = await client.get("/health", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers
        refused = await client.options("/schools", headers=asks | {"Origin": "https://evil.example"})
        problem(refused, 400, "preflight_refused")
        assert "access-control-allow-origin" not in refused.headers
        assert (await client.options("/schools")).status_code == 204


async def test_production_serves_only_with_secrets_of_its_own(database_url: str) -> None:
    for wrong in ({"JWT_SECRET": ""}, {"JWT_SECRET": f"{SECRET},short"}, {"ADMIN_PASSWORD": "change_me"}):
        environment = {"ENVIRONMENT": "production", "JWT_SECRET": SECRET, "ADMIN_PASSWORD": "saxophone forever"} | wrong
        with pytest.raises(RuntimeError, match="ended with 1"):
            await asyncio.to_thread(lambda: serve(database_url, **environment).__enter__())  # noqa: B023 - awaited here
