from collections.abc import AsyncIterator

import asyncpg
import pytest


@pytest.fixture(scope="session")
async def psql(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to the API's own database, for a past that the API would not write."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
