from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx
import msgspec
import pytest

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.billing_runs.repository import LIST as RUNS
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings
from school_billing.platform.web.json_body import exact_decoder, whole
from school_billing.platform.web.pages import encode_cursor, first_page
from school_billing.schools.repository import LIST as SCHOOLS
from school_billing.seed import seed
from tests.accounts import log_in
from tests.api import Api, client_of, problem
from tests.conftest import running

LISTS = sorted(name for name, query in Query.registered.items() if "newest_first" in query.parameters)


@pytest.fixture(scope="module")
async def demo(new_database: Callable[..., str]) -> Settings:
    """Return a database in which no list is empty, and some values are hard to write as JSON."""
    settings = Settings(database_url=new_database())
    await seed(settings, demo=True)
    service = create_app(settings)
    token = log_in(settings.database_url, settings.jwt_secret, Role.ADMIN)
    async with running(service), client_of(service, Authorization=f"Bearer {token}") as client:
        api = Api(client)
        student = await api.student(await api.school(), full_name='Åsa "Bobby" O\'Neil \\ </script> 😀')
        for fraction in ("", ".5", ".120", ".000010", ".123456"):
            issued_at = f"2026-03-29T01:30:00{fraction}+01:00"
            await api.invoice(student, issued_at=issued_at, description='One\nTwo\u00a0"3"')
        for path, body in (
            ("/api-keys", {"name": "Export", "role": "viewer"}),
            (f"/schools/{student['school_id']}/closings", {"through": "2025-01-31", "reason": "Zeros"}),
        ):
            (await client.post(path, json=body)).raise_for_status()
    return settings


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_is_the_json_of_its_structs(demo: Settings, name: str) -> None:
    query = Query.registered[name]
    async with Database(demo) as database:
        filters = dict.fromkeys(set(query.parameters) - {"after", "newest_first", "limit", "offset"})
        if name == "billing_runs/rows":
            nothing = dict.fromkeys(("tenant", "school_id", "plan_id", "kind", "period"))
            run, *_ = await first_page().items(database, RUNS, **nothing)
            filters |= {"school_id": run.school_id, "billing_run_id": run.id}
        if name == "closings/list":
            filters["school_id"] = (await first_page().items(database, SCHOOLS, tenant=None))[-1].id
        items = await first_page().items(database, query, **filters)
        is_whole = name in {"closings/list", "fee_plans/list"}
        read = first_page().read_whole if is_whole else first_page().read
        page: Any = first_page().answer(await read(database, query, **filters))
    assert items
    assert is_whole or page.content == msgspec.json.encode(items)
    structs = [whole(item) for item in items]
    parts: list[msgspec.Raw] = msgspec.json.decode(page.content, type=list[msgspec.Raw])
    kind: Any = query.returns
    assert [exact_decoder(kind).decode(part) for part in parts] == structs
    if name != "audit/list":  # Amounts are numbers in the rows of the trail.
        assert msgspec.json.decode(page.content) == msgspec.json.decode(msgspec.json.encode(structs, enc_hook=str))


async def test_cursors_walk_a_list_without_gap_or_repeat_while_it_grows(api: Api) -> None:
    school = await api.school()
    students = [(await api.student(school))["id"] for _ in range(5)]
    path: str | None = f"/students?school_id={school['id']}&limit=2"
    seen: list[str] = []
    while path:
        response = await api.client.get(path)
        seen += [student["id"] for student in response.json()]
        if len(seen) == 2:
            students.append((await api.student(school))["id"])
        path = response.links.get("next", {}).get("url")
        cursor = response.headers.get("x-next-cursor")
        assert (cursor is not None and f"cursor={cursor}" in path) if path else cursor is None
    assert seen == students


