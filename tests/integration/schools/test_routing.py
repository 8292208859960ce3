"""The service as it runs on a cluster, here on a plain PostgreSQL. `make test-cluster` proves it on a real one."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.ledger.repository import SEAL, Ledger
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings
from school_billing.schools.routing import ClusterDatabase
from tests.accounts import log_in
from tests.api import NOBODY, Api, client_of, problem
from tests.conftest import running

Sent = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def cluster_url(new_database: Callable[[], str]) -> str:
    """A database of its own, where a statement cannot name its author to the triggers, as on a cluster."""
    url = new_database()
    with psycopg.connect(url) as connection:
        connection.execute(
            "create or replace function written_by(actor text, request_id text) returns boolean "
            "language sql return true"
        )
    return url


@pytest.fixture(scope="module")
async def everywhere(settings: Settings, cluster_url: str) -> AsyncIterator[Api]:
    """A caller of all schools, whose name has a quote."""
    own = msgspec.structs.replace(settings, database_url=cluster_url, citus=True)
    service = create_app(own)
    token = log_in(own.database_url, own.jwt_secret, Role.ADMIN, username="o'brien")
    async with running(service), client_of(service, Authorization=f"Bearer {token}") as client:
        yield Api(client)


@pytest.fixture
async def invoice(everywhere: Api) -> dict[str, str]:
    found: dict[str, str] = await everywhere.invoice(total="100.00")
    return found


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """The name and the values of each statement that is sent."""
    noted: Sent = []
    arguments = Query.arguments

    def note(query: Query[Any], values: dict[str, Any]) -> list[Any]:
        noted.append((query.name, values))
        return arguments(query, values)

    monkeypatch.setattr(Query, "arguments", note)
    return noted


def tenants(sent: Sent, name: str) -> list[str]:
    return [str(values["tenant"]) for sent_name, values in sent if sent_name == name]


async def test_a_statement_runs_as_for_a_caller_of_the_school_that_it_names(
    everywhere: Api, invoice: dict[str, str], sent: Sent
) -> None:
    await everywhere.pay(invoice, "30.00")
    written_off = await everywhere.client.post(f"/invoices/{invoice['id']}/write-off", json={"reason": "Moved away"})
    assert written_off.json()["amount"] == "70.00"
    statement = await everywhere.get(f"/students/{invoice['student_id']}/statement")
    assert (statement["totals"]["paid_total"], statement["totals"]["balance_due_total"]) == ("30.00", "0.00")
    await everywhere.get(f"/schools/{invoice['school_id']}/students?count=true")
    assert (await everywhere.client.get(f"/schools/{invoice['school_id']}/statement.csv")).status_code == 200
    for name in (
        "payments/create",
        "adjustments/write_off",
        "statements/student",
        "students/list",
        "statements/school_lines",
    ):
        assert set(tenants(sent, name)) == {invoice["school_id"]}, name
    # The row that a statement names tells the school, and is not looked up twice.
    assert tenants(sent, "invoices/get") == ["None", "None"]


async def test_the_audit_trail_names_who_wrote(everywhere: Api, invoice: dict[str, str], cluster_url: str) -> None:
    with psycopg.connect(cluster_url) as connection:
        authors = connection.execute(
            "select distinct actor, request_id is not null from audit_log where school_id = %s", (invoice["school_id"],)
        ).fetchall()
    assert authors == [("o'brien", True)]


async def test_what_nobody_has_is_not_found(everywhere: Api, sent: Sent) -> None:
    problem(await everywhere.client.patch(f"/invoices/{NOBODY}", json={"description": "x"}), 404, "invoice_not_found")
    unknown = {"invoice_id": NOBODY, "amount": "1.00"}
    problem(await everywhere.client.post("/payments", json=unknown), 404, "invoice_not_found")
    assert tenants(sent, "invoices/update") == tenants(sent, "payments/create") == [str(UUID(int=0))]


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


async def test_each_school_is_sealed_by_itself(new_database: Callable[[], str], sent: Sent) -> None:
    url = new_database()
    with psycopg.connect(url) as connection:
        north, south = (
            row[0]
            for name in ("North", "South")
            for row in connection.execute("insert into schools (name) values (%s) returning id::text", (name,))
        )
        connection.execute("insert into students (school_id, full_name) values (%s, 'Lisa')", (south,))
    async with ClusterDatabase(Settings(database_url=url)) as database:
        assert await database.one(SEAL, school_id=north, limit=100) == 1
        sent.clear()
        assert await Ledger(database).seal() == 2
        assert {values["school_id"] for name, values in sent if name == "ledger/seal"} == {south}
        assert await Ledger(database).differences(5) == []
