"""The OpenAPI document and its page; and schemathesis, which tries what the document says."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from school_billing.auth.contracts import Role
from tests.server import serve


@pytest.fixture(scope="module")
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/openapi.json")
    found: dict[str, Any] = response.json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, op) for path, methods in document["paths"].items() for method, op in methods.items()]


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_operation_says_what_it_is_and_how_it_fails(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)
        assert operation.get("security") or path.startswith(("/health", "/metrics", "/auth")), (path, method)
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (path, parameter["name"])
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= set(operation["responses"]), (path, method)
        if operation.get("security"):
            assert {"401", "403"} <= set(operation["responses"]), (path, method)
        if "{" in path:
            assert {"400", "404"} <= set(operation["responses"]), (path, method)


def test_every_single_resource_says_how_to_ask_for_it_and_change_it_on_condition(document: dict[str, Any]) -> None:
    conditional: dict[str, set[tuple[str, str]]] = {"If-None-Match": set(), "If-Match": set()}
    for path, method, operation in operations(document):
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        for header in conditional.keys() & names:
            conditional[header].add((method, path))
        assert ("304" in operation["responses"]) == ("If-None-Match" in names), (path, method)
        assert ("412" in operation["responses"]) == ("If-Match" in names), (path, method)
        for status in {"200", "201", "304"} & set(operation["responses"]):
            with_etag = status == "201" or bool(conditional.keys() & names)
            assert ("ETag" in operation["responses"][status].get("headers", {})) == with_etag, (path, method)
    things = {f"/{noun}s/{{{noun}_id}}" for noun in ("school", "student", "invoice", "payment")}
    statements = {"/students/{student_id}/statement"} | {
        f"/schools/{{school_id}}/{report}" for report in ("statement", "debtors", "collections")
    }
    printed = {f"/students/{{student_id}}/statement.{kind}" for kind in ("html", "pdf", "csv")}
    printed |= {f"/schools/{{school_id}}/statement.{kind}" for kind in ("html", "pdf")}
    others = {"/users/{user_id}", "/api-keys/{api_key_id}"}
    assert conditional["If-None-Match"] == {("get", path) for path in things | statements | printed | others}
    assert conditional["If-Match"] == {
        *(("patch", path) for path in things),
        *(("delete", path) for path in things),
        ("post", "/invoices/{invoice_id}/void"),
        ("patch", "/users/{user_id}"),
        ("put", "/users/{user_id}/password"),
        ("delete", "/api-keys/{api_key_id}"),
    }


def test_every_struct_is_described_and_refuses_unknown_fields_where_it_comes_in(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description") or schema.get("enum"), name
        if name.endswith(("In", "Patch")):
            assert schema["additionalProperties"] is False, name
    amount = document["components"]["schemas"]["PaymentIn"]["properties"]["amount"]
    assert amount["examples"] == ["600.00", 600]


async def test_the_page_needs_no_internet(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        if link != "data:,":
            assert link.startswith("/")
            assert (await client.get(link)).status_code == 200
    assert (await client.get("/docs/openapi.json")).content == (await client.get("/openapi.json")).content
    assert (await client.get("/")).headers["location"] == "/docs"


@pytest.mark.parametrize(
    ("role", "is_bound", "examples"),
    [(Role.ADMIN, False, 15), (Role.ADMIN, True, 5), (Role.ACCOUNTANT, True, 5), (Role.VIEWER, True, 5)],
    ids=["admin", "admin of a school", "accountant of a school", "viewer of a school"],
)
def test_no_request_that_the_document_allows_or_forbids_makes_a_server_error(
    new_database: Callable[..., str], role: Role, is_bound: bool, examples: int
) -> None:
    # On a database of its own: what schemathesis makes of it concerns no other test.
    schemathesis = Path(sys.executable).with_name("schemathesis")
    with serve(new_database()) as server:
        school = httpx.post(f"{server.url}/schools", json={"name": "Mine"}, headers=server.admin).json()
        headers = server.logged_in(role, school["id"] if is_bound else None)
        result = subprocess.run(
            [
                *(
                    schemathesis,
                    "run",
                    f"{server.url}/openapi.json",
                    f"--max-examples={examples}",
                    "--seed=1",
                    "--no-color",
                ),
                *("--phases=examples,coverage,fuzzing,stateful", "--generation-database=none", f"--checks={CHECKS}"),
                f"--header=Authorization: {headers['Authorization']}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 0, result.stdout[-10_000:]


CHECKS = ",".join(
    [
        "not_a_server_error",
        "negative_data_rejection",
        "unsupported_method",
        "ignored_auth",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "use_after_free",
    ]
)
