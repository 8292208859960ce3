"""The service as it runs on a cluster, here on a plain PostgreSQL. `make test-cluster` proves it on a real one."""

from collections.abc import AsyncIterator, Callable

import httpx
import msgspec
import psycopg
import pytest

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import NOBODY, Api, client_of, problem
from tests.conftest import running
from tests.server import serve, wait_until


@pytest.fixture(scope="module")
async def everywhere(settings: Settings) -> AsyncIterator[Api]:
    """A caller of all schools, whose name has a quote."""
    service = create_app(msgspec.structs.replace(settings, citus=True))
    token = log_in(settings.database_url, settings.jwt_secret, Role.ADMIN, username="o'brien")
    async with running(service), client_of(service, Authorization=f"Bearer {token}") as client:
        yield Api(client)


@pytest.fixture
async def invoice(everywhere: Api) -> dict[str, str]:
    found: dict[str, str] = await everywhere.invoice(total="100.00")
    return found


async def test_a_statement_runs_as_for_a_caller_of_the_school_that_it_names(
    everywhere: Api, invoice: dict[str, str], database_url: str
) -> None:
    paid = await everywhere.pay(invoice, "30.00")
    written_off = await everywhere.client.post(f"/invoices/{invoice['id']}/write-off", json={"reason": "Moved away"})
    assert written_off.json()["amount"] == "70.00"
    statement = await everywhere.get(f"/students/{invoice['student_id']}/statement")
    assert (statement["totals"]["paid_total"], statement["totals"]["balance_due_total"]) == ("30.00", "0.00")
    with psycopg.connect(database_url) as connection:
        actors = connection.execute(
            "select distinct actor, request_id is not null from audit_log where school_id = %s and entity = 'payments'",
            (paid["school_id"],),
        ).fetchall()
    assert actors == [("o'brien", True)]


async def test_what_nobody_has_is_not_found(everywhere: Api, invoice: dict[str, str]) -> None:
    problem(await everywhere.client.patch(f"/invoices/{NOBODY}", json={"description": "x"}), 404, "invoice_not_found")
    unknown = {"invoice_id": NOBODY, "amount": "1.00"}
    problem(await everywhere.client.post("/payments", json=unknown), 404, "invoice_not_found")


async def test_a_key_is_claimed_before_the_write_and_remembered_with_it(
    everywhere: Api, invoice: dict[str, str]
) -> None:
    key = {"Idempotency-Key": f"once-{invoice['id']}"}
    body = {"invoice_id": invoice["id"], "amount": "60.00"}
    first = await everywhere.client.post("/payments", json=body, headers=key)
    again = await everywhere.client.post("/payments", json=body, headers=key)
    assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (201, 201, "true")
    assert again.json() == first.json()
    problem(
        await everywhere.client.post("/payments", json=body | {"amount": "1.00"}, headers=key),
        422,
        "idempotency_key_reused",
    )
    # A refused write leaves no key behind.
    other = {"Idempotency-Key": f"other-{invoice['id']}"}
    problem(await everywhere.client.post("/payments", json=body, headers=other), 409, "overpayment")
    assert (
        await everywhere.client.post("/payments", json=body | {"amount": "40.00"}, headers=other)
    ).status_code == 201


def test_each_school_is_sealed_by_itself(new_database: Callable[[], str]) -> None:
    database_url = new_database()  # Where there are two schools, and not those of all tests.
    with serve(database_url, None, 1, CITUS="true", AUDIT_SEAL_INTERVAL_MS="3600000") as server:
        headers = server.admin
        for name in ("North", "South"):
            httpx.post(f"{server.url}/schools", json={"name": name}, headers=headers).raise_for_status()
    with serve(database_url, None, 1, CITUS="true", AUDIT_SEAL_INTERVAL_MS="20"):
        waiting = "select count(*) from audit_log where hash is null"
        with psycopg.connect(database_url, autocommit=True) as connection:
            wait_until(lambda: connection.execute(waiting).fetchone() == (0,), "The sealing")
