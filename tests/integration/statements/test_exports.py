"""Downloads of all of a school's invoices: what is in them, and what becomes of the connection they hold."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import psycopg

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import NOBODY, Api, Json, client_of, problem
from tests.conftest import running
from tests.server import Server, serve

MakeClient = Callable[..., httpx.AsyncClient]


async def lines_of(client: httpx.AsyncClient, school: Json, query: str = "") -> list[Json]:
    response = await client.get(f"/schools/{school['id']}/statement.ndjson{query}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in response.text.splitlines()]


def add_many(database_url: str, school: Json, count: int) -> None:
    """Raise `count` invoices on one student of a school, at once."""
    with psycopg.connect(database_url) as psql:
        psql.execute(
            """
            with student as (
              insert into students (school_id, full_name) values (%(school)s, 'Maggie') returning id, school_id
            )
            insert into invoices (school_id, student_id, total_amount, issued_at, due_date, description)
            select school_id, id, 10 + mod(number, 7), now() - interval '1 day', current_date, repeat('x', 100)
            from student, generate_series(1, %(count)s) as number
            """,
            {"school": school["id"], "count": count},
        )


async def test_every_invoice_is_a_line_with_its_student(api: Api) -> None:
    school, other = await api.school(), await api.school()
    lisa = await api.student(school, full_name="Lisa", external_id="S-1")
    bart = await api.student(school, full_name="Bart")
    first = await api.invoice(lisa, "100.00", description="Tuition")
    await api.pay(first, "30.00")
    await api.refund(first, "10.00")
    second = await api.invoice(bart, "50.00")
    void = await api.invoice(bart, "7.00")
    await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "entered twice"})
    await api.invoice(await api.student(other))
    await api.invoice(lisa, "9.00", issued_at="2999-01-01T00:00:00Z")  # Not on the account before its day.

    lines = await lines_of(api.client, school)
    assert [(line["id"], line["full_name"], line["external_id"], line["status"]) for line in lines] == [
        (first["id"], "Lisa", "S-1", "PARTIAL"),
        (second["id"], "Bart", None, "PENDING"),
        (void["id"], "Bart", None, "VOID"),
    ]
    assert (lines[0]["paid_total"], lines[0]["balance_due"]) == ("20.00", "80.00")  # 30 - 10; 100 - 20
    assert lines[2]["balance_due"] == "0.00"


async def test_the_lines_are_those_of_the_statement_now_and_as_of_any_moment(api: Api) -> None:
    school = await api.school(time_zone="Asia/Kolkata")
    student = await api.student(school)
    for month in (1, 2, 3):
        invoice = await api.invoice(student, "100.00", issued_at=f"2026-0{month}-10T00:00:00Z")
        await api.pay(invoice, "60.00", paid_at=f"2026-0{month}-15T00:00:00Z")
        await api.refund(invoice, "60.00", paid_at=f"2026-0{month}-20T18:29:59Z")  # 23:59:59 in Kolkata
    await api.client.post(f"/invoices/{invoice['id']}/void", json={"reason": "x"})
    seen = set[str]()
    for query in ("", "?as_of=2026-01-09", "?as_of=2026-02-15", "?as_of=2026-02-20", "?as_of=2026-02-20T18:29:58Z",
                  "?as_of=2026-03-31", "?as_of=2999-12-31"):  # fmt: skip
        statement = await api.get(f"/schools/{school['id']}/statement{query}")
        lines = await lines_of(api.client, school, query)
        assert [{name: line[name] for name in statement["invoices"][0]} for line in lines] == statement["invoices"]
        seen.add(json.dumps([(line["status"], line["paid_total"]) for line in lines]))
    # The second before the last of the 20th in Kolkata is as the 15th was, and the future is as now.
    assert len(seen) == 5


async def test_the_rows_for_a_spreadsheet_say_the_same_and_are_no_formulas(api: Api) -> None:
    school = await api.school(name="École Molière", currency="EUR")
    student = await api.student(school, full_name='=HYPERLINK("x")', external_id="+1,2")
    invoice = await api.invoice(student, "100.00", description='Books, "old"\nand new')
    await api.pay(invoice, "30.00")
    void = await api.invoice(student, "7.00")
    await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "entered twice"})
    amounts = ("total_amount", "payments_total", "refunds_total", "paid_total", "balance_due")
    for query, day in (("", r"\d{4}-\d\d-\d\d"), ("?as_of=2999-12-31", "2999-12-31")):
        response = await api.client.get(f"/schools/{school['id']}/statement.csv{query}")
        assert response.headers["content-type"].startswith("text/csv")
        name = f"invoices-ecole-moliere-{school['id'][-12:]}-{day}.csv"
        assert re.fullmatch(f'attachment; filename="{name}"', response.headers["content-disposition"])
        live, void_row = csv.DictReader(io.StringIO(response.text, newline=""))
        for row, line in zip((live, void_row), await lines_of(api.client, school, query), strict=True):
            assert row == {
                **{name: "" if value is None else value for name, value in line.items()},
                "full_name": '\'=HYPERLINK("x")',
                "external_id": "'+1,2",
                "voided_amount": "",
                "currency": "EUR",
            } | (dict.fromkeys(amounts, "") | {"voided_amount": "7.00"} if row is void_row else {})
        assert (live["total_amount"], live["balance_due"]) == ("100.00", "70.00")  # 100 - 30


async def test_a_school_without_invoices_is_empty_and_one_that_is_none_is_404(
    api: Api, make_client: MakeClient
) -> None:
    mine, other = await api.school(), await api.school()
    await api.invoice(await api.student(other))
    assert await lines_of(api.client, mine) == []
    empty = await api.client.get(f"/schools/{mine['id']}/statement.csv")
    assert empty.text.count("\r\n") == 1
    assert empty.text.startswith("id,student_id,full_name,external_id,total_amount,")
    problem(await api.client.get(f"/schools/{NOBODY}/statement.ndjson"), 404, "school_not_found")
    async with make_client(Role.ADMIN, UUID(mine["id"])) as bound:
        problem(await bound.get(f"/schools/{other['id']}/statement.ndjson"), 404, "school_not_found")
    problem(await api.client.get(f"/schools/{mine['id']}/statement.ndjson?as_of=soon"), 400, "invalid_parameter")


async def test_head_makes_no_lines_and_frees_its_connection(server: Server, database_url: str, psql: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=server.admin) as http:
        school = (await http.post("/schools", json={"name": "Many"})).json()
        add_many(database_url, school, 5_000)
        response = await http.head(f"/schools/{school['id']}/statement.ndjson")
        assert (response.status_code, response.content) == (200, b"")
        await until_transactions(psql, 0)


IN_TRANSACTION = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name = 'school-billing' and state like '%in transaction%'
"""


