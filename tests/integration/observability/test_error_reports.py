"""Sentry, as it would receive what is sent."""

import time
from collections.abc import Callable
from importlib.metadata import version

import httpx
import pytest
from msgspec.structs import replace

from school_billing.app import create_app
from school_billing.auth.contracts import Login, Role
from school_billing.auth.login_service import LoginService
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import Api, Json, client_of, problem
from tests.conftest import running
from tests.integration.observability.receivers import never_answering, sentry
from tests.server import serve


async def test_an_unhandled_error_is_reported_with_its_place_and_its_request_and_nobodys_data(
    settings: Settings, new_database: Callable[[], str], surprised: Callable[[str], Json]
) -> None:
    database_url = new_database()
    token = log_in(database_url, settings.jwt_secret, Role.ADMIN, None, "tester")
    with sentry() as there:
        service = create_app(replace(settings, database_url=database_url, sentry_dsn=there.dsn))
        async with running(service), client_of(service, Authorization=f"Bearer {token}", Cookie="a=cookie-1") as client:
            invoice = await Api(client).invoice(total="10.00")
            await client.get("/nowhere")
            await client.post("/students", json={})
            await client.post("/payments", json={"invoice_id": invoice["id"], "amount": "10.01"})
            answer = await client.post(
                "/students",
                json=surprised(database_url) | {"external_id": "body-1"},
                headers={"X-Request-Id": "bug-1", "Referer": "https://office.example/?q=query-1"},
            )
            problem(answer, 500, "internal_error")
    (event,) = there.events
    assert event["tags"] == {"request_id": "bug-1"}
    assert event["transaction"] == "POST /students"
    assert event["release"] == f"school-billing@{version('school-billing')}"
    assert event["environment"] == "development"
    assert event["level"] == "error"
    errors = [(error["type"], error["value"]) for error in event["exception"]["values"]]
    assert errors == [
        ("CheckViolationError", "SQLSTATE 23514, constraint surprise, table students"),
        ("ConstraintViolated", "students/create: surprise"),
    ]
    frames = event["exception"]["values"][1]["stacktrace"]["frames"]
    assert frames[-1]["module"] == "school_billing.platform.database.pool"
    assert not any("vars" in frame for frame in frames)
    assert not {"request", "user", "extra", "modules"} & {key for key, value in event.items() if value}
    assert not event["breadcrumbs"]["values"]
    body = b"".join(there.bodies)
    for private in ("Simpson", "cookie-1", "query-1", "body-1", token, "tester", "127.0.0.1:"):
        assert private.encode() not in body.replace(there.dsn.encode(), b""), private


async def test_the_message_of_any_other_error_stays_here(
    settings: Settings, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_door: LoginService, login: Login, _address: str | None) -> None:
        raise KeyError(f"{login.username} {login.password}")

    monkeypatch.setattr(LoginService, "log_in", fail)
    database_url = new_database()
    with sentry() as there:
        service = create_app(replace(settings, database_url=database_url, sentry_dsn=there.dsn))
        async with running(service), client_of(service) as client:
            answer = await client.post("/auth/login", json={"username": "lisa", "password": "hunter2hunter2"})
            problem(answer, 500, "internal_error")
    (event,) = there.events
    assert {error["value"] for error in event["exception"]["values"]} == {""}
    assert event["exception"]["values"][-1]["type"] == "KeyError"
    assert b"hunter2" not in b"".join(there.bodies)


async def test_a_sentry_that_never_answers_slows_no_request_and_bounds_the_end(
    new_database: Callable[[], str], surprised: Callable[[str], Json]
) -> None:
    database_url = new_database()
    student = surprised(database_url)
    with never_answering() as url:
        with serve(database_url, SENTRY_DSN=f"{url.replace('://', '://public@')}/1") as server:
            async with httpx.AsyncClient(base_url=server.url, headers=server.admin) as client:
                for _ in range(5):
                    started = time.perf_counter()
                    problem(await client.post("/students", json=student), 500)
                    assert time.perf_counter() - started < 1
            ending = time.perf_counter()
        assert time.perf_counter() - ending < 8  # 2 seconds for what is left, and some for a busy machine.
