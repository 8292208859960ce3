"""`school-billing serve --workers 2`: two processes that are one service."""

import asyncio
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import psycopg
import pytest

from school_billing.platform.database.connecting import connections_allowed
from tests.api import Api, until_waiting
from tests.integration.observability.test_metrics import Scrape, scrape
from tests.integration.test_commands import COMMAND, environment, wait_until_gone
from tests.integration.test_life import ended, held
from tests.proxy import door_to
from tests.server import Server, free_port, serve, start, wait_until, wait_until_healthy


def workers_of(supervisor: int) -> list[int]:
    """Return the workers that live, those that wait to be buried not counted."""
    listing = subprocess.run(
        ["ps", "-wweo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    found = [line.split(None, 3) for line in listing.splitlines()]
    return [
        int(pid)
        for pid, parent, state, command in found
        if int(parent) == supervisor and "school_billing serve" in command and not state.startswith("Z")
    ]


def ready_workers(server: Server, count: int = 2) -> list[int]:
    """Wait until so many workers share the work, and return them."""
    wait_until_healthy(server.url, server.process)
    # Each tells of its pool when it has started.
    wait_until(lambda: len(workers_of(server.process.pid)) == count, "a worker")
    limit = 'db_pool_connections{state="limit"}'
    wait_until(lambda: f"{limit} 5.0" in httpx.get(f"{server.url}/metrics", timeout=20).text, "every pool")
    return workers_of(server.process.pid)


@contextmanager
def alone(worker: int, workers: Sequence[int]) -> Iterator[None]:
    """Let one worker answer all that comes: the others sleep."""
    others = [other for other in workers if other != worker]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


def gone(processes: Sequence[int]) -> bool:
    listing = subprocess.run(["ps", "-wweo", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    living = {int(pid) for pid, state in map(str.split, listing.splitlines()) if not state.startswith("Z")}
    return not living & set(processes)


def metrics_directory(worker: int) -> str:
    """Return the directory whose files the worker has mapped into its memory."""
    (directory,) = set(re.findall(r"(/\S+)/counter_\d+\.db", Path(f"/proc/{worker}/maps").read_text()))
    return str(directory)


def counts_in(directory: str, worker: int) -> bool:
    return Path(directory, f"counter_{worker}.db").exists()


def gone_from_disk(directory: str) -> bool:
    return not Path(directory).exists()


async def asked(url: str) -> httpx.Response:
    """Ask on a connection of its own, which any worker may take."""
    async with httpx.AsyncClient(timeout=30, verify=False) as client:  # noqa: S501 - there is no TLS.
        return await client.get(url)


SCHOOLS = {"method": "GET", "route": "/schools", "status": "200"}


async def test_two_workers_answer_count_as_one_and_a_dead_one_is_replaced(database_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serve(database_url, log, 2, DATABASE_POOL_MAX="5") as server:
        workers = await asyncio.to_thread(ready_workers, server)
        (directory,) = {metrics_directory(worker) for worker in workers}
        for worker, times in zip(workers, (2, 3), strict=True):
            with alone(worker, workers):
                for _ in range(times):
                    assert (await asked(f"{server.url}/schools")).status_code == 200
            assert counts_in(directory, worker)
        for worker in workers:
            with alone(worker, workers):
                seen = Scrape((await asked(f"{server.url}/metrics")).text)
                assert seen.value("http_requests_total", **SCHOOLS) == 5  # 2 + 3, whoever is asked.
                assert seen.value("db_pool_connections", state="limit") == 5  # 3 + 2

        os.kill(workers[0], signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: workers[0] not in workers_of(server.process.pid), "the end")
        after = await asyncio.to_thread(ready_workers, server)
        assert (workers[1] in after, workers[0] in after) == (True, False)
        assert "a worker died and is replaced" in log.read_text()
        for worker in after:
            with alone(worker, after):
                await asked(f"{server.url}/schools")
                seen = Scrape((await asked(f"{server.url}/metrics")).text)
        assert seen.value("http_requests_total", **SCHOOLS) == 7  # Those of the dead are neither lost nor told twice.
        assert seen.value("db_pool_connections", state="limit") == 5, "the dead have no pool"
    assert gone_from_disk(directory)
    assert "Traceback" not in log.read_text()


async def test_no_burst_opens_more_connections_than_one_process_would(database_url: str) -> None:
    name = f"burst {secrets.token_hex(4)}"
    names = {"DATABASE_APPLICATION_NAME": name, "DATABASE_POOL_MAX": "5", "DATABASE_ACQUIRE_TIMEOUT_MS": "60000"}
    watch = await asyncpg.connect(database_url)
    with serve(database_url, None, 2, **names) as server:
        workers = await asyncio.to_thread(ready_workers, server)
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=60) as client:
            invoice = await Api(client).invoice(total="100.00")
        headers = server.admin

        async def pay() -> int:
            async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:
                body = {"invoice_id": invoice["id"], "amount": "1.00"}
                return (await client.post("/payments", json=body)).status_code

        paying: list[asyncio.Task[int]] = []
        with held(database_url, invoice):
            for worker, share in zip(workers, (3, 2), strict=True):
                waited = await watch.fetchval(
                    "select count(*) from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'",
                    name,
                )
                with alone(worker, workers):
                    paying += [asyncio.create_task(pay()) for _ in range(20)]
                    # Either worker may have been started first, and that one has the larger share.
                    await until_waiting(watch, waited + min(share, 2))
            await until_waiting(watch, 5)
            seen = await watch.fetchval("select count(*) from pg_stat_activity where application_name = $1", name)
            assert seen == 5
        assert await asyncio.gather(*paying) == [201] * 40
        assert await watch.fetchval("select count(*) from pg_stat_activity where application_name = $1", name) <= 5
    await watch.close()


async def test_workers_that_lost_their_supervisor_end(database_url: str) -> None:
    with serve(database_url, None, 2, DATABASE_POOL_MAX="5") as server:
        workers = await asyncio.to_thread(ready_workers, server)
        directory = metrics_directory(workers[0])
        server.process.kill()
        await asyncio.to_thread(wait_until, lambda: gone(workers), "the end of the workers", 20)
        assert gone_from_disk(directory)


@pytest.mark.parametrize("when", ["at work", "starting"])
def test_ctrl_c_leaves_no_process_and_no_traceback(tmp_path: Path, database_url: str, when: str) -> None:
    log, port = tmp_path / "log", free_port()
    server = start(database_url, port, log, 2)
    if when == "at work":
        wait_until_healthy(server.url, server.process)
    wait_until(lambda: len(workers_of(server.process.pid)) == 2, "a worker")
    workers = workers_of(server.process.pid)
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(timeout=20) == 0
    assert gone(workers)
    assert "Traceback" not in log.read_text()


def test_workers_share_the_embedded_database_and_all_end_with_the_parent(tmp_path: Path) -> None:
    subprocess.run([*COMMAND, "migrate"], env=environment(tmp_path), check=True, capture_output=True)
    port = free_port()
    make = subprocess.Popen(  # A parent that does not forward signals, as make does not.
        ["sh", "-c", '"$@" & echo $!; wait', "sh", *COMMAND, "serve", "--with-parent", "--workers=2"],
        env=environment(tmp_path, PORT=str(port)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert make.stdout is not None
        supervisor = int(make.stdout.readline())
        wait_until_healthy(f"http://127.0.0.1:{port}", make)
        wait_until(lambda: len(workers_of(supervisor)) == 2, "a worker")
        everybody = [supervisor, *workers_of(supervisor)]
        assert httpx.get(f"http://127.0.0.1:{port}/health/db").status_code == 200
    finally:
        make.kill()
        make.communicate()
    wait_until(lambda: gone(everybody), "the end of all", 20)
    wait_until_gone(tmp_path)


async def test_the_internal_port_is_served_by_all_with_the_same_headers(database_url: str, tmp_path: Path) -> None:
    internal, log = free_port(), tmp_path / "log"
    with serve(database_url, log, 2, INTERNAL_PORT=str(internal)) as server:
        await asyncio.to_thread(wait_until, lambda: len(workers_of(server.process.pid)) == 2, "a worker")
        workers = workers_of(server.process.pid)
        metrics = f"http://127.0.0.1:{internal}/metrics"
        limit = 'db_pool_connections{state="limit"} 10.0'
        await asyncio.to_thread(wait_until, lambda: limit in httpx.get(metrics, timeout=20).text, "every pool")
        for worker in workers:
            with alone(worker, workers):
                assert (await asked(f"{server.url}/metrics")).status_code == 404
                assert (await asked(metrics)).status_code == 200, log.read_text()
                answer = await asked(f"{server.url}/health")
                assert answer.status_code == 200
                assert "server" not in answer.headers
                assert answer.headers["x-request-id"]


def refusal(database_url: str, workers: int, tmp_path: Path, **variables: str) -> tuple[int, str]:
    """Start a server that cannot start; return its exit code and what it said."""
    log = tmp_path / "log"
    server = start(database_url, free_port(), log, workers, **variables)
    try:
        return server.process.wait(timeout=30), log.read_text()
    finally:
        server.process.kill()
        server.process.wait()


def test_too_many_workers_are_refused(database_url: str, tmp_path: Path) -> None:
    code, log = refusal(database_url, 6, tmp_path)
    assert code == 1
    assert log.splitlines()[-1].startswith("school-billing: 6 workers need 12 connections")
    assert "Traceback" not in log


def test_a_worker_that_cannot_start_ends_the_command(database_url: str, tmp_path: Path) -> None:
    code, log = refusal(database_url, 2, tmp_path, SENTRY_DSN="https://:secret@sentry.example/1")
    assert code == 1
    assert log.splitlines()[-1] == "school-billing: A worker ended with exit code 1 before it was ready to serve."


async def test_a_replacement_waits_for_the_database_but_not_for_ever(database_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with door_to(database_url) as door:
        # The door is held by this event loop, which so must not be kept.
        server = start(door.url, free_port(), log, 2, DATABASE_WAIT_SECONDS="2", DATABASE_POOL_MAX="5")
        try:
            workers = await asyncio.to_thread(ready_workers, server)
            await door.shut()
            os.kill(workers[0], signal.SIGKILL)
            await asyncio.to_thread(wait_until, lambda: "waiting for the database" in log.read_text(), "the wait")
            await door.open()
            workers = await asyncio.to_thread(ready_workers, server)
            await door.shut()
            os.kill(workers[0], signal.SIGKILL)
            code, _ = await asyncio.to_thread(ended, server, 20)
        finally:
            server.process.kill()
            server.process.wait()
    assert code == 1
    assert "cannot be reached" in log.read_text()
    assert "before it was ready" in log.read_text().splitlines()[-1]
    assert gone(workers)


@pytest.fixture
def make_role(database_url: str) -> Iterator[Callable[[str], str]]:
    """Makes a role of the database's owner, and returns the database's URL for it; all go at the end."""
    roles: list[str] = []
    with psycopg.connect(database_url, autocommit=True) as psql:

        def make(option: str) -> str:
            roles.append(role := f"limited_{secrets.token_hex(4)}")
            psql.execute(f"create role {role} login password 'limited' {option} in role {psql.info.user}".encode())
            parts = urlsplit(database_url)
            return parts._replace(netloc=f"{role}:limited@{parts.netloc.rpartition('@')[2]}").geturl()

        yield make
        for role in roles:
            deadline = time.monotonic() + 5  # A backend ends a moment after its client.
            while psql.execute("select from pg_stat_activity where usename = %s", [role]).fetchone():
                assert time.monotonic() < deadline
            psql.execute(f"drop role {role}".encode())


def test_the_database_says_how_many_connections_it_allows(
    new_database: Callable[[], str], make_role: Callable[[str], str]
) -> None:
    url = make_role("connection limit 7")
    assert connections_allowed(url) == 7
    assert connections_allowed(make_role("superuser connection limit 7")) > 7, "the limit is not for superusers"
    plain = make_role("")
    with psycopg.connect(plain) as psql:
        row = psql.execute("""
            select sum(setting::int * case name when 'max_connections' then 1 else -1 end) from pg_settings
            where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
        """).fetchone()
    assert row is not None
    assert connections_allowed(plain) == row[0]
    other = new_database()
    name = urlsplit(other).path
    with psycopg.connect(other, autocommit=True) as psql:
        psql.execute(f"alter database {name.strip('/')} connection limit 5".encode())
    assert connections_allowed(urlsplit(url)._replace(path=name).geturl()) == 5


async def test_a_pool_is_no_larger_than_the_database_allows(make_role: Callable[[str], str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    url = make_role("connection limit 5")
    with serve(url, log, 2, DATABASE_POOL_MAX="40", DATABASE_POOL_MIN="12") as server:
        await asyncio.to_thread(ready_workers, server)  # Their pools have 5 connections together.
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await scrape(client)).value("db_pool_connections", state="idle") <= 5
            assert (await client.get("/health/db")).status_code == 200
    assert "DATABASE_POOL_MAX is more than the database allows" in log.read_text()
    code, said = refusal(url, 3, tmp_path, DATABASE_POOL_MAX="40")
    assert (code, "3 workers need 6 connections" in said, "allow 5" in said) == (1, True, True)
