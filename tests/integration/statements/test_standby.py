"""Statements from a real standby: never older than what was committed, and never an error of the standby's."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID

import msgspec
import psycopg
import pytest
from structlog.testing import capture_logs

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.database.errors import DatabaseUnavailable
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from school_billing.statements import standby as standby_module
from school_billing.statements.repository import SCHOOL_LINES
from school_billing.statements.repository import STUDENT as STUDENT_STATEMENT
from school_billing.statements.standby import IS_LEVEL, POSITION, Position, StandbyReader, standby_of
from tests.accounts import log_in
from tests.api import NOBODY, Api, Json, client_of, problem
from tests.conftest import running
from tests.postgres import beside
from tests.redis import redis_url
from tests.standby import Pair, pair_of_servers

LEVEL = ("standby", "level")
BEHIND = ("primary", "behind")
BUSY = ("primary", "busy")
CANCELED = ("primary", "canceled")
UNAVAILABLE = ("primary", "unavailable")

Counts = dict[tuple[str, str], float]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair_of_servers(tmp_path_factory.mktemp("pair")) as servers:
        yield servers


@pytest.fixture(autouse=True)
def short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may be slow to say its version, and no test has the time of an operator."""
    monkeypatch.setattr(standby_module, "ANSWER_SECONDS", 5.0)
    monkeypatch.setattr(standby_module, "PAUSE_SECONDS", 0.2)


@asynccontextmanager
async def api_on(pair: Pair, **changed: Any) -> AsyncIterator[Api]:
    """An instance on the primary and its standby; nothing is sealed while a test counts."""
    settings = msgspec.structs.replace(
        Settings(
            database_url=pair.primary.url,
            read_database_url=pair.standby.url,
            audit_seal_interval_ms=3_600_000,
            overdue_interval_seconds=0,
            statement_cache_mb=0,  # What is in memory is not read from the standby.
        ),
        **changed,
    )
    service = create_app(settings)
    async with running(service), client_of(service, **bearer(settings.database_url)) as client:
        yield Api(client)


@asynccontextmanager
async def reader_on(
    pair: Pair, **changed: Any
) -> AsyncIterator[tuple[StandbyReader, Database, Counter[tuple[str, str]]]]:
    """A reader on both servers, the primary, and who served; for what no single request can show."""
    settings = msgspec.structs.replace(
        Settings(database_url=pair.primary.url, read_database_url=pair.standby.url), **changed
    )
    counts = Counter[tuple[str, str]]()
    standby = standby_of(settings)
    assert standby is not None
    async with Database(settings) as primary, standby:
        yield StandbyReader(primary, standby, lambda *labels: counts.update([labels])), primary, counts


def bearer(database_url: str, school: Json | None = None) -> dict[str, str]:
    token = log_in(database_url, Settings().jwt_secret, Role.ADMIN, school and school["id"])
    return {"Authorization": f"Bearer {token}"}


async def metric(api: Api, start: str) -> dict[str, float]:
    lines = (await api.client.get("/metrics")).text.splitlines()
    found = [line.removeprefix(start).split("} ") for line in lines if line.startswith(start)]
    return {labels: float(value) for labels, value in found}


async def reads(api: Api) -> Counts:
    """How many statements each of the two has served, without those that are none."""
    found = await metric(api, "statement_reads_total{")
    split = {tuple(label.split('"')[1] for label in labels.split(",")): value for labels, value in found.items()}
    return {(source, reason): value for (reason, source), value in split.items() if value}


async def read(api: Api, path: str, **headers: str) -> tuple[Any, Counts]:
    """Get a statement; return it, and who served it."""
    before = await reads(api)
    response = await api.client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    after = await reads(api)
    served = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    is_json = response.headers["content-type"] == "application/json"
    return response.json() if is_json else response.content, served


async def asked(api: Api, query: str) -> float:
    """How often the primary or the standby was asked a query."""
    return sum((await metric(api, f'db_query_duration_seconds_count{{query="statements/{query}"')).values())


