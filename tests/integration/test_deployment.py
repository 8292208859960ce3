"""What the deployment's files say of the service, held against the service that runs."""

import re
import secrets
import subprocess
import sys
from collections.abc import Callable

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.ledger.repository import Ledger
from school_billing.platform.database.pool import Database
from school_billing.platform.observability.middleware import Observed
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import NOBODY, Api, client_of
from tests.conftest import running
from tests.deployment import DEPLOY, expressions, health_command
from tests.server import Server, free_port

OF_PROMETHEUS_ITSELF = {"up"}
WORDS = {
    "sum",
    "max",
    "by",
    "on",
    "rate",
    "increase",
    "absent",
    "topk",
    "histogram_quantile",
    "and",
    "le",
    "without",
    "or",
}


@pytest.fixture(scope="module")
async def metrics(api: Api, app: Observed) -> dict[str, set[str]]:
    """The names of the labels of every metric, after a few requests."""
    invoice = await api.invoice(total="100.00")
    await api.pay(invoice, "20.00")
    await api.refund(invoice, "5.00")
    assert (await api.client.get(f"/schools/{NOBODY}")).status_code == 404
    ledger = Ledger(app.litestar.state.database)
    app.metrics.overdue.set({row.currency: row.overdue for row in await ledger.overdue()})
    text = (await api.client.get("/metrics")).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize(("where", "expression"), expressions().items(), ids=lambda value: str(value)[:40])
def test_the_service_has_every_metric_and_label_that_is_asked_for(
    metrics: dict[str, set[str]], where: str, expression: str
) -> None:
    selected = re.findall(r"([a-z_]+)\{([^}]*)\}", re.sub(r'"[^"]*"', '""', expression))
    labels = {name: set(re.findall(r"([a-z_]+)\s*(?:=|!)", matchers)) for name, matchers in selected}
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', "", expression)
    grouped = {label for group in re.findall(r"\bby \(([^)]*)\)", bare) for label in group.replace(",", " ").split()}
    names = set(re.findall(r"\b[a-z][a-z_]+\b", re.sub(r"\b(by|on) \([^)]*\)", "", bare))) - WORDS
    assert names, where
    assert names - OF_PROMETHEUS_ITSELF <= set(metrics), where
    for name in names - OF_PROMETHEUS_ITSELF:
        assert labels.get(name, set()) <= metrics[name], where
        assert grouped <= metrics[name] or len(names) > 1, where


def test_the_containers_health_check_tells_well_from_ill(server: Server) -> None:
    def run(port: str) -> int:
        command = [sys.executable, *health_command()[1:]]
        return subprocess.run(command, env={"PORT": port}, capture_output=True, check=False).returncode

    assert httpx.get(f"{server.url}/health").status_code == 200
    assert run(server.url.rpartition(":")[2]) == 0
    assert run(str(free_port())) != 0


async def test_the_service_runs_under_the_role_with_the_least_rights(new_database: Callable[..., str]) -> None:
    url = new_database()
    role = f"service_{secrets.token_hex(4)}"
    script = (DEPLOY / "service-role.sql").read_text().replace("billing_service", role)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(script)
        owner.execute(f"alter role {role} password 'a'")
        settings = Settings(database_url=re.sub(r"//[^@]*@", f"//{role}:a@", url))
        service = create_app(settings)
        token = log_in(url, settings.jwt_secret, Role.ADMIN)
        async with running(service), client_of(service, Authorization=f"Bearer {token}") as client:
            api = Api(client)
            student = await api.student()
            payment = await api.pay(await api.invoice(student, "100.00"), "40.00")
            statement = await api.get(f"/students/{student['id']}/statement?from=2026-01-01")
            assert statement["totals"]["balance_due_total"] == "60.00"  # 100.00 - 40.00
            assert (await client.delete(f"/payments/{payment['id']}")).status_code == 204
            account = {"username": "lisa", "password": "saxophone forever", "role": "viewer"}
            assert (await client.post("/users", json=account)).status_code == 201
            del account["role"]
            assert (await client.post("/auth/login", json=account)).status_code == 200
            assert (await client.get("/health/db")).status_code == 200
        async with Database(settings) as database:
            await Ledger(database).seal()
            assert (await Ledger(database).summary()).sealed_entries > 5
            assert await Ledger(database).differences(5) == []
        for statement in (
            "delete from audit_log",
            "truncate payments",
            "alter table payments disable trigger all",
            "set session_replication_role = replica",
            "drop table payments",
            "create table mine (id int)",
        ):
            with psycopg.connect(settings.database_url) as limited, pytest.raises(psycopg.errors.InsufficientPrivilege):
                limited.execute(statement)
        owner.execute(f"drop owned by {role}")
        owner.execute(f"drop role {role}")
