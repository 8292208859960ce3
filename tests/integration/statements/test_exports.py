"""Downloads of all of a school's invoices: what is in them, and what becomes of the connection they hold."""

import asyncio
import csv
import io
import json
import logging
import re
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import uvicorn
from msgspec.structs import replace
from structlog.testing import capture_logs

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.observability.logging import LinesToStructlog
from school_billing.platform.settings import Settings
from school_billing.serving.server import bind
from school_billing.statements import downloads
from tests.accounts import log_in
from tests.api import NOBODY, Api, Json, client_of, problem
from tests.conftest import running
from tests.integration.observability.receivers import sentry
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
        psql.execute("set local session_replication_role = replica")  # No download reads the audit trail.
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
    adjusted = ["credited_total", "discounted_total", "written_off_total"]
    amounts = ["total_amount", *adjusted, "payments_total", "refunds_total", "paid_total", "balance_due"]
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


class Reader:
    """A client that reads as slowly as the test says."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131_072)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self.received = 0
        self.end = b""

    async def ask(self, path: str, token: str) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        await self._loop.sock_sendall(self._socket, request.encode())
        assert await self.read() > 0

    async def read(self) -> int:
        """Read what is there, and return how much."""
        try:
            part = await self._loop.sock_recv(self._socket, 65_536)
        except ConnectionError:
            part = b""
        self.received += len(part)
        self.end = (self.end + part)[-7:]
        return len(part)

    async def read_all(self, bytes_per_second: float = 1e9) -> bool:
        """Read to the end, and return whether the answer is complete."""
        while count := await self.read():  # noqa: ASYNC110 - it reads
            await asyncio.sleep(count / bytes_per_second)
        return self.end.endswith(b"\r\n0\r\n\r\n")

    def leave(self, *, by_reset: bool = False) -> None:
        if by_reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[int]:
    """Serve the application on a port of its own, in this process."""
    sockets = bind(replace(settings, port=0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, access_log=False))
    # What uvicorn logs goes where the product lets it go.
    lines = LinesToStructlog()
    logging.getLogger("uvicorn.error").addHandler(lines)
    serving = asyncio.create_task(server.serve(sockets))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        logging.getLogger("uvicorn.error").removeHandler(lines)


async def test_an_answer_that_breaks_off_is_one_log_line_and_no_bug(
    settings: Settings, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reader leaves, stalls, or takes too long; or its database is lost. The client sees that the end lacks."""
    url = new_database()
    token = log_in(url, settings.jwt_secret, Role.ADMIN)
    school, student = UUID(int=1), UUID(int=2)
    with psycopg.connect(url) as psql:
        psql.execute("insert into schools (id, name) values (%s, 'Many')", [school])
        psql.execute("insert into students (id, school_id, full_name) values (%s, %s, 'Lisa')", [student, school])
    add_many(url, {"id": school}, 5_000)
    paths = [f"/schools/{school}/statement.csv", f"/schools/{school}/statement.ndjson"]

    with sentry() as there:
        quiet = replace(settings, log_slow_query_ms=0, audit_seal_interval_ms=3_600_000)
        async with served(replace(quiet, database_url=url, sentry_dsn=there.dsn, database_pool_max=4)) as port:

            async def broken_off(path: str, act: Callable[[Reader], Any]) -> list[str]:
                """Ask, break the answer off by `act`, and return the lines of the log."""
                reader = Reader(port)
                with capture_logs() as logs:
                    await reader.ask(path, token)
                    if (acting := act(reader)) is not None:
                        await acting
                        assert not await reader.read_all()
                    async with asyncio.timeout(5):
                        while not any(line["event"] == "request" for line in logs):  # noqa: ASYNC110 - no event
                            await asyncio.sleep(0.01)
                    await asyncio.sleep(0)
                reader.leave()
                return [f"{line['event']}: {line.get('reason') or line.get('status')}" for line in logs]

            async def kill(_reader: Reader) -> None:
                with psycopg.connect(url, autocommit=True) as psql:
                    psql.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and state = 'idle in transaction'"
                    )

            for path in paths:
                for _ in range(2):
                    assert await broken_off(path, lambda reader: reader.leave()) == ["request: 499"]
                    assert await broken_off(path, lambda reader: reader.leave(by_reset=True)) == ["request: 499"]
                with monkeypatch.context() as patched:
                    patched.setattr(downloads, "STALL_SECONDS", 0.3)
                    stalled = ["an answer was broken off: its reader took nothing for 0.3 seconds", "request: 200"]
                    assert await broken_off(path, lambda _reader: asyncio.sleep(0.6)) == stalled
                lost = ["an answer was broken off: DatabaseUnavailable", "request: 200"]
                assert await broken_off(path, kill) == lost
            with monkeypatch.context() as patched:
                patched.setattr(downloads, "TOTAL_SECONDS", 0.5)
                endless = ["an answer was broken off: it took longer than 0.5 seconds", "request: 200"]
                assert await broken_off(paths[0], lambda reader: reader.read_all(400_000)) == endless

            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                metrics = (await http.get("/metrics")).text
        assert 'status="499"} 4.0' in metrics
        assert 'status="500"' not in metrics
        assert "http_errors_total{" not in metrics
    assert there.events == []


async def test_a_slow_but_steady_reader_gets_the_whole_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress counts, and not how soon a large part is gone; the ratios of 100 KB/s and 30 seconds."""
    monkeypatch.setattr(downloads, "STALL_SECONDS", 0.3)
    sent, complete = bytearray(), asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(len(message["body"]) / 10_000_000)
            sent.extend(message["body"])
            if not message["more_body"]:
                complete.set()

    async def receive() -> Any:
        await complete.wait()
        return {"type": "http.disconnect"}

    async def others() -> AsyncGenerator[bytes]:
        yield b"y" * 3_000_000

    answer = downloads.Download((b"x" * 3_000_000, others()), "text/csv")
    request: Any = SimpleNamespace(scope={})
    await answer.to_asgi_response(None, request)(request.scope, receive, send)
    assert sent == b"x" * 3_000_000 + b"y" * 3_000_000


async def test_downloads_leave_half_of_the_connections_to_others(
    database_url: str, new_database: Callable[..., str]
) -> None:
    url = new_database()
    with serve(url, DATABASE_POOL_MAX="4", DATABASE_ACQUIRE_TIMEOUT_MS="500") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=10) as http:
            paths = []
            for name in ("Many", "As many", "Few"):
                school = (await http.post("/schools", json={"name": name})).json()
                add_many(url, school, 50_000 if "any" in name else 1)
                paths.append(f"/schools/{school['id']}/statement.ndjson")
            path, other, few = paths
            async with http.stream("GET", path) as first:
                parts = first.aiter_bytes()  # Forgotten, it would close the response.
                await anext(parts)
                refused = await http.get(path)
                problem(refused, 503)
                assert refused.headers["retry-after"] == "1"
                # A school's reader leaves room for another's, and both together for everything else.
                assert (await http.get(few)).status_code == 200
                async with http.stream("GET", other) as second:
                    more = second.aiter_bytes()
                    await anext(more)
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
