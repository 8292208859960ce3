"""The Containerfile, compose.yaml and what lies in deploy/: all of it that can be known without running it."""

import json
import re
from fnmatch import fnmatch
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft7Validator

from school_billing.platform.settings import Settings
from tests.deployment import ALERTS, COLLECTOR, COMPOSE, CONTAINERFILE, DASHBOARD, DEPLOY, OPERATIONS, PROMETHEUS, ROOT

SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_compose_is_what_the_compose_specification_says() -> None:
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    errors = [error.message for error in Draft7Validator(json.loads(schema.read_text())).iter_errors(COMPOSE)]
    assert errors == []


def test_compose_starts_the_service_and_its_database_and_the_profile_starts_what_watches() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert [name for name, profile in profiles.items() if not profile] == ["postgresql", "migrate", "seed", "api"]
    assert [name for name, profile in profiles.items() if profile == ["observability"]] == [
        "redis",
        "collector",
        "jaeger",
        "prometheus",
        "grafana",
    ]
    # In their order: the API never runs on a database that lacks a migration.
    assert SERVICES["migrate"]["depends_on"]["postgresql"]["condition"] == "service_healthy"
    assert SERVICES["seed"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["api"]["depends_on"]["seed"]["condition"] == "service_completed_successfully"


def test_compose_opens_ports_to_this_machine_alone() -> None:
    """The passwords are known."""
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_images_are_named_with_their_version() -> None:
    images = {service["image"] for service in SERVICES.values()} - {"school-billing"}
    images |= set(re.findall(r"^ARG PYTHON=(.*)$", CONTAINERFILE, re.MULTILINE))
    assert len(images) == 7
    assert all(re.fullmatch(r"[a-z/-]+:v?\d[\w.-]*", image) for image in images)


def test_what_compose_mounts_is_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", ()) if mount.startswith(".")]
    assert len(mounts) == 5
    for mount in mounts:
        assert (ROOT / mount.split(":")[0]).exists(), mount
        assert mount.endswith(":ro")


def test_what_compose_sets_is_a_setting() -> None:
    known = {field.upper() for field in Settings.__struct_fields__}
    assert set(SERVICES["api"]["environment"]) <= known


def test_compose_gives_the_stop_more_time_than_it_takes() -> None:
    assert int(SERVICES["api"]["stop_grace_period"].rstrip("s")) > Settings().shutdown_seconds + 2
    assert Settings().shutdown_seconds + 1 < 10, "after ten seconds, engines kill unless they are told otherwise"


def test_the_image_runs_as_nobody_in_particular_and_in_production() -> None:
    assert "# syntax" not in CONTAINERFILE, "it would load a program from a registry before the build begins"
    *_, runtime = re.split(r"^FROM ", CONTAINERFILE, flags=re.MULTILINE)
    assert re.search(r"^USER \d+:\d+$", runtime, re.MULTILINE), "a number: only that can be told from root"
    assert "ENVIRONMENT=production" in runtime
    assert not re.search(r"^RUN ", runtime, re.MULTILINE), "nothing is installed beside what was built"


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name
        for names in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE, re.MULTILINE)
        for name in names.split()
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    # The build of the wheel reads these, too.
    project = (ROOT / "pyproject.toml").read_text()
    for pattern in re.findall(r"^license-files = \[(.*?)\]", project, re.MULTILINE | re.DOTALL)[0].split(","):
        name = pattern.strip().strip('"')
        assert not name or any(fnmatch(name, f"{top}*") for top in copied), name


def test_every_part_of_the_collector_is_connected() -> None:
    for pipeline in COLLECTOR["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(COLLECTOR[kind])
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in COLLECTOR["service"]["pipelines"].values() for name in pipeline[kind]}
        assert used == set(COLLECTOR[kind])
    assert COLLECTOR["exporters"]["otlp"]["endpoint"].split(":")[0] in SERVICES


def test_prometheus_asks_services_that_there_are() -> None:
    targets = [target for job in PROMETHEUS["scrape_configs"] for target in job["static_configs"][0]["targets"]]
    assert {target.split(":")[0] for target in targets} == {"api"}
    assert PROMETHEUS["rule_files"] == ["alerts.yaml"]


def test_the_dashboards_panels_have_a_source_and_a_place_of_their_own() -> None:
    sources = (DEPLOY / "grafana" / "datasources" / "datasources.yaml").read_text()
    places = set()
    for panel in DASHBOARD["panels"]:
        assert f"uid: {panel['datasource']['uid']}\n" in sources
        assert panel["description"]
        places.add((panel["gridPos"]["x"], panel["gridPos"]["y"]))
    assert len(places) == len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    section = OPERATIONS.split(f"\n### {rule['alert']}\n")
    assert len(section) == 2, "a section of docs/operations.md"
    assert len(section[1].split("\n###")[0]) > 200


def test_no_section_is_of_an_alert_that_is_gone() -> None:
    told = re.findall(r"^### ([A-Z]\w+)$", OPERATIONS, re.MULTILINE)
    assert sorted(told) == sorted(rule["alert"] for rule in ALERTS)
