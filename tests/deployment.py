"""The files that the service is shipped and watched with, as tests read them."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (ROOT / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
COLLECTOR: dict[str, Any] = yaml.safe_load((DEPLOY / "collector.yaml").read_text())
PROMETHEUS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
ALERTS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "school-billing.json").read_text())
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def health_command() -> list[str]:
    """Return the command by which a container engine asks whether the container is well."""
    found = re.search(r"^HEALTHCHECK [^\[]*CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    assert found
    command: list[str] = json.loads(found[1])
    return command


def expressions() -> dict[str, str]:
    """Return every PromQL expression of the alerts and the dashboard, by the alert's or panel's name."""
    panels = {
        f"panel {panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }
    return panels | {f"alert {rule['alert']}": rule["expr"] for rule in ALERTS}