async def until_served_by_standby(api: Api, path: str) -> None:
    async with asyncio.timeout(20):
        while (await read(api, path))[1] != {LEVEL: 1}:  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.02)


async def school_with_debt(api: Api) -> tuple[Json, Json, Json]:
    """A school with a student who owes 60.00 of 100.00."""
    school = await api.school()
    student = await api.student(school)
    invoice = await api.invoice(student, "100.00")
    await api.pay(invoice, "40.00")
    return school, student, invoice


QUERIES = {
    "/students/{student_id}/statement": ["", "?as_of=2999-12-31", "?from=2026-01-01", "?from=2026-01-01&to=2999-12-31"],
    "/payers/{payer_id}/statement": ["", "?as_of=2999-12-31", "?from=2026-01-01"],
    "/payers/{payer_id}/statement.html": ["", "?from=2026-01-01"],
    "/payers/{payer_id}/statement.pdf": [""],
    "/payers/{payer_id}/statement.csv": ["", "?from=2026-01-01"],
    "/payers/{payer_id}/statement.xlsx": ["", "?from=2026-01-01"],
    "/schools/{school_id}/statement": ["", "?limit=1", "?as_of=2999-12-31T00:00:00Z", "?from=2026-01-01"],
    "/schools/{school_id}/debtors": ["", "?by=payer", "?min_balance=1.00", "?as_of=2999-12-31"],
    "/schools/{school_id}/debtors.csv": ["", "?as_of=2999-12-31"],
    "/schools/{school_id}/debtors.xlsx": ["", "?as_of=2999-12-31"],
    "/schools/{school_id}/collections": ["", "?by=month&from=2026-01-01", "?by=method"],
    "/schools/{school_id}/forecast": ["", "?months=3"],
    "/schools/{school_id}/roll-forward": ["", "?from=2026-01-01&to=2026-03-31"],
    "/schools/{school_id}/roll-forward.csv": [""],
    "/schools/{school_id}/roll-forward.xlsx": [""],
    "/schools/{school_id}/statement.ndjson": ["", "?as_of=2999-12-31"],
    "/schools/{school_id}/statement.csv": ["", "?as_of=2999-12-31"],
    "/schools/{school_id}/statement.xlsx": ["", "?as_of=2999-12-31"],
    "/students/{student_id}/statement.html": ["", "?from=2026-01-01"],
    "/students/{student_id}/statement.pdf": [""],
    "/students/{student_id}/statement.csv": ["", "?from=2026-01-01"],
    "/students/{student_id}/statement.xlsx": ["", "?from=2026-01-01"],
    "/schools/{school_id}/statement.html": [""],
    "/schools/{school_id}/statement.pdf": [""],
}
"""Every route of the statements."""


async def test_every_statement_is_the_standbys_while_that_is_level(pair: Pair) -> None:
    async with api_on(pair) as api, api_on(pair, read_database_url="") as plain:
        document = await api.get("/openapi.json")
        assert set(QUERIES) == {
            path for path, verbs in document["paths"].items() if verbs.get("get", {}).get("tags") == ["statements"]
        }
        school, student, _ = await school_with_debt(api)
        payer = await api.payer(school)
        await api.receipt(payer, "5.00")
        ids = {"school_id": school["id"], "student_id": student["id"], "payer_id": payer["id"]}
        pair.catch_up()
        for route, queries in QUERIES.items():
            for query in queries:
                path = route.format_map(ids) + query
                statement, served = await read(api, path)
                assert served == {LEVEL: 1}, path
                expected, served = await read(plain, path)
                assert served == {}
                if isinstance(statement, dict):
                    for one in (statement, expected):
                        one.pop("as_of", None)  # Until now, which is later.
                if not route.endswith(".pdf"):
                    assert statement == expected, path


