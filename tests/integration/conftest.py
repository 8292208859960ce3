"""What the integration tests share."""

from collections.abc import AsyncIterator

import asyncpg
import pytest


@pytest.fixture
async def psql(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to the API's own database, for what nobody does through the API."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
