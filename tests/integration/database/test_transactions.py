"""Read-only transactions, and the connection after one that failed."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from school_billing.platform.database.errors import DatabaseUnavailable, ValueRefused
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from school_billing.statements.cache import VERSION
from school_billing.statements.repository import STUDENT_AS_OF
from school_billing.statements.standby import POSITION
from tests.api import NOBODY, Api


async def test_each_query_sees_what_is_committed_by_then_and_now_is_the_beginning(api: Api, database_url: str) -> None:
    school_id = UUID((await api.school())["id"])
    async with Database(Settings(database_url=database_url)) as database, database.transaction() as transaction:
        (before,) = await transaction.all(VERSION, tenant=None, school_id=school_id, student_id=None, payer_id=None)
        with psycopg.connect(database_url, autocommit=True) as psql:
            psql.execute("insert into students (school_id, full_name) values (%s, 'Bart')", [school_id])
        (after,) = await transaction.all(VERSION, tenant=None, school_id=school_id, student_id=None, payer_id=None)
        assert after.changes == before.changes + 1
        with psycopg.connect(database_url, autocommit=True) as psql:
            (began_at,) = await transaction.all(POSITION)
            row = psql.execute("select clock_timestamp()").fetchone()
            assert row is not None
            (again,) = await transaction.all(POSITION)
            assert again.asked_at == began_at.asked_at < row[0]


async def refused(database: Database) -> None:
    """Ask for a moment before there was any."""
    values = {"as_of": datetime.min.replace(tzinfo=UTC), "as_of_date": None, "starts_on": None, "ends_on": None}
    async with database.transaction() as transaction:
        await transaction.all(STUDENT_AS_OF, tenant=None, student_id="no id", **values)


async def abandoned(database: Database) -> None:
    """Leave in the middle."""
    async with database.transaction():
        raise asyncio.CancelledError


async def second(database: Database) -> None:
    """Want two connections of a pool that has one."""
    async with database.transaction(), database.transaction():
        pass


async def test_whatever_goes_wrong_in_one_the_next_has_a_connection(database_url: str) -> None:
    async with Database(
        Settings(database_url=database_url, database_pool_max=1, database_pool_min=1, database_acquire_timeout_ms=200)
    ) as database:
        with pytest.raises(ValueRefused):
            await refused(database)
        with pytest.raises(asyncio.CancelledError):
            await abandoned(database)
        with pytest.raises(DatabaseUnavailable):
            await second(database)
        async with database.transaction() as transaction:
            assert (
                await transaction.all(VERSION, tenant=None, school_id=None, student_id=UUID(NOBODY), payer_id=None)
                == []
            )
        assert database.size().open == 1
