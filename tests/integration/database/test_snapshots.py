"""Snapshots: several questions to one moment of the database."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from school_billing.platform.database.errors import DatabaseUnavailable, ValueRefused
from school_billing.platform.database.pool import Database
from school_billing.statements.repository import STUDENT_AS_OF
from school_billing.statements.versions import VERSION
from tests.api import NOBODY, Api


async def test_all_that_is_asked_is_of_one_moment_and_so_is_now(api: Api, database_url: str) -> None:
    school_id = (await api.school())["id"]
    whose = {"tenant": None, "school_id": UUID(school_id), "student_id": None}
    async with Database(database_url) as database:
        async with database.snapshot() as snapshot:
            before = await snapshot.one_or_none(VERSION, **whose)
            with psycopg.connect(database_url, autocommit=True) as psql:
                psql.execute("insert into students (school_id, full_name) values (%s, 'Bart')", [school_id])
            assert await snapshot.one_or_none(VERSION, **whose) == before
        after = await database.one_or_none(VERSION, **whose)
        assert before is not None
        assert after is not None
        assert after.changes == before.changes + 1
        assert after.asked_at > before.asked_at


async def refused(database: Database) -> None:
    """Ask for a moment before there was any."""
    wanted = {"as_of": datetime.min.replace(tzinfo=UTC), "as_of_date": None, "starts_on": None, "ends_on": None}
    async with database.snapshot() as snapshot:
        await snapshot.one_or_none(STUDENT_AS_OF, tenant=None, student_id="no id", **wanted)


async def abandoned(database: Database) -> None:
    """Leave in the middle."""
    async with database.snapshot():
        raise asyncio.CancelledError


async def second(database: Database) -> None:
    """Want two connections of a pool that has one."""
    async with database.snapshot(), database.snapshot():
        pass


async def test_whatever_goes_wrong_in_one_the_next_has_a_connection(database_url: str) -> None:
    async with Database(database_url, pool_max=1, acquire_timeout_ms=200) as database:
        with pytest.raises(ValueRefused):
            await refused(database)
        with pytest.raises(asyncio.CancelledError):
            await abandoned(database)
        with pytest.raises(DatabaseUnavailable):
            await second(database)
        async with database.snapshot() as snapshot:
            assert await snapshot.one_or_none(VERSION, tenant=None, school_id=None, student_id=UUID(NOBODY)) is None
        assert database.size().open == 1
