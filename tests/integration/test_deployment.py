"""What the deployment's files say of the service, held against the service that runs."""

import re
import subprocess
import sys

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from school_billing.ledger.repository import Ledger
from school_billing.platform.observability.middleware import Observed
from tests.api import NOBODY, Api
from tests.deployment import expressions, health_command
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
    app.metrics.set_overdue({row.currency: row.overdue for row in await ledger.overdue()})
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