async def test_what_is_counted_as_the_standbys_is_read_there(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    async with api_on(pair) as api:
        _, student, _ = await school_with_debt(api)
    async with reader_on(pair) as (reader, primary, counts):
        position = await primary.one(POSITION)
        with pair.paused():
            pair.on_primary("update students set full_name = 'Changed' where id = %s", student["id"])
            # The position before the change, so the standby is taken for level.
            monkeypatch.setattr(primary, "one", AsyncMock(return_value=position))
            school_id = UUID(student["school_id"])
            async with aclosing(reader.stream(SCHOOL_LINES, school_id, tenant=None, school_id=school_id)) as parts:
                assert [row.full_name async for part in parts for row in part] == ["Lisa Simpson"]
        assert counts == {LEVEL: 1}


async def balances(api: Api, school: Json, student: Json, **headers: str) -> tuple[set[str], Counts]:
    """What the student owes by every kind of statement, and who served them."""
    before = await reads(api)
    of_student, of_school = f"/students/{student['id']}", f"/schools/{school['id']}"
    found = set()
    for path in (f"{of_student}/statement", f"{of_student}/statement?from=2026-01-01", f"{of_school}/statement"):
        found.add((await read(api, path, **headers))[0]["totals"]["balance_due_total"])
    found |= {debtor["balance_due"] for debtor in (await read(api, f"{of_school}/debtors", **headers))[0]}
    collected = (await read(api, f"{of_school}/collections?from=2026-01-01", **headers))[0]["totals"]
    found.add(str(Decimal(collected["invoiced"]) - Decimal(collected["net"])))
    for kind in ("ndjson", "csv"):
        line = (await read(api, f"{of_school}/statement.{kind}", **headers))[0].decode()
        found |= {balance for balance in ("60.00", "50.00", "45.00") if balance in line}
    after = await reads(api)
    return found, {key: value - before.get(key, 0) for key, value in after.items()}


async def test_what_is_written_is_read_by_everybody_at_every_instance(pair: Pair) -> None:
    async with api_on(pair) as one, api_on(pair) as two:
        school, student, invoice = await school_with_debt(one)
        body = {"name": "machine", "role": "viewer", "school_id": school["id"]}
        key = (await one.client.post("/api-keys", json=body)).json()["key"]
        readers = [
            (one, {}),
            (two, {}),
            (two, bearer(pair.primary.url, school)),
            (two, {"Authorization": f"Bearer {key}"}),
        ]
        for api, headers in readers:
            pair.catch_up()  # The reader before may have written, such as when its key was used.
            assert await balances(api, school, student, **headers) == ({"60.00"}, {LEVEL: 7})
        with pair.paused():
            await one.pay(invoice, "10.00")
            for api, headers in readers:
                found, served = await balances(api, school, student, **headers)
                assert (found, served[BEHIND], served[LEVEL]) == ({"50.00"}, 7, 0)
            await two.pay(invoice, "5.00")
            assert (await balances(one, school, student))[0] == {"45.00"}
        for api, headers in readers:
            found, served = await balances(api, school, student, **headers)
            assert (found, served[LEVEL]) == ({"45.00"}, 7)


SCHOOL, STUDENT, OTHER = "/schools/{school}", "/students/{student}", "/invoices/{other}"
OWED = "'balance_due_total': '60.00'"
CHANGES = {
    "the name of a school": ("PATCH", SCHOOL, {"name": "Another"}, f"{SCHOOL}/statement.html", "Another"),
    "the name of a student": ("PATCH", STUDENT, {"full_name": "Bart"}, f"{SCHOOL}/debtors", "Bart"),
    "the time zone": ("PATCH", SCHOOL, {"time_zone": "Asia/Tokyo"}, f"{SCHOOL}/statement", "67.00"),
    "a void": ("POST", f"{OTHER}/void", {"reason": "Twice"}, f"{STUDENT}/statement", OWED),
    "a deletion": ("DELETE", OTHER, None, f"{SCHOOL}/statement", OWED),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_every_kind_of_change_is_read_at_once(pair: Pair, change: str) -> None:
    method, what, body, path, expected = CHANGES[change]
    async with api_on(pair) as api:
        school, student, _ = await school_with_debt(api)
        other = await api.invoice(student, "7.00")
        ids = {"school": school["id"], "student": student["id"], "other": other["id"]}
        with pair.paused():
            assert (await api.client.request(method, what.format_map(ids), json=body)).is_success
            statement, served = await read(api, path.format_map(ids))
            assert served == {BEHIND: 1}
            assert expected in str(statement)


async def test_a_school_that_the_standby_has_not_heard_of_is_there(pair: Pair) -> None:
    async with api_on(pair) as api:
        with pair.paused():
            school = await api.school()
            assert (await read(api, f"/schools/{school['id']}/statement"))[1] == {BEHIND: 1}


async def test_nobody_reads_a_statement_older_than_a_write_whose_answer_is_known(pair: Pair) -> None:
    """Two instances, as two processes would; the replay stops and goes on under them."""
    async with api_on(pair, audit_seal_interval_ms=50) as one, api_on(pair, audit_seal_interval_ms=50) as two:
        school = await one.school()
        students = [await one.student(school) for _ in range(3)]
        invoices = [await one.invoice(student, "100000.00") for student in students]
        paid = dict.fromkeys((student["id"] for student in students), 0)
        over = asyncio.Event()

        async def pay_and_look(seed: int) -> None:
            chance = random.Random(seed)  # noqa: S311 - which invoice is no secret
            for _ in range(15):
                number = chance.randrange(3)
                await chance.choice([one, two]).pay(invoices[number], "1.00")
                paid[students[number]["id"]] += 1
                student_paid, school_paid = paid[students[number]["id"]], sum(paid.values())
                reader = chance.choice([one, two])
                statement = await reader.get(f"/students/{students[number]['id']}/statement?from=2026-01-01")
                assert Decimal(statement["totals"]["paid_total"]) >= student_paid
                statement = await reader.get(f"/schools/{school['id']}/statement")
                assert Decimal(statement["totals"]["paid_total"]) >= school_paid
                await asyncio.sleep(chance.random() / 20)

        async def pause_and_resume() -> None:
            while not over.is_set():
                # In threads: the replay may wait for a reader that this loop has to serve.
                await asyncio.to_thread(pair.pause)
                await asyncio.sleep(0.1)  # Longer than a request waits.
                await asyncio.to_thread(pair.resume)
                await asyncio.sleep(0.05)

        pausing = asyncio.create_task(pause_and_resume())
        await asyncio.gather(*(pay_and_look(seed) for seed in range(4)))
        over.set()
        await pausing
        assert sum(paid.values()) == 60
        counts = [await reads(api) for api in (one, two)]
        assert sum(count.get(BEHIND, 0) for count in counts) > 0
        assert sum(count.get(LEVEL, 0) for count in counts) > 0
        assert not any(count.get(UNAVAILABLE) for count in counts)


async def test_a_change_is_read_at_once_although_it_is_not_flushed(pair: Pair) -> None:
    """With synchronous_commit off, the primary shows a change before it is in the log that the standby gets."""
    async with api_on(pair) as api:
        school, student, _ = await school_with_debt(api)
        path = f"/students/{student['id']}/statement"
        await until_served_by_standby(api, path)
        with psycopg.connect(pair.primary.url, autocommit=True) as psql:
            psql.execute("set synchronous_commit = off")
            for number in range(1, 101):
                psql.execute(
                    "insert into invoices (school_id, student_id, total_amount, due_date) values (%s, %s, 1, now())",
                    [school["id"], student["id"]],
                )
                assert (await api.get(path))["totals"]["balance_due_total"] == f"{60 + number}.00"


async def test_an_idle_primary_has_a_level_standby_even_if_its_log_ends_with_a_page(pair: Pair) -> None:
    async with api_on(pair) as api:
        _, student, _ = await school_with_debt(api)
        path = f"/students/{student['id']}/statement"
        pair.send()  # The log goes on after the header of a new segment.
        await until_served_by_standby(api, path)

        def emit(length: int) -> int:
            """Write a record with so many bytes; return where the log goes on."""
            pair.on_primary("select pg_logical_emit_message(false, '', repeat('x', %s))", length)
            return int(pair.on_primary("select pg_current_wal_insert_lsn() - '0/0'"))

        start = emit(400)
        for _ in range(50):
            end = emit(400)
            length = 8192 - end % 8192 - (end - start - 400)
            start = emit(length) if length > 300 else end
            if start % 8192 == 24:  # So the record filled its page, and the next one has nothing but its header.
                break
        else:
            pytest.fail("no record ended with its page")
        await until_served_by_standby(api, path)


POSITIONS: list[tuple[str, Any]] = [
    ("position", "FFFF/0"),
    ("system_identifier", 1),
    ("database_id", 1),
    ("timeline", 2),
    ("asked_at", datetime(2999, 1, 1, tzinfo=UTC)),
    ("asked_at", datetime(2020, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize(("name", "value"), POSITIONS)
async def test_only_a_standby_of_the_same_database_and_clock_that_replayed_the_position_is_level(
    pair: Pair, name: str, value: Any
) -> None:
    async with (
        Database(Settings(database_url=pair.primary.url)) as primary,
        Database(Settings(database_url=pair.standby.url)) as standby,
    ):
        position = await primary.one(POSITION)
        pair.catch_up()

        async def is_level(server: Database, position: Position) -> bool:
            return await server.one(IS_LEVEL, **msgspec.structs.asdict(position))

        assert await is_level(standby, msgspec.structs.replace(position, asked_at=datetime.now(UTC)))
        assert not await is_level(standby, msgspec.structs.replace(position, **{name: value}))
        assert not await is_level(primary, position)


async def test_another_schools_statement_is_404_though_the_standby_has_it(pair: Pair) -> None:
    async with api_on(pair) as api:
        mine, other = await api.school(), await api.school()
        student, payer = await api.student(other), await api.payer(other)
        pair.catch_up()
        headers = bearer(pair.primary.url, mine)
        for route, queries in QUERIES.items():
            path = route.format(school_id=other["id"], student_id=student["id"], payer_id=payer["id"]) + queries[0]
            problem(await api.client.get(path, headers=headers), 404)
        assert set(await reads(api)) == {LEVEL}
        assert (await read(api, f"/schools/{mine['id']}/statement", **headers))[1] == {LEVEL: 1}
        problem(await api.client.get(f"/students/{NOBODY}/statement"), 404, "student_not_found")


async def test_a_standby_that_is_killed_costs_a_log_line_and_comes_back_by_itself(pair: Pair) -> None:
    async with api_on(pair) as api:
        school, student, invoice = await school_with_debt(api)
        path = f"/students/{student['id']}/statement"
        await until_served_by_standby(api, path)
        before = (await reads(api)).get(UNAVAILABLE, 0)  # On a busy machine it may have taken its time to come up.
        pair.standby.kill()
        with capture_logs() as logs:
            for _ in range(5):
                await api.pay(invoice, "1.00")
                await read(api, path)
                await read(api, f"/schools/{school['id']}/statement.ndjson")
        assert (await reads(api))[UNAVAILABLE] - before == 10
        assert [line["log_level"] for line in logs if "standby" in line["event"]] == ["warning"]
        assert (await api.client.get("/health/db")).status_code == 200
        pair.standby.start()
        with capture_logs() as logs:
            await until_served_by_standby(api, path)
        assert [line["log_level"] for line in logs if "standby" in line["event"]] == ["info"]
        assert (await api.get(path))["totals"]["paid_total"] == "45.00"  # 40 + 5 * 1


async def test_a_start_needs_no_standby_and_finds_it_later(pair: Pair) -> None:
    pair.standby.stop()
    try:
        async with api_on(pair) as api:
            _, student, _ = await school_with_debt(api)
            path = f"/students/{student['id']}/statement"
            assert (await read(api, path))[1] == {UNAVAILABLE: 1}
            pair.standby.start()
            await until_served_by_standby(api, path)
    finally:
        pair.standby.start()


async def test_a_standby_that_hangs_slows_one_request_in_a_while(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    async with api_on(pair) as api:
        _, student, _ = await school_with_debt(api)
        path = f"/students/{student['id']}/statement"
        await until_served_by_standby(api, path)
        monkeypatch.setattr(standby_module, "ANSWER_SECONDS", 0.5)
        monkeypatch.setattr(standby_module, "PAUSE_SECONDS", 60)
        with pair.frozen():
            started = time.monotonic()
            assert (await read(api, path))[1] == {UNAVAILABLE: 1}
            assert 0.5 <= time.monotonic() - started < 5
            before = await asked(api, "position")
            answers = await asyncio.gather(*(api.client.get(path) for _ in range(50)))
            assert {answer.status_code for answer in answers} == {200}
            assert await asked(api, "position") == before  # So nobody waited for the standby.
        assert (await reads(api))[UNAVAILABLE] == 51


async def test_what_the_replay_cancels_is_computed_on_the_primary(pair: Pair) -> None:
    async with api_on(pair) as api:
        _, student, _ = await school_with_debt(api)
        path = f"/students/{student['id']}/statement"
        await until_served_by_standby(api, path)
        with pair.impatient(), psycopg.connect(pair.primary.url) as psql:
            # The standby replays the lock, on which the statement waits there; then one on what it has read already.
            psql.execute("lock table payments in access exclusive mode")
            pair.send()
            pair.wait_on_standby("select count(*) = 1 from pg_locks where mode = 'AccessExclusiveLock' and granted")
            reading = asyncio.create_task(read(api, f"{path}?from=2026-01-01"))
            waiting = "select count(*) = 1 from pg_locks where not granted"
            await asyncio.to_thread(pair.wait_on_standby, waiting)
            psql.execute("lock table students in access exclusive mode")
            pair.send()
            async with asyncio.timeout(10):
                while CANCELED not in await reads(api):  # noqa: ASYNC110 - PostgreSQL has no event for it
                    await asyncio.sleep(0.01)
        statement, served = await reading
        assert served == {CANCELED: 1}
        assert statement["totals"]["balance_due_total"] == "60.00"
        # It was not the standby that failed, and it is asked again at once.
        await until_served_by_standby(api, path)
        assert UNAVAILABLE not in await reads(api)


async def test_who_would_wait_for_a_connection_to_the_standby_asks_the_primary(pair: Pair) -> None:
    async with api_on(pair) as api:
        school, student, _ = await school_with_debt(api)
        pair.catch_up()
    school_id = UUID(school["id"])
    async with reader_on(pair, database_pool_min=1, database_pool_max=1) as (reader, _, counts):
        async with aclosing(reader.stream(SCHOOL_LINES, school_id, tenant=None, school_id=school_id)) as lines:
            await anext(lines)
            assert await reader.one_or_none(STUDENT_STATEMENT, tenant=None, student_id=UUID(student["id"]))
            async with aclosing(reader.stream(SCHOOL_LINES, school_id, tenant=None, school_id=school_id)) as others:
                assert await anext(others)
            assert counts == {LEVEL: 1, BUSY: 2}
        assert await reader.one_or_none(STUDENT_STATEMENT, tenant=None, student_id=UUID(student["id"]))
        assert counts == {LEVEL: 2, BUSY: 2}


def add_invoices(pair: Pair, student: Json, count: int) -> None:
    pair.on_primary(
        "insert into invoices (school_id, student_id, total_amount, due_date) "
        "select %s, %s, 1, current_date from generate_series(1, %s)",
        student["school_id"],
        student["id"],
        count,
    )


async def test_a_download_stays_with_the_database_that_it_began_on(pair: Pair) -> None:
    async with api_on(pair) as api:
        school = await api.school()
        add_invoices(pair, await api.student(school), 2_500)
        pair.catch_up()
        path = f"/schools/{school['id']}/statement.ndjson"
        assert (await read(api, path))[0].count(b"\n") == 2_500
        school_id = UUID(school["id"])
        async with reader_on(pair) as (reader, _, counts):
            async with aclosing(reader.stream(SCHOOL_LINES, school_id, tenant=None, school_id=school_id)) as lines:
                first = await anext(lines)
                # What is written meanwhile, and replayed, is of another moment.
                pair.on_primary("update students set full_name = 'Changed' where school_id = %s", school["id"])
                pair.catch_up()
                rest = [row async for part in lines for row in part]
            assert len(first) + len(rest) == 2_500
            assert {row.full_name for row in rest} == {"Lisa Simpson"}

            async with aclosing(reader.stream(SCHOOL_LINES, school_id, tenant=None, school_id=school_id)) as lines:
                await anext(lines)
                idle = "application_name = 'school-billing' and state like 'idle in trans%%'"
                pair.on_standby(f"select pg_terminate_backend(pid) from pg_stat_activity where {idle}")
                with pytest.raises(DatabaseUnavailable):  # No other database could go on where this one was.
                    [part async for part in lines]
            assert counts == {LEVEL: 2}
        await until_served_by_standby(api, path)


@pytest.mark.parametrize(("name", "reason"), [("", BEHIND), ("postgres", BEHIND), ("another", UNAVAILABLE)])
async def test_what_is_no_standby_of_this_database_serves_nothing(
    pair: Pair, name: str, reason: tuple[str, str]
) -> None:
    """The primary itself, a database that is not migrated, and one that does not exist."""
    url = beside(pair.standby.url, name) if name else pair.primary.url
    async with api_on(pair, read_database_url=url) as api:
        school, student, _ = await school_with_debt(api)
        pair.catch_up()
        for _ in range(3):
            found, _ = await balances(api, school, student)
            assert found == {"60.00"}
        assert set(await reads(api)) == {reason}


async def test_a_standby_of_another_database_serves_nothing(pair: Pair, new_database: Callable[..., str]) -> None:
    async with api_on(pair, database_url=new_database()) as api:
        school, student, _ = await school_with_debt(api)
        assert (await balances(api, school, student))[0] == {"60.00"}
        assert set(await reads(api)) == {BEHIND}


async def test_what_is_in_redis_is_not_read_from_the_standby(pair: Pair) -> None:
    with redis_url() as redis:
        async with api_on(pair, redis_url=redis, redis_timeout_ms=5_000) as api:
            _, student, _ = await school_with_debt(api)
            pair.catch_up()
            path = f"/students/{student['id']}/statement"
            first, served = await read(api, path)
            assert served == {LEVEL: 1}
            assert await asked(api, "version") == await asked(api, "position") == 1
            kept, served = await read(api, path)
            assert (kept, served) == (first, {})
            assert (await asked(api, "version"), await asked(api, "position")) == (2, 1)


async def test_without_a_standby_nothing_more_is_asked(pair: Pair) -> None:
    async with api_on(pair, read_database_url="") as api:
        school, student, _ = await school_with_debt(api)
        await balances(api, school, student)
        assert await asked(api, "position") == await asked(api, "version") == 0


async def test_a_standby_that_was_promoted_serves_nothing(pair: Pair) -> None:
    async with api_on(pair) as api:
        school, student, invoice = await school_with_debt(api)
        await until_served_by_standby(api, f"/students/{student['id']}/statement")
        try:
            pair.on_standby("select pg_promote()")
            assert (await balances(api, school, student))[0] == {"60.00"}
            await api.pay(invoice, "10.00")
            assert (await balances(api, school, student))[0] == {"50.00"}
            assert (await reads(api))[LEVEL] == 1
        finally:
            pair.renew_standby()
        await until_served_by_standby(api, f"/students/{student['id']}/statement")
