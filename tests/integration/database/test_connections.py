"""The connections at hand: none is lost, none is doubled, and who waits longest has the next."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import psycopg
import pytest

from school_billing.platform.database.connections import Connections


async def leave_as_is(_connection: object) -> None:
    pass


@asynccontextmanager
async def connections_to(url: str, most: int, timeout_seconds: float = 10) -> AsyncIterator[Connections]:
    pool = await asyncpg.create_pool(url, min_size=0, max_size=most, reset=leave_as_is)
    connections = Connections(pool, timeout_seconds)
    yield connections
    await connections.return_all()
    async with asyncio.timeout(10):
        await pool.close()  # It waits for every connection that is not back.


async def ask(connections: Connections) -> int:
    connection = await connections.take()
    pid: int = await connection.fetchval("select pg_backend_pid()")
    await connections.give_back(connection, is_clean=True)
    return pid


async def test_many_share_a_few(database_url: str) -> None:
    async with connections_to(database_url, most=3) as connections:
        pids = await asyncio.gather(*(ask(connections) for _ in range(60)))
        assert 1 <= len(set(pids)) <= 3
        assert connections.waiting == 0
        assert connections.idle == len(set(pids))


async def test_the_one_that_was_used_last_is_used_next(database_url: str) -> None:
    async with connections_to(database_url, most=3) as connections:
        first, second = await connections.take(), await connections.take()
        await connections.give_back(first, is_clean=True)
        await connections.give_back(second, is_clean=True)
        assert await connections.take() is second
        assert await connections.take() is first
        for connection in (first, second):
            await connections.give_back(connection, is_clean=True)


async def test_who_waits_too_long_is_told_and_takes_nothing_along(database_url: str) -> None:
    async with connections_to(database_url, most=1, timeout_seconds=0.05) as connections:
        only = await connections.take()
        with pytest.raises(TimeoutError):
            await connections.take()
        assert connections.waiting == 0
        await connections.give_back(only, is_clean=True)
        assert await connections.take() is only
        await connections.give_back(only, is_clean=True)


async def test_a_caller_who_leaves_as_the_turn_comes_passes_it_on(database_url: str) -> None:
    async with connections_to(database_url, most=1) as connections:
        only = await connections.take()
        leaving, staying = (asyncio.create_task(connections.take()) for _ in range(2))
        await asyncio.sleep(0)
        await connections.give_back(only, is_clean=True)  # The first one's turn, which it has not seen yet.
        leaving.cancel()
        assert await asyncio.wait_for(staying, 5) is only
        assert leaving.cancelled()
        await connections.give_back(only, is_clean=True)


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_broken_one_makes_room_for_another(database_url: str, leaves: bool) -> None:
    async with connections_to(database_url, most=1) as connections:
        only = await connections.take()
        first, second = (asyncio.create_task(connections.take()) for _ in range(2))
        await asyncio.sleep(0)
        only.terminate()
        await connections.give_back(only, is_clean=False)
        if leaves:
            first.cancel()
        heir = await asyncio.wait_for(second if leaves else first, 5)
        assert await heir.fetchval("select 1") == 1
        await connections.give_back(heir, is_clean=True)
        if not leaves:
            await connections.give_back(await second, is_clean=True)


async def test_those_that_the_server_closed_are_replaced(database_url: str) -> None:
    async with connections_to(database_url, most=3) as connections:
        taken = [await connections.take() for _ in range(3)]
        pids = [await connection.fetchval("select pg_backend_pid()") for connection in taken]
        for connection in taken:
            await connections.give_back(connection, is_clean=True)
        with psycopg.connect(database_url, autocommit=True) as psql:
            psql.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) as pid", [pids])
        async with asyncio.timeout(10):
            while connections._pool.get_size():  # noqa: ASYNC110 - the driver has no event
                await asyncio.sleep(0.01)
        found = await asyncio.gather(*(ask(connections) for _ in range(6)))
        assert not set(found) & set(pids)


async def test_one_that_is_lost_on_its_way_back_is_no_error_of_the_caller(database_url: str) -> None:
    async with connections_to(database_url, most=1) as connections:
        lost = await connections.take()
        pid = await lost.fetchval("select pg_backend_pid()")
        returning = asyncio.create_task(connections.give_back(lost, is_clean=False))
        await asyncio.sleep(0)  # The pool is about to take it back, and the driver sees first that it is closed.
        lost.terminate()
        await returning
        assert await ask(connections) != pid


async def test_a_server_that_cannot_be_reached_leaves_the_room_free() -> None:
    url = "postgresql://nobody:none@127.0.0.1:1/none"
    async with connections_to(url, most=2) as connections:
        for _ in range(5):
            with pytest.raises(OSError, match="Connect"):
                await connections.take()
        assert connections.waiting == 0


@pytest.mark.parametrize("seed", range(5))
async def test_none_is_lost_whatever_the_callers_do(database_url: str, seed: int) -> None:
    most = 4
    chance = random.Random(seed)  # noqa: S311 - it protects nothing

    async def work(connections: Connections) -> None:
        connection: Any = await connections.take()
        is_clean = False
        try:
            await connection.fetchval("select pg_sleep($1)", chance.choice([0, 0.002]))
            if chance.random() < 0.1:
                connection.terminate()
            else:
                is_clean = True
        finally:
            await connections.give_back(connection, is_clean=is_clean)

    async with connections_to(database_url, most) as connections:
        tasks = []
        for _ in range(150):
            tasks.append(asyncio.create_task(work(connections)))
            if chance.random() < 0.5:
                await asyncio.sleep(chance.choice([0, 0.001]))
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
            if chance.random() < 0.05:
                await connections.return_all()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        assert connections.waiting == 0
        async with asyncio.timeout(10):
            everything = [await connections.take() for _ in range(most)]
        assert len(set(map(id, everything))) == most
        for connection in everything:
            await connections.give_back(connection, is_clean=True)
