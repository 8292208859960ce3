"""The OpenAPI document and its page; and schemathesis, which tries what the document says."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from school_billing.seed import SPRINGFIELD, seed
from tests.api import client_of, problem
from tests.conftest import running
from tests.routes import operations
from tests.server import serve


@pytest.fixture(scope="module")
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/openapi.json")
    found: dict[str, Any] = response.json()
    return found


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_operation_says_what_it_is_and_how_it_fails(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)
        assert operation["security"] or path.startswith(("/health", "/metrics", "/auth")), (path, method)
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (path, parameter["name"])
            assert "null" not in json.dumps(parameter), (path, parameter["name"])
        for status, response in operation["responses"].items():
            assert "X-Request-Id" in response["headers"]
            assert ("WWW-Authenticate" in response["headers"]) == (status == "401")
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
    things = {f"/{noun}s/{{{noun}_id}}" for noun in ("school", "student", "payer", "invoice", "payment")}
    receipt = "/receipts/{receipt_id}"  # No receipt is deleted.
    statements = {"/students/{student_id}/statement", "/payers/{payer_id}/statement"} | {
        f"/schools/{{school_id}}/{report}"
        for report in ("statement", "debtors", "debtors.csv", "debtors.xlsx", "collections", "forecast")
    }
    statements |= {f"/schools/{{school_id}}/roll-forward{kind}" for kind in ("", ".csv", ".xlsx")}
    printed = {
        f"/{whose}s/{{{whose}_id}}/statement.{kind}"
        for whose in ("student", "payer")
        for kind in ("html", "pdf", "csv", "xlsx")
    }
    printed |= {f"/schools/{{school_id}}/statement.{kind}" for kind in ("html", "pdf")}
    printed |= {f"{paper}.{kind}" for paper in (receipt, "/invoices/{invoice_id}") for kind in ("html", "pdf")}
    run = "/billing-runs/{billing_run_id}"
    # Nothing changes an adjustment.
    others = {"/users/{user_id}", "/api-keys/{api_key_id}", receipt, run, "/adjustments/{adjustment_id}"}
    others |= {f"{place}/closings/{{closing_id}}" for place in ("", "/schools/{school_id}")}
    things |= {"/fee-plans/{plan_id}", "/awards/{award_id}"}
    assert conditional["If-None-Match"] == {("get", path) for path in things | statements | printed | others}
    assert conditional["If-Match"] == {
        *(("patch", path) for path in things | {receipt}),
        *(("delete", path) for path in things),
        ("post", "/invoices/{invoice_id}/void"),
        *(("post", f"{run}/{verb}") for verb in ("commit", "abandon", "revert")),
        *(("post", f"{receipt}/{action}") for action in ("allocations", "refunds", "reverse")),
        ("post", "/payments/{payment_id}/reverse"),
        ("patch", "/users/{user_id}"),
        ("put", "/users/{user_id}/password"),
        ("delete", "/api-keys/{api_key_id}"),
    }


def test_every_struct_is_described_and_refuses_unknown_fields_where_it_comes_in(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description") or schema.get("enum"), name
        if name.endswith(("In", "Patch")):
            assert schema["additionalProperties"] is False, name


def test_money_is_one_schema_and_no_choice_stands_where_a_type_would_do(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{2}$"}.items() <= schemas["Money"].items()
    assert json.dumps(document).count(json.dumps(schemas["Money"]["pattern"])) == 1
    money = schemas["Invoice"]["properties"]["balance_due"]
    assert money.pop("description")
    assert money == {"$ref": "#/components/schemas/Money", "examples": ["550.00"]}
    assert schemas["PaymentPatch"]["properties"]["amount"]["$ref"] == "#/components/schemas/Amount"
    method = schemas["PaymentIn"]["properties"]["method"]
    assert (method["type"], method["maxLength"]) == (["string", "null"], 50)
    assert schemas["Payment"]["properties"]["paid_at"]["format"] == "date-time"
    assert "default" not in json.dumps([schema.get("properties") for schema in schemas.values()]).replace(
        "by default", ""
    )
    for schema in _schemas(document):
        for choice in ("anyOf", "oneOf", "allOf"):
            assert len(schema.get(choice, [{}, {}])) > 1, schema
            assert all(
                "$ref" in one or one == {"type": "null"} or one["type"] == "array" for one in schema.get(choice, [])
            ) or (schema["title"] == "Moment")


def _schemas(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _schemas(child)


def test_every_answer_and_every_body_has_an_example_that_is_valid(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for answer in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for media_type, content in answer.get("content", {}).items():
                examples = [content["example"]] if "example" in content else []
                for example in content.get("examples", {}).values():
                    name = example.get("$ref", "").rpartition("/")[2]
                    examples.append((document["components"]["examples"][name] if name else example)["value"])
                assert examples, (path, media_type)
                schema = content["schema"] | {"components": document["components"]}
                for example in examples:
                    Draft202012Validator(schema, format_checker=FormatChecker()).validate(example)
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            enum = document["components"]["schemas"].get(described.get("$ref", "").rpartition("/")[2], {}).get("enum")
            assert enum is None or {*described.get("examples", ())} <= {*enum}, (name, field)
    assert document["paths"]["/payments/{payment_id}"]["patch"]["requestBody"]["content"]["application/json"][
        "example"
    ] == {"reference": "DEMO-PARTIAL-1"}


async def test_the_examples_work_on_the_demo_as_the_page_opens(
    document: dict[str, Any], new_database: Callable[..., str]
) -> None:
    settings = Settings(database_url=new_database())
    await seed(settings, demo=False)
    async with Database(settings) as database:
        await database.one(SPRINGFIELD)
    service = create_app(settings)
    refused = set()
    async with running(service), client_of(service) as client:
        log_in = document["paths"]["/auth/login"]["post"]["requestBody"]["content"]["application/json"]["example"]
        tokens = (await client.post("/auth/login", json=log_in)).json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"

        def turn(one: tuple[str, str, dict[str, Any]]) -> int:
            """Return when an example is tried: what is written off takes no payments, and what is deleted is gone."""
            return {"delete": 2}.get(one[1], one[0].endswith(("/write-off", "/abandon")))

        for path, method, operation in sorted(operations(document), key=turn):
            if path.startswith(("/auth", "/users/", "/api-keys/")):
                continue  # The seed has only the administrator, who cannot change this account there.
            given = operation.get("parameters", [])
            ids = {one["name"]: one.get("example") for one in given}
            asked = {one["name"]: ids[one["name"]] for one in given if one["in"] == "query" and one["required"]}
            content = operation.get("requestBody", {}).get("content", {})
            body = {"json": content["application/json"]["example"]} if content else {}
            answer = await client.request(method, path.format(**ids), params=asked, **body)
            if answer.status_code >= 300:
                refused.add((operation["operationId"], problem(answer, answer.status_code)["code"]))
            elif method == "get" and path == "/invoices/{invoice_id}":
                shown = operation["responses"]["200"]["content"]["application/json"]["example"]
                written = ("created_at", "updated_at", "due_date", "payments_total", "paid_total", "balance_due")
                found = answer.json()
                assert {**shown, **{name: found[name] for name in written}} == found
    assert refused == {
        ("void_invoice", "invoice_has_payments"),
        ("delete_invoice", "invoice_has_payments"),
        ("delete_payment", "over_refund"),
        ("delete_student", "in_use"),
        ("delete_payer", "in_use"),
        ("delete_school", "in_use"),
        ("delete_fee_plan", "in_use"),
        ("abandon_billing_run", "billing_run_committed"),  # A moment before.
        ("refund_receipt", "receipt_spent"),  # It was allocated a moment before.
        ("reverse_payment", "not_allocated"),
        ("reverse_adjustment", "adjustment_reversed"),
        # No month of the demo is closed before the first example closes one.
        *((name, "closing_not_found") for name in ("get_closing", "get_closing_of_school", "reopen_closing")),
    }


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


# The printed forms and files of a statement take its parameters, and some of their own that test_printed tries.
PRINTED = r"\.(html|pdf|csv|xlsx|ndjson)$"


@pytest.mark.parametrize(
    ("role", "is_bound", "options"),
    [
        (Role.ADMIN, False, ["--phases=coverage", f"--exclude-path-regex={PRINTED}"]),
        (Role.ADMIN, False, ["--phases=examples,fuzzing,stateful", "--max-examples=2"]),
        # test_tenancy sends each route as the other callers of one school.
        (Role.ACCOUNTANT, True, ["--phases=fuzzing", "--max-examples=2"]),
    ],
    ids=["each limit", "admin", "accountant of a school"],
)
def test_no_request_that_the_document_allows_or_forbids_makes_a_server_error(
    new_database: Callable[..., str], tmp_path: Path, role: Role, is_bound: bool, options: list[str]
) -> None:
    # On a database of its own: what schemathesis makes of it concerns no other test.
    schemathesis = str(Path(sys.executable).with_name("schemathesis"))
    path = tmp_path / "openapi.json"
    with serve(new_database()) as server:
        document = httpx.get(f"{server.url}/openapi.json").json()
        # Generated clients send amounts as strings, so the document has no number. The service takes numbers as well.
        schemas = document["components"]["schemas"]
        number = {"type": "number", "minimum": 0.01, "maximum": 9999999999.99, "multipleOf": 0.01}
        schemas["Amount"] = {"anyOf": [schemas["Amount"], number]}
        path.write_text(json.dumps(document))
        school = httpx.post(f"{server.url}/schools", json={"name": "Mine"}, headers=server.admin).json()
        headers = server.logged_in(role, school["id"] if is_bound else None)
        result = subprocess.run(
            [
                *(schemathesis, "run", str(path), f"--url={server.url}", *options),
                *("--seed=1", "--no-color", "--generation-database=none", f"--checks={CHECKS}"),
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
