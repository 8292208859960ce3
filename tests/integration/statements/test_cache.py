"""The cache of statements, in memory and on a real Redis: never older than a write whose answer is known, and never an
error."""

import asyncio
import gzip
import hmac
import random
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import msgspec
import psycopg
import pytest
from structlog.testing import capture_logs

import redis
from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.settings import Settings
from school_billing.statements.cache import MemoryStore
from school_billing.statements.contracts import StatementDocument
from school_billing.statements.repository import SCHOOL
from tests.accounts import log_in
from tests.api import NOBODY, Api, client_of, problem
from tests.conftest import running
from tests.redis import own_redis, redis_url


@pytest.fixture(scope="module")
def shared_redis() -> Iterator[str]:
    with redis_url() as url:
        yield url


@asynccontextmanager
async def api_with(settings: Settings, url: str, **changed: Any) -> AsyncIterator[Api]:
    """The API with statements in Redis, or in memory if the URL is empty."""
    service = create_app(
        Settings(
            database_url=settings.database_url,
            redis_url=url,
            jwt_secret=settings.jwt_secret,
            redis_timeout_ms=changed.pop("redis_timeout_ms", 5_000),
            database_acquire_timeout_ms=20_000,
            **changed,
        )
    )
    token = log_in(settings.database_url, settings.jwt_secret, Role.ADMIN)
    async with running(service), client_of(service, Authorization=f"Bearer {token}") as client:
        yield Api(client)


async def outcomes(api: Api, store: str = "redis") -> dict[str, float]:
    lines = (await api.client.get("/metrics")).text.splitlines()
    found = [re.fullmatch(r'statement_cache_total\{outcome="(\w+)",store="(\w+)"\} (.+)', line) for line in lines]
    return {one[1]: float(one[3]) for one in found if one and one[2] == store}


async def test_a_statement_is_computed_once_until_something_changes(settings: Settings, shared_redis: str) -> None:
    async with api_with(settings, shared_redis) as api:
        school, other = await api.school(), await api.school()
        student = await api.student(school)
        payer = await api.payer(school)
        invoice = await api.invoice(student, "100.00", payer_id=payer["id"])
        paths = [
            f"/students/{student['id']}/statement",
            f"/schools/{school['id']}/statement",
            f"/schools/{school['id']}/statement?limit=1",
            f"/students/{student['id']}/statement?to=2026-12-31",
            f"/payers/{payer['id']}/statement",
        ]
        first = [await api.client.get(path) for path in paths]
        assert await outcomes(api) == {"hit": 0, "miss": 5, "shared": 0, "invalid": 0, "error": 0}
        again = [await api.client.get(path) for path in paths]
        assert await outcomes(api) == {"hit": 5, "miss": 5, "shared": 0, "invalid": 0, "error": 0}
        for one, two in zip(first, again, strict=True):
            assert one.content == two.content
            assert one.headers["etag"] == two.headers["etag"]
        await api.student(other)  # What changes elsewhere changes nothing here.
        await api.get(paths[0])
        assert (await outcomes(api))["hit"] == 6
        await api.pay(invoice, "40.00")
        for path in paths:
            assert (await api.get(path))["totals"]["balance_due_total"] == "60.00"  # 100 - 40
        assert (await outcomes(api))["miss"] == 10


async def test_the_memory_of_a_worker_keeps_statements_of_schools_until_something_changes(
    settings: Settings, database_url: str
) -> None:
    async with api_with(settings, "") as one, api_with(settings, "") as two:
        school, other = await one.school(), await one.school()
        student = await one.student(school)
        invoice = await one.invoice(student, "100.00")
        paths = [f"/schools/{school['id']}/statement{query}" for query in ("", "?limit=2", "?to=2026-12-31")]
        for api in (one, two):
            first = [await api.client.get(path) for path in paths]
            assert await outcomes(api, "memory") == {"hit": 0, "miss": 3, "shared": 0}
            await api.student(other)  # What changes elsewhere changes nothing here.
            again = [await api.client.get(path) for path in paths]
            assert [answer.content for answer in again] == [answer.content for answer in first]
            assert [answer.headers["etag"] for answer in again] == [answer.headers["etag"] for answer in first]
            assert await outcomes(api, "memory") == {"hit": 3, "miss": 3, "shared": 0}
        # A student's statement, one of a moment, and that of another's school are not looked up.
        await one.get(f"/students/{student['id']}/statement")
        await one.get(f"/schools/{school['id']}/statement?as_of=2026-03-31T12:00:00Z")
        token = log_in(settings.database_url, settings.jwt_secret, Role.ADMIN, other["id"])
        problem(await one.client.get(paths[0], headers={"Authorization": f"Bearer {token}"}), 404)
        assert await outcomes(one, "memory") == {"hit": 3, "miss": 3, "shared": 0}
        await two.pay(invoice, "40.00")
        assert (await one.get(paths[0]))["totals"]["balance_due_total"] == "60.00"  # 100 - 40
        with psycopg.connect(database_url) as psql:
            psql.execute("update students set full_name = 'Maggie' where id = %s", [student["id"]])
        for api in (one, two):
            assert (await api.get(paths[0]))["students"][0]["full_name"] == "Maggie"