async def until_transactions(psql: Any, count: int) -> None:
    async with asyncio.timeout(5):
        while await psql.fetchval(IN_TRANSACTION) != count:  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.01)


async def test_a_reader_who_leaves_frees_the_connection_at_once(server: Server, database_url: str, psql: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=10) as http:
        school = (await http.post("/schools", json={"name": "Many"})).json()
        add_many(database_url, school, 50_000)
        path = f"/schools/{school['id']}/statement.ndjson"
        for _ in range(12):  # More often than there are connections.
            async with http.stream("GET", path) as response:
                parts = response.aiter_bytes()  # Forgotten, it would close the response.
                await anext(parts)
                await until_transactions(psql, 1)
            await until_transactions(psql, 0)
        whole = (await http.get(path)).text.splitlines()
        assert len(whole) == 50_000
        assert len({json.loads(line)["id"] for line in whole}) == 50_000


async def test_downloads_leave_half_of_the_connections_to_others(
    database_url: str, new_database: Callable[..., str]
) -> None:
    url = new_database()
    with serve(url, DATABASE_POOL_MAX="8", DATABASE_ACQUIRE_TIMEOUT_MS="500") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=10) as http:
            paths = []
            for name in ("Many", "As many", "Few"):
                school = (await http.post("/schools", json={"name": name})).json()
                add_many(url, school, 50_000 if "any" in name else 1)
                paths.append(f"/schools/{school['id']}/statement.ndjson")
            path, other, few = paths
            async with http.stream("GET", path) as first, http.stream("GET", path) as second:
                both = first.aiter_bytes(), second.aiter_bytes()  # Forgotten, they would close the responses.
                for parts in both:
                    await anext(parts)
                refused = await http.get(path)
                problem(refused, 503)
                assert refused.headers["retry-after"] == "1"
                assert (await http.get("/schools")).status_code == 200
                # One school's readers leave room for another's, and all together for everything else.
                assert (await http.get(few)).status_code == 200
                async with http.stream("GET", other) as third, http.stream("GET", other) as fourth:
                    more = third.aiter_bytes(), fourth.aiter_bytes()
                    for parts in more:
                        await anext(parts)
                    problem(await http.get(few), 503)
                    assert (await http.get("/schools")).status_code == 200
            async with asyncio.timeout(5):
                # The server hears a moment later that its readers have left.
                while (last := await http.get(path)).status_code == 503:
                    pass
            assert last.status_code == 200


async def test_all_lines_are_of_one_moment(api: Api, database_url: str, settings: Settings) -> None:
    school = await api.school()
    add_many(database_url, school, 3_000)
    service = create_app(settings)
    token = log_in(settings.database_url, settings.jwt_secret, Role.ADMIN)
    async with running(service), client_of(service, Authorization=f"Bearer {token}"):
        from school_billing.statements.repository import Statements  # noqa: PLC0415 - beside its only use.

        statements = Statements(service.litestar.state.database)
        lines = statements.lines_of_school(None, UUID(school["id"]), None)
        first = await anext(lines)
        with psycopg.connect(database_url) as psql:
            psql.execute("update invoices set description = 'changed' where school_id = %s", [school["id"]])
        rest = [row async for part in lines for row in part]
    assert len(first) + len(rest) == 3_000
    assert {row.description for row in rest} == {"x" * 100}