async def test_a_list_goes_newest_first_and_counts_all_if_the_request_asks_for_it(api: Api) -> None:
    school = await api.school()
    students = [(await api.student(school, full_name=f"Student {number}"))["id"] for number in range(5)]
    await api.student()
    first = await api.client.get(f"/schools/{school['id']}/students?limit=2&order=desc&count=true&name=student")
    assert first.headers["total-count"] == "5"
    path: str | None = first.links["next"]["url"]
    assert path is not None
    assert "order=desc" in path
    names = [name for name, _ in parse_qsl(urlsplit(path).query)]
    assert names == [*sorted(names[:-1]), "cursor"]  # At every instance, so that the entity tag is the same.
    assert "count" not in path  # Counting reads all rows, and the client has the number.
    students.append((await api.student(school, full_name="Student 5"))["id"])
    seen = [student["id"] for student in first.json()]
    while path:
        response = await api.client.get(path)
        seen += [student["id"] for student in response.json()]
        path = response.links.get("next", {}).get("url")
    assert seen == students[4::-1]
    empty = await api.client.get(f"/schools/{school['id']}/students?offset=9&count=true&order=asc")
    assert (empty.json(), empty.headers["total-count"]) == ([], "6")
    for noun in ("schools", "students", "invoices", "payments", "audit", "users", "api-keys"):
        newest = await api.client.get(f"/{noun}?order=desc&limit=3&count=true&offset=0")
        ids = [row["id"] for row in newest.json()]
        assert ids == sorted(ids, reverse=True), noun
        assert int(newest.headers["total-count"]) >= len(ids), noun
        assert "total-count" not in (await api.client.get(f"/{noun}?limit=1")).headers
    for query in ("order=newest", "order=", "count=x"):
        refusal = problem(await api.client.get(f"/students?{query}"), 400, "invalid_parameter")
        assert [error["field"] for error in refusal["errors"]] == [query.partition("=")[0]]
    # The invoices of a statement and the debtors have an order of their own.
    for report in ("statement", "debtors"):
        problem(await api.client.get(f"/schools/{school['id']}/{report}?order=desc"), 400, "invalid_parameter")


async def test_the_last_page_has_no_next(api: Api) -> None:
    school = await api.school()
    for _ in range(2):
        await api.student(school)
    assert "link" not in (await api.client.get(f"/schools/{school['id']}/students?limit=2")).headers
    assert "link" in (await api.client.get(f"/schools/{school['id']}/students?limit=1")).headers


async def test_offset_passes_over_items(api: Api) -> None:
    school = await api.school()
    students = [await api.student(school) for _ in range(4)]
    path = f"/schools/{school['id']}/students"
    assert await api.get(f"{path}?limit=2&offset=1") == students[1:3]
    assert await api.get(f"{path}?offset=4") == []
    response = await api.client.get(f"{path}?limit=2&offset=1")
    assert (await api.client.get(response.links["next"]["url"])).json() == students[3:]


async def test_a_hundred_is_the_default_and_five_hundred_the_most(api: Api, client: httpx.AsyncClient) -> None:
    invoice = await api.invoice(total="1000.00")
    for _ in range(101):
        await api.pay(invoice, "1.00")
    path = f"/invoices/{invoice['id']}/payments"
    assert len(await api.get(path)) == 100
    assert len(await api.get(f"{path}?limit=500")) == 101


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=501", f"limit={10**30}",
        "limit=x", "limit=", "limit=1.5", "offset=-1", f"offset={10**30}",
        "offset=x", "cursor=x", "cursor=", "cursor=AAAAAAAAAAAAAAAAAAAAAA==", "cursor=ÄÄ", f"cursor={'A' * 100}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/schools", "/payments", "/schools/01980000-0000-7000-8000-000000000001/statement"])
async def test_a_wrong_page_is_a_400_that_names_the_parameter(client: httpx.AsyncClient, path: str, query: str) -> None:
    refusal = problem(await client.get(f"{path}?{query}"), 400, "invalid_parameter")
    assert [error["field"] for error in refusal["errors"]] == [query.partition("=")[0]]


async def test_cursor_and_offset_exclude_each_other(client: httpx.AsyncClient, api: Api) -> None:
    cursor = encode_cursor(UUID(int=1).bytes)
    problem(await client.get(f"/schools?offset=1&cursor={cursor}"), 400, "invalid_parameter")


async def test_a_parameter_that_is_not_known_is_refused(client: httpx.AsyncClient) -> None:
    refusal = problem(await client.get("/invoices?studnet_id=x&limit=1"), 400, "invalid_parameter")
    assert [error["field"] for error in refusal["errors"]] == ["studnet_id"]
    assert (await client.get("/metrics?name[]=x")).status_code == 200


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/invoices?student_id=null", "student_id"),
        ("/invoices?student_id=NULL", "student_id"),
        ("/invoices?status=null", "status"),
        ("/invoices?due_from=null", "due_from"),
        ("/payments?invoice_id=null", "invoice_id"),
        ("/invoices?status=PAID&status=PENDING", "status"),
        ("/invoices?limit=1&limit=2", "limit"),
        ("/students?name=%00", "name"),
        ("/payments?reference=a%00b", "reference"),
    ],
)
async def test_a_filter_that_would_not_be_applied_is_refused(client: httpx.AsyncClient, path: str, name: str) -> None:
    refusal = problem(await client.get(path), 400, "invalid_parameter")
    assert [error["field"] for error in refusal["errors"]] == [name]


async def test_null_is_a_name_like_any_other(api: Api) -> None:
    student = await api.student(full_name="Null", external_id="null")
    of_school = f"/schools/{student['school_id']}/students"
    assert await api.get(f"{of_school}?name=null&external_id=null") == [student]