async def test_the_memory_is_bounded_and_forgets_what_was_not_used_for_longest() -> None:
    store = MemoryStore(Settings(statement_cache_mb=1), lambda outcome: None)
    statement = StatementDocument("é" * 150_000, None)  # 300,000 bytes, and a quarter for the compressed ones.
    for key in ("first", "second", "first", "third"):
        assert (await store.get(key, SCHOOL) or await store.put(key, SCHOOL, statement)).content == statement.content
    found = [await store.get(key, SCHOOL) is not None for key in ("first", "second", "third")]
    assert found == [True, False, True]
    too_large = StatementDocument("x" * 900_000, None)
    assert (await store.put("large", SCHOOL, too_large)).content == too_large.content
    assert await store.get("large", SCHOOL) is None
    assert await store.get("third", SCHOOL) is not None


async def test_requests_at_the_same_time_compute_a_statement_once(
    settings: Settings, psql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with api_with(settings, "", overdue_interval_seconds=0) as api, asyncio.timeout(30):
        school = await api.school()
        path = f"/schools/{school['id']}/statement"

        async def ask(count: int) -> list["asyncio.Task[httpx.Response]"]:
            """Ask so many times; return as soon as the version is read, and each waits for the statement."""
            before = await queries(api, "statements/version")
            tasks = [asyncio.create_task(api.client.get(path)) for _ in range(count)]
            while await queries(api, "statements/version") < before + count:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.01)
            return tasks

        async def blocked() -> int:
            """Return the process that computes the statement."""
            waiting = "select pid from pg_locks where not granted and relation = 'receipts'::regclass"
            while not (pids := await psql.fetch(waiting)):  # noqa: ASYNC110 - PostgreSQL has no event for it
                await asyncio.sleep(0.01)
            (found,) = pids
            return int(found["pid"])

        async with psql.transaction():
            await psql.execute("lock table receipts in access exclusive mode")  # The version reads no receipts.
            (first,), others = await ask(1), await ask(4)
            await blocked()
            first.cancel()
            while (await outcomes(api, "memory"))["miss"] < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
            await blocked()  # One of the others computes it now.
        assert {answer.status_code for answer in await asyncio.gather(*others)} == {200}
        assert await outcomes(api, "memory") == {"hit": 0, "miss": 2, "shared": 3}

        await api.student(school)
        async with psql.transaction():
            await psql.execute("lock table receipts in access exclusive mode")
            tasks = await ask(4)
            await psql.execute("select pg_cancel_backend($1)", await blocked())
            for answer in await asyncio.gather(*tasks):
                problem(answer, 503)
        assert await outcomes(api, "memory") == {"hit": 0, "miss": 3, "shared": 6}
        assert (await api.get(path))["students_count"] == 1  # The error is not kept.


async def test_large_statements_are_compressed_once_for_the_clients_that_accept_it(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def compress(body: bytes, level: int, *, mtime: int) -> bytes:
        threads.append(threading.get_ident())
        return original(body, level, mtime=mtime)

    original = gzip.compress
    monkeypatch.setattr(gzip, "compress", compress)
    office = "https://office.example"
    async with api_with(settings, "", cors_origins=office) as api:
        small, school = await api.school(), await api.school()
        with psycopg.connect(database_url) as psql:
            students = "insert into students (school_id, full_name) select %s, 'Zoë' from generate_series(1, 100)"
            psql.execute(students, [school["id"]])
        path = f"/schools/{school['id']}/statement?limit=1"

        async def get(coding: str, tag: str = "", path: str = path) -> httpx.Response:
            tags = {"If-None-Match": tag} if tag else {}
            headers = {"Accept-Encoding": coding, "Origin": office} | tags
            answer = await api.client.get(path, headers=headers)
            is_large = path.startswith(f"/schools/{school['id']}")
            assert ("Accept-Encoding" in answer.headers.get_list("vary", split_commas=True)) == is_large
            return answer

        first = await asyncio.gather(*(get("br, gzip;q=0.5") for _ in range(5)))
        plain = await get("identity")
        for compressed in (*first, await get("gzip"), await get("GZIP ; q=1.0, *;q=0")):
            assert compressed.headers["content-encoding"] == "gzip"
            assert int(compressed.headers["content-length"]) == compressed.num_bytes_downloaded < len(plain.content) / 4
            assert compressed.content == plain.content
        assert len(threads) == 1
        assert threads[0] != threading.get_ident()
        tags = plain.headers["etag"], first[0].headers["etag"]
        assert tags[1] == f'{tags[0][:-1]}-gzip"'
        for refusal in ("identity", "gzip;q=0", "br, gzip; q=0.000", "*;q=0.1", ""):
            answer = await get(refusal)
            assert ("content-encoding" in answer.headers, answer.headers["etag"]) == (False, tags[0]), refusal

        for coding in ("identity", "gzip"):
            for tag in tags:
                for sent in (tag, f"W/{tag}", f'"other", {tag}'):
                    unchanged = await get(coding, sent)
                    assert (unchanged.status_code, unchanged.headers["etag"], unchanged.content) == (304, tag, b"")
                    assert "content-encoding" not in unchanged.headers
            assert (await get(coding, "*")).headers["etag"] == tags[coding == "gzip"]
        assert "content-encoding" not in (await get("gzip", path=f"/schools/{small['id']}/statement")).headers
        await api.student(school)
        for tag in tags:
            assert (await get("gzip", tag)).status_code == 200


CHANGES: list[tuple[str, str]] = [
    ("payments", "update payments set paid_at = paid_at - interval '1 day', updated_at = now()"),
    ("students", "update students set full_name = full_name || '.'"),
    ("schools", "update schools set time_zone = 'Asia/Tokyo'"),
    ("invoices", "update invoices set due_date = due_date - 1"),
    ("payers", "update payers set name = name || '.'"),
    ("receipts", "insert into receipts (school_id, amount) select school_id, 1 from receipts"),
    ("receipts", "update receipts set payer_id = null, payer_name = null"),
    (
        "receipt_refunds",
        "insert into receipt_refunds (school_id, receipt_id, amount) select school_id, id, 1 from receipts",
    ),
]


@pytest.mark.parametrize(("table", "change"), CHANGES)
async def test_every_change_makes_a_new_version_whoever_makes_it(
    settings: Settings, shared_redis: str, database_url: str, table: str, change: str
) -> None:
    async with api_with(settings, shared_redis) as api:
        school = await api.school()
        await api.pay(await api.invoice(await api.student(school)), "1.00")
        await api.receipt(await api.payer(school), "1.00")
        path = f"/schools/{school['id']}/statement"
        await api.get(path)
        key = "id" if table == "schools" else "school_id"
        with psycopg.connect(database_url) as psql:
            psql.execute(f"{change} where {key} = %s", [school["id"]])
            await api.get(path)
            assert (await outcomes(api)) == {
                "hit": 1,
                "miss": 1,
                "shared": 0,
                "invalid": 0,
                "error": 0,
            }  # Not committed yet.
            psql.commit()
        await api.get(path)
        assert (await outcomes(api)) == {"hit": 1, "miss": 2, "shared": 0, "invalid": 0, "error": 0}


async def test_sealing_the_trail_changes_no_version(settings: Settings, shared_redis: str, database_url: str) -> None:
    async with api_with(settings, shared_redis, audit_seal_interval_ms=3_600_000) as api:
        school = await api.school()
        await api.invoice(await api.student(school))
        path = f"/schools/{school['id']}/statement"
        await api.get(path)
        from school_billing.ledger.repository import Ledger  # noqa: PLC0415
        from school_billing.platform.database.pool import Database  # noqa: PLC0415 - beside their only use.

        async with Database(Settings(database_url=database_url)) as database:
            await Ledger(database).seal()
        await api.get(path)
        assert (await outcomes(api)) == {"hit": 1, "miss": 1, "shared": 0, "invalid": 0, "error": 0}


@pytest.mark.parametrize("store", ["redis", "memory"])
async def test_nobody_reads_a_statement_older_than_a_write_whose_answer_is_known(
    settings: Settings, shared_redis: str, store: str
) -> None:
    """Two services share Redis, or have their own memory; each payer looks, at either, at what was just paid."""
    url = shared_redis if store == "redis" else ""
    async with api_with(settings, url) as one, api_with(settings, url) as two:
        school = await one.school()
        students = [await one.student(school) for _ in range(3)]
        invoices = [await one.invoice(student, "100000.00") for student in students]
        paid = dict.fromkeys((student["id"] for student in students), Decimal(0))

        async def pay_and_look(seed: int) -> None:
            chance = random.Random(seed)  # noqa: S311 - which invoice is no secret
            for _ in range(25):
                number = chance.randrange(3)
                await chance.choice([one, two]).pay(invoices[number], "1.00")
                paid[students[number]["id"]] += 1
                student_due, school_due = paid[students[number]["id"]], sum(paid.values())
                reader = chance.choice([one, two])
                statement = await reader.get(f"/students/{students[number]['id']}/statement")
                assert Decimal(statement["totals"]["paid_total"]) >= student_due
                statement = await reader.get(f"/schools/{school['id']}/statement")
                assert Decimal(statement["totals"]["paid_total"]) >= school_due

        async def only_look() -> None:
            for _ in range(100):
                seen = sum(paid.values())
                statement = await two.get(f"/schools/{school['id']}/statement")
                assert Decimal(statement["totals"]["paid_total"]) >= seen

        await asyncio.gather(*(pay_and_look(seed) for seed in range(6)), only_look(), only_look())
        assert sum(paid.values()) == 150
        hits = (await outcomes(one, store))["hit"] + (await outcomes(two, store))["hit"]
        assert hits > 0


async def test_an_invoice_that_is_dated_ahead_comes_when_its_time_does(
    settings: Settings, shared_redis: str, database_url: str
) -> None:
    async with api_with(settings, shared_redis) as api:
        school = await api.school()
        ahead = await api.invoice(await api.student(school), "11.00", issued_at="2999-01-01T00:00:00Z")
        path = f"/schools/{school['id']}/statement"
        assert (await api.get(path))["totals"]["invoiced_total"] == "0.00"
        with psycopg.connect(database_url) as psql:
            # The day comes: nothing is written that the audit trail would tell of.
            psql.execute("set session_replication_role = replica")
            psql.execute("update invoices set issued_at = now() where id = %s", [ahead["id"]])
        assert (await api.get(path))["totals"]["invoiced_total"] == "11.00"


async def test_two_databases_that_share_a_redis_do_not_share_statements(
    settings: Settings, shared_redis: str, new_database: Callable[..., str]
) -> None:
    other = msgspec.structs.replace(settings, database_url=new_database())
    async with api_with(settings, shared_redis) as one, api_with(other, shared_redis) as two:
        await two.school()
        for api, name in ((one, "Here"), (two, "There")):
            with psycopg.connect(settings.database_url if api is one else other.database_url) as psql:
                psql.execute("delete from schools where id = %s", [NOBODY])
                psql.execute("insert into schools (id, name) values (%s, %s)", [NOBODY, name])
                psql.execute("insert into students (school_id, full_name) values (%s, %s)", [NOBODY, name])
        names = [(await api.get(f"/schools/{NOBODY}/statement"))["students"][0]["full_name"] for api in (one, two)]
        assert names == ["Here", "There"]
        with psycopg.connect(settings.database_url) as psql:
            psql.execute("delete from students where school_id = %s", [NOBODY])
            psql.execute("delete from schools where id = %s", [NOBODY])


async def test_another_schools_statement_is_404_though_it_is_kept(settings: Settings, shared_redis: str) -> None:
    async with api_with(settings, shared_redis) as api:
        mine, other = await api.school(), await api.school()
        student = await api.student(other)
        await api.get(f"/students/{student['id']}/statement")
        await api.get(f"/schools/{other['id']}/statement")
        token = log_in(settings.database_url, settings.jwt_secret, Role.ADMIN, mine["id"])
        headers = {"Authorization": f"Bearer {token}"}
        for path in (f"/students/{student['id']}", f"/schools/{other['id']}"):
            problem(await api.client.get(f"{path}/statement", headers=headers), 404)
        problem(await api.client.get(f"/students/{NOBODY}/statement"), 404, "student_not_found")


async def test_a_kept_statement_goes_after_its_time(settings: Settings, shared_redis: str) -> None:
    async with api_with(settings, shared_redis, statement_cache_seconds=60) as api:
        school = await api.school()
        await api.get(f"/schools/{school['id']}/statement")
        with redis.Redis.from_url(shared_redis) as client:
            keys = list(client.scan_iter(f"statement:school:{school['id']}:*"))
            assert len(keys) == 1
            assert 0 < int(client.ttl(keys[0])) <= 60


async def test_a_release_that_renders_other_fields_reads_no_entry_of_this_one(
    settings: Settings, shared_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api_with(settings, shared_redis) as api:
        school = await api.school()
        path = f"/schools/{school['id']}/statement"
        await api.get(path)
        monkeypatch.setattr(SCHOOL, "text", f"{SCHOOL.text}\n-- with another field")
        await api.get(path)
        await api.get(path)
        assert await outcomes(api) == {"miss": 1, "hit": 1, "shared": 0, "invalid": 1, "error": 0}


async def test_what_another_hand_or_another_program_wrote_is_a_miss_and_is_replaced(
    settings: Settings, shared_redis: str
) -> None:
    """Whoever can write to Redis can write neither a statement nor a 500, in any form of the answer."""
    old_text = StatementDocument("{}", None)
    rotated = msgspec.structs.replace(settings, jwt_secret="another-secret-another-secret-another")
    async with api_with(settings, shared_redis) as api, api_with(rotated, shared_redis) as other_secret:
        school = await api.school()
        student, other = await api.student(school), await api.student(school)
        await api.invoice(student, "100.00")
        path = f"/students/{student['id']}/statement"
        expected = {form: (await api.client.get(path + form)).content for form in ("", ".html")}
        await other_secret.client.get(f"/students/{other['id']}/statement")
        with redis.Redis.from_url(shared_redis) as client:
            (key,) = client.scan_iter(f"statement:student:{student['id']}:*")
            (others_key,) = client.scan_iter(f"statement:student:{other['id']}:*")
            ours, of_another_secret = client.get(key), client.get(others_key)
            await api.client.get(f"/students/{other['id']}/statement")
            of_another_key = client.get(others_key)
            assert isinstance(ours, bytes)
            forged = [
                b"",
                b"nonsense",
                ours[:-1],
                ours[:40] + b"\x00" + ours[41:],
                hmac.digest(b"", msgspec.msgpack.encode(old_text), "sha256") + msgspec.msgpack.encode(old_text),
                msgspec.msgpack.encode((key.decode(), old_text)),  # As the version before this one wrote it.
                of_another_secret,
                of_another_key,
                ["a list, and no text"],
            ]
            before = await outcomes(api)
            for value in forged:
                for form, content in expected.items():
                    client.delete(key)
                    _ = client.rpush(key, *value) if isinstance(value, list) else client.set(key, value)
                    for _ in range(2):
                        answer = await api.client.get(path + form)
                        assert (answer.status_code, answer.content) == (200, content), (value, form)
        after = await outcomes(api)
        count = len(forged) * len(expected)
        assert {name: after[name] - before[name] for name in after} == {
            "hit": count,
            "miss": 0,
            "shared": 0,
            "invalid": count,
            "error": 0,
        }


async def test_redis_slow_full_or_gone_means_computed_answers_one_log_line_and_no_error(settings: Settings) -> None:
    with own_redis() as server:
        async with api_with(settings, server.url, redis_timeout_ms=50) as api:
            school = await api.school()
            path = f"/schools/{school['id']}/statement"
            await api.get(path)

            async def still_answers(students: int) -> None:
                await api.student(school)
                statement = await api.get(path)
                assert statement["students_count"] == students

            for number, (break_it, mend_it) in enumerate(
                [(server.pause, server.resume), (server.stop, server.start), (lambda: fill(server.url), server.start)]
            ):
                before = (await outcomes(api))["error"]
                break_it()
                with capture_logs() as logs:
                    await still_answers(2 * number + 1)
                    await still_answers(2 * number + 2)
                assert (await outcomes(api))["error"] > before
                assert [line["log_level"] for line in logs if "cache" in line["event"]] == ["warning"]
                if number == 2:
                    server.stop()
                mend_it()
                await until_it_answers_again(api, path)


def fill(url: str) -> None:
    """Let Redis take nothing more."""
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")


async def until_it_answers_again(api: Api, path: str) -> None:
    hits = (await outcomes(api))["hit"]
    async with asyncio.timeout(10):
        while (await outcomes(api))["hit"] == hits:
            await api.get(path)
            await asyncio.sleep(0.05)


async def test_without_a_store_nothing_is_asked(settings: Settings) -> None:
    async with api_with(settings, "", statement_cache_mb=0) as api:
        school = await api.school()
        before = await queries(api)
        await api.get(f"/schools/{school['id']}/statement")
        assert await queries(api) - before == 2  # The session, and the statement.
        assert await outcomes(api) == {"hit": 0, "miss": 0, "shared": 0, "invalid": 0, "error": 0}
        assert await outcomes(api, "memory") == {"hit": 0, "miss": 0, "shared": 0}


async def queries(api: Api, name: str = "") -> float:
    lines = (await api.client.get("/metrics")).text.splitlines()
    start = f'db_query_duration_seconds_count{{query="{name}'
    counts = [line for line in lines if line.startswith(start) and "seal" not in line]
    return sum(float(line.rpartition(" ")[2]) for line in counts)
